use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use redis::{RedisResult, Script};
use spillway_model::Rate;

use super::SharedTasks;
use super::link::{Link, Live, within};
use crate::{RateDecision, RateLimiter, RedisSettings};

/// The algorithm of `rate::gcra` in microseconds of the server's clock, in one atomic script.
pub(super) struct RedisRateLimiter {
    link: Arc<Link>,
    script: Script,
    key_prefix: String,
    check_timeout: Duration,
    _tasks: SharedTasks,
}

impl RedisRateLimiter {
    pub(super) fn new(link: Arc<Link>, settings: &RedisSettings, tasks: SharedTasks) -> Self {
        let key_prefix = format!("{}rate:", settings.key_prefix);
        Self {
            link,
            script: Script::new(include_str!("rate.lua")),
            key_prefix,
            check_timeout: settings.check_timeout,
            _tasks: tasks,
        }
    }

    async fn ask(&self, live: &Live, key: &str, rate: Rate) -> RedisResult<RateDecision> {
        let mut connection = live.connection.clone();
        let per = u64::try_from(rate.per.as_micros()).unwrap_or(u64::MAX).max(1);
        let mut invocation = self.script.key(format!("{}{key}", self.key_prefix));
        invocation.arg(rate.count.get()).arg(per);
        let (allowed, remaining, retry_after, reset_after): (bool, u32, u64, u64) =
            invocation.invoke_async(&mut connection).await?;
        Ok(RateDecision {
            allowed,
            limit: rate.count.get(),
            remaining,
            retry_after: Duration::from_micros(retry_after),
            reset_after: Duration::from_micros(reset_after),
        })
    }
}

#[async_trait]
impl RateLimiter for RedisRateLimiter {
    async fn check(&self, key: &str, rate: Rate) -> RateDecision {
        let Some(live) = self.link.live() else { return RateDecision::open(rate) };
        match within(self.check_timeout, self.ask(&live, key, rate)).await {
            Ok(decision) => decision,
            Err(error) => {
                self.link.report(&live, &error);
                RateDecision::open(rate)
            }
        }
    }
}
