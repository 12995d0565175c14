//! Results of generators that ran side by side, as the result of one run.

use std::collections::BTreeMap;
use std::time::Duration;

use spillway_slo::threshold::{Expression, Selector, Threshold};

use super::RunSummary;
use crate::engine::Judged;
use crate::executor::Progress;
use crate::metrics::{MOST_SECONDS, Second, Snapshot};

/// Why results are not those of one run.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum MergeError {
    /// There is nothing to merge.
    #[error("there is no result to merge: give at least two")]
    Nothing,
    /// They have other scenarios.
    #[error(
        "result {place} has the scenarios {found} and the first one has {wanted}: only parts of the same test can be merged"
    )]
    OtherTest {
        /// Its place, from 1.
        place: usize,
        /// Its scenarios.
        found: String,
        /// Those of the first result.
        wanted: String,
    },
}

/// Adds up the results of a test that ran on several generators at the same time.
///
/// Histograms, counters and rates add up without loss; of the seconds of the time line percentiles are those of the worst part. Thresholds
/// are judged again, except those with a window, which hold when they held in each part. What one generator held up is invalid.
///
/// # Errors
/// When there is no result, or they are of different tests.
pub fn merge(parts: &[RunSummary]) -> Result<RunSummary, MergeError> {
    let first = parts.first().ok_or(MergeError::Nothing)?;
    let wanted = scenario_names(first);
    if let Some((place, found)) = parts.iter().map(scenario_names).enumerate().find(|(_, found)| *found != wanted) {
        return Err(MergeError::OtherTest { place: place + 1, found, wanted });
    }
    let mut snapshot = Snapshot::new(None, 1, Snapshot::sum(parts.iter().map(|part| &part.snapshot)));
    snapshot.last = true;
    let duration = parts.iter().map(|part| part.duration).max().unwrap_or_default();
    let mut scenarios: BTreeMap<String, Progress> = BTreeMap::new();
    for (name, progress) in parts.iter().flat_map(|part| &part.scenarios) {
        scenarios.entry(name.clone()).or_insert_with(|| Progress { ended: true, ..Progress::default() }).add(progress);
    }
    let begun = parts.iter().map(|part| &part.meta.started_at).min().cloned().unwrap_or_default();
    let mut meta = first.meta.clone();
    meta.started_at = begun;
    Ok(RunSummary {
        meta,
        duration,
        interrupted: parts.iter().any(|part| part.interrupted),
        thresholds: first.thresholds.iter().map(|threshold| judge(threshold, parts, &snapshot, duration)).collect(),
        scenarios,
        generator: parts.iter().skip(1).fold(first.generator.clone(), |sum, part| sum.worse(&part.generator)),
        observed: parts.iter().flat_map(|part| part.observed.iter().cloned()).collect(),
        timeline: overlaid(parts),
        snapshot,
    })
}

fn scenario_names(summary: &RunSummary) -> String {
    summary.scenarios.keys().map(String::as_str).collect::<Vec<_>>().join(", ")
}

fn judge(threshold: &Judged, parts: &[RunSummary], snapshot: &Snapshot, duration: Duration) -> Judged {
    let is_same =
        |other: &&Judged| (&other.selector, &other.expression) == (&threshold.selector, &threshold.expression);
    let all: Vec<&Judged> = parts.iter().filter_map(|part| part.thresholds.iter().find(is_same)).collect();
    let aborted = all.iter().any(|threshold| threshold.aborted);
    let parsed = (threshold.selector.parse::<Selector>(), threshold.expression.parse::<Expression>());
    if let (Ok(selector), Ok(expression)) = parsed
        && expression.window.is_none()
    {
        let again = Threshold::new(selector, expression);
        if let Some(value) = snapshot.value(&again, duration) {
            let verdict = again.judge(Some(value));
            return Judged { value: verdict.value, passed: verdict.passed, aborted, ..threshold.clone() };
        }
    }
    let worst = all.iter().find(|part| !part.passed).copied().unwrap_or(threshold);
    Judged { aborted, ..worst.clone() }
}

/// Seconds that lie over each other, each part counted from its own start.
fn overlaid(parts: &[RunSummary]) -> Vec<Second> {
    let usual = parts.iter().map(|part| super::points::usual_length_ms(&part.timeline));
    let coarsest = (usual.fold(1_000.0, f64::max) / 1_000.0).round() * 1_000.0;
    let mut slots: BTreeMap<u64, Second> = BTreeMap::new();
    for part in parts {
        let mut own: BTreeMap<u64, Vec<Second>> = BTreeMap::new();
        for second in &part.timeline {
            own.entry((second.at_ms / coarsest).round().max(0.0) as u64).or_default().push(second.clone());
        }
        for (slot, seconds) in own {
            let second = super::points::joined(&seconds);
            match slots.get_mut(&slot) {
                Some(sum) => sum.overlay(&second),
                None => _ = slots.insert(slot, second),
            }
        }
    }
    slots.into_values().take(MOST_SECONDS).collect()
}
