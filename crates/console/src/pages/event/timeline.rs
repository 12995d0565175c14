//! What happened to an event, from top to bottom.

use maud::{Markup, html};
use serde_json::Value;
use spillway_report::text;

use crate::api::segment;
use crate::look::parts::{self, Tone};
use crate::look::time;
use crate::read::Read as _;
use crate::visit::Visit;

/// Attempts that are shown of a delivery: the first and the last ones.
const MAX_ATTEMPTS: usize = 12;
/// Most of an answer that is shown.
const MAX_ANSWER_CHARS: usize = 1_024;

/// A delivery with its attempts.
pub(super) struct Lane {
    pub(super) delivery: Value,
    pub(super) attempts: Vec<Value>,
}

pub(super) fn draw(visit: &Visit, event: &Value, lanes: &[Lane]) -> Markup {
    html! {
        ol.timeline {
            li.good {
                strong { "Received" }
                @if let Some(at) = event.instant("/received_at") { " " span.muted { (time::exact(at)) " UTC" } }
                p.muted.small { "Stored before the sender was answered." }
            }
            @for lane in lanes { (lane.draw(visit, event.instant("/received_at"))) }
        }
    }
}

impl Lane {
    fn tone(&self) -> Tone {
        match self.delivery.text("/state") {
            "delivered" => Tone::Good,
            "dead" => Tone::Bad,
            "pending" | "queued" => Tone::Wait,
            _ => Tone::Off,
        }
    }

    fn draw(&self, visit: &Visit, received: Option<i64>) -> Markup {
        let id = self.delivery.text("/id");
        let destination = self.delivery.text("/destination");
        html! {
            li class=(self.tone().class()) {
                div.lane {
                    @match self.delivery.some_text("/destination_name") {
                        Some(name) => a href={ "/console/destinations/" (segment(destination)) } { strong { (name) } },
                        None => strong { "Deleted destination" },
                    }
                    (parts::delivery_state(self.delivery.text("/state")))
                    span.muted.small { (self.outlook(visit.now, received)) }
                    @if visit.may_write() {
                        div.actions {
                            form method="post" action={ "/console/deliveries/" (segment(id)) "/retry" } {
                                (visit.token())
                                button.link.small type="submit" aria-label={ "Retry now: the delivery to " (self.delivery.some_text("/destination_name").unwrap_or("a deleted destination")) } { "Retry now" }
                            }
                        }
                    }
                }
                (self.attempts(received))
            }
        }
    }

    /// What comes next, or how long it took.
    fn outlook(&self, now: i64, received: Option<i64>) -> Markup {
        let due = self.delivery.instant("/due_at");
        let ended = self.delivery.instant("/ended_at");
        html! {
            @match (self.delivery.text("/state"), due, ended) {
                ("pending", Some(due), _) if self.attempts.is_empty() && due > now => { "first attempt under way or " (time::ago(due, now)) }
                ("pending", Some(due), _) if due > now => { "next try " (time::ago(due, now)) }
                ("pending", ..) => "due now",
                ("queued", ..) => "waits for an earlier one with the same key",
                ("delivered", _, Some(ended)) => {
                    @if let Some(received) = received { "after " (parts::span_of((ended - received).max(0) as f64)) }
                }
                (_, _, Some(ended)) => { "ended " (time::ago(ended, now)) }
                _ => {}
            }
        }
    }

    fn attempts(&self, received: Option<i64>) -> Markup {
        let n = self.attempts.len();
        let hidden = n.saturating_sub(MAX_ATTEMPTS);
        let shown =
            self.attempts.iter().enumerate().filter(|(place, _)| hidden == 0 || *place < 2 || *place >= hidden + 2);
        html! {
            @if n > 0 {
                ol.attempts {
                    @for (place, one) in shown {
                        @if hidden > 0 && place == hidden + 2 { li.muted { "… " (parts::counted(hidden as u64, "attempt", "attempts")) " …" } }
                        (attempt(one, received))
                    }
                }
            }
        }
    }
}

fn attempt(attempt: &Value, received: Option<i64>) -> Markup {
    let is_good = attempt.text("/class") == "success";
    let started = attempt.instant("/started_at");
    let result = match attempt.count("/status") {
        Some(status) => match u16::try_from(status).ok().and_then(|status| http::StatusCode::from_u16(status).ok()) {
            Some(known) => format!("{status} {}", known.canonical_reason().unwrap_or_default()),
            None => status.to_string(),
        },
        None => attempt.text("/class").replace('_', " "),
    };
    let answer = attempt.some_text("/response").map(|answer| text::plain(answer, MAX_ANSWER_CHARS));
    html! {
        li {
            div.row {
                span.muted { "#" (attempt.count("/number").unwrap_or_default()) }
                (parts::state(if is_good { Tone::Good } else { Tone::Bad }, result.trim()))
                span.num { (text::time(attempt.number("/duration_ms").unwrap_or_default())) }
                span.muted {
                    @if let Some(at) = started {
                        @if let Some(received) = received { "+" (parts::span_of((at - received).max(0) as f64)) " " }
                        (time::exact(at))
                    }
                }
            }
            @if let Some(error) = attempt.some_text("/error") { p.error { (text::plain(error, 600)) } }
            @if let Some(answer) = answer {
                details.plain open[!is_good] { summary { "Answer" } pre tabindex="0" { code { (answer) } } }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_answer_with_script_is_text() {
        let drawn = attempt(
            &serde_json::json!({"number": 1, "class": "server_error", "status": 503, "duration_ms": 12.3, "started_at": 1_000,
                "response": "<script>alert(1)</script>", "error": "<img src=x onerror=alert(1)>"}),
            Some(0),
        );
        let drawn = drawn.into_string();
        assert!(!drawn.contains("<script>") && !drawn.contains("<img"), "{drawn}");
        assert!(
            drawn.contains("503 Service Unavailable") && drawn.contains("12.3 ms") && drawn.contains("+1s"),
            "{drawn}"
        );
    }
}
