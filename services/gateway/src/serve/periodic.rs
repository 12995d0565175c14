//! Work that comes around: housekeeping of the store, the backlog's size for the metrics, a look at the store's pool.

use std::sync::Arc;
use std::time::Duration;

use spillway_model::Clock;
use spillway_store::{PoolState, Store};
use spillway_telemetry::Metrics;
use spillway_webhook_api::{PoolLevel, PoolLimits};
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

use super::parts::Parts;

const MAINTENANCE: Duration = Duration::from_secs(60);
const BACKLOG: Duration = Duration::from_secs(10);
const POOL: Duration = Duration::from_secs(1);

pub(super) fn start(parts: &Parts, limits: PoolLimits, stop: CancellationToken) -> JoinHandle<()> {
    let (store, clock, metrics) = (parts.store.clone(), parts.clock.clone(), parts.metrics.clone());
    let work = async move {
        let mut maintenance = tokio::time::interval(MAINTENANCE);
        let mut backlog = tokio::time::interval(BACKLOG);
        let (mut pool, mut watch) = (tokio::time::interval(POOL), PoolWatch::default());
        loop {
            tokio::select! {
                _ = maintenance.tick() => {
                    if let Err(error) = store.maintain(clock.now()).await {
                        tracing::warn!(code = error.code(), %error, "the store's housekeeping failed; it is tried again in a minute");
                    }
                }
                _ = pool.tick() => {
                    let state = store.pool();
                    if let Some(level) = watch.crossed(limits.status(state)) {
                        report(level, state);
                    }
                }
                _ = backlog.tick() => measure(&store, clock.as_ref(), &metrics).await,
            }
        }
    };
    tokio::spawn(async move {
        // Cut off wherever it is: a database that does not answer must not use up the time of those who have more to lose.
        let _ = stop.run_until_cancelled_owned(work).await;
    })
}

async fn measure(store: &Arc<dyn Store>, clock: &dyn Clock, metrics: &Metrics) {
    match store.backlog().await {
        Ok(backlog) => {
            let waiting_ms = backlog.oldest_due.map_or(0, |due| (clock.now() - due).max(0));
            metrics.pending_deliveries.set(backlog.pending as f64);
            metrics.oldest_due.set(waiting_ms as f64 / 1_000.0);
        }
        Err(error) => tracing::debug!(%error, "the backlog could not be measured"),
    }
}

/// Says once that the pool has filled up or has room again, not at each look.
#[derive(Debug, Default)]
struct PoolWatch(PoolLevel);

impl PoolWatch {
    /// The level, when it is another one than at the look before.
    fn crossed(&mut self, level: PoolLevel) -> Option<PoolLevel> {
        (std::mem::replace(&mut self.0, level) != level).then_some(level)
    }
}

fn report(level: PoolLevel, PoolState { used, max, .. }: PoolState) {
    match level {
        PoolLevel::Ok => tracing::info!(used, max, "the store's connection pool has room again"),
        PoolLevel::Warning | PoolLevel::Critical => tracing::warn!(
            level = level.as_str(),
            used,
            max,
            "the store's connection pool is nearly used up: raise store.pool_size, or find out what holds its connections"
        ),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_crossing_is_told_once() {
        let mut watch = PoolWatch::default();
        let limits = PoolLimits::default();
        let told = [1, 8, 8, 9, 10, 8, 1, 1].map(|used| {
            let crossed = watch.crossed(limits.status(PoolState { idle: 0, used, max: 10 }));
            crossed.map_or("", PoolLevel::as_str)
        });
        assert_eq!(told, ["", "warning", "", "critical", "", "warning", "ok", ""]);
    }
}
