//! `/api/v1/performance`: what this node knows about its own performance.

pub(super) mod alerts;
pub(super) mod business;
pub(super) mod forecast;
pub(super) mod health;
pub(super) mod metrics;
pub(super) mod recommendations;
pub(super) mod slos;
pub(super) mod trends;

use axum::response::{IntoResponse, Response};
use data_encoding::HEXLOWER;
use http::{HeaderValue, header};
use ring::digest::{SHA256, digest};
use serde::Serialize;
use spillway_performance::Histogram;
use utoipa::ToSchema;

use super::timestamp::Timestamp;
use crate::gateway::Gateway;

/// When the numbers of an answer were taken: the last sample, or now before the first one.
fn sampled_at(gateway: &Gateway) -> i64 {
    let latest = gateway.performance.with(|state| state.recorder.latest());
    latest.unwrap_or_else(|| gateway.clock.now().div_euclid(1_000))
}

fn at(seconds: i64) -> Timestamp {
    Timestamp(seconds.saturating_mul(1_000))
}

/// Answers with a tag of what is answered, so that who has it already need not get it again.
fn tagged(answer: &impl Serialize) -> Response {
    let body = serde_json::to_vec(answer).unwrap_or_default();
    let tag = format!("W/\"{}\"", HEXLOWER.encode(&digest(&SHA256, &body).as_ref()[..8]));
    let headers = [
        (header::CONTENT_TYPE, HeaderValue::from_static("application/json")),
        (header::CACHE_CONTROL, HeaderValue::from_static("private, no-cache")),
        (header::ETAG, HeaderValue::try_from(tag).unwrap_or(HeaderValue::from_static("W/\"\""))),
    ];
    (headers, body).into_response()
}

/// Durations of a window.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct LatencyView {
    /// How many there were.
    count: u64,
    /// How many a second; null when nothing was observed.
    per_second: Option<f64>,
    /// Half of them took no longer, in milliseconds; null without any.
    p50_ms: Option<f64>,
    /// 95 % of them took no longer, in milliseconds.
    p95_ms: Option<f64>,
    /// 99 % of them took no longer, in milliseconds.
    p99_ms: Option<f64>,
}

impl LatencyView {
    fn new(durations: &Histogram, covered_s: u64) -> Self {
        let count = durations.count();
        Self {
            count,
            per_second: (covered_s > 0).then(|| rounded(count as f64 / covered_s as f64)),
            p50_ms: milliseconds(durations, 0.5),
            p95_ms: milliseconds(durations, 0.95),
            p99_ms: milliseconds(durations, 0.99),
        }
    }
}

fn milliseconds(durations: &Histogram, q: f64) -> Option<f64> {
    durations.quantile(q).map(|seconds| rounded(seconds * 1e3))
}

/// Six digits after the point: more than was measured, and short to read.
fn rounded(value: f64) -> f64 {
    let scaled = (value * 1e6).round() / 1e6;
    if scaled.is_finite() { scaled } else { value }
}
