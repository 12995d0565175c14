//! The loop: observe, decide, remember, act, tell. It has no opinion of its own: [`decide`] has.

mod recorder;
mod status;
mod teller;

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use spillway_model::{Clock, UnixMillis};
use spillway_rollout::Plan;
use spillway_rollout::decide::decide;
use spillway_rollout::decision::{Desired, DesiredSlot};
use spillway_rollout::observed::Observed;
use spillway_rollout::ports::{Gatekeeper, Memory, Meter, Notifier, PortError, Target};
use spillway_rollout::slot::Slot;
use spillway_rollout::state::{Phase, State};
use tokio::sync::{Notify, watch};
use tokio_util::sync::CancellationToken;
use tracing::{info, warn};

pub use recorder::Recorder;
pub use status::Status;

use teller::Teller;

/// First pause after a look that failed; it doubles with each further one.
const FIRST_PAUSE: Duration = Duration::from_secs(1);
/// Longest pause after looks that failed.
const LONGEST_PAUSE: Duration = Duration::from_secs(30);
/// Longest pause between two looks, whatever was decided.
const LONGEST_WAIT: Duration = Duration::from_secs(300);
/// Shortest pause between two looks.
const SHORTEST_WAIT: Duration = Duration::from_millis(20);
/// Pause between looks while a finished rollout's processes still stop.
const SETTLE_PAUSE: Duration = Duration::from_millis(500);
/// Looks that a finished rollout's processes have to stop before it ends nevertheless.
const MAX_SETTLE_LOOKS: u32 = 240;

/// What the loop works with.
pub struct Parts {
    /// Slots and router.
    pub target: Box<dyn Target>,
    /// Measurements.
    pub meter: Box<dyn Meter>,
    /// Gates.
    pub gatekeeper: Box<dyn Gatekeeper>,
    /// State and commands.
    pub memory: Box<dyn Memory>,
    /// People.
    pub notifier: Arc<dyn Notifier>,
    /// The time.
    pub clock: Arc<dyn Clock>,
}

/// What the loop does beside its work.
#[derive(Debug, Default)]
pub struct Options {
    /// Goes on watching after the plan's revision has been finished: processes are kept running and drift is put right.
    pub stay: bool,
    /// Writes every look down, for `simulate`.
    pub recorder: Option<Recorder>,
    /// Where the [`Status`] is written after every look.
    pub status_file: Option<PathBuf>,
    /// Ends the present pause between two looks when it is notified: by commands that arrive, by processes that end.
    pub wake: Arc<Notify>,
}

/// How [`Controller::run`] ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Ended {
    /// The plan's revision is live.
    Succeeded,
    /// It failed and the live slot has all traffic.
    RolledBack,
    /// A person stopped it and the live slot has all traffic.
    Aborted,
    /// The controller was stopped; another one goes on from here.
    Interrupted,
}

/// What came of one look.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Look {
    /// How long to wait for the next one at most.
    pub wait: Duration,
    /// How the plan's revision ended, once everything that belongs to it has been brought about.
    pub ended: Option<Ended>,
}

/// Carries one plan out.
pub struct Controller {
    plan: Arc<Plan>,
    parts: Parts,
    options: Options,
    teller: Teller,
    status: watch::Sender<Option<Arc<Status>>>,
    /// What was decided last; `None` until the first decision, so that gates that run are not taken for unwanted ones.
    desired: Option<Desired>,
    /// Why the last decision could not be brought about.
    apply_trouble: Option<String>,
    /// What was said already.
    troubles: Vec<String>,
    n_failed_looks: u32,
    n_settle_looks: u32,
}

impl Controller {
    /// A controller that has done nothing yet. Needs a tokio runtime.
    ///
    /// # Errors
    /// When the router cannot do what the plan asks for.
    pub fn new(plan: Plan, parts: Parts, options: Options) -> Result<Self, PortError> {
        let can = parts.target.capabilities();
        let refuse = |what: &str, how: &str| {
            let text = format!("the router of {} cannot {what}, which the plan's steps ask for: {how}", plan.name);
            Err(PortError::Permanent(text))
        };
        if !can.mirror && plan.steps.iter().any(|step| step.mirror > 0) {
            return refuse("copy requests", "remove `mirror` from them, or use another router");
        }
        if !can.weights && plan.steps.iter().any(|step| !matches!(step.weight, 0 | 100)) {
            return refuse("split requests by weight", "use weights of 0 and 100 only, or another router");
        }
        let teller = Teller::new(Arc::clone(&parts.notifier));
        Ok(Self {
            plan: Arc::new(plan),
            parts,
            options,
            teller,
            status: watch::Sender::new(None),
            desired: None,
            apply_trouble: None,
            troubles: Vec::new(),
            n_failed_looks: 0,
            n_settle_looks: 0,
        })
    }

    /// What people are shown; `None` until the first look.
    #[must_use]
    pub fn status(&self) -> watch::Receiver<Option<Arc<Status>>> {
        self.status.subscribe()
    }

    /// Looks again and again until the plan's revision has been finished (not with [`Options::stay`]) or `stop`. A look that has
    /// begun is carried to its end. Everything is left as it is then: traffic where it is, processes running.
    pub async fn run(mut self, stop: CancellationToken) -> Ended {
        let ended = loop {
            if stop.is_cancelled() {
                break Ended::Interrupted;
            }
            let look = self.look_once().await;
            if let Some(ended) = look.ended.filter(|_| !self.options.stay) {
                break ended;
            }
            tokio::select! {
                biased;
                () = stop.cancelled() => break Ended::Interrupted,
                () = self.options.wake.notified() => {}
                () = tokio::time::sleep(look.wait) => {}
            }
        };
        self.teller.finish().await;
        ended
    }

    /// Looks once. Trouble is logged and shown in the status, and is no reason to do anything.
    pub async fn look_once(&mut self) -> Look {
        let (look, trouble) = match self.look().await {
            Ok(look) => (look, self.apply_trouble.clone()),
            Err((state, error)) => {
                let trouble = error.to_string();
                self.say(vec![trouble.clone()]);
                self.show_trouble(state, &trouble);
                (Look { wait: LONGEST_PAUSE, ended: None }, Some(trouble))
            }
        };
        if trouble.is_none() {
            self.n_failed_looks = 0;
            return look;
        }
        let pause = FIRST_PAUSE.saturating_mul(1 << self.n_failed_looks.min(10)).min(LONGEST_PAUSE);
        self.n_failed_looks = self.n_failed_looks.saturating_add(1);
        Look { wait: look.wait.min(pause), ..look }
    }

    async fn look(&mut self) -> Result<Look, (Option<State>, PortError)> {
        let plan = Arc::clone(&self.plan);
        let state = self.parts.memory.load().await.map_err(|error| (None, error))?;
        let (observed, now) = match self.observe(&state).await {
            Ok(observed) => observed,
            Err(error) => return Err((Some(state), error)),
        };
        let decision = decide(&plan, &state, &observed, now);
        if decision.state != state
            && let Err(error) = self.parts.memory.save(&decision.state).await
        {
            return Err((Some(state), error));
        }
        self.record(now, &state, &observed);

        let applied = self.parts.target.apply(&plan, &decision.desired).await;
        self.apply_trouble = applied.err().map(|error| error.to_string());
        self.say(observed.troubles.iter().chain(&self.apply_trouble).cloned().collect());
        for note in &decision.notes {
            info!(rollout = plan.name, kind = ?note.kind, "{}", note.text);
        }
        self.teller.tell(&plan, &decision.state, &decision.notes);

        // The next observation asks for the same gates; this one starts new ones at once.
        let gates_before = self.desired.as_ref().map(|desired| &desired.gates);
        if gates_before.is_none_or(|gates| *gates != decision.desired.gates) {
            self.parts.gatekeeper.tend(&plan, &decision.desired.gates).await;
        }
        let mut look = Look {
            wait: Duration::from_millis(decision.look_again_ms).clamp(SHORTEST_WAIT, LONGEST_WAIT),
            ended: ended(&decision.state, observed.wanted_revision.as_deref()),
        };
        if look.ended.is_some() && !self.is_settled(&decision.desired, &observed) {
            look = Look { wait: look.wait.min(SETTLE_PAUSE), ended: None };
        }
        self.desired = Some(decision.desired);
        self.show(decision.state, observed, now, look.wait);
        Ok(look)
    }

    async fn observe(&mut self, state: &State) -> Result<(Observed, UnixMillis), PortError> {
        let plan = Arc::clone(&self.plan);
        let seen = self.parts.target.observe(&plan, state).await?;
        let now = self.parts.clock.now();
        let measured = self.parts.meter.sample(&plan, state, now).await;
        let gates = match &self.desired {
            Some(desired) => self.parts.gatekeeper.tend(&plan, &desired.gates).await,
            None => Default::default(),
        };
        let mut troubles = seen.troubles;
        troubles.extend(measured.troubles);
        troubles.extend(self.apply_trouble.clone());
        let commands = self.parts.memory.commands(state).await.unwrap_or_else(|error| {
            troubles.push(format!("commands cannot be read: {error}"));
            Vec::new()
        });
        let observed = Observed {
            wanted_revision: seen.wanted_revision,
            slots: seen.slots,
            router: seen.router,
            blocks: measured.blocks,
            readings: measured.readings,
            gates,
            commands,
            troubles,
        };
        Ok((observed, now))
    }

    /// Whether what was decided has been brought about, as far as an ended rollout waits for it.
    fn is_settled(&mut self, desired: &Desired, observed: &Observed) -> bool {
        let stops = |slot: &Slot| *desired.slots.get(*slot) == DesiredSlot::Stopped;
        let runs = |slot: &Slot| matches!(desired.slots.get(*slot), DesiredSlot::Running { .. });
        let is_there = |slot: &Slot| observed.slots.get(*slot).revision.is_some();
        let is_done = self.apply_trouble.is_none()
            && observed.router == Some(desired.router)
            && !Slot::BOTH.iter().any(|slot| stops(slot) && is_there(slot))
            && !Slot::BOTH.iter().any(|slot| runs(slot) && !observed.slots.get(*slot).is_ready());
        if is_done {
            return true;
        }
        self.n_settle_looks += 1;
        if self.n_settle_looks == MAX_SETTLE_LOOKS {
            warn!(
                rollout = self.plan.name,
                "the rollout ended, and what it left behind is not as it should be: a slot that cannot be stopped, or is not ready"
            );
        }
        self.n_settle_looks >= MAX_SETTLE_LOOKS
    }

    /// Logs trouble that was not there at the look before.
    fn say(&mut self, troubles: Vec<String>) {
        for trouble in troubles.iter().filter(|trouble| !self.troubles.contains(trouble)) {
            warn!(rollout = self.plan.name, "{trouble}");
        }
        self.troubles = troubles;
    }

    fn record(&mut self, now: UnixMillis, state: &State, observed: &Observed) {
        if let Some(recorder) = &mut self.options.recorder
            && let Err(error) = recorder.append(now, state, observed)
        {
            warn!(rollout = self.plan.name, "the recording stops here: {error}");
            self.options.recorder = None;
        }
    }

    fn show(&mut self, state: State, observed: Observed, now: UnixMillis, wait: Duration) {
        let evidence =
            state.rollout.as_ref().map(|progress| progress.judge.evidence(&self.plan.judge)).unwrap_or_default();
        let next_look_at = now.saturating_add(i64::try_from(wait.as_millis()).unwrap_or(i64::MAX));
        self.publish(Status {
            rollout: self.plan.name.clone(),
            at: now,
            next_look_at,
            state,
            evidence,
            observed,
            desired: self.desired.clone(),
            trouble: self.apply_trouble.clone(),
        });
    }

    /// Shows what was known before, and why there is nothing newer.
    fn show_trouble(&mut self, state: Option<State>, trouble: &str) {
        let before = self.status.borrow().clone();
        let state = state.or_else(|| before.as_ref().map(|status| status.state.clone()));
        let Some(state) = state else { return };
        let status = before.map(|status| (*status).clone()).unwrap_or_default();
        let at = self.parts.clock.now();
        let status = Status { rollout: self.plan.name.clone(), at, state, trouble: Some(trouble.to_owned()), ..status };
        self.publish(status);
    }

    fn publish(&mut self, status: Status) {
        if let Some(file) = &self.options.status_file
            && let Err(error) = status.write(file)
        {
            warn!(file = %file.display(), "the status cannot be written: {error}");
        }
        self.status.send_replace(Some(Arc::new(status)));
    }
}

/// How the wanted revision ended, if it did.
fn ended(state: &State, wanted: Option<&str>) -> Option<Ended> {
    let wanted = wanted?;
    let is_about_wanted = state.rollout.as_ref().is_some_and(|progress| progress.revision == wanted);
    let is_done_with = state.finished_revision.as_deref() == Some(wanted);
    match state.phase {
        Phase::Succeeded if is_about_wanted => Some(Ended::Succeeded),
        Phase::RolledBack if is_about_wanted => Some(Ended::RolledBack),
        Phase::Aborted if is_about_wanted => Some(Ended::Aborted),
        Phase::Idle if state.live_revision.as_deref() == Some(wanted) => Some(Ended::Succeeded),
        // A shadow, which never becomes live.
        Phase::Idle if is_done_with && is_about_wanted => Some(Ended::Succeeded),
        // It was live, and a person brought the version before back.
        Phase::Idle if is_done_with => Some(Ended::Aborted),
        _ => None,
    }
}
