//! Destinations: is it set up right?

pub(crate) mod budget;
mod draft;

use axum::extract::Path;
use futures_util::future::join_all;
use maud::{Markup, html};
use serde_json::{Value, json};
use spillway_report::text;

use super::configured::{self, Draft, Kind, filled, post_button};
use crate::api::{Problem, segment, with_query};
use crate::form::Form;
use crate::look::fields::{self, Fields, problem_notice};
use crate::look::parts::{self, Tone, counted};
use crate::look::rail::Place;
use crate::look::time;
use crate::read::Read as _;
use crate::visit::{Outcome, Page, Visit, see_other};

const KIND: Kind = Kind { place: Place::Destinations, word: "destination", plural: "destinations" };

/// Latest deliveries that the success of a destination is told by.
const LATEST: &str = "20";

/// How it stands, in a word.
pub(super) fn state(destination: &Value, fails: bool) -> Markup {
    match destination.text("/state") {
        "active" if fails => parts::state(Tone::Wait, "failing"),
        "active" => parts::state(Tone::Good, "active"),
        "paused" => parts::state(Tone::Wait, "paused"),
        "disabled" => parts::state(Tone::Bad, "disabled"),
        other => parts::state(Tone::Off, other),
    }
}

/// What its latest deliveries tell.
#[derive(Debug, Default, PartialEq, Eq)]
struct Health {
    delivered: usize,
    dead: usize,
    retrying: usize,
    ended: usize,
    last: Option<i64>,
}

impl Health {
    fn of(deliveries: &[Value]) -> Self {
        let n = |state: &str| deliveries.iter().filter(|one| one.text("/state") == state).count();
        let is_retried =
            |one: &&Value| one.text("/state") == "pending" && one.count("/attempts").unwrap_or_default() > 0;
        let (delivered, dead) = (n("delivered"), n("dead"));
        let last = deliveries.iter().filter_map(|one| one.instant("/ended_at")).max();
        Self { delivered, dead, retrying: deliveries.iter().filter(is_retried).count(), ended: delivered + dead, last }
    }

    /// Whether something is tried again, or all that ended lately are dead letters.
    fn is_failing(&self) -> bool {
        self.retrying > 0 || (self.dead > 0 && self.delivered == 0)
    }

    fn success(&self) -> Markup {
        html! {
            @if self.ended == 0 { span.muted { (text::NONE) } }
            @else { (self.delivered) " of " (self.ended) }
        }
    }
}

async fn latest(visit: &Visit, id: &str) -> Vec<Value> {
    let path = with_query("/api/v1/deliveries", [("destination", id), ("limit", LATEST)]);
    visit.api.get(&path).await.map(|page| page.list("/data").to_vec()).unwrap_or_default()
}

pub(crate) async fn list(visit: Visit) -> Outcome {
    let page = KIND.page(&visit).await?;
    let rows = page.list("/data");
    let health: Vec<Health> = join_all(rows.iter().map(|one| latest(&visit, one.text("/id"))))
        .await
        .iter()
        .map(|latest| Health::of(latest))
        .collect();
    let n = |state: &str| rows.iter().filter(|one| one.text("/state") == state).count();
    let failing =
        rows.iter().zip(&health).filter(|(one, health)| one.text("/state") == "active" && health.is_failing()).count();
    let all = counted(rows.len() as u64, "destination", "destinations");
    let (tone, answer) = match (rows.len(), n("disabled"), failing, n("paused")) {
        (0, ..) => (None, "No destination yet".to_owned()),
        (_, 0, 0, 0) => (Some(Tone::Good), format!("{all}, all healthy")),
        (_, 0, 0, paused) => (Some(Tone::Wait), format!("{all}; {paused} paused")),
        (_, 0, failing, _) => (Some(Tone::Wait), format!("{all}; {failing} failing")),
        (_, disabled, ..) => (Some(Tone::Bad), format!("{all}; {disabled} disabled")),
    };
    let new = html! { @if visit.may_write() { a.button href="/console/destinations/new" { "New destination" } } };
    let content = html! {
        (parts::head(tone, &answer, &html! { "Where events go. Success is told by the latest " (LATEST) " deliveries." }, &new))
        @if rows.is_empty() { (nothing(&visit)) } @else {
            table.rows {
                thead { tr { th { "Destination" } th { "State" } th.num { "Delivered" } th.num { "Retrying" } th { "URL" } th { "Last" } th { span.sr { "Actions" } } } }
                tbody { @for (one, health) in rows.iter().zip(&health) { (row(&visit, one, health)) } }
            }
            (KIND.pager(&visit, &page))
        }
    };
    Ok(visit.show(Page::new(KIND.place, "Destinations", content)).await)
}

fn row(visit: &Visit, one: &Value, health: &Health) -> Markup {
    let name = one.text("/name");
    html! {
        tr data-row {
            td.main { a href=(KIND.path(name)) { (name) } }
            td.status { (state(one, health.is_failing())) }
            td.num data-l="delivered" { (health.success()) }
            td.num data-l="retrying" { (health.retrying) }
            td.long.wide.muted { (text::plain(one.text("/url"), 60)) }
            td data-l="last" { (time::ago_or_none(health.last, visit.now)) }
            td.end { @if visit.may_write() {
                a.button.quiet href=(with_query("/console/test", [("destination", name)])) aria-label={ "Send a test to " (name) } { "Send a test" }
            } }
        }
    }
}

fn nothing(visit: &Visit) -> Markup {
    let line = "spillway destinations create billing --to https://billing.example.com/hooks";
    let say = "A destination is the address of a receiver, with its own limits, retries and signing secret.";
    parts::empty(
        "Make the first one",
        say,
        Some(line),
        &html! { @if visit.may_write() { a.button href="/console/destinations/new" { "New destination" } } },
    )
}

pub(crate) async fn show(visit: Visit, Path(id): Path<String>) -> Outcome {
    let destination = visit.api.get(&KIND.api(&id)).await?;
    let name = destination.text("/name");
    let recent = latest(&visit, destination.text("/id")).await;
    let health = Health::of(&recent);
    let path_of_budget = format!("{}/budget", KIND.api(&id));
    let (error, spent) = tokio::join!(last_error(&visit, &recent), visit.api.get(&path_of_budget));
    let (tone, answer) = match (destination.text("/state"), health.retrying, health.ended) {
        ("disabled", ..) => (Tone::Bad, format!("{name} is disabled: it answered 410 Gone")),
        ("paused", ..) => (Tone::Wait, format!("{name} is paused; its deliveries wait, none is lost")),
        (_, 0, 0) => (Tone::Off, format!("{name} has had no delivery yet")),
        (_, 0, _) if health.dead == 0 => (Tone::Good, format!("{name} takes what it gets")),
        (_, 0, _) => (Tone::Wait, format!("{} of the latest {} to {name} are dead letters", health.dead, recent.len())),
        (_, n, _) => {
            (Tone::Wait, format!("{name} is failing; {} retrying", counted(n as u64, "delivery", "deliveries")))
        }
    };
    let about = html! { "Requests go to " code { (destination.text("/url")) } };
    let content = html! {
        (parts::crumb("/console/destinations", "Destinations"))
        (parts::head(Some(tone), &answer, &about, &actions(&visit, &destination)))
        @if let Some(error) = &error { (parts::notice(Tone::Wait, &html! { strong { "Last error" } p { (text::plain(error, 600)) } })) }
        (facts(&destination, &health, visit.now))
        (budget::draw(&destination, spent.as_ref().ok(), visit.now))
        (signing(&visit, &destination))
        (headers(&destination))
        h2 { "Latest deliveries" }
        (deliveries(&visit, &recent))
    };
    Ok(visit.show(Page::new(KIND.place, name, content)).await)
}

/// What went wrong the last time, of the latest delivery that was tried again or given up.
async fn last_error(visit: &Visit, recent: &[Value]) -> Option<String> {
    let failed = recent.iter().find(|one| {
        one.text("/state") == "dead"
            || (one.text("/state") == "pending" && one.count("/attempts").unwrap_or_default() > 0)
    })?;
    let path = format!("/api/v1/deliveries/{}/attempts?limit=200", segment(failed.text("/id")));
    let attempts = visit.api.get(&path).await.ok()?;
    attempts.list("/data").last()?.some_text("/error").map(str::to_owned)
}

fn actions(visit: &Visit, destination: &Value) -> Markup {
    let name = destination.text("/name");
    let path = KIND.path(name);
    html! {
        @if visit.may_write() {
            a.button href=(with_query("/console/test", [("destination", name)])) { "Send a test" }
            a.button.quiet href={ (path) "/edit" } { "Edit" }
            @match destination.text("/state") {
                "active" => (post_button(visit, &format!("{path}/pause"), "quiet", "Pause", "")),
                "paused" => (post_button(visit, &format!("{path}/resume"), "quiet", "Resume", "")),
                _ => (post_button(visit, &format!("{path}/enable"), "quiet", "Enable", "")),
            }
            a.button.quiet href={ (path) "/rotate" } { "Rotate the secret" }
            a.button.quiet.danger href={ (path) "/delete" } { "Delete" }
        }
    }
}

fn facts(one: &Value, health: &Health, now: i64) -> Markup {
    let number = |pointer: &str| one.count(pointer).map(text::count);
    let value = |value: Option<String>| html! { @if let Some(value) = value { (value) } @else { span.muted { "the server's default" } } };
    let retry = one.list("/retry_schedule_ms");
    html! {
        dl.facts {
            (parts::fact("State", &state(one, health.is_failing())))
            (parts::fact("Delivered, of the latest", &health.success()))
            (parts::fact("Timeout", &value(one.number("/timeout_ms").map(parts::span_of))))
            (parts::fact("At once", &value(number("/max_concurrent"))))
            (parts::fact("Rate limit", &html! { @if let Some(rate) = one.some_text("/rate_limit") { (rate) } @else { span.muted { "none" } } }))
            (parts::fact("Attempts", &value((!retry.is_empty()).then(|| retry.len().to_string()))))
            (parts::fact("Rests after", &html! { @match one.count("/breaker/consecutive_failures") { Some(0) => "never", Some(n) => { (n) " failures in a row" }, None => "–" } }))
            (parts::fact("Made", &time::ago_or_none(one.instant("/created_at"), now)))
            (parts::fact("Id", &parts::id(one.text("/id"))))
        }
    }
}

fn signing(visit: &Visit, one: &Value) -> Markup {
    let secrets = one.list("/signing_secrets");
    html! {
        h2 { "Signing secrets" }
        @if secrets.is_empty() { p.wait { "None: requests are not signed, and the receiver cannot tell who sent them. Rotate the secret to make one." } }
        @else { table.rows {
            thead { tr { th { "Secret" } th { "Where it stands" } th { "Signs until" } } }
            tbody { @for (place, secret) in secrets.iter().enumerate() { tr {
                td.main { @if place == 0 { "Current" } @else { "Old" } }
                td.status { @match secret.some_text("/reference") { Some(reference) => code { (reference) }, None => span.muted { "stored, never shown" } } }
                td { @if let Some(end) = secret.instant("/expires_at") { (time::ago(end, visit.now)) } @else { span.muted { "it is rotated" } } }
            } } }
        } }
    }
}

fn headers(one: &Value) -> Markup {
    let headers = one.pointer("/headers").and_then(Value::as_object);
    html! {
        @if let Some(headers) = headers.filter(|headers| !headers.is_empty()) {
            h2 { "Headers" }
            table.headers { thead.sr { tr { th { "Name" } th { "Value" } } } tbody { @for (name, value) in headers { tr {
                td { code { (name) } }
                td { @match value.some_text("/reference") { Some(reference) => code { (reference) }, None => span.muted { "stored, never shown" } } }
            } } } }
        }
    }
}

fn deliveries(visit: &Visit, recent: &[Value]) -> Markup {
    html! {
        @if recent.is_empty() { p.muted { "None yet." } } @else {
            table.rows {
                thead { tr { th { "Event" } th { "State" } th.num { "Attempts" } th.num { "When" } } }
                tbody { @for one in recent { tr data-row {
                    td.main { (parts::event_link(one.text("/event"))) }
                    td.status { (parts::delivery_state(one.text("/state"))) }
                    td.num data-l="attempts" { (one.count("/attempts").unwrap_or_default()) }
                    td.num { (time::ago_or_none(one.instant("/ended_at").or_else(|| one.instant("/due_at")), visit.now)) }
                } } }
            }
        }
    }
}

pub(crate) async fn new(visit: Visit) -> Outcome {
    draft_new(&visit, &draft::empty(), None).await
}

async fn draft_new(visit: &Visit, form: &Form, problem: Option<&Problem>) -> Outcome {
    let draft = Draft {
        title: "New destination",
        about: "The address of a receiver. A signing secret is made for it and shown once.",
        action: "/console/destinations",
        submit: "Create",
        back: "/console/destinations",
        back_name: "Destinations",
        tag: None,
        problem,
    };
    let fields = draft::draw(&draft.fields(form), true);
    KIND.form(visit, &draft, fields).await
}

pub(crate) async fn create(visit: Visit) -> Outcome {
    let made = match draft::read(&visit.form, &Value::Null) {
        Ok(wanted) => visit.api.post("/api/v1/destinations", &filled(&wanted)).await,
        Err(problem) => Err(problem),
    };
    match made {
        Ok(made) => shown_once(&visit, &made, "is created").await,
        Err(problem) if problem.is_of_form() => draft_new(&visit, &visit.form, Some(&problem)).await,
        Err(problem) => Err(problem),
    }
}

/// The one time that a secret is shown.
async fn shown_once(visit: &Visit, made: &Value, what: &str) -> Outcome {
    let name = made.text("/name");
    let Some(secret) = made.some_text("/signing_secret") else {
        return Ok(see_other(&format!("{}?done=saved", KIND.path(name))));
    };
    let content = html! {
        (parts::crumb("/console/destinations", "Destinations"))
        (parts::head(Some(Tone::Good), &format!("{name} {what}"), &html! { "Give the receiver this secret now: it is not shown again." }, &html! {}))
        div.secret { (parts::command(secret)) }
        p.lead { "The receiver checks each request with it: the headers webhook-id, webhook-timestamp and webhook-signature are those of Standard Webhooks." }
        p { a.button href=(KIND.path(name)) { "Done" } }
    };
    Ok(visit.show(Page::new(KIND.place, name, content)).await)
}

pub(crate) async fn edit(visit: Visit, Path(id): Path<String>) -> Outcome {
    let current = visit.api.get_tagged(&KIND.api(&id)).await?;
    draft_edit(&visit, &id, &draft::form(&current.value), current.tag.as_deref(), None).await
}

async fn draft_edit(visit: &Visit, id: &str, form: &Form, tag: Option<&str>, problem: Option<&Problem>) -> Outcome {
    let path = KIND.path(id);
    let draft = Draft {
        title: "Edit the destination",
        about: "What is left empty takes the server's default.",
        action: &path,
        submit: "Save",
        back: &path,
        back_name: "Destination",
        tag,
        problem,
    };
    let fields = draft::draw(&draft.fields(form), false);
    KIND.form(visit, &draft, fields).await
}

pub(crate) async fn save(visit: Visit, Path(id): Path<String>) -> Outcome {
    let current = visit.api.get(&KIND.api(&id)).await?;
    let saved = match draft::read(&visit.form, &current) {
        Ok(wanted) => configured::save(&visit.api, &KIND.api(&id), &visit.form, &wanted).await,
        Err(problem) => Err(problem),
    };
    match saved {
        Ok(saved) => Ok(see_other(&format!("{}?done=saved", KIND.path(saved.value.text("/name"))))),
        Err(problem) if problem.is_of_form() => {
            draft_edit(&visit, &id, &visit.form, visit.form.some("tag"), Some(&problem)).await
        }
        Err(problem) => Err(problem),
    }
}

pub(crate) async fn pause(visit: Visit, Path(id): Path<String>) -> Outcome {
    KIND.act(&visit, &id, "pause", "paused").await
}

pub(crate) async fn resume(visit: Visit, Path(id): Path<String>) -> Outcome {
    KIND.act(&visit, &id, "resume", "resumed").await
}

pub(crate) async fn enable(visit: Visit, Path(id): Path<String>) -> Outcome {
    KIND.act(&visit, &id, "enable", "enabled").await
}

pub(crate) async fn ask_rotate(visit: Visit, Path(id): Path<String>) -> Outcome {
    let mut form = Form::default();
    form.set("grace_hours", "24");
    question_rotate(&visit, &id, &form, None).await
}

async fn question_rotate(visit: &Visit, id: &str, form: &Form, problem: Option<&Problem>) -> Outcome {
    let destination = visit.api.get(&KIND.api(id)).await?;
    let name = destination.text("/name");
    let fields = Fields { form, problem };
    let content = html! {
        (parts::crumb(&KIND.path(id), name))
        (parts::head(None, &format!("Give {name} a new signing secret?"), &html! { "Old and new sign side by side for a while, so that the receiver can change without losing a request." }, &html! {}))
        @if let Some(problem) = problem { (problem_notice(problem)) }
        form.form method="post" action={ (KIND.path(id)) "/rotate" } {
            (visit.token())
            (fields.line("grace_hours", "Hours that the old one still signs", fields::Kind { required: true, numeric: true, hint: "0 drops it at once. At most 720, which is 30 days.", ..fields::Kind::default() }))
            (fields.line("secret", "Your own secret", fields::Kind { secret: true, code: true, hint: "Left empty, one is made and shown once. Else whsec_…, whsk_…, env:NAME or file:PATH (these two need scope admin).", ..fields::Kind::default() }))
            div.submit {
                button.button type="submit" { "Rotate" }
                a.button.quiet href=(KIND.path(id)) { "Not now" }
            }
        }
    };
    let status = problem.map_or(http::StatusCode::OK, |problem| problem.status);
    Ok(visit.show(Page::new(KIND.place, "Rotate the secret", content).status(status)).await)
}

pub(crate) async fn rotate(visit: Visit, Path(id): Path<String>) -> Outcome {
    let hours = visit.form.get("grace_hours").parse::<u64>();
    let rotated = match hours {
        Err(_) => Err(configured::invalid("grace_hours", "it must be a whole number of hours")),
        Ok(hours) => {
            let mut body = json!({"grace_seconds": hours.saturating_mul(3_600)});
            if let (Some(secret), Some(body)) = (visit.form.some("secret"), body.as_object_mut()) {
                body.insert("secret".to_owned(), json!(secret));
            }
            visit.api.post(&format!("{}/rotate-secret", KIND.api(&id)), &body).await
        }
    };
    match rotated {
        Ok(rotated) => shown_once(&visit, &rotated, "has a new secret").await,
        Err(problem) if problem.is_of_form() => question_rotate(&visit, &id, &visit.form, Some(&problem)).await,
        Err(problem) => Err(problem),
    }
}

pub(crate) async fn ask_delete(visit: Visit, Path(id): Path<String>) -> Outcome {
    let current = visit.api.get_tagged(&KIND.api(&id)).await?;
    let name = current.value.text("/name");
    let consequence = "Its connections go with it, and its pending deliveries are cancelled when they come up. Pause it instead to keep them.";
    KIND.ask_delete(&visit, &id, name, consequence, current.tag.as_deref()).await
}

pub(crate) async fn delete(visit: Visit, Path(id): Path<String>) -> Outcome {
    KIND.delete(&visit, &id).await
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn health_is_told_by_what_ended_and_what_is_tried_again() {
        let latest = [
            json!({"state": "delivered", "ended_at": "1970-01-01T00:00:05Z"}),
            json!({"state": "dead", "ended_at": "1970-01-01T00:00:02Z"}),
            json!({"state": "pending", "attempts": 2}),
            json!({"state": "pending", "attempts": 0}),
        ];
        assert_eq!(Health::of(&latest), Health { delivered: 1, dead: 1, retrying: 1, ended: 2, last: Some(5_000) });
        for (latest, fails) in
            [(&latest[..], true), (&latest[..2], false), (&latest[1..2], true), (&latest[3..], false), (&[], false)]
        {
            assert_eq!(Health::of(latest).is_failing(), fails, "{latest:?}");
        }
    }
}
