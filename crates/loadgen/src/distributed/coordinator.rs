//! The coordinator: gathers the shards, starts them together, judges what they measure, ends them.

use std::collections::BTreeMap;
use std::sync::{Arc, OnceLock};
use std::time::{Duration, SystemTime};

use futures_util::future::BoxFuture;
use parking_lot::Mutex;
use spillway_slo::threshold::{MetricKind, Threshold};
use tokio::net::TcpListener;
use tokio::sync::watch;
use tokio::time::{Instant, MissedTickBehavior};
use tokio_util::sync::CancellationToken;

use super::server::{self, Shared};
use super::state::Run;
use crate::engine::{Judged, Outcome, Tick, judge};
use crate::executor::Wanted;
use crate::http::MAX_KEPT_BODY;
use crate::listening::{self, Limits};
use crate::metrics::{Metric, Second, Shards, Snapshot, Values};

/// Shards that a run may have.
pub const MOST_SHARDS: u32 = 1_000;

/// Largest body of a report. A thousand series with ten thousand buckets each fit.
const MOST_REPORT: usize = 64 * 1024 * 1024;

/// Shortest silence that may count as a loss.
const LEAST_SILENCE: Duration = Duration::from_secs(2);

/// Longest time for which an answer is held back.
const LONGEST_POLL: Duration = Duration::from_secs(5);

/// Longest time for which the coordinator does not look whether a shard is silent.
const LOOK: Duration = Duration::from_millis(100);

/// Brings the shards of a run together.
pub struct Coordinator {
    /// Where shards come.
    pub listener: TcpListener,
    /// How it deals with them.
    pub settings: CoordinatorSettings,
    /// What they run, as [`Assignment::job`](super::Assignment::job).
    pub job: serde_json::Value,
    /// What the whole run is judged by. The shards keep windows for the same ones, in the same order.
    pub thresholds: Vec<Threshold>,
    /// Ends the run early, with the grace of its scenarios.
    pub stop: CancellationToken,
    /// Ends the run now.
    pub kill: CancellationToken,
    /// What an outside control asks of externally controlled scenarios; `None` leaves them as planned.
    pub wanted: Option<watch::Receiver<Wanted>>,
    /// Where the merged values can be read while the run goes on.
    pub so_far: SoFar,
}

/// A view of what all shards together have measured so far, for the control. Empty until the coordinator runs.
#[derive(Clone, Default)]
pub struct SoFar(Arc<OnceLock<Arc<Shared>>>);

impl SoFar {
    /// The merged values, and the time since the start; zero before it.
    pub fn read(&self) -> (Snapshot, Duration) {
        let Some(shared) = self.0.get() else { return (Shards::new([]).so_far(), Duration::ZERO) };
        let run = shared.run.lock();
        (run.received.so_far(), run.elapsed())
    }
}

/// How a coordinator deals with its shards.
#[derive(Debug, Clone)]
pub struct CoordinatorSettings {
    /// Number of shards, at most [`MOST_SHARDS`].
    pub shards: u32,
    /// What each message has to carry; `None` lets anybody in who reaches the address.
    pub token: Option<String>,
    /// Longest time until all shards have joined, and from then until all are ready.
    pub join_timeout: Duration,
    /// Time after which a shard that was not heard is lost; at least two seconds, because reports come each second.
    pub silence: Duration,
    /// From the moment at which all are ready to the start: longer than any answer needs to arrive.
    pub start_delay: Duration,
}

impl CoordinatorSettings {
    /// The usual ones: 60 s to join, 10 s of silence, half a second before the start, no token.
    pub fn new(shards: u32) -> Self {
        Self {
            shards,
            token: None,
            join_timeout: Duration::from_secs(60),
            silence: Duration::from_secs(10),
            start_delay: Duration::from_millis(500),
        }
    }
}

/// What happens once, before and after the shards' work.
pub trait Surroundings: Send + Sync {
    /// Runs when all shards have joined; what it captures goes to all of them.
    ///
    /// # Errors
    /// With what went wrong, for people. Then nothing starts, and `teardown` does not run.
    fn setup(&self) -> BoxFuture<'_, Result<BTreeMap<String, String>, String>>;

    /// Runs when the run is over, however it went. `captured` is what `setup` gave.
    ///
    /// # Errors
    /// With what went wrong, for people.
    fn teardown(&self, captured: BTreeMap<String, String>) -> BoxFuture<'_, Result<(), String>>;
}

/// What all shards together have done.
#[derive(Debug)]
pub struct Merged {
    /// As that of a single generator.
    pub outcome: Outcome,
    /// Second by second.
    pub timeline: Vec<Second>,
    /// Why `teardown` failed, if it did.
    pub teardown: Result<(), String>,
}

/// Why there is no result.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum CoordinationError {
    /// Settings that cannot work.
    #[error("{0}")]
    Setting(String),
    /// Not all shards came.
    #[error("shard {} did not join within {}: start it, or raise --join-timeout", list(shards), text(*waited))]
    NotJoined {
        /// These did not.
        shards: Vec<u32>,
        /// How long was waited.
        waited: Duration,
    },
    /// Not all shards were ready.
    #[error("shard {} was not ready within {}: see its log, or raise --join-timeout", list(shards), text(*waited))]
    NotReady {
        /// These were not.
        shards: Vec<u32>,
        /// How long was waited.
        waited: Duration,
    },
    /// A shard was not heard any more.
    #[error(
        "shard {shard} was not heard for {} and is lost: the run has failed and the other shards were stopped; see its log, then run it again",
        text(*silence)
    )]
    Lost {
        /// Which.
        shard: u32,
        /// For how long.
        silence: Duration,
    },
    /// A shard could not go on.
    #[error("shard {shard} failed: {message}; the other shards were stopped")]
    Shard {
        /// Which.
        shard: u32,
        /// Why.
        message: String,
    },
    /// The flow `setup` failed.
    #[error("setup failed: {0}")]
    Setup(String),
    /// It was stopped before the start.
    #[error("the run was stopped before it began")]
    Interrupted,
}

fn list(shards: &[u32]) -> String {
    shards.iter().map(u32::to_string).collect::<Vec<_>>().join(", ")
}

fn text(time: Duration) -> String {
    spillway_slo::duration::Timespan(time).to_string()
}

impl Coordinator {
    /// Runs the test on all shards; `observe` sees each second of the whole.
    ///
    /// # Errors
    /// See [`CoordinationError`]. All shards that can be reached were stopped then.
    pub async fn run(
        self,
        around: &dyn Surroundings,
        observe: impl FnMut(&Tick<'_>),
    ) -> Result<Merged, CoordinationError> {
        self.check()?;
        let CoordinatorSettings { shards, silence, token, .. } = self.settings.clone();
        let shared = Arc::new(Shared {
            run: Mutex::new(Run::new(shards, silence, self.job)),
            changed: watch::Sender::new(()),
            token,
            poll: LONGEST_POLL.min(silence / 3),
            wanted: self.wanted,
        });
        // A view belongs to the first run it is given to.
        let _ = self.so_far.0.set(shared.clone());
        let over = CancellationToken::new();
        let closing = over.clone().drop_guard();
        let limits = Limits {
            connections: shards as usize * 2 + 16,
            body: MOST_REPORT,
            exchange: Duration::from_secs(30),
            drain: Duration::from_secs(2),
        };
        let router = server::router(shared.clone());
        let server = tokio::spawn(listening::serve(self.listener, router, limits, over));
        let lead =
            Lead { shared, settings: self.settings, thresholds: self.thresholds, stop: self.stop, kill: self.kill };
        let result = lead.run(around, observe).await;
        drop(closing);
        // The server ends within its drain, whatever the shards do.
        let _ = server.await;
        result
    }

    fn check(&self) -> Result<(), CoordinationError> {
        let CoordinatorSettings { shards, silence, .. } = self.settings;
        if shards == 0 || shards > MOST_SHARDS {
            return Err(CoordinationError::Setting(format!("a run has 1 to {MOST_SHARDS} shards, not {shards}")));
        }
        if silence < LEAST_SILENCE {
            let message = "the silence after which a shard is lost is at least 2s, because reports come each second";
            return Err(CoordinationError::Setting(message.to_owned()));
        }
        // Room is left for what `setup` captures.
        let size = self.job.to_string().len();
        if size > MAX_KEPT_BODY / 2 {
            return Err(CoordinationError::Setting(format!(
                "the test is {size} bytes long and shards take at most {}: move bodies and data into files of the shards",
                MAX_KEPT_BODY / 2
            )));
        }
        Ok(())
    }
}

/// The coordinator at work.
struct Lead {
    shared: Arc<Shared>,
    settings: CoordinatorSettings,
    thresholds: Vec<Threshold>,
    stop: CancellationToken,
    kill: CancellationToken,
}

impl Lead {
    async fn run(
        &self,
        around: &dyn Surroundings,
        observe: impl FnMut(&Tick<'_>),
    ) -> Result<Merged, CoordinationError> {
        let captured = match self.gather(around).await {
            Ok(captured) => captured,
            Err(error) => {
                self.dissolve(&error).await;
                return Err(error);
            }
        };
        let result = self.measure(captured.clone(), observe).await;
        if let Err(error) = &result {
            self.dissolve(error).await;
        }
        let teardown = around.teardown(captured).await;
        let (outcome, timeline) = result?;
        Ok(Merged { outcome, timeline, teardown })
    }

    /// Until each place is taken and `setup` has run.
    async fn gather(&self, around: &dyn Surroundings) -> Result<BTreeMap<String, String>, CoordinationError> {
        let waited = self.settings.join_timeout;
        self.wait(Run::not_joined, |shards| CoordinationError::NotJoined { shards, waited }).await?;
        self.shared.run.lock().close();
        tokio::select! {
            captured = around.setup() => captured.map_err(CoordinationError::Setup),
            () = self.stop.cancelled() => Err(CoordinationError::Interrupted),
        }
    }

    /// Waits until nobody is missing.
    async fn wait(
        &self,
        missing: impl Fn(&Run) -> Vec<u32>,
        late: impl Fn(Vec<u32>) -> CoordinationError,
    ) -> Result<(), CoordinationError> {
        let mut changes = self.shared.changed.subscribe();
        let deadline = Instant::now() + self.settings.join_timeout;
        loop {
            let missing = {
                let mut run = self.shared.run.lock();
                run.check(Instant::now())?;
                missing(&run)
            };
            if missing.is_empty() {
                return Ok(());
            }
            if Instant::now() >= deadline {
                return Err(late(missing));
            }
            tokio::select! {
                _ = changes.changed() => {}
                () = tokio::time::sleep(LOOK) => {}
                () = self.stop.cancelled() => return Err(CoordinationError::Interrupted),
            }
        }
    }

    /// From the barrier to the last report.
    async fn measure(
        &self,
        captured: BTreeMap<String, String>,
        observe: impl FnMut(&Tick<'_>),
    ) -> Result<(Outcome, Vec<Second>), CoordinationError> {
        self.change(|run| run.prepare(captured));
        let waited = self.settings.join_timeout;
        self.wait(Run::not_ready, |shards| CoordinationError::NotReady { shards, waited }).await?;
        let start = Instant::now() + self.settings.start_delay;
        let started_at = now() + self.settings.start_delay;
        self.change(|run| run.start(start));
        let mut aborting = vec![false; self.thresholds.len()];
        let interrupted = self.follow(start, &mut aborting, observe).await?;
        let run = self.shared.run.lock();
        let incomplete = |shard| CoordinationError::Shard { shard, message: "it ended without its results".to_owned() };
        let outcome = Outcome {
            started_at,
            duration: run.elapsed(),
            snapshot: run.received.merged().map_err(|_| incomplete(*run.received.missing().first().unwrap_or(&0)))?,
            scenarios: run.progress(),
            thresholds: self.judge(&run, &mut aborting),
            interrupted,
            generator: run.health().ok_or_else(|| incomplete(0))?,
        };
        Ok((outcome, run.timeline.seconds()))
    }

    /// Until each shard has ended. True when somebody stopped the run.
    async fn follow(
        &self,
        start: Instant,
        aborting: &mut [bool],
        mut observe: impl FnMut(&Tick<'_>),
    ) -> Result<bool, CoordinationError> {
        let second = Duration::from_secs(1);
        let mut changes = self.shared.changed.subscribe();
        let mut ticks = tokio::time::interval_at(start + second, second);
        ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let mut interrupted = false;
        loop {
            let mut is_tick = false;
            tokio::select! {
                _ = changes.changed() => {}
                () = tokio::time::sleep(LOOK) => {}
                _ = ticks.tick() => is_tick = true,
                () = self.stop.cancelled(), if !interrupted => {}
            }
            let mut run = self.shared.run.lock();
            run.check(Instant::now())?;
            if run.is_over() {
                return Ok(interrupted || run.is_interrupted());
            }
            if self.stop.is_cancelled() || run.is_interrupted() {
                interrupted = true;
                run.end("the run was stopped", self.kill.is_cancelled());
            }
            if is_tick {
                let thresholds = self.judge(&run, aborting);
                if aborting.contains(&true) {
                    run.end("a threshold ended the run", false);
                }
                let (elapsed, scenarios) = (run.elapsed(), run.progress());
                let (second, cpu) = (run.timeline.last().clone(), run.cpu_percent());
                drop(run);
                observe(&Tick {
                    elapsed,
                    second: &second,
                    scenarios: &scenarios,
                    thresholds: &thresholds,
                    generator_cpu_percent: cpu,
                });
            }
        }
    }

    fn judge(&self, run: &Run, aborting: &mut [bool]) -> Vec<Judged> {
        let (elapsed, now) = (run.elapsed(), Instant::now());
        judge(&self.thresholds, elapsed, aborting, |place, threshold| {
            let metric: Metric = threshold.selector.metric.parse().ok()?;
            let aggregation = threshold.expression.aggregation;
            match threshold.expression.window {
                Some(length) if metric.kind() != MetricKind::Gauge => {
                    let (values, covered) = run.window(place, length, now)?;
                    values.aggregate(aggregation, covered)
                }
                _ => total(&run.received, metric, threshold)?.aggregate(aggregation, elapsed),
            }
        })
    }

    fn change(&self, change: impl FnOnce(&mut Run)) {
        change(&mut self.shared.run.lock());
        self.shared.changed.send_replace(());
    }

    /// Tells everybody that it is over, and waits until they know.
    async fn dissolve(&self, error: &CoordinationError) {
        self.change(|run| run.fail(&error.to_string()));
        let mut changes = self.shared.changed.subscribe();
        let deadline = Instant::now() + self.settings.silence;
        while !self.shared.run.lock().is_dissolved(Instant::now()) {
            tokio::select! {
                _ = changes.changed() => {}
                () = tokio::time::sleep(LOOK) => {}
                () = tokio::time::sleep_until(deadline) => return,
                () = self.kill.cancelled() => return,
            }
        }
    }
}

fn total(shards: &Shards, metric: Metric, threshold: &Threshold) -> Option<Values> {
    shards.total(metric, &threshold.selector.tags)
}

#[expect(clippy::disallowed_methods, reason = "a report tells when the run was")]
fn now() -> SystemTime {
    SystemTime::now()
}
