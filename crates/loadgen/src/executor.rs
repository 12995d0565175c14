//! The seven executors: when an iteration starts, and on which virtual user.
//!
//! A virtual user is a task of its own. Nothing is raced against its iterations: a user looks at its flag between two iterations, and what is
//! still running when the grace is over is aborted.

mod arrival;
mod counted;
mod looping;
mod pool;

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU32, AtomicU64, Ordering};
use std::time::Duration;

use parking_lot::Mutex;
use tokio::sync::watch;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use crate::metrics::{Recorder, Series};
use crate::options::{ExecutorPlan, ScenarioPlan};
use crate::segment::SegmentedIndex;
use crate::user::{IterationError, VirtualUser, Workload};

/// The number of users an externally controlled scenario should have now.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Wanted {
    /// Users that iterate.
    pub vus: u32,
    /// No iteration starts while this holds.
    pub paused: bool,
}

/// A scenario and everything its executor needs.
pub(crate) struct Scenario {
    pub(crate) plan: ScenarioPlan,
    pub(crate) segment: SegmentedIndex,
    pub(crate) workload: Arc<dyn Workload>,
    /// One for each worker thread; users share them.
    pub(crate) recorders: Vec<Recorder>,
    pub(crate) series: Series,
    /// Ends the scenario early, with its grace.
    pub(crate) stop: CancellationToken,
    /// Ends the scenario now.
    pub(crate) kill: CancellationToken,
    /// What an outside control asks for; only the externally controlled executor looks.
    pub(crate) wanted: watch::Receiver<Wanted>,
    pub(crate) state: Arc<State>,
    /// Numbers of users, counted over all scenarios.
    pub(crate) next_vu: Arc<AtomicU32>,
}

/// How a scenario stands, for the display and the summary.
#[derive(Debug, Default)]
pub struct State {
    active: AtomicU32,
    allocated: AtomicU32,
    started: AtomicU64,
    completed: AtomicU64,
    interrupted: AtomicU64,
    dropped: AtomicU64,
    running: AtomicBool,
    ended: AtomicBool,
    last_error: Mutex<Option<(String, u64)>>,
}

/// A reading of [`State`].
#[derive(Debug, Clone, Default, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub struct Progress {
    /// Users that iterate now.
    pub active_vus: u32,
    /// Users that were made.
    pub allocated_vus: u32,
    /// Iterations begun.
    pub started: u64,
    /// Iterations that ran to their end, with or without failed requests.
    pub completed: u64,
    /// Iterations cut off when the grace was over.
    pub interrupted: u64,
    /// Iterations that were due and never began.
    pub dropped: u64,
    /// The scenario has begun.
    pub running: bool,
    /// The scenario is over.
    pub ended: bool,
    /// The newest error of an iteration, and how many there were.
    pub last_error: Option<(String, u64)>,
}

impl Progress {
    /// Adds the same scenario on another generator: it runs while it does on one, and is over when it is on all.
    pub(crate) fn add(&mut self, more: &Self) {
        self.active_vus = self.active_vus.saturating_add(more.active_vus);
        self.allocated_vus = self.allocated_vus.saturating_add(more.allocated_vus);
        self.started = self.started.saturating_add(more.started);
        self.completed = self.completed.saturating_add(more.completed);
        self.interrupted = self.interrupted.saturating_add(more.interrupted);
        self.dropped = self.dropped.saturating_add(more.dropped);
        self.running |= more.running;
        self.ended &= more.ended;
        self.last_error = match (self.last_error.take(), &more.last_error) {
            (Some((message, times)), Some((_, more))) => Some((message, times.saturating_add(*more))),
            (one, other) => one.or_else(|| other.clone()),
        };
    }
}

impl State {
    /// Reads all of it.
    pub fn progress(&self) -> Progress {
        let number = |counter: &AtomicU64| counter.load(Ordering::Relaxed);
        Progress {
            active_vus: self.active.load(Ordering::Relaxed),
            allocated_vus: self.allocated.load(Ordering::Relaxed),
            started: number(&self.started),
            completed: number(&self.completed),
            interrupted: number(&self.interrupted),
            dropped: number(&self.dropped),
            running: self.running.load(Ordering::Relaxed),
            ended: self.ended.load(Ordering::Relaxed),
            last_error: self.last_error.lock().clone(),
        }
    }

    fn failed(&self, error: &IterationError) {
        let mut last = self.last_error.lock();
        let times = last.as_ref().map_or(0, |(_, times)| *times);
        *last = Some((error.message.clone(), times + 1));
    }
}

/// Runs the scenario from its start time to its end, grace included.
///
/// # Errors
/// When a user cannot be made.
pub(crate) async fn run(scenario: Arc<Scenario>, origin: Instant) -> Result<(), IterationError> {
    let begin = origin + scenario.plan.start_time;
    tokio::select! {
        () = tokio::time::sleep_until(begin) => {}
        () = scenario.stop.cancelled() => return Ok(()),
    }
    scenario.state.running.store(true, Ordering::Relaxed);
    let result = match &scenario.plan.executor {
        ExecutorPlan::SharedIterations { vus, iterations, max_duration } => {
            counted::shared(&scenario, begin, *vus, *iterations, *max_duration).await
        }
        ExecutorPlan::PerVuIterations { vus, iterations, max_duration } => {
            counted::per_vu(&scenario, begin, *vus, *iterations, *max_duration).await
        }
        ExecutorPlan::ConstantVus { duration, .. } => {
            looping::scheduled(&scenario, begin, *duration, Duration::ZERO).await
        }
        ExecutorPlan::RampingVus { graceful_ramp_down, .. } => {
            let duration = crate::schedule::end(&scenario.plan.executor);
            looping::scheduled(&scenario, begin, duration, *graceful_ramp_down).await
        }
        ExecutorPlan::ConstantArrivalRate { .. } | ExecutorPlan::RampingArrivalRate { .. } => {
            arrival::run(&scenario, begin).await
        }
        ExecutorPlan::ExternallyControlled { max_vus, duration, .. } => {
            looping::controlled(&scenario, begin, *max_vus, *duration).await
        }
    };
    scenario.state.active.store(0, Ordering::Relaxed);
    scenario.state.running.store(false, Ordering::Relaxed);
    scenario.state.ended.store(true, Ordering::Relaxed);
    result
}

/// One virtual user in the hands of an executor.
struct Runner {
    user: Box<dyn VirtualUser>,
    recorder: Recorder,
    scenario: Arc<Scenario>,
}

impl Runner {
    fn new(scenario: &Arc<Scenario>) -> Result<Self, IterationError> {
        let vu = scenario.next_vu.fetch_add(1, Ordering::Relaxed) + 1;
        let recorder = scenario.recorders[vu as usize % scenario.recorders.len()].clone();
        scenario.state.allocated.fetch_add(1, Ordering::Relaxed);
        let user = scenario.workload.user(vu, recorder.clone())?;
        Ok(Self { user, recorder, scenario: scenario.clone() })
    }

    /// Runs and records one iteration; `intended` is the scheduled instant of an arrival.
    async fn iterate(&mut self, intended: Option<Instant>) {
        let state = &self.scenario.state;
        state.started.fetch_add(1, Ordering::Relaxed);
        let begun = Instant::now();
        let outcome = self.user.iterate().await;
        let ended = Instant::now();
        state.completed.fetch_add(1, Ordering::Relaxed);
        let start_delay = intended.map(|intended| begun.saturating_duration_since(intended));
        let from_intended = intended.map(|intended| ended.saturating_duration_since(intended));
        self.recorder.iteration(self.scenario.series, ended - begun, start_delay, from_intended);
        if let Err(error) = outcome {
            state.failed(&error);
            // A user that fails at once must not keep the processor from the others.
            tokio::task::yield_now().await;
        }
    }
}

impl Scenario {
    /// Iterations that will not begin any more.
    fn drop_iterations(&self, n: u64) {
        if n > 0 {
            self.state.dropped.fetch_add(n, Ordering::Relaxed);
            self.recorders[0].dropped(self.series, n);
        }
    }

    /// Waits until `deadline`, or until the scenario is told to stop.
    async fn until(&self, deadline: Instant) {
        tokio::select! {
            () = tokio::time::sleep_until(deadline) => {}
            () = self.stop.cancelled() => {}
        }
    }

    /// Waits until `tasks` are done, for as long as the grace allows, then cuts off what still runs.
    async fn wind_down(&self, tasks: &mut tokio::task::JoinSet<()>) {
        let all_done = async { while tasks.join_next().await.is_some() {} };
        tokio::select! {
            () = all_done => {}
            () = tokio::time::sleep(self.plan.graceful_stop) => {}
            () = self.kill.cancelled() => {}
        }
        tasks.shutdown().await;
        let progress = self.state.progress();
        self.state.interrupted.store(progress.started - progress.completed, Ordering::Relaxed);
    }
}
