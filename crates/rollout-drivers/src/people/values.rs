//! Values as people read them.

use spillway_report::text;
use spillway_rollout::judge::Evidence;
use spillway_rollout::spec::CompareMetric;
use spillway_rollout::state::{GuardStatus, Stage, Verdict};

use super::view::{GuardUnit, GuardView, StepView};

/// A mark that says it without a colour.
pub(super) fn mark(verdict: Verdict) -> &'static str {
    match verdict {
        Verdict::Good => "✓",
        Verdict::Inconclusive => "?",
        Verdict::Failed => "✗",
    }
}

/// The same in a word.
pub(super) fn word(verdict: Verdict) -> &'static str {
    match verdict {
        Verdict::Good => "good",
        Verdict::Inconclusive => "no evidence",
        Verdict::Failed => "failed",
    }
}

/// A guard's value or limit in its unit.
pub(super) fn value(unit: GuardUnit, value: Option<f64>) -> String {
    let Some(value) = value.filter(|value| value.is_finite()) else { return text::NONE.to_owned() };
    match unit {
        GuardUnit::Share | GuardUnit::Budget => text::percent(value),
        GuardUnit::Seconds => text::time(value * 1e3),
        GuardUnit::Bytes => text::bytes(value),
        GuardUnit::Count | GuardUnit::Alerts | GuardUnit::Number | GuardUnit::Comparison => text::plain_number(value),
    }
}

/// What more is to be said of a guard.
pub(super) fn remark(guard: &GuardView, status: Option<&GuardStatus>) -> String {
    let Some(status) = status else { return "not looked at yet".to_owned() };
    if status.windows_beyond > 0 && guard.windows > 1 {
        return format!("{} of {} windows beyond it", status.windows_beyond, guard.windows);
    }
    text::plain(&status.text, 300)
}

/// Name of a comparison.
pub(super) fn metric(metric: CompareMetric) -> &'static str {
    match metric {
        CompareMetric::Errors => "errors",
        CompareMetric::Latency => "latency",
    }
}

/// What was compared, in numbers.
pub(super) fn compared(evidence: &Evidence) -> String {
    let ratio = |ratio: Option<f64>| ratio.map_or_else(|| text::NONE.to_owned(), text::percent);
    let (candidate, live) = (ratio(evidence.candidate_ratio), ratio(evidence.live_ratio));
    let what = match (evidence.metric, evidence.boundary) {
        (CompareMetric::Latency, Some(boundary)) => format!(" slower than {}", text::time(boundary * 1e3)),
        (CompareMetric::Latency, None) => " slow".to_owned(),
        (CompareMetric::Errors, _) => String::new(),
    };
    let requests = text::counted(evidence.candidate_requests, "request");
    match evidence.candidate_ratio {
        None => "no requests of the candidate yet".to_owned(),
        Some(_) => format!("candidate {candidate}{what}, live {live}; {requests}"),
    }
}

/// How far evidence has come to a limit, from 0 to 1.
pub(super) fn share(evidence: f64, limit: f64) -> f64 {
    let share = evidence / limit;
    if share.is_finite() { share.clamp(0.0, 1.0) } else { 0.0 }
}

/// What a step does now.
pub(super) fn stage(stage: Stage) -> &'static str {
    match stage {
        Stage::Shifting => "shifting traffic",
        Stage::Smoke => "smoke checks",
        Stage::Webhooks => "asking webhooks",
        Stage::LoadTest => "load test",
        Stage::Baking => "watching",
        Stage::Approval => "waiting for approval",
    }
}

/// Traffic of a step.
pub(super) fn traffic(step: &StepView) -> String {
    match (step.weight, step.mirror) {
        (weight, 0) => format!("{weight} %"),
        (0, mirror) => format!("{mirror} % copies"),
        (weight, mirror) => format!("{weight} %, {mirror} % copies"),
    }
}

/// A length of time for people: no milliseconds from ten seconds on.
pub(super) fn span(ms: u64) -> String {
    text::span(ms as f64)
}
