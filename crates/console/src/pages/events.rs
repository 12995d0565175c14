//! Events: where is *that* webhook?

use http::StatusCode;
use maud::{Markup, html};
use serde_json::Value;
use spillway_report::text;

use crate::api::{Problem, with_query};
use crate::form::Form;
use crate::look::fields::problem_notice;
use crate::look::parts::{self, Tone};
use crate::look::rail::Place;
use crate::look::time;
use crate::read::Read as _;
use crate::visit::{Outcome, Page, Visit, see_other};

const PAGE_ROWS: &str = "50";

/// States that events can be filtered by.
const STATES: [(&str, &str); 7] = [
    ("", "Any"),
    ("pending", "Pending"),
    ("queued", "Queued"),
    ("delivered", "Delivered"),
    ("dead", "Dead"),
    ("cancelled", "Cancelled"),
    ("quarantined", "Quarantined"),
];

/// Times that events can be filtered by: seconds back from now.
const TIMES: [(&str, &str); 5] = [
    ("", "Any time"),
    ("3600", "Last hour"),
    ("86400", "Last day"),
    ("604800", "Last week"),
    ("2592000", "Last 30 days"),
];

pub(crate) async fn list(visit: Visit) -> Outcome {
    if let Some(place) = place_of_id(&visit) {
        return Ok(see_other(&place));
    }
    let (sources, found) = tokio::join!(visit.api.get("/api/v1/sources?limit=200&fields=id,name"), find(&visit));
    let sources = sources?;
    let names: Vec<&str> = sources.list("/data").iter().map(|source| source.text("/name")).collect();
    let is_first = visit.form.get("cursor").is_empty();
    let is_plain = ["q", "status", "since"].iter().all(|field| visit.form.get(field).is_empty());
    let (found, problem) = match found {
        Ok(found) => (found, None),
        Err(problem) if matches!(problem.status.as_u16(), 400 | 404 | 422) => (Value::Null, Some(problem)),
        Err(problem) => return Err(problem),
    };
    let follows = is_first && is_plain && problem.is_none();
    let content = html! {
        h1.sr { "Events" }
        (search(&visit.form, &names))
        @if let Some(problem) = &problem { (problem_notice(problem)) }
        @else { (results(&visit, &found, follows)) }
    };
    let status = problem.as_ref().map_or(StatusCode::OK, |problem| problem.status);
    let page = Page::new(Place::Events, "Events", content).status(status);
    let page = if follows { page.live(live_query(visit.form.get("source"))) } else { page };
    Ok(visit.show(page).await)
}

fn live_query(source: &str) -> String {
    with_query("", [("page", "events"), ("source", source)]).trim_start_matches('?').to_owned()
}

/// Where an id leads, if that is what is searched.
fn place_of_id(visit: &Visit) -> Option<String> {
    let wanted = visit.form.get("q");
    let plain = wanted.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'_') && wanted.len() == 30;
    match wanted.get(..4) {
        Some("evt_") if plain => Some(format!("/console/events/{wanted}")),
        Some("dlv_") if plain => Some(format!("/console/deliveries/{wanted}")),
        Some("src_") if plain => Some(format!("/console/sources/{wanted}")),
        Some("dst_") if plain => Some(format!("/console/destinations/{wanted}")),
        Some("con_") if plain => Some(format!("/console/connections/{wanted}")),
        _ => None,
    }
}

/// Asks the API with what the form says. Which fields are understood is the API's to say.
async fn find(visit: &Visit) -> Result<Value, Problem> {
    let form = &visit.form;
    let since = form.some("since").and_then(|seconds| seconds.parse::<i64>().ok());
    let from = since.map(|seconds| visit.now.saturating_sub(seconds.saturating_mul(1_000)).to_string());
    let parameters = [
        ("q", form.get("q")),
        ("source", form.get("source")),
        ("status", form.get("status")),
        ("from", from.as_deref().unwrap_or_default()),
        ("cursor", form.get("cursor")),
        ("limit", PAGE_ROWS),
    ];
    match visit.api.get(&with_query("/api/v1/events", parameters)).await {
        Err(problem) if problem.code == "query_invalid" && problem.detail.contains("unknown field") => {
            let detail =
                "This gateway lists events by source and time only. Leave search and state empty, or update this node.";
            Err(Problem { detail: detail.to_owned(), ..problem })
        }
        answer => answer,
    }
}

fn search(form: &Form, sources: &[&str]) -> Markup {
    let chosen = |name: &str, value: &str| form.get(name) == value;
    html! {
        form role="search" method="get" action="/console/events" {
            div.search {
                div.box {
                    label.sr for="q" { "Search events" }
                    input id="q" name="q" type="search" value=(form.get("q")) data-search maxlength="1000" autocomplete="off" spellcheck="false"
                        autofocus[form.get("focus") == "search"] placeholder="An id, a type, header:NAME=VALUE, or /json/pointer=value" aria-describedby="q-hint";
                    kbd aria-hidden="true" { "/" }
                }
                button.button type="submit" { "Search" }
            }
            div.filters {
                div.field {
                    label for="source" { "Source" }
                    select id="source" name="source" {
                        option value="" { "Any" }
                        @for name in sources { option value=(name) selected[chosen("source", name)] { (name) } }
                    }
                }
                div.field {
                    label for="status" { "State" }
                    select id="status" name="status" {
                        @for (value, name) in STATES { option value=(value) selected[chosen("status", value)] { (name) } }
                    }
                }
                div.field {
                    label for="since" { "Received" }
                    select id="since" name="since" {
                        @for (value, name) in TIMES { option value=(value) selected[chosen("since", value)] { (name) } }
                    }
                }
                button.quiet type="submit" { "Apply" }
            }
            p.sr id="q-hint" { "An event's or delivery's id, a part of its type, a header such as header:x-request-id=42, or a JSON pointer such as /data/id=42" }
        }
    }
}

fn results(visit: &Visit, found: &Value, follows: bool) -> Markup {
    let rows = found.list("/data");
    let is_first = visit.form.get("cursor").is_empty();
    let is_plain = ["q", "status", "since", "source"].iter().all(|field| visit.form.get(field).is_empty());
    let scanned = found.count("/scanned").filter(|_| found.pointer("/complete").is_some());
    let is_cut_off = found.pointer("/complete").is_some() && !found.is_set("/complete");
    let first = with_query("/console/events", filters(&visit.form));
    let older =
        |cursor: &str| with_query("/console/events", filters(&visit.form).into_iter().chain([("cursor", cursor)]));
    html! {
        div.bar-row {
            p.muted.small {
                @if is_first { "The newest first" } @else { "Older events" }
                @if let Some(n) = scanned { ", " (text::count(n)) " events looked through" }
            }
            @if follows {
                div.actions {
                    button.quiet type="button" data-live-more hidden { "0 new" }
                    span.live-state data-live-state { "Load the page again to see what is new" }
                }
            }
        }
        @if rows.is_empty() { div data-live-empty[follows] { (nothing(visit, is_plain && is_first, is_cut_off)) } }
        table.rows hidden[rows.is_empty()] {
            thead { tr { th { "Event" } th { "Source" } th { "Type" } th.num { "Size" } th.num { "Received" } } }
            tbody data-live-rows[follows] { @for event in rows { (row(event, visit.now)) } }
        }
        @if is_cut_off {
            p.muted { "The search looks through some thousands of events at a time, and stopped here." }
        }
        (parts::pager(found.some_text("/next"), older, is_first, &first))
    }
}

fn filters(form: &Form) -> [(&str, &str); 4] {
    ["q", "source", "status", "since"].map(|name| (name, form.get(name)))
}

/// One event of a list.
pub(crate) fn row(event: &Value, now: i64) -> Markup {
    let id = event.text("/id");
    let received = event.instant("/received_at");
    html! {
        tr data-row id=(id) {
            td.main { (parts::event_link(id)) @if event.some_text("/quarantine").is_some() { " " (parts::state(Tone::Wait, "quarantined")) } }
            td { (event.some_text("/source_name").unwrap_or("deleted source")) }
            td.long { (text::plain(event.some_text("/type").unwrap_or(text::NONE), 80)) }
            td.num { (text::bytes(event.number("/body_bytes").unwrap_or_default())) }
            td.status.num { (time::ago_or_none(received, now)) }
        }
    }
}

fn nothing(visit: &Visit, is_all: bool, is_cut_off: bool) -> Markup {
    if !is_all {
        let more = if is_cut_off {
            "None among those that were looked through; older ones may."
        } else {
            "Change the search or the filters."
        };
        return parts::empty(
            "No event matches",
            more,
            None,
            &html! { a.button.quiet href="/console/events" { "All events" } },
        );
    }
    let line = format!(
        "curl -X POST {}/api/v1/events -H \"Authorization: Bearer $SPILLWAY_API_KEY\" \\\n  \
         -H 'Content-Type: application/json' -d '{{\"source\":\"NAME\",\"type\":\"hello\",\"data\":{{\"works\":true}}}}'",
        visit.base_url
    );
    let action = html! { @if visit.may_write() { a.button href="/console/test" { "Send a test" } } };
    parts::empty(
        "No events yet",
        "Point a sender at one of your sources, or publish an event of your own:",
        Some(&line),
        &action,
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn script_in_every_field_of_an_event_is_text() {
        let script = "\"><script>alert(1)</script>";
        let event = serde_json::json!({"id": script, "source_name": script, "type": script, "quarantine": script, "received_at": script});
        let drawn = row(&event, 0).into_string();
        assert!(!drawn.contains("<script>"), "{drawn}");
    }
}
