//! Dead letters: what do I have to fix, and then resend?

use maud::{Markup, html};
use serde_json::Value;
use spillway_report::text;

use crate::api::{segment, with_query};
use crate::look::parts::{self, Tone, counted};
use crate::look::rail::Place;
use crate::look::time;
use crate::read::Read as _;
use crate::visit::{Outcome, Page, Visit};

pub(crate) async fn show(visit: Visit) -> Outcome {
    let list =
        with_query("/api/v1/deliveries", [("state", "dead"), ("limit", "50"), ("cursor", visit.form.get("cursor"))]);
    let (groups, latest) = tokio::join!(visit.api.get_optional("/api/v1/dead-letters"), visit.api.get(&list));
    let (groups, latest) = (groups?, latest?);
    let is_capped =
        groups.as_ref().is_some_and(|groups| groups.pointer("/complete").is_some() && !groups.is_set("/complete"));
    let groups = groups.as_ref().map(|groups| groups.list("/data"));
    let rows = latest.list("/data");
    let (tone, answer) =
        answer(groups, rows, is_capped || groups.is_none() && latest.some_text("/next").is_some(), visit.now);
    let is_first = visit.form.get("cursor").is_empty();
    let about = html! { "Deliveries without another attempt. Mend what failed, then send them again." };
    let actions = html! { a.button.quiet href="/console/replays" { "Replays" } };
    let content = html! {
        (parts::head(Some(tone), &answer, &about, &actions))
        @if rows.is_empty() && is_first { (nothing()) } @else {
            @if is_first { @if let Some(groups) = groups { (by_reason(&visit, groups)) } }
            h2 { @if is_first { "The latest" } @else { "Older ones" } }
            (table(&visit, rows))
            (parts::pager(latest.some_text("/next"), |cursor| with_query("/console/dead-letters", [("cursor", cursor)]), is_first, "/console/dead-letters"))
        }
    };
    Ok(visit.show(Page::new(Place::DeadLetters, "Dead letters", content)).await)
}

/// How many there are, in how many groups, and since when.
fn answer(groups: Option<&[Value]>, rows: &[Value], has_more: bool, now: i64) -> (Tone, String) {
    if rows.is_empty() {
        return (Tone::Good, "No dead letters".to_owned());
    }
    let oldest = groups.and_then(|groups| groups.iter().filter_map(|group| group.instant("/oldest")).min());
    let since = oldest.map(|at| format!("; the oldest is from {}", time::distance(at, now))).unwrap_or_default();
    match groups.filter(|groups| !groups.is_empty()) {
        Some(groups) => {
            let n: u64 = groups.iter().filter_map(|group| group.count("/deliveries")).sum();
            let more = if has_more { "More than " } else { "" };
            (
                Tone::Bad,
                format!(
                    "{more}{} in {}{since}",
                    counted(n, "dead letter", "dead letters"),
                    counted(groups.len() as u64, "group", "groups")
                ),
            )
        }
        None if has_more => {
            (Tone::Bad, format!("More than {}", counted(rows.len() as u64, "dead letter", "dead letters")))
        }
        None => (Tone::Bad, counted(rows.len() as u64, "dead letter", "dead letters")),
    }
}

/// The reason in a few words: the status, or what kind of failure it was.
fn reason(group: &Value) -> String {
    let class = group.some_text("/class").or_else(|| group.some_text("/reason")).unwrap_or("unknown").replace('_', " ");
    match group.count("/status") {
        Some(status) => format!("{class}, {status}"),
        None => class,
    }
}

fn by_reason(visit: &Visit, groups: &[Value]) -> Markup {
    html! {
        table.rows {
            thead { tr { th { "Destination" } th.num { "Count" } th { "Reason" } th { "Last error" } th.num { "Oldest" } th { span.sr { "Actions" } } } }
            tbody { @for group in groups { (row(visit, group)) } }
        }
    }
}

fn row(visit: &Visit, group: &Value) -> Markup {
    let name = group.some_text("/destination_name").unwrap_or("deleted destination");
    let question = with_query("/console/replays/new", [("destination", group.text("/destination")), ("state", "dead")]);
    html! {
        tr data-row {
            td.main { a href={ "/console/destinations/" (segment(group.text("/destination"))) } { (name) } }
            td.num.status { strong { (text::count(group.count("/deliveries").unwrap_or_default())) } }
            td { (parts::state(Tone::Bad, &reason(group))) }
            td.long.muted { (text::plain(group.some_text("/error").or_else(|| group.some_text("/last_error")).unwrap_or_default(), 120)) }
            td.num data-l="oldest" { (time::ago_or_none(group.instant("/oldest"), visit.now)) }
            td.end { @if visit.may_write() { a.button.quiet href=(question) data-replay aria-label={ "Replay what is dead at " (name) } { "Replay" } } }
        }
    }
}

fn table(visit: &Visit, rows: &[Value]) -> Markup {
    html! {
        table.rows {
            thead { tr { th { "Event" } th { "Destination" } th.num { "Attempts" } th.num { "Received" } th.num { "Ended" } } }
            tbody { @for one in rows { tr data-row {
                td.main { (parts::event_link(one.text("/event"))) }
                td { (one.some_text("/destination_name").unwrap_or("deleted destination")) }
                td.num data-l="attempts" { (one.count("/attempts").unwrap_or_default()) }
                td.num.wide { (time::ago_or_none(one.instant("/created_at"), visit.now)) }
                td.num.status { (time::ago_or_none(one.instant("/ended_at"), visit.now)) }
            } } }
        }
    }
}

fn nothing() -> Markup {
    let say = "A delivery is tried again for days. One that no attempt is left for comes here, with the reason, and can be sent again alone or with its whole group:";
    parts::empty("Nothing to mend", say, Some("spillway dead-letters"), &html! {})
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn the_answer_counts_and_says_since_when() {
        let rows = [json!({})];
        let groups = [
            json!({"deliveries": 12, "oldest": "1970-01-01T00:00:00Z"}),
            json!({"deliveries": 3, "oldest": "1970-01-01T01:00:00Z"}),
        ];
        let now = 3 * 3_600_000;
        assert_eq!(
            answer(Some(&groups), &rows, false, now).1,
            "15 dead letters in 2 groups; the oldest is from 3 h ago"
        );
        assert_eq!(answer(None, &rows, false, now).1, "1 dead letter");
        assert_eq!(answer(None, &rows, true, now).1, "More than 1 dead letter");
        assert_eq!(answer(Some(&[]), &[], false, now), (Tone::Good, "No dead letters".to_owned()));
    }
}
