//! What a rollout is judged by: evidence against its two limits, and guards.

use maud::{Markup, html};
use serde_json::Value;
use spillway_report::text;

use crate::look::parts::{self, Tone};
use crate::read::Read as _;

/// Comparisons and guards that are shown.
const MAX_SHOWN: usize = 20;

pub(super) fn evidence(status: &Value) -> Markup {
    let all = status.list("/evidence");
    html! {
        @if all.is_empty() { p.muted { "Nothing is compared now." } } @else {
            ul.cards { @for one in all.iter().take(MAX_SHOWN) { li.card {
                div.card-head { h3 { (one.text("/metric").replace('_', " ")) } (proven(one)) }
                (between(one))
                div.between { span { "roll back " (percent(back(one))) } span { (percent(pass(one))) " promote" } }
                p.evidence { (compared(one)) }
            } } }
        }
    }
}

fn share(value: Option<f64>, limit: Option<f64>) -> f64 {
    match (value, limit) {
        (Some(value), Some(limit)) if limit > 0.0 => (value / limit).clamp(0.0, 1.0),
        _ => 0.0,
    }
}

fn back(one: &Value) -> f64 {
    share(one.number("/rollBack"), one.number("/rollBackLimit"))
}

fn pass(one: &Value) -> f64 {
    share(one.number("/pass"), one.number("/passLimit"))
}

/// Never more than there is.
fn percent(share: f64) -> String {
    format!("{:.0} %", (share * 100.0).floor())
}

fn proven(one: &Value) -> Markup {
    match (back(one) >= 1.0, pass(one) >= 1.0, one.number("/expectedMs")) {
        (true, ..) => parts::state(Tone::Bad, "proven worse"),
        (_, true, _) => parts::state(Tone::Good, "proven no worse"),
        (_, _, Some(ms)) => html! { span.muted.small { "proven in about " (parts::span_of(ms)) } },
        _ => parts::state(Tone::Off, "not proven yet"),
    }
}

/// Evidence grows from the middle to either limit.
fn between(one: &Value) -> Markup {
    let (back, pass) = (back(one) * 100.0, pass(one) * 100.0);
    let says = format!("Evidence: {back:.0} % of what it takes to roll back, {pass:.0} % of what it takes to promote");
    html! {
        svg.bar.two viewBox="0 0 200 8" preserveAspectRatio="none" role="img" aria-label=(says) {
            rect.track width="200" height="8" {}
            rect.back x=(format!("{:.1}", 100.0 - back)) width=(format!("{back:.1}")) height="8" {}
            rect.pass x="100" width=(format!("{pass:.1}")) height="8" {}
            rect.middle x="99.5" width="1" height="8" {}
        }
    }
}

fn compared(one: &Value) -> String {
    let ratio = |pointer: &str| one.number(pointer).map_or_else(|| text::NONE.to_owned(), text::percent);
    let what = match one.number("/boundary") {
        Some(seconds) => format!("slower than {}", text::time(seconds * 1e3)),
        None => "errors".to_owned(),
    };
    let requests = parts::counted(one.count("/candidateRequests").unwrap_or_default(), "request", "requests");
    format!("New {}, live {} {what}, {requests} judged in this step", ratio("/candidateRatio"), ratio("/liveRatio"))
}

pub(super) fn guards(status: &Value) -> Markup {
    let planned = status.list("/guards");
    html! {
        @if planned.is_empty() { p.muted { "None is planned." } } @else {
            table.rows {
                thead { tr { th { "Guard" } th { "State" } th.num { "Value" } th.num { "Limit" } th { "What" } } }
                tbody { @for guard in planned.iter().take(MAX_SHOWN) { (row(status, guard)) } }
            }
        }
    }
}

fn row(status: &Value, guard: &Value) -> Markup {
    let name = guard.text("/name");
    let all = status.pointer("/state/rollout/guards").and_then(Value::as_object);
    let empty = Value::Null;
    let stands = all.and_then(|all| all.get(name)).unwrap_or(&empty);
    let state = match stands.text("/verdict") {
        "good" => parts::state(Tone::Good, "good"),
        "failed" => parts::state(Tone::Bad, "failed"),
        _ => parts::state(Tone::Off, "no evidence"),
    };
    let write = |pointer: &str| {
        stands.number(pointer).map_or_else(|| text::NONE.to_owned(), |value| in_unit(guard.text("/unit"), value))
    };
    html! {
        tr {
            td.main { (text::plain(name, 60)) }
            td.status { (state) }
            td.num data-l="value" { (write("/value")) }
            td.num data-l="limit" { (write("/limit")) }
            td.long.muted { (text::plain(stands.text("/text"), 160)) }
        }
    }
}

fn in_unit(unit: &str, value: f64) -> String {
    match unit {
        "share" | "budget" => text::percent(value),
        "seconds" => text::time(value * 1e3),
        "bytes" => text::bytes(value),
        "count" | "alerts" => text::count(value as u64),
        _ => text::plain_number(value),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn evidence_is_shown_against_both_limits_and_never_rounded_up() {
        let one = json!({"metric": "errors", "rollBack": 5.29, "rollBackLimit": 5.3, "pass": -3.0, "passLimit": 3.0, "candidateRatio": 0.042,
            "liveRatio": 0.0012, "candidateRequests": 1240});
        assert_eq!((percent(back(&one)), percent(pass(&one))), ("99 %".to_owned(), "0 %".to_owned()));
        assert_eq!(compared(&one), "New 4.2 %, live 0.12 % errors, 1,240 requests judged in this step");
    }
}
