//! PagerDuty Events API v2.

use serde_json::{Value, json};
use spillway_model::Secret;
use spillway_rollout::decision::NoteKind;
use spillway_slo::budget::Budget;

use super::message::{Message, cut};

/// Limits of the API.
const MOST_KEY: usize = 255;
const MOST_SUMMARY: usize = 1_024;

/// What a note does to its page.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Action {
    Trigger(&'static str),
    Resolve,
}

/// The event; `None` for a note that opens and closes nothing.
pub(super) fn event(message: &Message, routing_key: &Secret) -> Option<Value> {
    let action = action(message)?;
    let mut event = json!({
        "routing_key": routing_key.expose(),
        "event_action": match action { Action::Trigger(_) => "trigger", Action::Resolve => "resolve" },
        "dedup_key": dedup_key(message),
    });
    if let Action::Trigger(severity) = action {
        let mut details = message.json();
        details["text"] = json!(cut(&message.text, MOST_SUMMARY));
        event["client"] = json!("spillway-rollout");
        event["payload"] = json!({
            "summary": cut(&format!("{}: {}: {}", message.full_name(), message.title(), message.text), MOST_SUMMARY),
            "source": message.full_name(),
            "severity": severity,
            "timestamp": message.time(),
            "component": message.rollout,
            "class": message.kind,
            "custom_details": details,
        });
    }
    Some(event)
}

/// A page is open as long as the rollout needs a person: one for each revision, and one for the budget.
fn action(message: &Message) -> Option<Action> {
    match message.kind {
        NoteKind::RolledBack => Some(Action::Trigger("error")),
        NoteKind::Held | NoteKind::WaitingForApproval => Some(Action::Trigger("warning")),
        NoteKind::Budget => Some(match message.budget {
            Some(Budget::Emergency) => Action::Trigger("critical"),
            Some(Budget::Frozen) => Action::Trigger("error"),
            Some(Budget::Warning) => Action::Trigger("warning"),
            Some(Budget::Healthy | Budget::Unknown) | None => Action::Resolve,
        }),
        // A person took it in hand, or it goes on.
        NoteKind::Aborted
        | NoteKind::Resumed
        | NoteKind::Started
        | NoteKind::StepPassed
        | NoteKind::Promoted
        | NoteKind::Succeeded => Some(Action::Resolve),
        NoteKind::Weight | NoteKind::Gate | NoteKind::Guard | NoteKind::Command | NoteKind::Drift => None,
    }
}

fn dedup_key(message: &Message) -> String {
    let what = match message.kind {
        NoteKind::Budget => "budget",
        _ => message.revision.as_deref().unwrap_or("none"),
    };
    cut(&format!("spillway-rollout/{}/{what}", message.full_name()), MOST_KEY)
}
