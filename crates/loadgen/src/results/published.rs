//! A result as a gateway keeps it.

use serde_json::{Value, json};

use super::{Comparison, RunSummary, points, text};
use crate::metrics::Metric;

/// Points of the time line that are told.
const MOST_POINTS: usize = 600;
/// Thresholds that are told.
const MOST_THRESHOLDS: usize = 100;
/// Characters of texts and names.
const MOST_CHARACTERS: usize = 200;

/// A result to tell a gateway of.
#[derive(Debug, Clone, PartialEq)]
pub struct Published {
    /// Name and start of the run, in characters that a path takes.
    pub id: String,
    /// The numbers, the judgement and the time line.
    pub body: Value,
}

impl RunSummary {
    /// The result as `PUT /api/v1/load-tests/{id}` takes it.
    pub fn published(&self, environment: Option<&str>, comparison: Option<&Comparison>) -> Published {
        let facts = self.facts(environment, None);
        let timeline: Vec<Value> = points::fewer(&self.timeline, MOST_POINTS)
            .iter()
            .map(|point| {
                json!({
                    "at_s": point.at_ms / 1e3, "rate": point.rate(), "errors": point.errors,
                    "p50_ms": point.p50_ms, "p99_ms": point.p99_ms,
                })
            })
            .collect();
        let thresholds = facts.failed_thresholds.iter().take(MOST_THRESHOLDS);
        let thresholds: Vec<String> = thresholds.map(|threshold| text::plain(threshold, MOST_CHARACTERS)).collect();
        let mut body = json!({
            "name": text::plain(&self.meta.name, MOST_CHARACTERS),
            "environment": environment.map(|environment| text::plain(environment, MOST_CHARACTERS)),
            "verdict": facts.verdict,
            "reason": text::plain(&self.reason(), 10 * MOST_CHARACTERS),
            "started_at": self.meta.started_at,
            "duration_s": facts.duration_s,
            "requests": self.counter(Metric::HttpReqs),
            "rate": facts.throughput_rps,
            "error_rate": facts.error_rate_percent / 100.0,
            "p50_ms": facts.p50_ms,
            "p95_ms": facts.p95_ms,
            "p99_ms": facts.p99_ms,
            "dropped": facts.dropped,
            "failed_thresholds": thresholds,
            "timeline": timeline,
        });
        if let Some(comparison) = comparison {
            body["comparison"] = serde_json::to_value(comparison).unwrap_or_default();
        }
        Published { id: id(&self.meta.name, &self.meta.started_at), body }
    }
}

/// Name and time, with `-` for what a path does not take, at most 100 characters.
fn id(name: &str, started_at: &str) -> String {
    let plain = |c: char| if c.is_ascii_alphanumeric() || "._-".contains(c) { c } else { '-' };
    let name: String = name.chars().take(60).map(plain).collect();
    let time: String = started_at.chars().take(35).map(plain).collect();
    format!("{name}-{time}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_id_is_name_and_time_in_plain_characters() {
        assert_eq!(id("smoke", "2026-01-31T12:00:00.5Z"), "smoke-2026-01-31T12-00-00.5Z");
        assert_eq!(id("zwei Wörter/..", ""), "zwei-W-rter-..-");
        assert!(id(&"x".repeat(500), &"y".repeat(500)).len() <= 100);
    }
}
