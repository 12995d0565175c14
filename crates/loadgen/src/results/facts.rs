//! What is told to others about a run.

use super::text;
use super::{RunSummary, Verdict};
use crate::metrics::Metric;
use crate::publish::Facts;

impl RunSummary {
    /// What a Pushgateway and Slack are told.
    pub fn facts(&self, environment: Option<&str>, report: Option<String>) -> Facts<'_> {
        let failed = self.thresholds.iter().filter(|threshold| !threshold.passed).map(|threshold| {
            let value = text::threshold_value(&threshold.selector, &threshold.expression, threshold.value);
            format!("{} {} (was {value})", threshold.selector, threshold.expression)
        });
        Facts {
            test: self.meta.name.clone(),
            environment: environment.map(str::to_owned),
            passed: self.verdict() == Verdict::Passed,
            verdict: self.verdict().name(),
            p50_ms: self.latency(50.0),
            p95_ms: self.latency(95.0),
            p99_ms: self.latency(99.0),
            throughput_rps: self.rate(),
            error_rate_percent: self.failed().map_or(0.0, |(_, share)| share * 100.0),
            dropped: self.counter(Metric::DroppedIterations),
            duration_s: self.duration.as_secs_f64(),
            failed_thresholds: failed.collect(),
            report,
        }
    }
}
