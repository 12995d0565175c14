//! Runs a plan: all scenarios from one start, thresholds judged each second, until the last scenario is over.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::AtomicU32;
use std::time::{Duration, SystemTime};

use serde::{Deserialize, Serialize};
use spillway_slo::threshold::{Threshold, Verdict};
use tokio::sync::watch;
use tokio::task::JoinSet;
use tokio::time::{Instant, MissedTickBehavior};
use tokio_util::sync::CancellationToken;

use crate::control;
use crate::executor::{self, Progress, Scenario, State, Wanted};
use crate::generator::{Health, Watch};
use crate::metrics::{Recorder, Registry, Second, Snapshot, Tags};
use crate::options::Plan;
use crate::schedule;
use crate::segment::SegmentedIndex;
use crate::user::{IterationError, Workload};

/// A plan with what it needs to run.
pub struct Engine {
    /// What runs when.
    pub plan: Plan,
    /// The workload of each scenario, by the scenario's name.
    pub workloads: BTreeMap<String, Arc<dyn Workload>>,
    /// Where samples go.
    pub registry: Arc<Registry>,
    /// Ends the run early, with the grace of its scenarios.
    pub stop: CancellationToken,
    /// Ends the run now.
    pub kill: CancellationToken,
    /// What an outside control asks of externally controlled scenarios; `None` leaves them as planned.
    pub wanted: Option<watch::Receiver<Wanted>>,
}

/// The state of a run, once a second.
#[derive(Debug)]
pub struct Tick<'a> {
    /// Time since the start.
    pub elapsed: Duration,
    /// The last second.
    pub second: &'a Second,
    /// Each scenario, by name.
    pub scenarios: &'a BTreeMap<String, Progress>,
    /// Each threshold as it stands.
    pub thresholds: &'a [Judged],
    /// Share of its processors the generator used in the last second, in percent.
    pub generator_cpu_percent: f64,
}

/// A threshold and how it stands.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Judged {
    /// The metric and its tags, as written.
    pub selector: String,
    /// The condition, as written.
    pub expression: String,
    /// The value it was compared with; none without samples.
    pub value: Option<f64>,
    /// Whether it held.
    pub passed: bool,
    /// Whether its failure ended the run.
    pub aborted: bool,
}

/// How a run went.
#[derive(Debug)]
pub struct Outcome {
    /// When it began.
    pub started_at: SystemTime,
    /// From the first instant to the end of the last scenario.
    pub duration: Duration,
    /// Everything that was measured.
    pub snapshot: Snapshot,
    /// Each scenario, by name.
    pub scenarios: BTreeMap<String, Progress>,
    /// Each threshold, in the order of the plan.
    pub thresholds: Vec<Judged>,
    /// Whether it was stopped from outside.
    pub interrupted: bool,
    /// How the generator fared.
    pub generator: Health,
}

impl Engine {
    /// Runs the plan; `observe` sees each second.
    ///
    /// # Errors
    /// When a scenario has no workload or a user cannot be made.
    pub async fn run(self, mut observe: impl FnMut(&Tick<'_>)) -> Result<Outcome, IterationError> {
        let recorders: Vec<Recorder> = (0..crate::generator::cores()).map(|_| self.registry.recorder()).collect();
        let (_keep, unchanged) = watch::channel(control::planned(&self.plan));
        let end = self.stop.child_token();
        let next_vu = Arc::new(AtomicU32::new(0));
        let mut states: BTreeMap<String, Arc<State>> = BTreeMap::new();
        let mut scenarios = Vec::new();
        for plan in &self.plan.scenarios {
            let workload = self.workloads.get(&plan.name).cloned();
            let workload =
                workload.ok_or_else(|| IterationError::new(format!("scenario {} has no workload", plan.name)))?;
            let state = Arc::<State>::default();
            states.insert(plan.name.clone(), state.clone());
            scenarios.push(Arc::new(Scenario {
                segment: SegmentedIndex::new(&self.plan.segment),
                workload,
                recorders: recorders.clone(),
                series: self.registry.series(&Tags::scenario(&plan.name, &plan.tags)),
                stop: end.clone(),
                kill: self.kill.clone(),
                wanted: self.wanted.clone().unwrap_or_else(|| unchanged.clone()),
                state,
                next_vu: next_vu.clone(),
                plan: plan.clone(),
            }));
        }
        let max_vus = self.plan.scenarios.iter().map(|plan| schedule::max_vus(&plan.executor)).sum();

        let (started_at, origin) = (now(), Instant::now());
        self.registry.begin(origin);
        let mut generator = Watch::begin();
        let mut running = JoinSet::new();
        for scenario in scenarios {
            running.spawn(executor::run(scenario, origin));
        }
        let mut ticks = tokio::time::interval_at(origin + Duration::from_secs(1), Duration::from_secs(1));
        ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let mut aborting = vec![false; self.plan.thresholds.len()];
        let mut failure = None;
        loop {
            tokio::select! {
                biased;
                ended = running.join_next() => match ended {
                    None => break,
                    Some(Ok(Ok(()))) => {}
                    Some(Ok(Err(error))) => {
                        failure = Some(error);
                        end.cancel();
                    }
                    Some(Err(error)) => {
                        failure = Some(IterationError::new(format!("an executor failed: {error}")));
                        end.cancel();
                    }
                },
                _ = ticks.tick() => {
                    let elapsed = origin.elapsed();
                    let progress = read(&states);
                    let active = progress.values().map(|one| one.active_vus).sum();
                    self.registry.set_vus(active, max_vus);
                    self.registry.tick(Instant::now());
                    let thresholds = self.judge(elapsed, &mut aborting);
                    let cpu = generator.tick();
                    let second = self.registry.last_second();
                    observe(&Tick {
                        elapsed,
                        second: &second,
                        scenarios: &progress,
                        thresholds: &thresholds,
                        generator_cpu_percent: cpu,
                    });
                    if aborting.contains(&true) {
                        end.cancel();
                    }
                }
            }
        }
        if let Some(error) = failure {
            return Err(error);
        }
        let duration = origin.elapsed();
        self.registry.tick(Instant::now());
        let thresholds = self.judge(duration, &mut aborting);
        Ok(Outcome {
            started_at,
            duration,
            snapshot: self.registry.snapshot(),
            scenarios: read(&states),
            thresholds,
            interrupted: self.stop.is_cancelled(),
            generator: generator.end(),
        })
    }

    fn judge(&self, elapsed: Duration, aborting: &mut [bool]) -> Vec<Judged> {
        judge(&self.plan.thresholds, elapsed, aborting, |_, threshold| self.registry.value(threshold, elapsed))
    }
}

/// Compares each threshold with its value, and marks those whose failure ends the run. `value` gets a threshold with its place.
pub(crate) fn judge(
    thresholds: &[Threshold],
    elapsed: Duration,
    aborting: &mut [bool],
    value: impl Fn(usize, &Threshold) -> Option<f64>,
) -> Vec<Judged> {
    let judge = |(place, (threshold, aborting)): (usize, (&Threshold, &mut bool))| {
        let Verdict { value, passed } = threshold.judge(value(place, threshold));
        // Without samples nothing has failed yet.
        let fails = !passed && value.is_some();
        *aborting |= fails && threshold.abort_on_fail && elapsed >= threshold.delay_abort_eval;
        Judged {
            selector: threshold.selector.to_string(),
            expression: threshold.expression.to_string(),
            value,
            passed,
            aborted: *aborting,
        }
    };
    thresholds.iter().zip(aborting).enumerate().map(judge).collect()
}

fn read(states: &BTreeMap<String, Arc<State>>) -> BTreeMap<String, Progress> {
    states.iter().map(|(name, state)| (name.clone(), state.progress())).collect()
}

#[expect(clippy::disallowed_methods, reason = "a report tells when the run was")]
fn now() -> SystemTime {
    SystemTime::now()
}
