//! What a load test found.

use serde::{Deserialize, Serialize};
use serde_json::Value;
use spillway_model::UnixMillis;
use utoipa::ToSchema;

use super::super::error::ApiError;
use super::super::timestamp;

const MAX_NAME_CHARS: usize = 200;
const MAX_TEXT_CHARS: usize = 2_000;
const MAX_THRESHOLDS: usize = 100;
const MAX_POINTS: usize = 600;

/// How a run is judged.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Verdict {
    /// All thresholds held.
    Passed,
    /// A threshold did not hold.
    Failed,
    /// The generator was the bottleneck: nothing can be said.
    Invalid,
    /// It was stopped from outside.
    Interrupted,
}

/// What a load test found. Times are in milliseconds where a name says so.
#[derive(Debug, Clone, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct LoadTestResult {
    /// Name of the test, such as `smoke`: runs of the same name are compared.
    pub(super) name: String,
    /// Where the target runs, such as `staging`.
    #[serde(default)]
    environment: Option<String>,
    /// The judgement.
    verdict: Verdict,
    /// Why, in a sentence.
    #[serde(default)]
    reason: Option<String>,
    /// When it began (RFC 3339).
    #[schema(format = DateTime)]
    started_at: String,
    /// How long it took.
    duration_s: f64,
    /// Requests made.
    requests: u64,
    /// Requests per second.
    rate: f64,
    /// Share of requests that failed, 0 to 1.
    error_rate: f64,
    /// Median time of a request.
    #[serde(default)]
    p50_ms: Option<f64>,
    /// Its 95th percentile.
    #[serde(default)]
    p95_ms: Option<f64>,
    /// Its 99th percentile.
    #[serde(default)]
    p99_ms: Option<f64>,
    /// Iterations that were due and never began.
    #[serde(default)]
    dropped: u64,
    /// Thresholds that did not hold, at most 100.
    #[serde(default)]
    failed_thresholds: Vec<String>,
    /// The comparison with an earlier run as `spillway-loadgen compare --output json` prints it, with `change`: `faster`, `slower` or
    /// `no_evidence`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) comparison: Option<Value>,
    /// At most 600 points of the run.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub(super) timeline: Vec<Point>,
}

/// A part of a run.
#[derive(Debug, Clone, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct Point {
    /// Seconds from the start of the run.
    at_s: f64,
    /// Requests per second.
    rate: f64,
    /// Requests that failed.
    errors: u64,
    /// Median time of a request.
    #[serde(default)]
    p50_ms: Option<f64>,
    /// Its 99th percentile.
    #[serde(default)]
    p99_ms: Option<f64>,
}

/// How a run differs from the one before it, in percent; null where one has no such number.
#[derive(Debug, Clone, PartialEq, Serialize, ToSchema)]
pub(crate) struct Difference {
    /// The run before.
    id: String,
    p50_percent: Option<f64>,
    p95_percent: Option<f64>,
    p99_percent: Option<f64>,
    rate_percent: Option<f64>,
    /// In percentage points.
    error_rate_points: f64,
}

impl LoadTestResult {
    pub(super) fn is_same_test(&self, other: &Self) -> bool {
        self.name == other.name && self.environment == other.environment
    }

    pub(super) fn started_ms(&self) -> UnixMillis {
        timestamp::parse(&self.started_at).unwrap_or_default()
    }

    /// Checks what the types do not say.
    pub(super) fn check(&self) -> Result<(), ApiError> {
        let texts = [
            ("name", Some(&self.name), MAX_NAME_CHARS),
            ("environment", self.environment.as_ref(), MAX_NAME_CHARS),
            ("reason", self.reason.as_ref(), MAX_TEXT_CHARS),
        ];
        for (field, text, most) in texts {
            if text.is_some_and(|text| text.chars().count() > most || text.chars().any(char::is_control)) {
                let rule = format!("it must have at most {most} characters, none of them a control character");
                return Err(ApiError::invalid(field, rule));
            }
        }
        if self.name.trim().is_empty() {
            return Err(ApiError::invalid("name", "it is empty"));
        }
        if timestamp::parse(&self.started_at).is_none() {
            return Err(ApiError::invalid("started_at", "it is not a time such as 2026-01-31T12:00:00Z"));
        }
        if self.duration_s < 0.0 || self.rate < 0.0 || !(0.0..=1.0).contains(&self.error_rate) {
            return Err(ApiError::invalid(
                "error_rate",
                "duration, rate and shares are not negative, a share is at most 1",
            ));
        }
        if self.failed_thresholds.len() > MAX_THRESHOLDS {
            return Err(ApiError::invalid("failed_thresholds", format!("there are at most {MAX_THRESHOLDS}")));
        }
        if self.timeline.len() > MAX_POINTS {
            return Err(ApiError::invalid("timeline", format!("it has at most {MAX_POINTS} points")));
        }
        let change = self.comparison.as_ref().map(|comparison| comparison["change"].as_str());
        match change {
            None | Some(Some("faster" | "slower" | "no_evidence")) => Ok(()),
            Some(_) => Err(ApiError::invalid("comparison", "its field change is faster, slower or no_evidence")),
        }
    }
}

impl Difference {
    pub(super) fn new(id: &str, before: &LoadTestResult, after: &LoadTestResult) -> Self {
        let percent = |before: Option<f64>, after: Option<f64>| {
            let (before, after) = (before.filter(|before| *before > 0.0)?, after?);
            Some(rounded((after / before - 1.0) * 100.0))
        };
        Self {
            id: id.to_owned(),
            p50_percent: percent(before.p50_ms, after.p50_ms),
            p95_percent: percent(before.p95_ms, after.p95_ms),
            p99_percent: percent(before.p99_ms, after.p99_ms),
            rate_percent: percent(Some(before.rate), Some(after.rate)),
            error_rate_points: rounded((after.error_rate - before.error_rate) * 100.0),
        }
    }
}

/// Two decimal places.
fn rounded(value: f64) -> f64 {
    (value * 100.0).round() / 100.0
}
