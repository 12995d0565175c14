use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use async_trait::async_trait;
use moka::policy::EvictionPolicy;
use moka::sync::Cache;
use spillway_model::Rate;
use tokio::time::Instant;

use crate::rate::gcra;
use crate::{CoordinationSettings, RateDecision, RateLimiter};

/// One atomic number for each key. Never waits.
///
/// The arithmetic is our own, because each key has its own rate, the rate may change while the key lives, and the answers must
/// be those of the script on Redis.
pub(crate) struct InProcessRateLimiter {
    origin: Instant,
    /// Least recently used goes first: the default policy would refuse new keys while many are in use, and so not limit them.
    arrivals: Cache<Box<str>, Arc<AtomicU64>>,
}

impl InProcessRateLimiter {
    pub(crate) fn new(settings: &CoordinationSettings) -> Self {
        let arrivals = Cache::builder().max_capacity(settings.rate_keys).eviction_policy(EvictionPolicy::lru()).build();
        Self { origin: Instant::now(), arrivals }
    }

    fn check_now(&self, key: &str, rate: Rate) -> RateDecision {
        let arrival = match self.arrivals.get(key) {
            Some(arrival) => arrival,
            None => self.arrivals.get_with(key.into(), Arc::default),
        };
        let now = u64::try_from(self.origin.elapsed().as_nanos()).unwrap_or(u64::MAX / 2);
        let mut state = arrival.load(Ordering::Relaxed);
        loop {
            let (next, decision) = gcra::decide(state, now, rate);
            let Some(next) = next else { return decision };
            match arrival.compare_exchange_weak(state, next, Ordering::Relaxed, Ordering::Relaxed) {
                Ok(_) => return decision,
                Err(current) => state = current,
            }
        }
    }
}

#[async_trait]
impl RateLimiter for InProcessRateLimiter {
    async fn check(&self, key: &str, rate: Rate) -> RateDecision {
        self.check_now(key, rate)
    }
}
