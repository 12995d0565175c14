//! Rate limits by the generic cell rate algorithm.

pub(crate) mod gcra;

use std::time::Duration;

use async_trait::async_trait;
use spillway_model::Rate;

/// Decides whether one more request fits a rate.
#[async_trait]
pub trait RateLimiter: Send + Sync + 'static {
    /// Counts one request for `key` and says whether it is within `rate`: at most `rate.count` at once, refilled evenly over
    /// `rate.per`. A refused request costs nothing. When the rate of a key changes, what was used before counts on.
    ///
    /// On Redis the count is shared by all nodes. When Redis does not answer in time (50 ms by default) the request is allowed.
    async fn check(&self, key: &str, rate: Rate) -> RateDecision;
}

/// What a rate limiter says to a request; enough for the `RateLimit` and `Retry-After` headers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct RateDecision {
    /// Whether the request may pass.
    pub allowed: bool,
    /// The rate's count.
    pub limit: u32,
    /// How many more would pass right now.
    pub remaining: u32,
    /// When a refused request would pass; zero for an allowed one.
    pub retry_after: Duration,
    /// When the whole count is there again, if nothing else comes.
    pub reset_after: Duration,
}

#[cfg(feature = "redis")]
impl RateDecision {
    /// The answer when nobody can count.
    pub(crate) fn open(rate: Rate) -> Self {
        let limit = rate.count.get();
        Self { allowed: true, limit, remaining: limit, retry_after: Duration::ZERO, reset_after: Duration::ZERO }
    }
}
