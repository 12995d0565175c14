//! What sources, destinations and connections have in common: lists, forms that the API checks, deletion that is confirmed.

use http::{Method, StatusCode};
use maud::{Markup, html};
use serde_json::{Map, Value};

use crate::api::{Answer, Api, Change, Problem, segment};
use crate::form::Form;
use crate::look::fields::{Fields, problem_notice};
use crate::look::parts::{self, Tone};
use crate::look::rail::Place;
use crate::read::Read as _;
use crate::visit::{Outcome, Page, Visit, see_other};

/// Objects that a form shows as one text.
const WHOLE: [&str; 1] = ["scheme"];

/// Rows of a list. Some ask one more question each, so this bounds the questions of a page.
pub(super) const PAGE_ROWS: usize = 25;

/// A kind of things that are set up.
#[derive(Debug, Clone, Copy)]
pub(super) struct Kind {
    pub(super) place: Place,
    /// `source`
    pub(super) word: &'static str,
    /// `sources`, in paths of the API and the console.
    pub(super) plural: &'static str,
}

impl Kind {
    pub(super) fn api(self, id: &str) -> String {
        format!("/api/v1/{}/{}", self.plural, segment(id))
    }

    pub(super) fn path(self, id: &str) -> String {
        format!("/console/{}/{}", self.plural, segment(id))
    }

    pub(super) fn list(self) -> String {
        format!("/console/{}", self.plural)
    }

    /// A page of them.
    pub(super) async fn page(self, visit: &Visit) -> Result<Value, Problem> {
        let limit = PAGE_ROWS.to_string();
        let parameters = [("limit", limit.as_str()), ("cursor", visit.form.get("cursor"))];
        visit.api.get(&crate::api::with_query(&format!("/api/v1/{}", self.plural), parameters)).await
    }

    /// The way to the next page.
    pub(super) fn pager(self, visit: &Visit, page: &Value) -> Markup {
        let first = self.list();
        let next = |cursor: &str| crate::api::with_query(&first, [("cursor", cursor)]);
        let is_first = visit.form.get("cursor").is_empty();
        html! {
            @let next_cursor = page.some_text("/next");
            @if next_cursor.is_some() || !is_first {
                nav.pager aria-label="Pages of the list" {
                    @if !is_first { a.button.quiet href=(first) { "Back to the first" } }
                    @if let Some(cursor) = next_cursor { a.button.quiet href=(next(cursor)) rel="next" { "More" span aria-hidden="true" { " ›" } } }
                }
            }
        }
    }

    /// Does something with one of them, and says so on its page.
    pub(super) async fn act(self, visit: &Visit, id: &str, verb: &str, done: &str) -> Outcome {
        visit.api.act(&format!("{}/{verb}", self.api(id))).await?;
        Ok(see_other(&format!("{}?done={done}", back(visit, &self.path(id)))))
    }

    /// Changes some settings of one of them, and says so on its page.
    pub(super) async fn patch(self, visit: &Visit, id: &str, patch: &Value, done: &str) -> Outcome {
        let change = Change { body: Some(patch), tag: None };
        visit.api.ask(Method::PATCH, &self.api(id), change).await?;
        Ok(see_other(&format!("{}?done={done}", back(visit, &self.path(id)))))
    }

    /// Asks before something is deleted, on a page of its own.
    pub(super) async fn ask_delete(
        self,
        visit: &Visit,
        id: &str,
        name: &str,
        consequence: &str,
        tag: Option<&str>,
    ) -> Outcome {
        let content = html! {
            (parts::crumb(&self.path(id), name))
            (parts::head(Some(Tone::Bad), &format!("Delete the {} {name}?", self.word), &html! { (consequence) }, &html! {}))
            form.submit method="post" action={ (self.path(id)) "/delete" } {
                (visit.token())
                input type="hidden" name="tag" value=(tag.unwrap_or_default());
                button.button.danger type="submit" { "Delete " (name) }
                a.button.quiet href=(self.path(id)) autofocus { "Keep it" }
            }
        };
        Ok(visit.show(Page::new(self.place, format!("Delete {name}"), content)).await)
    }

    /// Deletes, unless it was changed since the question was shown.
    pub(super) async fn delete(self, visit: &Visit, id: &str) -> Outcome {
        let change = Change { body: None, tag: visit.form.some("tag") };
        visit.api.ask(Method::DELETE, &self.api(id), change).await?;
        Ok(see_other(&format!("{}?done=deleted", self.list())))
    }

    /// The form again, with what the API said about it; another problem is a page of its own.
    pub(super) async fn form(self, visit: &Visit, draft: &Draft<'_>, fields: Markup) -> Outcome {
        let content = html! {
            (parts::crumb(draft.back, draft.back_name))
            (parts::head(None, draft.title, &html! { (draft.about) }, &html! {}))
            @if let Some(problem) = draft.problem { (problem_notice(problem)) }
            form.form method="post" action=(draft.action) {
                (visit.token())
                input type="hidden" name="tag" value=(draft.tag.unwrap_or_default());
                (fields)
                div.submit {
                    button.button type="submit" { (draft.submit) }
                    a.button.quiet href=(draft.back) { "Cancel" }
                }
            }
        };
        let status = draft.problem.map_or(StatusCode::OK, |problem| problem.status);
        Ok(visit.show(Page::new(self.place, draft.title, content).status(status)).await)
    }
}

/// Back to the list, if the form stands there.
fn back(visit: &Visit, own: &str) -> String {
    let here = visit.here.split('?').next().unwrap_or_default();
    if here.ends_with(own) || !here.starts_with("/console/") || here.matches('/').count() > 2 {
        own.to_owned()
    } else {
        here.to_owned()
    }
}

/// A form that is filled in.
pub(super) struct Draft<'d> {
    pub(super) title: &'d str,
    pub(super) about: &'d str,
    pub(super) action: &'d str,
    pub(super) submit: &'d str,
    pub(super) back: &'d str,
    pub(super) back_name: &'d str,
    /// The entity tag that the thing had when the form was filled in.
    pub(super) tag: Option<&'d str>,
    pub(super) problem: Option<&'d Problem>,
}

impl Draft<'_> {
    pub(super) fn fields<'f>(&'f self, form: &'f Form) -> Fields<'f> {
        Fields { form, problem: self.problem }
    }
}

/// What a form has that the thing has not: a merge patch. What neither of them has is left out, so that gateways that do not know a setting
/// are not asked about it.
pub(super) fn changes(current: &Value, wanted: &Value) -> Value {
    let (Some(current), Some(wanted)) = (current.as_object(), wanted.as_object()) else { return wanted.clone() };
    let mut patch = Map::new();
    for (name, value) in wanted {
        let known = current.get(name).unwrap_or(&Value::Null);
        if known == value {
            continue;
        }
        let part = match (known.as_object(), value.is_object()) {
            (Some(object), true) if WHOLE.contains(&name.as_str()) => without(object, changes(known, value), value),
            (Some(_), true) => changes(known, value),
            _ => value.clone(),
        };
        if part.as_object().is_none_or(|part| !part.is_empty()) {
            patch.insert(name.clone(), part);
        }
    }
    Value::Object(patch)
}

/// A patch of an object that a form has whole: what the form does not name is taken away.
fn without(known: &Map<String, Value>, patch: Value, wanted: &Value) -> Value {
    let mut patch = patch.as_object().cloned().unwrap_or_default();
    patch.extend(known.keys().filter(|name| wanted.get(name).is_none()).map(|name| (name.clone(), Value::Null)));
    Value::Object(patch)
}

/// What a form says, without what it leaves open.
pub(super) fn filled(wanted: &Value) -> Value {
    let Some(wanted) = wanted.as_object() else { return wanted.clone() };
    let filled =
        wanted.iter().filter(|(_, value)| !value.is_null()).map(|(name, value)| (name.clone(), filled_part(value)));
    Value::Object(filled.filter(|(_, value)| value.as_object().is_none_or(|object| !object.is_empty())).collect())
}

fn filled_part(value: &Value) -> Value {
    if value.is_object() { filled(value) } else { value.clone() }
}

/// Saves a form over the thing as it is, unless somebody else changed it since the form was filled in.
pub(super) async fn save(api: &Api, path: &str, form: &Form, wanted: &Value) -> Result<Answer, Problem> {
    let current = api.get_tagged(path).await?;
    let patch = changes(&current.value, wanted);
    let tag = form.some("tag").or(current.tag.as_deref());
    if patch.as_object().is_some_and(Map::is_empty) {
        return Ok(current);
    }
    api.ask(Method::PATCH, path, Change { body: Some(&patch), tag }).await
}

/// A problem that the console found in a form before it asked the API.
pub(super) fn invalid(field: &str, reason: &str) -> Problem {
    let detail = format!("The value of {field} cannot be used: {}.", reason.trim_end_matches('.'));
    Problem::new(StatusCode::UNPROCESSABLE_ENTITY, "value_invalid", "Value not allowed", detail)
}

/// A button that posts.
pub(super) fn post_button(visit: &Visit, action: &str, class: &str, text: &str, about: &str) -> Markup {
    html! {
        form method="post" action=(action) { (visit.token()) button class=(class) type="submit" aria-label=[(!about.is_empty()).then(|| format!("{text} {about}"))] { (text) } }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn only_what_differs_is_sent() {
        let current = json!({"name": "a", "rate_limit": null, "breaker": {"n": 5, "ms": 1}, "list": [1]});
        let wanted =
            json!({"name": "b", "rate_limit": null, "breaker": {"n": 5, "ms": 2}, "list": [1], "unknown": null});
        assert_eq!(changes(&current, &wanted), json!({"name": "b", "breaker": {"ms": 2}}));
        let current = json!({"scheme": {"a": 1, "b": 2}, "retention": {"events": "90d"}});
        let wanted = json!({"scheme": {"a": 3}, "retention": {"events": "90d", "payloads": null}});
        assert_eq!(changes(&current, &wanted), json!({"scheme": {"a": 3, "b": null}}));
        assert_eq!(
            changes(&current, &json!({"budget": {"max_concurrent": 3}})),
            json!({"budget": {"max_concurrent": 3}})
        );
    }

    #[test]
    fn what_is_left_open_is_not_sent() {
        assert_eq!(
            filled(&json!({"a": null, "b": {"c": null}, "d": {"e": 1}, "f": []})),
            json!({"d": {"e": 1}, "f": []})
        );
    }
}
