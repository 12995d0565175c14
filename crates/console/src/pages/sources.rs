//! Sources: is it set up right?

mod draft;

use axum::extract::Path;
use futures_util::future::join_all;
use http::Method;
use maud::{Markup, html};
use serde_json::{Value, json};
use spillway_report::text;

use super::configured::{self, Draft, Kind, filled, post_button};
use crate::api::{Change, Problem, segment, with_query};
use crate::form::Form;
use crate::look::fields::{self, Fields};
use crate::look::parts::{self, Tone, counted};
use crate::look::rail::Place;
use crate::look::time;
use crate::read::Read as _;
use crate::visit::{Outcome, Page, Visit, see_other};

const KIND: Kind = Kind { place: Place::Sources, word: "source", plural: "sources" };

pub(crate) async fn list(visit: Visit) -> Outcome {
    let page = KIND.page(&visit).await?;
    let rows = page.list("/data");
    let last = join_all(rows.iter().map(|source| last_event(&visit, source.text("/id")))).await;
    let off = rows.iter().filter(|source| !source.is_set("/enabled")).count();
    let open = rows.iter().filter(|source| source.text("/provider") == "none").count();
    let all = counted(rows.len() as u64, "source", "sources");
    let (tone, answer) = match (rows.len(), off) {
        (0, _) => (None, "No source yet".to_owned()),
        (_, 0) => (Some(Tone::Good), format!("{all}, all taking webhooks")),
        (_, off) => (Some(Tone::Wait), format!("{all}; {off} disabled")),
    };
    let about = if open > 0 {
        format!(
            "{} whatever is sent: nothing proves the sender.",
            if open == 1 { "One takes".to_owned() } else { format!("{open} take") }
        )
    } else {
        "Where webhooks come from.".to_owned()
    };
    let new = html! { @if visit.may_write() { a.button href="/console/sources/new" { "New source" } } };
    let content = html! {
        (parts::head(tone, &answer, &html! { (about) }, &new))
        @if rows.is_empty() { (nothing(&visit)) } @else {
            table.rows {
                thead { tr { th { "Source" } th { "State" } th { "Sender" } th { "Takes webhooks at" } th { "Last event" } th { span.sr { "Actions" } } } }
                tbody { @for (source, last) in rows.iter().zip(&last) { (row(&visit, source, last.as_ref())) } }
            }
            (KIND.pager(&visit, &page))
        }
    };
    Ok(visit.show(Page::new(KIND.place, "Sources", content)).await)
}

/// The newest event of a source.
async fn last_event(visit: &Visit, id: &str) -> Option<Value> {
    let page = visit.api.get(&with_query("/api/v1/events", [("source", id), ("limit", "1")])).await.ok()?;
    page.list("/data").first().cloned()
}

fn state(source: &Value) -> Markup {
    if source.is_set("/enabled") { parts::state(Tone::Good, "enabled") } else { parts::state(Tone::Off, "disabled") }
}

fn row(visit: &Visit, source: &Value, last: Option<&Value>) -> Markup {
    let name = source.text("/name");
    html! {
        tr data-row {
            td.main { a href=(KIND.path(name)) { (name) } }
            td.status { (state(source)) }
            td { (source.text("/provider")) @if source.text("/provider") == "none" { " " span.wait.small { "unverified" } } }
            td.wide { code { "/in/" (name) } }
            td data-l="last event" { (time::ago_or_none(last.and_then(|event| event.instant("/received_at")), visit.now)) }
            td.end {
                @if visit.may_write() { a.button.quiet href=(with_query("/console/test", [("source", name)])) aria-label={ "Send a test to " (name) } { "Send a test" } }
            }
        }
    }
}

fn nothing(visit: &Visit) -> Markup {
    let line = "spillway sources create github --provider github --secret \"$GITHUB_WEBHOOK_SECRET\"";
    let say = format!(
        "A source is an address that takes webhooks, such as {}/in/github, and the secret that proves the sender.",
        visit.base_url
    );
    parts::empty(
        "Make the first one",
        &say,
        Some(line),
        &html! { @if visit.may_write() { a.button href="/console/sources/new" { "New source" } } },
    )
}

pub(crate) async fn show(visit: Visit, Path(id): Path<String>) -> Outcome {
    let events = with_query("/api/v1/events", [("source", id.as_str()), ("limit", "10")]);
    let path = KIND.api(&id);
    let (source, events, connections, destinations) = tokio::join!(
        visit.api.get(&path),
        visit.api.get(&events),
        visit.api.get("/api/v1/connections?limit=200"),
        visit.api.get("/api/v1/destinations?limit=200&fields=id,name,state"),
    );
    let source = source?;
    let name = source.text("/name");
    let connections = connections?;
    let own = connections.list("/data").iter().filter(|connection| connection.text("/source") == source.text("/id"));
    let to: Vec<&Value> = own.collect();
    let (tone, answer) = match (source.is_set("/enabled"), to.len()) {
        (false, _) => (Tone::Off, format!("{name} is disabled: senders are answered 404")),
        (true, 0) => (Tone::Wait, format!("{name} takes webhooks, and sends them nowhere")),
        (true, n) => {
            (Tone::Good, format!("{name} takes webhooks for {}", counted(n as u64, "destination", "destinations")))
        }
    };
    let about = html! { "Senders post to " code { (visit.base_url) "/in/" (name) } };
    let destinations = destinations.unwrap_or_default();
    let content = html! {
        (parts::crumb("/console/sources", "Sources"))
        (parts::head(Some(tone), &answer, &about, &actions(&visit, &source)))
        (facts(&source, visit.now))
        h2 { "Goes to" }
        @if to.is_empty() {
            p.muted { "No connection takes its events. " @if visit.may_write() { a href=(with_query("/console/connections/new", [("source", name)])) { "Connect it" } } }
        } @else { ul { @for connection in to { li {
            @let destination = destinations.list("/data").iter().find(|one| one.text("/id") == connection.text("/destination"));
            a href={ "/console/connections/" (connection.text("/id")) } { (destination.map_or("a destination", |one| one.text("/name"))) }
            @if !connection.is_set("/enabled") { " " (parts::state(Tone::Off, "disabled")) }
        } } } }
        (secrets(&visit, &source))
        div.bar-row { h2 { "Latest events" } a href=(with_query("/console/events", [("source", name)])) { "All of its events" } }
        (latest(&visit, &source, events.ok().as_ref()))
    };
    Ok(visit.show(Page::new(KIND.place, name, content)).await)
}

fn actions(visit: &Visit, source: &Value) -> Markup {
    let name = source.text("/name");
    let path = KIND.path(name);
    html! {
        @if visit.may_write() {
            a.button href=(with_query("/console/test", [("source", name)])) { "Send a test" }
            a.button.quiet href={ (path) "/edit" } { "Edit" }
            @if source.is_set("/enabled") { (post_button(visit, &format!("{path}/disable"), "quiet", "Disable", "")) }
            @else { (post_button(visit, &format!("{path}/enable"), "quiet", "Enable", "")) }
            a.button.quiet.danger href={ (path) "/delete" } { "Delete" }
        }
    }
}

fn facts(source: &Value, now: i64) -> Markup {
    let or_default = |value: Option<String>, default: &str| html! { @if let Some(value) = value { (value) } @else { span.muted { (default) } } };
    html! {
        dl.facts {
            (parts::fact("Sender", &html! { (source.text("/provider")) }))
            (parts::fact("Rate limit", &or_default(source.some_text("/rate_limit").map(str::to_owned), "none")))
            (parts::fact("Largest body", &or_default(source.number("/max_body_bytes").map(text::bytes), "the server's limit")))
            @if let Some(validation) = source.some_text("/validation") { (parts::fact("Validation", &html! { (validation) })) }
            @if !source.list("/event_types").is_empty() { (parts::fact("Event types", &html! {
                @for (place, kind) in source.list("/event_types").iter().enumerate() { @if place > 0 { ", " } (kind.text("/name")) }
            })) }
            (parts::fact("Made", &time::ago_or_none(source.instant("/created_at"), now)))
            (parts::fact("Id", &parts::id(source.text("/id"))))
        }
    }
}

fn secrets(visit: &Visit, source: &Value) -> Markup {
    let secrets = source.list("/secrets");
    let path = KIND.path(source.text("/name"));
    let form = Form::default();
    html! {
        h2 { "Secrets" }
        @if secrets.is_empty() { p.muted { "None." } } @else {
            table.rows {
                thead { tr { th { "Secret" } th { "Where it stands" } th { span.sr { "Actions" } } } }
                tbody { @for (place, secret) in secrets.iter().enumerate() { tr {
                    td.main { "Secret " (place + 1) @if place == 0 { span.muted { " (newest)" } } }
                    td.status { @match secret.some_text("/reference") { Some(reference) => code { (reference) }, None => span.muted { "stored, never shown" } } }
                    td.end { @if visit.may_write() && secrets.len() > 1 {
                        (post_button(visit, &format!("{path}/secrets/{}/remove", place + 1), "quiet", "Remove", &format!("secret {}", place + 1)))
                    } }
                } } }
            }
        }
        @if visit.may_write() {
            details.group {
                summary { "Rotate " span.muted { "– add the new one, change the sender, remove the old one" } }
                form.form method="post" action={ (path) "/secrets" } {
                    (visit.token())
                    (Fields { form: &form, problem: None }.line("secret", "New secret", fields::Kind {
                        required: true, secret: true, code: true, hint: "The text itself, or env:NAME or file:PATH (these two need scope admin).", ..fields::Kind::default()
                    }))
                    button.quiet type="submit" { "Add the secret" }
                }
            }
        }
    }
}

fn latest(visit: &Visit, source: &Value, events: Option<&Value>) -> Markup {
    let rows = events.map(|events| events.list("/data")).unwrap_or_default();
    let line = format!(
        "curl -X POST {}/in/{} -H 'Content-Type: application/json' -d '{{\"hello\":\"world\"}}'",
        visit.base_url,
        source.text("/name")
    );
    html! {
        @if rows.is_empty() { (parts::empty("No event yet", "Point the sender at the address above. Without a signature it can be tried like this, if the sender is `none`:", Some(&line), &html! {})) }
        @else {
            table.rows {
                thead { tr { th { "Event" } th { "Source" } th { "Type" } th.num { "Size" } th.num { "Received" } } }
                tbody { @for event in rows { (super::events::row(event, visit.now)) } }
            }
        }
    }
}

pub(crate) async fn new(visit: Visit) -> Outcome {
    let mut form = Form::default();
    form.set("provider", "standard-webhooks");
    form.set("enabled", "true");
    draft_new(&visit, &form, None).await
}

async fn draft_new(visit: &Visit, form: &Form, problem: Option<&Problem>) -> Outcome {
    let draft = Draft {
        title: "New source",
        about: "An address that takes webhooks, and the secret that proves who sends them.",
        action: "/console/sources",
        submit: "Create",
        back: "/console/sources",
        back_name: "Sources",
        tag: None,
        problem,
    };
    let fields = draft::draw(&draft.fields(form), &visit.base_url, true);
    KIND.form(visit, &draft, fields).await
}

pub(crate) async fn create(visit: Visit) -> Outcome {
    let made = match draft::read(&visit.form, true) {
        Ok(wanted) => visit.api.post("/api/v1/sources", &filled(&wanted)).await,
        Err(problem) => Err(problem),
    };
    match made {
        Ok(source) => Ok(see_other(&format!("{}?done=created", KIND.path(source.text("/name"))))),
        Err(problem) if problem.is_of_form() => draft_new(&visit, &visit.form, Some(&problem)).await,
        Err(problem) => Err(problem),
    }
}

pub(crate) async fn edit(visit: Visit, Path(id): Path<String>) -> Outcome {
    let current = visit.api.get_tagged(&KIND.api(&id)).await?;
    draft_edit(&visit, &id, &draft::form(&current.value), current.tag.as_deref(), None).await
}

async fn draft_edit(visit: &Visit, id: &str, form: &Form, tag: Option<&str>, problem: Option<&Problem>) -> Outcome {
    let path = KIND.path(id);
    let draft = Draft {
        title: "Edit the source",
        about: "Secrets have a place of their own on the source's page.",
        action: &path,
        submit: "Save",
        back: &path,
        back_name: "Source",
        tag,
        problem,
    };
    let fields = draft::draw(&draft.fields(form), &visit.base_url, false);
    KIND.form(visit, &draft, fields).await
}

pub(crate) async fn save(visit: Visit, Path(id): Path<String>) -> Outcome {
    let saved = match draft::read(&visit.form, false) {
        Ok(wanted) => configured::save(&visit.api, &KIND.api(&id), &visit.form, &wanted).await,
        Err(problem) => Err(problem),
    };
    match saved {
        Ok(source) => Ok(see_other(&format!("{}?done=saved", KIND.path(source.value.text("/name"))))),
        Err(problem) if problem.is_of_form() => {
            draft_edit(&visit, &id, &visit.form, visit.form.some("tag"), Some(&problem)).await
        }
        Err(problem) => Err(problem),
    }
}

pub(crate) async fn enable(visit: Visit, Path(id): Path<String>) -> Outcome {
    KIND.patch(&visit, &id, &json!({"enabled": true}), "enabled").await
}

pub(crate) async fn disable(visit: Visit, Path(id): Path<String>) -> Outcome {
    KIND.patch(&visit, &id, &json!({"enabled": false}), "disabled").await
}

pub(crate) async fn add_secret(visit: Visit, Path(id): Path<String>) -> Outcome {
    let secret = json!({"secret": visit.form.get("secret")});
    visit.api.post(&format!("{}/secrets", KIND.api(&id)), &secret).await?;
    Ok(see_other(&format!("{}?done=secret-added", KIND.path(&id))))
}

pub(crate) async fn remove_secret(visit: Visit, Path((id, position)): Path<(String, String)>) -> Outcome {
    let path = format!("{}/secrets/{}", KIND.api(&id), segment(&position));
    visit.api.ask(Method::DELETE, &path, Change::default()).await?;
    Ok(see_other(&format!("{}?done=secret-removed", KIND.path(&id))))
}

pub(crate) async fn ask_delete(visit: Visit, Path(id): Path<String>) -> Outcome {
    let current = visit.api.get_tagged(&KIND.api(&id)).await?;
    let name = current.value.text("/name");
    let consequence = "Its connections go with it. Senders are answered 404. Its events stay, and deliveries that are under way go on.";
    KIND.ask_delete(&visit, &id, name, consequence, current.tag.as_deref()).await
}

pub(crate) async fn delete(visit: Visit, Path(id): Path<String>) -> Outcome {
    KIND.delete(&visit, &id).await
}
