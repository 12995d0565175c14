//! Numbers for people.

use std::time::Duration;

use spillway_slo::duration::Timespan;

use crate::spec::{Threshold, ThresholdMetric};

/// `0.0123` as `1.23 %`.
pub(super) fn percent(share: f64) -> String {
    format!("{} %", short(share * 100.0))
}

/// A value of a threshold in its own unit.
pub(super) fn value(threshold: &Threshold, value: f64) -> String {
    match threshold.metric {
        Some(ThresholdMetric::ErrorRatio | ThresholdMetric::PoolUsage) => percent(value),
        Some(ThresholdMetric::LatencyP50 | ThresholdMetric::LatencyP95 | ThresholdMetric::LatencyP99) => {
            format!("{} s", short(value))
        }
        Some(ThresholdMetric::MemoryBytes) => format!("{} MiB", short(value / 1_048_576.0)),
        Some(ThresholdMetric::Restarts) | None => short(value),
    }
}

/// What a threshold is about.
pub(super) fn subject(threshold: &Threshold) -> &'static str {
    match threshold.metric {
        Some(ThresholdMetric::ErrorRatio) => "errors",
        Some(ThresholdMetric::LatencyP50) => "median latency",
        Some(ThresholdMetric::LatencyP95) => "95th percentile of latency",
        Some(ThresholdMetric::LatencyP99) => "99th percentile of latency",
        Some(ThresholdMetric::PoolUsage) => "database pool in use",
        Some(ThresholdMetric::Restarts) => "restarts",
        Some(ThresholdMetric::MemoryBytes) => "memory",
        None => "query",
    }
}

pub(super) fn span(span: Duration) -> String {
    Timespan(span).to_string()
}

/// At most three decimals, without zeros at the end.
fn short(number: f64) -> String {
    let text = format!("{number:.3}");
    text.trim_end_matches('0').trim_end_matches('.').to_owned()
}
