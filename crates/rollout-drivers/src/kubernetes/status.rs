//! What a Rollout shows in its status.

use k8s_openapi::jiff::Timestamp;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use spillway_model::UnixMillis;
use spillway_rollout::judge::Evidence;
use spillway_rollout::spec::CompareMetric;
use spillway_rollout::state::{GateStatus, Phase, Progress, Stage, State, Total, Verdict};
use spillway_rollout::{Plan, Slot};

use super::condition::Condition;
use crate::people::View;

/// What the controller knows of a Rollout.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", default)]
pub struct RolloutStatus {
    /// The generation of the spec that this status is about.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub observed_generation: Option<i64>,
    /// Where it is: `idle`, `preparing` (the candidate starts), `progressing` (a step is under way), `observing` (the candidate is live and watched),
    /// `succeeded`, `rollingBack`, `rolledBack` (it failed), or `aborted` (a person stopped it).
    #[serde(skip_serializing_if = "Option::is_none")]
    pub phase: Option<Phase>,
    /// The step and what it does now, such as `2/4 baking`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub step: Option<String>,
    /// Share of the traffic that the candidate has, in percent.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub weight: Option<u8>,
    /// Share of requests that are copied to the candidate, in percent.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub mirror: Option<u8>,
    /// The revision that is rolled out, or was last.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub revision: Option<String>,
    /// The revision that is live, and serves whatever the candidate does not.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub live_revision: Option<String>,
    /// The slot that is live: `blue` or `green`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub live_slot: Option<Slot>,
    /// Why it does not go on, and what to do. Absent while it does.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub held: Option<String>,
    /// Why it was rolled back, or why it holds after a failure.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub failure: Option<String>,
    /// When the rollout under way, or the last one, began.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub started_at: Option<String>,
    /// When the candidate becomes live at the latest, if nothing holds it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub expected_at: Option<String>,
    /// Requests to the candidate over the whole rollout.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub candidate_total: Option<Total>,
    /// Requests to the live version over the same time.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub live_total: Option<Total>,
    /// How each guard of the plan stands.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub guards: Vec<GuardRow>,
    /// How each comparison stands against its two limits.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub evidence: Vec<EvidenceRow>,
    /// How each gate of the rollout ended, or how far it is.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub gates: Vec<GateStatus>,
    /// Where the report of the last rollout that ended is: a ConfigMap and a key in it, a page that a browser shows.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub report: Option<String>,
    /// What is true of it now: `Ready`, `Progressing`, `Held`, `Degraded` and `InvalidPlan`.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    #[schemars(extend("x-kubernetes-list-type" = "map", "x-kubernetes-list-map-keys" = ["type"]))]
    pub conditions: Vec<Condition>,
    /// The controller's memory, as JSON in a text. Not for people, and not to be edited.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub state: Option<String>,
}

/// A guard of the plan and how it stands.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct GuardRow {
    /// Name of the guard in the plan.
    pub name: String,
    /// What it says: `good`, `failed`, or `inconclusive` while there is no evidence.
    pub verdict: Verdict,
    /// Its present value, in its own unit.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub value: Option<f64>,
    /// Its limit, in the unit of the value.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub limit: Option<f64>,
    /// One sentence about how it stands.
    #[serde(default)]
    pub text: String,
}

/// A comparison and how far its evidence is, as natural logarithms of e-values.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct EvidenceRow {
    /// What is compared: `errors` or `latency`.
    pub metric: CompareMetric,
    /// Evidence that the candidate is worse; it is rolled back at `rollBackLimit`.
    pub roll_back: f64,
    /// The limit at which the candidate is rolled back.
    pub roll_back_limit: f64,
    /// Evidence that the candidate is no worse than tolerated; the step may end at `passLimit`.
    pub pass: f64,
    /// The limit at which the step may end early.
    pub pass_limit: f64,
    /// Requests of the candidate that were judged in this step.
    pub candidate_requests: u64,
}

/// What a state shows to people. Conditions are left empty.
pub(crate) fn render(plan: &Plan, state: &State) -> RolloutStatus {
    let progress = state.rollout.as_ref();
    RolloutStatus {
        phase: Some(state.phase),
        step: progress.map(|progress| step_text(plan, progress)),
        weight: progress.map(|progress| progress.weight),
        mirror: progress.map(|progress| progress.mirror).filter(|mirror| *mirror > 0),
        revision: progress.map(|progress| progress.revision.clone()).or_else(|| state.live_revision.clone()),
        live_revision: state.live_revision.clone(),
        live_slot: state.live_revision.is_some().then_some(state.live_slot),
        held: held(plan, state),
        failure: progress.and_then(|progress| progress.failure.clone()),
        started_at: progress.map(|progress| time(progress.started_at)),
        expected_at: progress.and_then(|progress| expected_at(plan, state, progress)).map(time),
        candidate_total: progress.map(|progress| progress.candidate_total),
        live_total: progress.map(|progress| progress.live_total),
        guards: progress.map(guard_rows).unwrap_or_default(),
        evidence: progress
            .map(|progress| progress.judge.evidence(&plan.judge).iter().map(evidence_row).collect())
            .unwrap_or_default(),
        gates: progress.map(|progress| progress.gates.clone()).unwrap_or_default(),
        ..RolloutStatus::default()
    }
}

/// Why it does not go on; `None` when it does.
fn held(plan: &Plan, state: &State) -> Option<String> {
    let paused = state.paused || plan.paused;
    state.held.clone().or_else(|| paused.then(|| "it is paused".to_owned()))
}

fn step_text(plan: &Plan, progress: &Progress) -> String {
    let stage = match progress.stage {
        Stage::Shifting => "shifting",
        Stage::Smoke => "smoke",
        Stage::Webhooks => "webhooks",
        Stage::LoadTest => "load test",
        Stage::Baking => "baking",
        Stage::Approval => "approval",
    };
    let step = (progress.step + 1).min(plan.steps.len());
    if progress.ended_at.is_some() {
        format!("{step}/{}", plan.steps.len())
    } else {
        format!("{step}/{} {stage}", plan.steps.len())
    }
}

/// When the candidate becomes live if every step takes its whole bake. It stays the same from look to look, as long as nothing happens.
fn expected_at(plan: &Plan, state: &State, progress: &Progress) -> Option<UnixMillis> {
    let left = View::new(plan, state, progress.stage_since).promoted_in_ms()?;
    let left = i64::try_from(left).ok()?.checked_add(i64::try_from(progress.paused_ms).ok()?)?;
    progress.stage_since.checked_add(left)
}

fn guard_rows(progress: &Progress) -> Vec<GuardRow> {
    let rows = progress.guards.iter().map(|(name, guard)| GuardRow {
        name: name.clone(),
        verdict: guard.verdict,
        value: guard.value.filter(|value| value.is_finite()),
        limit: guard.limit.filter(|limit| limit.is_finite()),
        text: guard.text.clone(),
    });
    rows.collect()
}

fn evidence_row(evidence: &Evidence) -> EvidenceRow {
    EvidenceRow {
        metric: evidence.metric,
        roll_back: rounded(evidence.roll_back),
        roll_back_limit: rounded(evidence.roll_back_limit),
        pass: rounded(evidence.pass),
        pass_limit: rounded(evidence.pass_limit),
        candidate_requests: evidence.candidate_requests,
    }
}

/// Three decimals; what is no number is zero, because JSON has none for it.
fn rounded(value: f64) -> f64 {
    if value.is_finite() { (value * 1000.0).round() / 1000.0 } else { 0.0 }
}

/// A time as the API writes it. A time that no calendar has is the epoch.
pub(crate) fn time(at: UnixMillis) -> String {
    let second = Timestamp::from_second(at.div_euclid(1000)).unwrap_or(Timestamp::UNIX_EPOCH);
    second.to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_whole_seconds_of_rfc_3339() {
        assert_eq!(time(1_700_000_000_999), "2023-11-14T22:13:20Z");
        assert_eq!(time(UnixMillis::MAX), "1970-01-01T00:00:00Z");
    }

    #[test]
    fn evidence_is_rounded_and_always_a_number() {
        assert_eq!(rounded(1.234_56).to_string(), "1.235");
        assert_eq!(rounded(f64::NEG_INFINITY).to_string(), "0");
    }
}
