//! A shard: joins, prepares, waits for the start, runs its part and reports.

use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;
use std::time::Duration;

use parking_lot::Mutex;
use tokio::sync::{Notify, watch};
use tokio::task::JoinSet;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;
use url::Url;
use uuid::Uuid;

use super::link::{Link, LinkError};
use super::message::{Answer, Assignment, Join, PROTOCOL_VERSION, Ready, Report, WindowValues, micros};
use crate::control;
use crate::engine::{Engine, Outcome, Tick};
use crate::executor::{Progress, Wanted};
use crate::generator::Health;
use crate::metrics::{Registry, Second, Snapshot};
use crate::user::IterationError;
use spillway_slo::threshold::Threshold;

/// Time between two messages that only say that the shard lives, and the longest one between two reports.
const BEAT: Duration = Duration::from_secs(1);

/// Seconds that may wait for the coordinator. It is lost long before.
const MOST_WAITING: usize = 3_600;

/// A process that takes a part of a run.
pub struct Shard {
    /// Where the coordinator is.
    pub coordinator: Url,
    /// The place it wants, from 0; `None` takes the first free one.
    pub index: Option<u32>,
    /// What the coordinator asks for.
    pub token: Option<String>,
    /// How long it looks for the coordinator.
    pub join_timeout: Duration,
    /// Somebody stops this process: it ends with the grace of its scenarios, and with it the run.
    pub stop: CancellationToken,
    /// Ends it now.
    pub kill: CancellationToken,
}

/// A part that came to its end.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ShardEnd {
    /// Its place.
    pub index: u32,
    /// Why the coordinator ended the run before its time, if it did.
    pub stopped: Option<Stopped>,
}

/// How a coordinator ended a run before its time.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Stopped {
    /// Why, for people.
    pub reason: String,
    /// The run has no result.
    pub failed: bool,
}

impl ShardEnd {
    fn stopped(index: u32, reason: String, failed: bool) -> Self {
        Self { index, stopped: Some(Stopped { reason, failed }) }
    }
}

/// Why a shard gave up.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ShardFailure {
    /// The coordinator and it did not come together, or not to the end.
    #[error(transparent)]
    Link(#[from] LinkError),
    /// It cannot do what it shall.
    #[error("{0}")]
    Preparation(String),
    /// Its scenarios could not run.
    #[error("{0}")]
    Scenario(IterationError),
    /// It was stopped before the start.
    #[error("the shard was stopped before the run began")]
    Interrupted,
    /// The coordinator said something that does not belong there.
    #[error(
        "the coordinator gave an answer that does not belong there: run the same version of the load generator everywhere"
    )]
    Unexpected,
}

impl Shard {
    /// Takes part until the coordinator has the last report. `prepare` makes what is assigned ready to run: users' workloads, a target that
    /// was probed, and a registry for the same thresholds as the coordinator's, which only the coordinator judges.
    ///
    /// # Errors
    /// See [`ShardFailure`]. The coordinator was told where that was possible.
    pub async fn run<Prepared>(self, prepare: impl FnOnce(Assignment) -> Prepared) -> Result<ShardEnd, ShardFailure>
    where
        Prepared: Future<Output = Result<Engine, String>>,
    {
        let mut link = Link::new(&self.coordinator, self.token.as_deref())?;
        let member = Uuid::new_v4();
        let joining = async {
            let join = Join { version: PROTOCOL_VERSION, member, index: self.index };
            ask(&mut link, "/v1/join", &join, self.join_timeout).await
        };
        let joined = tokio::select! {
            joined = joining => joined?,
            () = self.stop.cancelled() => return Err(ShardFailure::Interrupted),
        };
        let assignment = match joined {
            Answer::Assigned(assignment) => *assignment,
            Answer::Stop { reason, failed, .. } => {
                return Ok(ShardEnd::stopped(self.index.unwrap_or(0), reason, failed));
            }
            _ => return Err(ShardFailure::Unexpected),
        };
        let (index, silence) = (assignment.index, assignment.silence());
        let alive = Ready { member, ready: false, failure: None };
        let preparing = async {
            tokio::select! {
                prepared = prepare(assignment) => prepared.map_err(ShardFailure::Preparation),
                () = self.stop.cancelled() => Err(ShardFailure::Interrupted),
            }
        };
        let prepared = match alive_while(&mut link, &alive, silence, preparing).await? {
            Ok(prepared) => prepared,
            Err(Answer::Stop { reason, failed, .. }) => return Ok(ShardEnd::stopped(index, reason, failed)),
            Err(_) => return Err(ShardFailure::Unexpected),
        };
        let engine = match prepared {
            Ok(engine) => engine,
            Err(failure) => {
                let message = Ready { member, ready: false, failure: Some(failure.to_string()) };
                // It ends either way.
                let _ = link.say("/v1/ready", &message, silence).await;
                return Err(failure);
            }
        };
        let ready = Ready { member, ready: true, failure: None };
        let answer = tokio::select! {
            answer = ask(&mut link, "/v1/ready", &ready, silence) => Some(answer?),
            () = self.stop.cancelled() => None,
        };
        let received = Instant::now();
        match answer {
            Some(Answer::Start { in_us }) => {
                tokio::time::sleep_until(received + Duration::from_micros(in_us)).await;
                self.measure(engine, link, member, index, silence).await
            }
            Some(Answer::Stop { reason, failed, .. }) => Ok(ShardEnd::stopped(index, reason, failed)),
            Some(_) => Err(ShardFailure::Unexpected),
            None => {
                let message = Ready { member, ready: false, failure: Some(ShardFailure::Interrupted.to_string()) };
                let _ = link.say("/v1/ready", &message, silence).await;
                Err(ShardFailure::Interrupted)
            }
        }
    }

    async fn measure(
        self,
        mut engine: Engine,
        link: Link,
        member: Uuid,
        index: u32,
        silence: Duration,
    ) -> Result<ShardEnd, ShardFailure> {
        // A part of the whole is no reason to end it.
        engine.plan.thresholds.iter_mut().for_each(|threshold| threshold.abort_on_fail = false);
        let wanted = watch::Sender::new(
            engine.wanted.as_ref().map_or_else(|| control::planned(&engine.plan), |wanted| *wanted.borrow()),
        );
        engine.wanted = Some(wanted.subscribe());
        let (stop, kill, registry) = (engine.stop.clone(), engine.kill.clone(), engine.registry.clone());
        let outbox = Arc::<Outbox>::default();
        let reporter = Reporter {
            link,
            member,
            index,
            silence,
            registry: registry.clone(),
            thresholds: engine.plan.thresholds.clone(),
            outbox: outbox.clone(),
            interrupted: self.stop.clone(),
            stop: stop.clone(),
            kill: kill.clone(),
            wanted,
        };
        // A set ends its tasks with itself.
        let mut reporting = JoinSet::new();
        reporting.spawn(reporter.run());
        let mut stopping = JoinSet::new();
        stopping.spawn(async move {
            self.stop.cancelled().await;
            stop.cancel();
            self.kill.cancelled().await;
            kill.cancel();
        });
        let seen = outbox.clone();
        let outcome = Box::pin(engine.run(move |tick| seen.tick(tick))).await;
        outbox.end(&outcome, registry.last_second());
        let reported = reporting.join_next().await;
        outcome.map_err(ShardFailure::Scenario)?;
        match reported {
            Some(Ok(stopped)) => Ok(ShardEnd { index, stopped: stopped? }),
            _ => Err(ShardFailure::Preparation("its reports broke off".to_owned())),
        }
    }
}

/// Says the same until the answer is not to wait.
async fn ask<Message: serde::Serialize>(
    link: &mut Link,
    path: &str,
    message: &Message,
    patience: Duration,
) -> Result<Answer, LinkError> {
    loop {
        match link.say(path, message, patience).await? {
            Answer::Wait => {}
            answer => return Ok(answer),
        }
    }
}

/// Says each second that the shard lives, until `work` is done or an answer is not to wait; that is the inner error. A message under way is
/// not broken off: its answer may be the last one.
async fn alive_while<Done>(
    link: &mut Link,
    alive: &Ready,
    silence: Duration,
    work: impl Future<Output = Done>,
) -> Result<Result<Done, Answer>, LinkError> {
    let mut work = std::pin::pin!(work);
    let mut result = None;
    loop {
        let answer = {
            let mut saying = std::pin::pin!(link.say("/v1/ready", alive, silence));
            loop {
                tokio::select! {
                    answer = &mut saying => break answer?,
                    done = &mut work, if result.is_none() => result = Some(done),
                }
            }
        };
        if answer != Answer::Wait {
            return Ok(Err(answer));
        }
        if let Some(done) = result {
            return Ok(Ok(done));
        }
        tokio::select! {
            done = &mut work => return Ok(Ok(done)),
            () = tokio::time::sleep(BEAT.min(silence / 4)) => {}
        }
    }
}

/// What the engine has told and the coordinator does not know.
#[derive(Default)]
struct Outbox {
    pending: Mutex<Pending>,
    news: Notify,
}

#[derive(Default)]
struct Pending {
    /// Number of the first of `seconds`.
    first: u64,
    seconds: VecDeque<Second>,
    elapsed: Duration,
    scenarios: BTreeMap<String, Progress>,
    cpu_percent: f64,
    ended: Option<Result<Health, String>>,
}

impl Outbox {
    fn tick(&self, tick: &Tick<'_>) {
        let mut pending = self.pending.lock();
        pending.push(tick.second.clone());
        pending.elapsed = tick.elapsed;
        pending.scenarios.clone_from(tick.scenarios);
        pending.cpu_percent = tick.generator_cpu_percent;
        drop(pending);
        self.news.notify_one();
    }

    fn end(&self, outcome: &Result<Outcome, IterationError>, last_second: Second) {
        let mut pending = self.pending.lock();
        pending.ended = Some(match outcome {
            Ok(outcome) => {
                pending.push(last_second);
                pending.elapsed = outcome.duration;
                pending.scenarios.clone_from(&outcome.scenarios);
                Ok(outcome.generator.clone())
            }
            Err(error) => Err(error.to_string()),
        });
        drop(pending);
        self.news.notify_one();
    }

    /// The coordinator knows so many seconds.
    fn known(&self, seconds: u64) {
        let mut pending = self.pending.lock();
        while pending.first < seconds && pending.seconds.pop_front().is_some() {
            pending.first += 1;
        }
    }
}

impl Pending {
    fn push(&mut self, second: Second) {
        if self.seconds.len() < MOST_WAITING {
            self.seconds.push_back(second);
        }
    }
}

/// Sends reports while the engine runs, and the last one when it has ended.
struct Reporter {
    link: Link,
    member: Uuid,
    index: u32,
    silence: Duration,
    registry: Arc<Registry>,
    thresholds: Vec<Threshold>,
    outbox: Arc<Outbox>,
    /// Cancelled when somebody stopped this process.
    interrupted: CancellationToken,
    /// Of the engine.
    stop: CancellationToken,
    /// Of the engine.
    kill: CancellationToken,
    wanted: watch::Sender<Wanted>,
}

impl Reporter {
    /// Returns why the coordinator ended the run, if it did.
    async fn run(mut self) -> Result<Option<Stopped>, LinkError> {
        let mut stopped = None;
        loop {
            tokio::select! {
                () = self.outbox.news.notified() => {}
                () = tokio::time::sleep(BEAT.min(self.silence / 4) + BEAT / 4) => {}
            }
            let report = self.report();
            match self.link.say("/v1/report", &report, self.silence).await {
                Ok(answer) => self.obey(answer, &mut stopped),
                // The coordinator has said what it wanted and may be gone.
                Err(_) if stopped.is_some() && report.snapshot.last => return Ok(stopped),
                Err(error) => {
                    self.stop.cancel();
                    self.kill.cancel();
                    return Err(error);
                }
            }
            if report.snapshot.last {
                return Ok(stopped);
            }
        }
    }

    fn obey(&self, answer: Answer, stopped: &mut Option<Stopped>) {
        match answer {
            Answer::GoOn { seconds, wanted } => {
                self.outbox.known(seconds);
                if let Some(wanted) = wanted.map(Wanted::from) {
                    self.wanted.send_if_modified(|known| std::mem::replace(known, wanted) != wanted);
                }
            }
            Answer::Stop { reason, now, failed, seconds } => {
                self.outbox.known(seconds);
                // A failure is the better reason.
                if failed || stopped.is_none() {
                    *stopped = Some(Stopped { reason, failed });
                }
                self.stop.cancel();
                if now {
                    self.kill.cancel();
                }
            }
            _ => {}
        }
    }

    fn report(&self) -> Report {
        let ended = self.outbox.pending.lock().ended.clone();
        // What is read after the end is complete.
        let snapshot = Snapshot { shard: Some(self.index), last: ended.is_some(), ..self.registry.snapshot() };
        let window = |threshold| {
            let (values, covered) = self.registry.window(threshold)?;
            Some(WindowValues { values, covered_us: micros(covered) })
        };
        let windows = self.thresholds.iter().map(window).collect();
        let (health, failure) = match ended {
            None => (None, None),
            Some(Ok(health)) => (Some(health), None),
            Some(Err(failure)) => (None, Some(failure)),
        };
        let pending = self.outbox.pending.lock();
        Report {
            member: self.member,
            elapsed_us: micros(pending.elapsed),
            snapshot,
            windows,
            first_second: pending.first,
            seconds: pending.seconds.iter().cloned().collect(),
            scenarios: pending.scenarios.clone(),
            cpu_percent: pending.cpu_percent,
            health,
            interrupted: self.interrupted.is_cancelled(),
            failure,
        }
    }
}
