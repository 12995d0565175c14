//! Work that comes around: housekeeping of the store, and the backlog's size for the metrics.

use std::sync::Arc;
use std::time::Duration;

use spillway_model::Clock;
use spillway_store::Store;
use spillway_telemetry::Metrics;
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

use super::parts::Parts;

const MAINTENANCE: Duration = Duration::from_secs(60);
const BACKLOG: Duration = Duration::from_secs(10);

pub(super) fn start(parts: &Parts, stop: CancellationToken) -> JoinHandle<()> {
    let (store, clock, metrics) = (parts.store.clone(), parts.clock.clone(), parts.metrics.clone());
    tokio::spawn(async move {
        let mut maintenance = tokio::time::interval(MAINTENANCE);
        let mut backlog = tokio::time::interval(BACKLOG);
        loop {
            tokio::select! {
                () = stop.cancelled() => return,
                _ = maintenance.tick() => {
                    if let Err(error) = store.maintain(clock.now()).await {
                        tracing::warn!(code = error.code(), %error, "the store's housekeeping failed; it is tried again in a minute");
                    }
                }
                _ = backlog.tick() => measure(&store, clock.as_ref(), &metrics).await,
            }
        }
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
