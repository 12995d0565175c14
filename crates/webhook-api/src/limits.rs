//! Rate limits as HTTP sees them.

use std::time::Duration;

use http::{HeaderMap, HeaderName, HeaderValue};
use spillway_coordination::RateDecision;
use spillway_model::Rate;

/// A request that was not admitted.
#[derive(Debug, Clone, Copy)]
pub struct RateRefusal {
    /// The limit.
    pub rate: Rate,
    /// When the next request will be admitted.
    pub retry_after: Duration,
    /// What the limiter said.
    pub decision: RateDecision,
}

/// Adds `RateLimit-Limit`, `RateLimit-Remaining` and `RateLimit-Reset` (seconds).
pub(crate) fn add_rate_headers(headers: &mut HeaderMap, decision: &RateDecision) {
    let reset = decision.reset_after.as_secs_f64().ceil() as u64;
    for (name, value) in [
        ("ratelimit-limit", u64::from(decision.limit)),
        ("ratelimit-remaining", u64::from(decision.remaining)),
        ("ratelimit-reset", reset),
    ] {
        headers.insert(HeaderName::from_static(name), HeaderValue::from(value));
    }
}
