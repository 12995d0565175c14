//! Takes deliveries from the ready queue and from the store into the lanes, starts attempts, learns from their endings.

mod budget_work;
mod drain;
mod store_work;

use std::collections::{HashMap, HashSet, VecDeque};
use std::panic::AssertUnwindSafe;
use std::pin::pin;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use futures_util::FutureExt;
use spillway_coordination::ReadyQueue;
use spillway_model::{Claimed, DeliveryId, DestinationId, Lease, NextState, Settlement, UnixMillis};
use spillway_store::StoreError;
use spillway_telemetry::DeliveryOutcome;
use tokio::sync::mpsc;
use tokio::task::AbortHandle;
use tokio_util::task::TaskTracker;

use crate::attempt_task::{Attempts, Job, Outcome};
use crate::breaker::Epoch;
use crate::budget::{Correction, Grant, Granted};
use crate::destinations::{Defaults, Destinations};
use crate::lanes::{Bounds, Lanes, Next, Question, Rest};
use crate::lease::{Claim, milliseconds};
use crate::portion::Portion;
use crate::programs::{ConnectionPrograms, Found, Programs};
use crate::settler::SettlerHandle;
use crate::stop::StopTimes;
use crate::worker::Worker;

/// Deliveries taken from the ready queue at once.
const READY_BATCH: usize = 256;
/// Deliveries that may wait in memory, for each attempt that may be under way.
const WAITING_PER_ATTEMPT: usize = 16;
/// Bytes of payload that may wait in memory.
const WAITING_BYTES: usize = 64 << 20;
/// A delivery for a destination that is not known here yet is due again after this time.
const UNKNOWN_DELAY_MS: i64 = 1_000;
/// Budgets are counted in clock hours of this many milliseconds.
const HOUR_MS: i64 = 3_600_000;
/// Reports taken at once.
const REPORT_BATCH: usize = 64;

/// What a task that the dispatcher started reports back.
enum Report {
    /// An attempt's task has ended.
    Attempt { task: tokio::task::Id, destination: DestinationId, epoch: Epoch, grant: Option<Grant>, outcome: Outcome },
    /// The store was asked for due deliveries.
    Claimed { result: Result<Vec<Claimed>, StoreError>, wanted: usize, portion: Portion },
    /// Leases were renewed until then; `lost` are no longer ours. `None` when the store could not do it.
    Renewed { leases: Vec<Lease>, lost: Option<Vec<DeliveryId>>, until: UnixMillis },
    /// The store was asked to disable the destination. When it could not, the next 410 asks again.
    Disabled { destination: DestinationId, disabled: bool },
    /// The store was asked which of these destinations exist no more.
    LookedUp { deleted: Vec<DestinationId> },
    /// The store was asked what budgets let go, and told what is to be corrected; `untold` it did not take.
    Budgets { answers: Vec<(Question, Option<Granted>)>, untold: Vec<Correction>, problem: Option<StoreError> },
}

pub(crate) struct Dispatcher {
    worker: Worker,
    attempts: Arc<Attempts>,
    reports: mpsc::Sender<Report>,
    inbox: mpsc::Receiver<Report>,
    tasks: TaskTracker,
    /// Attempts under way.
    running: Running,
    destinations: Destinations,
    programs: Programs,
    defaults: Defaults,
    /// Which deliveries are taken.
    portion: Portion,
    /// The ready queue of this worker's slot, if that is not everybody's.
    ready_of_slot: Option<Arc<dyn ReadyQueue>>,
    lanes: Lanes,
    /// Settlements without an attempt for which the settler had no room. While there are any, nothing new is taken.
    outbox: VecDeque<Settlement>,
    /// Destinations that deliveries name and the configuration does not.
    unknown: HashSet<DestinationId>,
    deleted: HashSet<DestinationId>,
    looking_up: bool,
    /// Destinations that the store is being asked to disable.
    disabling: HashSet<DestinationId>,
    claiming: bool,
    claim_begun: Instant,
    claim_at: Instant,
    /// How long the last claim took.
    claim_took: Duration,
    /// Something became due while the store was being asked.
    claim_again: bool,
    /// Average payload of what was claimed lately, in bytes.
    claimed_bytes: usize,
    renewing: bool,
    renew_at: Instant,
    store_is_away: bool,
    asking_budgets: bool,
    budgets_at: Instant,
    budgets_are_away: bool,
    /// Names this process where places are held.
    holder: i64,
}

/// Tasks that are aborted when the dispatcher is dropped before its end.
#[derive(Default)]
struct Running(HashMap<tokio::task::Id, AbortHandle>);

impl Drop for Running {
    fn drop(&mut self) {
        for task in self.0.values() {
            task.abort();
        }
    }
}

impl Dispatcher {
    pub(crate) fn new(mut worker: Worker, settle: SettlerHandle) -> Self {
        let settings = &mut worker.settings;
        settings.concurrency = settings.concurrency.max(1);
        settings.claim_batch = settings.claim_batch.max(1);
        let defaults = Defaults {
            timeout: settings.timeout,
            max_concurrent: settings.per_destination.max(1),
            retry: settings.retry.clone(),
        };
        let mut lanes = Lanes::new(Bounds {
            attempts: settings.concurrency,
            deliveries: settings.concurrency * WAITING_PER_ATTEMPT,
            bytes: WAITING_BYTES,
        });
        let (reports, inbox) = mpsc::channel(settings.concurrency + 16);
        let lease = settings.lease;
        let configuration = worker.configuration.borrow_and_update().clone();
        let destinations = Destinations::build(&configuration, &defaults, &worker.resolve, worker.clock.now());
        let programs = Programs::build(&configuration, Programs::default());
        lanes.set_hour(hour_of(worker.clock.now()));
        let slot = worker.settings.slot;
        let portion = Portion::of(&configuration, slot);
        if slot.is_some() || portion != Portion::All {
            portion.announce(slot);
        }
        worker.metrics.worker_share.set(portion.ratio());
        let (counts, ready) = (lanes.counts(), worker.coordination.ready.clone());
        let ready_of_slot = slot.and_then(|slot| worker.coordination.ready_of(slot));
        let ready_of_slot = ready_of_slot.filter(|of_slot| !Arc::ptr_eq(of_slot, &ready));
        let of_slot = ready_of_slot.clone();
        let depth = move || {
            let handed_over = ready.depth() + of_slot.as_ref().map_or(0, |queue| queue.depth());
            Some((counts.waiting.load(Ordering::Relaxed) + handed_over) as f64)
        };
        worker.metrics.ready_queue_depth.sample_with(depth);
        let counts = lanes.counts();
        worker.metrics.breaker_open.sample_with(move || Some(counts.open_breakers.load(Ordering::Relaxed) as f64));
        let counts = lanes.counts();
        worker.metrics.budget_waiting.sample_with(move || Some(counts.over_budget.load(Ordering::Relaxed) as f64));
        let attempts = Arc::new(Attempts {
            store: worker.store.clone(),
            rate: worker.coordination.rate.clone(),
            clock: worker.clock.clone(),
            metrics: worker.metrics.clone(),
            sender: worker.sender.clone(),
            settle,
            lease,
        });
        let now = Instant::now();
        Self {
            worker,
            attempts,
            reports,
            inbox,
            tasks: TaskTracker::new(),
            running: Running::default(),
            destinations,
            programs,
            defaults,
            portion,
            ready_of_slot,
            lanes,
            outbox: VecDeque::new(),
            unknown: HashSet::new(),
            deleted: HashSet::new(),
            looking_up: false,
            disabling: HashSet::new(),
            claiming: false,
            claim_begun: now,
            claim_at: now,
            claim_took: Duration::ZERO,
            claim_again: false,
            claimed_bytes: 0,
            renewing: false,
            renew_at: now + lease / 4,
            store_is_away: false,
            asking_budgets: false,
            budgets_at: now,
            budgets_are_away: false,
            holder: rand::random(),
        }
    }

    /// Works until it is told to stop, and stops. Returns what it was told.
    pub(crate) async fn run(mut self) -> StopTimes {
        let (ready, settle) = (self.worker.coordination.ready.clone(), self.attempts.settle.clone());
        let due = self.worker.coordination.due.clone();
        let ready_of_slot = self.ready_of_slot.clone();
        let stop = self.worker.stop.clone();
        let mut stopped = pin!(stop.stopped());
        let mut reported = Vec::with_capacity(REPORT_BATCH);
        let mut follows_configuration = true;
        let times = loop {
            self.refresh();
            self.start_attempts();
            self.start_claim();
            self.start_renewal();
            self.start_lookup();
            self.start_budgets();
            let wake = self.next_wake();
            let may_take = self.lanes.room() > 0 && self.outbox.is_empty();
            // In no fixed order: under load one of these is always ready, and none may starve.
            tokio::select! {
                times = &mut stopped => break times,
                _ = self.inbox.recv_many(&mut reported, REPORT_BATCH) => {
                    for report in reported.drain(..) {
                        self.take_report(report);
                    }
                }
                batch = ready.pop(READY_BATCH), if may_take => self.take_own(batch),
                batch = pop(ready_of_slot.as_deref()), if may_take => self.take_own(batch),
                Ok(permit) = settle.room(), if !self.outbox.is_empty() => {
                    if let Some(settlement) = self.outbox.pop_front() {
                        permit.send(settlement);
                    }
                    self.flush_outbox();
                }
                () = due.notified() => self.claim_soon(),
                changed = self.worker.configuration.changed(), if follows_configuration => match changed {
                    Ok(()) => self.reload(),
                    Err(_) => {
                        follows_configuration = false;
                        tracing::error!("nobody follows the configuration any more; the last one stays in force");
                    }
                },
                () = tokio::time::sleep_until(wake.into()) => {}
            }
        };
        drop(settle);
        self.drain(times).await;
        times
    }

    /// Does what is due by the clocks.
    fn refresh(&mut self) {
        let at = self.worker.clock.now();
        if at >= self.destinations.next_expiry() {
            self.reload();
        }
        self.lanes.set_hour(hour_of(at));
        let now = Instant::now();
        if self.lanes.next_wake().is_some_and(|at| at <= now) {
            self.lanes.wake(now);
        }
    }

    fn reload(&mut self) {
        let configuration = self.worker.configuration.borrow_and_update().clone();
        let now = self.worker.clock.now();
        self.destinations = Destinations::build(&configuration, &self.defaults, &self.worker.resolve, now);
        self.programs = Programs::build(&configuration, std::mem::take(&mut self.programs));
        self.lanes.reload(&self.destinations);
        self.claim_at = Instant::now();
        self.change_portion(Portion::of(&configuration, self.worker.settings.slot));
    }

    /// What waits here and is another slot's from now on is given back, so that it goes out where it should.
    fn change_portion(&mut self, portion: Portion) {
        if portion == self.portion {
            return;
        }
        self.portion = portion;
        self.portion.announce(self.worker.settings.slot);
        self.worker.metrics.worker_share.set(self.portion.ratio());
        let foreign = self.lanes.remove(|claimed| !self.portion.has(claimed.id));
        self.give_back(foreign);
    }

    /// Takes deliveries that were handed over. What is another slot's is given back: the shares changed while it was under way.
    fn take_own(&mut self, batch: Vec<Claimed>) {
        if self.portion == Portion::All {
            return self.take_deliveries(batch);
        }
        let (own, foreign): (Vec<_>, Vec<_>) = batch.into_iter().partition(|claimed| self.portion.has(claimed.id));
        self.give_back(foreign);
        self.take_deliveries(own);
    }

    fn take_deliveries(&mut self, batch: Vec<Claimed>) {
        let now = self.worker.clock.now();
        for claimed in batch {
            if claimed.lease_until <= now {
                // It came out of the ready queue late. It is due in the store by now, for whoever claims it first.
                continue;
            }
            let Some(to) = self.destinations.get(claimed.destination) else {
                self.settle_unknown(&claimed, now);
                continue;
            };
            let first_at = claimed.event.received_at().saturating_add(to.first_delay_ms);
            if claimed.attempts == 0 && to.first_delay_ms > 0 && first_at > now {
                self.settle_later(Claim::of(&claimed).released(first_at));
            } else if !to.is_served() {
                self.settle_later(Claim::of(&claimed).released(now));
            } else if let Err(claimed) = self.lanes.push(claimed, to) {
                // Claims respect what a lane wants, so this does not go round in circles; and others may have room.
                self.settle_later(Claim::of(&claimed).released(now));
            }
        }
    }

    /// A delivery for a destination that this node does not know: deleted, or so new that the configuration has yet to come.
    fn settle_unknown(&mut self, claimed: &Claimed, now: UnixMillis) {
        if self.deleted.contains(&claimed.destination) {
            self.worker.metrics.deliveries.get(DeliveryOutcome::Cancelled).inc();
            tracing::warn!(delivery.id = %claimed.id, "the destination was deleted, so the delivery is cancelled");
            let next = NextState::Cancelled { at: now };
            self.settle_later(Claim::of(claimed).settled(next, None));
        } else {
            self.unknown.insert(claimed.destination);
            self.settle_later(Claim::of(claimed).released(now + UNKNOWN_DELAY_MS));
        }
    }

    /// Settles without waiting for the settler.
    fn settle_later(&mut self, settlement: Settlement) {
        if !self.outbox.is_empty() {
            self.outbox.push_back(settlement);
        } else if let Some(settlement) = self.attempts.settle.try_settle(settlement) {
            self.outbox.push_back(settlement);
        }
    }

    fn flush_outbox(&mut self) {
        while let Some(settlement) = self.outbox.pop_front() {
            if let Some(settlement) = self.attempts.settle.try_settle(settlement) {
                self.outbox.push_front(settlement);
                return;
            }
        }
    }

    fn start_attempts(&mut self) {
        while let Some(next) = self.lanes.next(Instant::now()) {
            match next {
                Next::Send { claimed, to, epoch, grant } => match self.programs_for(&claimed) {
                    Ok(programs) => self.start_attempt(Job { claimed, to, programs, grant }, epoch),
                    Err(NotYetKnown) => self.wait_for_connection(&claimed, grant),
                },
                Next::GiveBack { deliveries, rest } => {
                    let now = self.worker.clock.now();
                    let due_at = match rest {
                        Rest::For(rest) => now + milliseconds(rest),
                        Rest::UntilNextHour => (hour_of(now) + 1) * HOUR_MS,
                    };
                    for claimed in deliveries {
                        self.settle_later(Claim::of(&claimed).released(due_at));
                    }
                }
            }
        }
    }

    /// The programs of the delivery's connection, if it has any.
    fn programs_for(&mut self, claimed: &Claimed) -> Result<Option<Arc<ConnectionPrograms>>, NotYetKnown> {
        let now = self.worker.clock.now();
        if let Found::NotYet = self.programs.find(claimed.connection, &claimed.event, now)
            && self.worker.configuration.has_changed().unwrap_or_default()
        {
            self.reload();
        }
        match self.programs.find(claimed.connection, &claimed.event, now) {
            Found::Plain => Ok(None),
            Found::Programs(programs) => Ok(Some(programs.clone())),
            Found::NotYet => Err(NotYetKnown),
        }
    }

    /// A delivery of a connection so new that this node does not know yet what the connection does to it.
    fn wait_for_connection(&mut self, claimed: &Claimed, grant: Option<Grant>) {
        self.lanes.lost(claimed.destination);
        self.not_spent(claimed.destination, grant);
        let due_at = self.worker.clock.now() + UNKNOWN_DELAY_MS;
        self.settle_later(Claim::of(claimed).released(due_at));
    }

    fn start_attempt(&mut self, job: Job, epoch: Epoch) {
        let (attempts, reports, destination) = (self.attempts.clone(), self.reports.clone(), job.claimed.destination);
        let grant = job.grant;
        let task = self.tasks.spawn(async move {
            // A panic must not take a place in the lane for ever. Its message has been logged.
            let outcome = AssertUnwindSafe(attempts.run(job)).catch_unwind().await.unwrap_or(Outcome::Lost);
            // Nobody listens any more only at a hard stop.
            let _ = reports.send(Report::Attempt { task: tokio::task::id(), destination, epoch, grant, outcome }).await;
        });
        self.running.0.insert(task.id(), task.abort_handle());
    }

    /// Starts work beside the dispatcher that reports back, with `otherwise` if it panics.
    fn start(&self, otherwise: Report, work: impl Future<Output = Report> + Send + 'static) {
        let reports = self.reports.clone();
        self.tasks.spawn(async move {
            let report = AssertUnwindSafe(work).catch_unwind().await.unwrap_or(otherwise);
            let _ = reports.send(report).await;
        });
    }

    fn take_report(&mut self, report: Report) {
        match report {
            Report::Attempt { task, destination, epoch, grant, outcome } => {
                self.running.0.remove(&task);
                self.book(destination, grant, &outcome);
                self.take_outcome(destination, epoch, outcome);
            }
            Report::Claimed { result, wanted, portion } => self.take_claimed(result, wanted, &portion),
            Report::Renewed { leases, lost, until } => self.take_renewed(&leases, lost, until),
            Report::Disabled { destination, disabled } => self.take_disabled(destination, disabled),
            Report::LookedUp { deleted } => self.take_deleted(deleted),
            Report::Budgets { answers, untold, problem } => self.take_budgets(answers, untold, problem),
        }
    }

    fn take_outcome(&mut self, destination: DestinationId, epoch: Epoch, outcome: Outcome) {
        let now = Instant::now();
        match outcome {
            Outcome::Ended { health, pause, disable, spent: _ } => {
                if self.lanes.ended(destination, epoch, health, pause, now) {
                    let name = self.destinations.get(destination).map(|to| to.destination.name.as_str());
                    tracing::warn!(
                        destination = name,
                        "the circuit breaker opened; deliveries wait until the destination has rested"
                    );
                }
                if disable {
                    self.disable(destination);
                }
            }
            Outcome::RateLimited { claimed, .. } | Outcome::PlaceEnded { claimed } if self.portion.is_nothing() => {
                self.lanes.lost(claimed.destination);
                self.give_back([*claimed]);
            }
            Outcome::RateLimited { claimed, wait } => {
                if let Err(claimed) = self.lanes.rate_limited(*claimed, wait, now) {
                    let due_at = self.worker.clock.now() + milliseconds(wait);
                    self.settle_later(Claim::of(&claimed).released(due_at));
                }
            }
            Outcome::PlaceEnded { claimed } => {
                if let Err(claimed) = self.lanes.place_ended(*claimed) {
                    self.give_back([claimed]);
                }
            }
            Outcome::LeaseLost | Outcome::Lost => self.lanes.lost(destination),
        }
    }

    /// When to look at the clocks again, if nothing happens before.
    fn next_wake(&self) -> Instant {
        let now = Instant::now();
        let claim = (!self.claiming && self.outbox.is_empty() && self.lanes.room() > 0)
            .then(|| self.claim_at.max(now + Duration::from_millis(1)));
        let renewal = (!self.renewing).then_some(self.renew_at);
        let budgets = (!self.asking_budgets && self.lanes.has_budgets()).then_some(self.budgets_at);
        let times =
            [self.lanes.next_wake(), claim, renewal, budgets, Some(now + self.worker.settings.poll.max(MIN_POLL))];
        times.into_iter().flatten().min().unwrap_or(now)
    }
}

/// The delivery's connection is not in this node's configuration yet.
struct NotYetKnown;

fn hour_of(at: UnixMillis) -> i64 {
    at.div_euclid(HOUR_MS)
}

/// The next deliveries of a queue that there may not be.
async fn pop(queue: Option<&dyn ReadyQueue>) -> Vec<Claimed> {
    match queue {
        Some(queue) => queue.pop(READY_BATCH).await,
        None => std::future::pending().await,
    }
}

/// The clocks are looked at this often at most when nothing else happens.
const MIN_POLL: Duration = Duration::from_millis(100);
