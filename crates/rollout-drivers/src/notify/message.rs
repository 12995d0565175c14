//! What is told, before it takes a receiver's form.

use serde_json::{Value, json};
use spillway_model::UnixMillis;
use spillway_rollout::Plan;
use spillway_rollout::decision::{Note, NoteKind};
use spillway_rollout::state::{Phase, State};
use spillway_slo::budget::Budget;

/// A note and what people need to know beside it.
#[derive(Debug, Clone)]
pub(super) struct Message {
    pub(super) rollout: String,
    pub(super) namespace: Option<String>,
    /// The revision that is rolled out, or the live one when none is.
    pub(super) revision: Option<String>,
    pub(super) live_revision: Option<String>,
    pub(super) phase: Phase,
    /// Weight of the candidate, percent.
    pub(super) weight: u8,
    /// Position of the step, from 0.
    pub(super) step: Option<usize>,
    pub(super) n_steps: usize,
    pub(super) kind: NoteKind,
    pub(super) text: String,
    pub(super) at: UnixMillis,
    /// The worst of the plan's budgets.
    pub(super) budget: Option<Budget>,
}

impl Message {
    pub(super) fn new(plan: &Plan, state: &State, note: &Note) -> Self {
        let progress = state.rollout.as_ref();
        let severity = |budget: &Budget| match budget {
            Budget::Healthy => 0,
            Budget::Unknown => 1,
            Budget::Warning => 2,
            Budget::Frozen => 3,
            Budget::Emergency => 4,
        };
        Self {
            rollout: plan.name.clone(),
            namespace: plan.namespace.clone(),
            revision: progress.map(|progress| progress.revision.clone()).or_else(|| state.live_revision.clone()),
            live_revision: state.live_revision.clone(),
            phase: state.phase,
            weight: progress.map_or(0, |progress| progress.weight),
            step: progress.map(|progress| progress.step),
            n_steps: plan.steps.len(),
            kind: note.kind,
            text: note.text.clone(),
            at: note.at,
            budget: state.budgets.values().copied().max_by_key(severity),
        }
    }

    /// `namespace/name`, or the name alone on a host.
    pub(super) fn full_name(&self) -> String {
        match &self.namespace {
            Some(namespace) => format!("{namespace}/{}", self.rollout),
            None => self.rollout.clone(),
        }
    }

    /// A title in words.
    pub(super) fn title(&self) -> &'static str {
        match self.kind {
            NoteKind::Started => "Rollout started",
            NoteKind::Weight => "Traffic moved",
            NoteKind::Gate => "Gate",
            NoteKind::Guard => "Guard",
            NoteKind::StepPassed => "Step passed",
            NoteKind::WaitingForApproval => "Waiting for approval",
            NoteKind::Held => "Rollout held",
            NoteKind::Resumed => "Rollout goes on",
            NoteKind::Promoted => "Promoted",
            NoteKind::Succeeded => "Rollout succeeded",
            NoteKind::RolledBack => "Rolled back",
            NoteKind::Aborted => "Rollout aborted",
            NoteKind::Budget => "Error budget",
            NoteKind::Command => "Command",
            NoteKind::Drift => "Drift repaired",
        }
    }

    /// When, as RFC 3339. Empty for a time that no calendar has.
    pub(super) fn time(&self) -> String {
        jiff::Timestamp::from_millisecond(self.at).map(|at| at.to_string()).unwrap_or_default()
    }

    /// The body of a generic webhook.
    pub(super) fn json(&self) -> Value {
        json!({
            "rollout": self.rollout,
            "namespace": self.namespace,
            "revision": self.revision,
            "liveRevision": self.live_revision,
            "phase": self.phase,
            "step": self.step,
            "steps": self.n_steps,
            "weight": self.weight,
            "kind": self.kind,
            "problem": self.kind.is_problem(),
            "text": self.text,
            "at": self.time(),
        })
    }
}

/// At most so many characters.
pub(super) fn cut(text: &str, most: usize) -> String {
    if text.chars().count() <= most {
        return text.to_owned();
    }
    text.chars().take(most.saturating_sub(1)).chain(['…']).collect()
}
