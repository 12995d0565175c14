//! Replays: sending many again, at a pace that receivers can take.

use axum::extract::Path;
use http::StatusCode;
use maud::{Markup, html};
use serde_json::{Map, Value, json};
use spillway_report::text;

use super::configured::post_button;
use crate::api::{Problem, segment, with_query};
use crate::form::Form;
use crate::look::fields::{Fields, Kind, problem_notice};
use crate::look::parts::{self, Tone, counted};
use crate::look::rail::Place;
use crate::look::time;
use crate::read::Read as _;
use crate::visit::{Outcome, Page, Visit, see_other};

const DEFAULT_PER_SECOND: &str = "50";
const SELECTED: [&str; 6] = ["source", "destination", "connection", "state", "from", "to"];

pub(crate) async fn list(visit: Visit) -> Outcome {
    let path = with_query("/api/v1/replays", [("limit", "50"), ("cursor", visit.form.get("cursor"))]);
    let Some(page) = visit.api.get_optional(&path).await? else {
        let content = html! { (parts::head(None, "Replays", &html! {}, &html! {})) (parts::unavailable("replays")) };
        return Ok(visit.show(Page::new(Place::DeadLetters, "Replays", content)).await);
    };
    let rows = page.list("/data");
    let running = rows.iter().filter(|one| one.text("/state") == "running").count();
    let (tone, answer) = match (rows.len(), running) {
        (0, _) => (Tone::Off, "No replay yet".to_owned()),
        (_, 0) => (Tone::Good, "No replay is under way".to_owned()),
        (_, n) => (Tone::Wait, format!("{} under way", counted(n as u64, "replay", "replays"))),
    };
    let actions = html! { @if visit.may_write() { a.button href="/console/replays/new" { "New replay" } } };
    let is_first = visit.form.get("cursor").is_empty();
    let content = html! {
        (parts::crumb("/console/dead-letters", "Dead letters"))
        (parts::head(Some(tone), &answer, &html! { "Each goes on by itself, also when the node that works on it ends." }, &actions))
        @if rows.is_empty() { (parts::empty("Send many again", "A replay makes deliveries due again that match a destination, a state and a time, so many a second.", Some("spillway replays create --state dead --destination billing"), &html! {})) }
        @else {
            table.rows {
                thead { tr { th { "Replay" } th { "State" } th.num { "Made due" } th.num { "Passed over" } th.num { "Made" } } }
                tbody { @for one in rows { tr data-row {
                    td.main { a.id-link href={ "/console/replays/" (segment(one.text("/id"))) } { (parts::short(one.text("/id"))) } }
                    td.status { (state(one)) }
                    td.num data-l="made due" { (progress(one)) }
                    td.num data-l="passed over" { (text::count(one.count("/skipped").unwrap_or_default())) }
                    td.num { (time::ago_or_none(one.instant("/created_at"), visit.now)) }
                } } }
            }
            (parts::pager(page.some_text("/next"), |cursor| with_query("/console/replays", [("cursor", cursor)]), is_first, "/console/replays"))
        }
    };
    Ok(visit.show(Page::new(Place::DeadLetters, "Replays", content)).await)
}

fn state(replay: &Value) -> Markup {
    match replay.text("/state") {
        "done" => parts::state(Tone::Good, "done"),
        "running" => parts::state(Tone::Wait, "running"),
        other => parts::state(Tone::Off, other),
    }
}

fn progress(replay: &Value) -> String {
    let done = text::count(replay.count("/retried").unwrap_or_default());
    match replay.count("/total") {
        Some(total) => format!("{done} of {}", text::count(total)),
        None => done,
    }
}

/// What is to be sent again, as the API takes it.
fn selection(form: &Form) -> Map<String, Value> {
    let fields = SELECTED.iter().filter_map(|name| Some(((*name).to_owned(), json!(form.some(name)?))));
    fields.collect()
}

/// Asks first: how many, and how long it takes.
pub(crate) async fn ask(visit: Visit) -> Outcome {
    let mut form = (*visit.form).clone();
    if form.some("per_second").is_none() {
        form.set("per_second", DEFAULT_PER_SECOND);
    }
    if visit.form.is_absent("state") {
        form.set("state", "dead");
    }
    question(&visit, &form, None).await
}

async fn question(visit: &Visit, form: &Form, problem: Option<&Problem>) -> Outcome {
    let mut counting = selection(form);
    counting.insert("dry_run".to_owned(), json!(true));
    let counting = Value::Object(counting);
    let (count, sources, destinations) = tokio::join!(
        visit.api.post("/api/v1/replays", &counting),
        visit.api.get("/api/v1/sources?limit=200&fields=id,name"),
        visit.api.get("/api/v1/destinations?limit=200&fields=id,name"),
    );
    let (sources, destinations) = (sources?, destinations?);
    let answer = match count.as_ref().map(counted_in) {
        Ok(Some(0)) => "Nothing matches".to_owned(),
        Ok(Some(n)) => format!("Send {} again?", counted(n, "delivery", "deliveries")),
        Ok(None) => "Send very many deliveries again?".to_owned(),
        Err(_) => "Send deliveries again?".to_owned(),
    };
    let shown = problem.or(count.as_ref().err().filter(|problem| !problem.is_no_route()));
    let fields = Fields { form, problem: shown };
    let content = html! {
        (parts::crumb("/console/dead-letters", "Dead letters"))
        (parts::head(None, &answer, &html! { "Each receiver gets the same webhook-id again, so one that keeps track takes it once." }, &html! {}))
        @if let Some(problem) = shown { (problem_notice(problem)) }
        @if let Ok(count) = &count { (estimate(counted_in(count), form)) }
        @else if count.as_ref().is_err_and(Problem::is_no_route) { (parts::unavailable("bulk replay")) }
        form.form method="post" action="/console/replays" {
            (visit.token())
            div.columns {
                (fields.choice("destination", "Destination", Kind::default(), choices(&destinations, form.get("destination"))))
                (fields.choice("source", "Source", Kind::default(), choices(&sources, form.get("source"))))
                (fields.choice("state", "State", Kind::default(), [("dead", "Dead"), ("delivered", "Delivered"), ("cancelled", "Cancelled"), ("", "Any that has ended")]))
                (fields.line("per_second", "A second", Kind { required: true, numeric: true, hint: "So many deliveries become due each second.", ..Kind::default() }))
                (fields.line("from", "Received from", Kind { placeholder: "2026-01-31T12:00:00Z", ..Kind::default() }))
                (fields.line("to", "Received before", Kind { placeholder: "2026-01-31T13:00:00Z", ..Kind::default() }))
            }
            div.submit {
                button.button type="submit" disabled[matches!(count.as_ref().map(counted_in), Ok(Some(0)))] { "Replay" }
                button.quiet type="submit" formmethod="get" formaction="/console/replays/new" formnovalidate { "Count again" }
                a.button.quiet href="/console/dead-letters" { "Not now" }
            }
        }
    };
    let status = problem.map_or(StatusCode::OK, |problem| problem.status);
    Ok(visit.show(Page::new(Place::DeadLetters, "Replay", content).status(status)).await)
}

fn choices<'c>(page: &'c Value, chosen: &'c str) -> Vec<(&'c str, &'c str)> {
    let mut all = vec![("", "Any")];
    all.extend(page.list("/data").iter().map(|one| (one.text("/id"), one.text("/name"))));
    if !chosen.is_empty() && !all.iter().any(|(id, _)| *id == chosen) {
        all.push((chosen, chosen));
    }
    all
}

/// How many match; none when they are too many to count.
fn counted_in(count: &Value) -> Option<u64> {
    count.count("/deliveries").filter(|_| count.is_set("/complete"))
}

/// How long it takes at this pace.
fn estimate(count: Option<u64>, form: &Form) -> Markup {
    let per_second = form.get("per_second").parse::<f64>().ok().filter(|rate| *rate > 0.0);
    let says = match (count, per_second) {
        (Some(0), _) => return html! {},
        (Some(n), Some(rate)) => {
            format!("At {rate} a second that takes about {}.", parts::span_of(n as f64 / rate * 1e3))
        }
        (None, Some(rate)) => format!(
            "There are more than can be counted quickly. At {rate} a second, a million takes about {}.",
            parts::span_of(1e9 / rate)
        ),
        _ => return html! {},
    };
    html! { p.lead { (says) " It can be cancelled at any time; what was made due until then stays so." } }
}

pub(crate) async fn create(visit: Visit) -> Outcome {
    let mut body = selection(&visit.form);
    body.insert("per_second".to_owned(), visit.form.number_or_null("per_second"));
    match visit.api.post("/api/v1/replays", &Value::Object(body)).await {
        Ok(replay) => Ok(see_other(&format!("/console/replays/{}", segment(replay.text("/id"))))),
        Err(problem) if problem.is_no_route() || problem.is_of_form() => {
            question(&visit, &visit.form, Some(&problem)).await
        }
        Err(problem) => Err(problem),
    }
}

pub(crate) async fn show(visit: Visit, Path(id): Path<String>) -> Outcome {
    let replay = visit.api.get(&format!("/api/v1/replays/{}", segment(&id))).await?;
    let content = html! {
        (parts::crumb("/console/replays", "Replays"))
        div id="replay" { (draw(&visit, &replay)) }
        p.bar-row { span.live-state data-live-state { "Load the page again to see how far it is" } }
    };
    let page = Page::new(Place::DeadLetters, "Replay", content);
    let page = if replay.text("/state") == "running" {
        page.live(with_query("", [("page", "replay"), ("id", id.as_str())]).trim_start_matches('?'))
    } else {
        page
    };
    Ok(visit.show(page).await)
}

/// How far a replay is.
pub(crate) fn draw(visit: &Visit, replay: &Value) -> Markup {
    let n = |name: &str| replay.count(name).unwrap_or_default();
    let (retried, skipped) = (n("/retried"), n("/skipped"));
    let total = replay.count("/total");
    let share = total.map(|total| if total == 0 { 1.0 } else { (retried + skipped) as f64 / total as f64 });
    let (tone, answer) = match replay.text("/state") {
        "running" => (Tone::Wait, format!("{} made due", progress(replay))),
        "done" => (Tone::Good, format!("Done: {} made due again", counted(retried, "delivery", "deliveries"))),
        _ => (Tone::Off, format!("Cancelled after {}", counted(retried, "delivery", "deliveries"))),
    };
    let about = html! {
        (parts::id(replay.text("/id"))) " · " (replay.count("/per_second").unwrap_or_default()) " a second · made " (time::ago_or_none(replay.instant("/created_at"), visit.now))
    };
    let is_running = replay.text("/state") == "running";
    let actions = html! { @if is_running && visit.may_write() {
        (post_button(visit, &format!("/console/replays/{}/cancel", segment(replay.text("/id"))), "quiet", "Cancel", "the replay"))
    } };
    html! {
        (parts::head(Some(tone), &answer, &about, &actions))
        @if let Some(share) = share { (parts::bar(share, Tone::Good, &format!("{} looked at", text::percent(share.min(1.0))))) }
        dl.facts.after-bar {
            (parts::fact("Made due", &html! { (text::count(retried)) }))
            (parts::fact("Passed over", &html! { (text::count(skipped)) span.muted { ", on their way already or gone" } }))
            (parts::fact("Last step", &time::ago_or_none(replay.instant("/updated_at"), visit.now)))
        }
    }
}

pub(crate) async fn cancel(visit: Visit, Path(id): Path<String>) -> Outcome {
    visit.api.act(&format!("/api/v1/replays/{}/cancel", segment(&id))).await?;
    Ok(see_other(&format!("/console/replays/{}?done=cancelled", segment(&id))))
}
