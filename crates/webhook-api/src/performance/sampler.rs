//! The task that observes.

use std::sync::Arc;
use std::time::{Duration, Instant};

use spillway_performance::GaugeMetric;
use spillway_store::PoolState;
use tokio::time::MissedTickBehavior;
use tokio_util::sync::CancellationToken;

use super::alerts::{AlertChanges, Present};
use super::counters::Counters;
use super::host::{self, Host};
use super::kept;
use crate::gateway::Gateway;

const SAMPLE: Duration = Duration::from_secs(1);
/// Samples between two looks at the alerts.
const SAMPLES_PER_LOOK: u32 = 5;
const CHECK: Duration = Duration::from_secs(10);
const KEEP: Duration = Duration::from_secs(60);
/// Writings between two entries into the list of nodes: an hour.
const SAVES_PER_ENTRY: u32 = 60;
/// A dependency that does not answer within this time counts as down.
const PATIENCE: Duration = Duration::from_secs(2);
/// How long the last writing may take while the process stops.
const LAST_WRITE: Duration = Duration::from_secs(2);

/// Reads the metrics every second, looks at the alerts every five, asks the dependencies every ten, and writes down what was seen every minute
/// and when it is stopped.
pub struct Sampler {
    gateway: Arc<Gateway>,
    host: Host,
    samples: u32,
}

impl Sampler {
    /// Observes this process for the [`Performance`](super::Performance) of its gateway.
    #[must_use]
    pub fn new(gateway: Arc<Gateway>) -> Self {
        Self { gateway, host: Host::default(), samples: 0 }
    }

    /// Takes in what an earlier process of this node wrote down, then observes until it is told to stop.
    pub async fn run(mut self, stop: CancellationToken) {
        let gateway = self.gateway.clone();
        let stopped = stop.run_until_cancelled(kept::load(&gateway)).await.is_none();
        if stopped {
            // Not all of it is known, and writing would replace what is.
            return;
        }
        let sampling = async {
            let mut second = every(SAMPLE);
            loop {
                second.tick().await;
                self.sample();
            }
        };
        let checking = async {
            let mut interval = every(CHECK);
            loop {
                interval.tick().await;
                check(&gateway).await;
            }
        };
        let keeping = async {
            // The first tick is at once, when nothing has been seen yet.
            let mut interval = every(KEEP);
            interval.tick().await;
            for n_saved in 1_u32.. {
                interval.tick().await;
                kept::save(&gateway).await;
                if n_saved.is_multiple_of(SAVES_PER_ENTRY) {
                    kept::enter(&gateway).await;
                }
            }
        };
        let observing = async { tokio::join!(sampling, checking, keeping) };
        let _ = stop.run_until_cancelled(observing).await;
        if tokio::time::timeout(LAST_WRITE, kept::save(&gateway)).await.is_err() {
            tracing::warn!("the last minute of the trends could not be written in time");
        }
    }

    /// Asks the dependencies now, as [`Sampler::run`] does every ten seconds.
    pub async fn check(&self) {
        check(&self.gateway).await;
    }

    /// Writes down what was seen, as [`Sampler::run`] does every minute.
    pub async fn save(&self) {
        kept::save(&self.gateway).await;
    }

    /// Takes in what an earlier process of this node wrote down, as [`Sampler::run`] does first.
    pub async fn load(&self) {
        kept::load(&self.gateway).await;
    }

    /// One sample: every second, or whenever a test wants one. It takes well below a millisecond.
    pub fn sample(&mut self) {
        let gateway = &*self.gateway;
        let now_ms = gateway.clock.now();
        let now_s = now_ms.div_euclid(1_000);
        let counters = Counters::read(&gateway.metrics);
        let pool = gateway.store.pool();
        let (depth, capacity) = (gateway.committer.depth(), gateway.committer.capacity());
        let present = Present {
            now_ms,
            queue_ratio: depth as f64 / capacity.max(1) as f64,
            coordination_answers: gateway.coordination.ready.is_healthy(),
            certificate_expires_at: gateway.performance.settings.certificate_expires_at,
        };
        let looks = self.samples.is_multiple_of(SAMPLES_PER_LOOK);
        self.samples = self.samples.wrapping_add(1);
        let metrics = &gateway.metrics;
        let gauges = [
            (GaugeMetric::IntakeQueueDepth, Some(depth as f64)),
            (GaugeMetric::ReadyQueueDepth, metrics.ready_queue_depth.get()),
            (GaugeMetric::PendingDeliveries, metrics.pending_deliveries.get()),
            (GaugeMetric::OldestDue, metrics.oldest_due.get()),
            (GaugeMetric::BreakersOpen, metrics.breaker_open.get()),
            (GaugeMetric::PoolUsed, Some(f64::from(pool.used))),
            (GaugeMetric::PoolRatio, Some(ratio(pool))),
        ];
        let host = &mut self.host;
        let changes = gateway.performance.with(|state| {
            host.read(&mut state.host, Instant::now());
            let reading = state.host;
            state.recorder.observe(now_s);
            counters.record(&state.before, &mut state.recorder, now_s);
            state.before = counters;
            let of_host = [
                (GaugeMetric::CpuRatio, reading.cpu_ratio),
                (GaugeMetric::Memory, reading.memory),
                (GaugeMetric::MemoryRatio, reading.memory_ratio()),
                (GaugeMetric::Disk, reading.disk.map(|(used, _)| used)),
                (GaugeMetric::DiskRatio, reading.disk_ratio()),
            ];
            for (metric, value) in gauges.into_iter().chain(of_host) {
                state.recorder.gauge(metric, now_s, value);
            }
            if looks { state.look(&present) } else { AlertChanges::default() }
        });
        if looks {
            gateway.performance.with(|state| state.export(metrics));
            changes.log();
        }
    }
}

impl std::fmt::Debug for Sampler {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Sampler").finish_non_exhaustive()
    }
}

/// Share of the most connections that is in use.
fn ratio(pool: PoolState) -> f64 {
    f64::from(pool.used) / f64::from(pool.max.max(1))
}

fn every(period: Duration) -> tokio::time::Interval {
    let mut interval = tokio::time::interval(period);
    interval.set_missed_tick_behavior(MissedTickBehavior::Delay);
    interval
}

/// Asks what may take a moment: the store, the volume, the limits of the container.
async fn check(gateway: &Gateway) {
    let answered = tokio::time::timeout(PATIENCE, gateway.store.ping()).await;
    let store_answers = Some(matches!(answered, Ok(Ok(()))));
    let volume = gateway.performance.settings.volume.clone();
    let read = tokio::task::spawn_blocking(move || (host::limits(), volume.and_then(|folder| host::disk(&folder))));
    let known = read.await;
    gateway.performance.with(|state| {
        state.checks.store_answers = store_answers;
        if let Ok(((cores, memory_limit), disk)) = known {
            state.host.cores = cores;
            state.host.memory_limit = memory_limit;
            state.host.disk = disk;
        }
    });
}
