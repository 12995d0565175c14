//! The lane of one destination: what waits for it, and whether more may go out. Decides only; the dispatcher acts.

use std::collections::{HashSet, VecDeque};
use std::sync::Arc;
use std::time::{Duration, Instant};

use spillway_model::{Claimed, DeliveryId, Lease, Rate, UnixMillis};

use crate::breaker::{Admission, Breaker, Epoch};
use crate::budget::{Grant, Granted, LaneBudget, Standing, Wish};
use crate::destinations::Prepared;
use crate::lease::{lease_of, milliseconds};
use crate::verdict::Health;

/// A lane that must wait longer than this gives its deliveries back to the store, where they take no memory.
const LONG_PAUSE: Duration = Duration::from_secs(5);
/// A lane that steps back, because it gets no place at its destination, wants nothing for this time.
const STEP_BACK: Duration = Duration::from_secs(6);
/// A lane whose rate is used up looks again no more often than this, and then sends as much as the rate allows meanwhile.
const PACE: Duration = Duration::from_millis(10);

/// What waits for one destination, and what is under way.
#[derive(Debug)]
pub(crate) struct Lane {
    to: Arc<Prepared>,
    queue: VecDeque<Claimed>,
    bytes: usize,
    in_flight: usize,
    breaker: Breaker,
    /// What may go out of its destination's budget, if that has one.
    budget: Option<Box<LaneBudget>>,
    /// Set while the destination asked to be left alone, or its rate is used up.
    paused_until: Option<Instant>,
    /// Attempts before the next short pause, while the destination's rate is used up.
    paced: Option<u32>,
    /// Nothing goes out: the destination is paused, disabled or gone.
    held: bool,
    /// The destination is not configured any more.
    gone: bool,
}

/// Whether the lane may send, and if not, when to look again.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Turn {
    /// Something waits and may go out.
    Ready,
    /// Nothing waits, or all it may send is under way: an ending or an arrival changes that.
    Idle,
    /// Something waits and may go out when others have had the attempts that are left.
    Crowded,
    /// Something waits and may not go out before this time.
    At(Instant),
    /// What waits had better go back to the store until this time.
    Rest(Instant),
    /// Something waits, and the store must be asked whether its budget lets it go.
    Wanting,
    /// The budget is used up: what waits belongs back into the store until the next hour.
    UsedUp,
    /// What waits belongs back into the store: nothing goes out until the configuration changes.
    Held,
}

impl Lane {
    pub(crate) fn new(to: Arc<Prepared>) -> Self {
        let breaker = Breaker::new(to.destination.breaker);
        let budget = to.budget.clone().map(|limits| Box::new(LaneBudget::new(limits)));
        let held = !to.is_served();
        let (queue, bytes, in_flight, paused_until, paced, gone) = (VecDeque::new(), 0, 0, None, None, false);
        Self { to, queue, bytes, in_flight, breaker, budget, paused_until, paced, held, gone }
    }

    /// Takes a changed destination, or `None` when it is gone; what waits stays. A new URL is a new start.
    pub(crate) fn update(&mut self, to: Option<Arc<Prepared>>) {
        self.gone = to.is_none();
        self.held = !to.as_ref().is_some_and(|to| to.is_served());
        let Some(to) = to else { return };
        if to.destination.url != self.to.destination.url {
            self.breaker = Breaker::new(to.destination.breaker);
            self.paused_until = None;
        }
        if to.destination.rate_limit != self.to.destination.rate_limit {
            self.paced = None;
        }
        self.breaker.set_policy(to.destination.breaker);
        match (&mut self.budget, &to.budget) {
            (Some(budget), Some(limits)) if budget.limits() == limits => {}
            (Some(budget), Some(limits)) => budget.set_limits(limits.clone()),
            (budget, limits) => *budget = limits.clone().map(|limits| Box::new(LaneBudget::new(limits))),
        }
        self.to = to;
    }

    pub(crate) fn has_budget(&self) -> bool {
        self.budget.is_some()
    }

    pub(crate) fn budget(&mut self) -> Option<&mut LaneBudget> {
        self.budget.as_deref_mut()
    }

    /// Whether its destination has a budget and waits for it.
    pub(crate) fn is_over_budget(&self) -> bool {
        self.budget.as_ref().is_some_and(|budget| budget.is_waiting())
    }

    /// What to ask the store for, so that more may go out.
    pub(crate) fn wish(&mut self, now: Instant) -> Option<Wish> {
        let waiting = if self.held { 0 } else { self.queue.len() };
        let budget = self.budget.as_deref_mut()?;
        budget.wish(waiting, self.in_flight, self.to.max_concurrent, self.to.timeout, now)
    }

    /// What the store said to a wish; `None` when it could not be asked.
    pub(crate) fn granted(&mut self, granted: Option<Granted>, now: Instant) {
        let steps_back = self.budget.as_mut().is_some_and(|budget| budget.answered(granted, self.in_flight, now));
        if steps_back {
            self.pause(Some(STEP_BACK), now);
        }
    }

    /// Gives up the requests in hand that nothing has needed for a while. Returns how many, and what each was expected to cost.
    pub(crate) fn give_up_surplus(&mut self) -> (u64, u64) {
        let waiting = self.queue.len();
        self.budget
            .as_mut()
            .map_or((0, 0), |budget| (budget.give_up_surplus(waiting), budget.limits().cost_micros_each))
    }

    /// Gives up all requests in hand.
    pub(crate) fn give_up(&mut self) -> (u64, u64) {
        self.budget.as_mut().map_or((0, 0), |budget| (budget.give_up(), budget.limits().cost_micros_each))
    }

    /// Stops it, or lets it go on if its destination is served.
    pub(crate) fn hold(&mut self, held: bool) {
        self.held = held || self.gone || !self.to.is_served();
    }

    pub(crate) fn to(&self) -> &Arc<Prepared> {
        &self.to
    }

    pub(crate) fn push_back(&mut self, claimed: Claimed) {
        self.bytes += size(&claimed);
        self.queue.push_back(claimed);
    }

    /// Puts back a delivery that was taken but not sent.
    pub(crate) fn push_front(&mut self, claimed: Claimed) {
        self.bytes += size(&claimed);
        self.queue.push_front(claimed);
    }

    /// How many more deliveries the lane takes.
    pub(crate) fn room(&self) -> usize {
        let attempts = (self.to.max_concurrent + self.to.max_waiting).saturating_sub(self.queue.len() + self.in_flight);
        attempts.min((self.to.max_waiting.max(self.to.max_concurrent)).saturating_sub(self.queue.len()))
    }

    /// How many deliveries are worth claiming for it now.
    pub(crate) fn wants(&self, now: Instant) -> usize {
        if self.held || self.paused_until.is_some_and(|until| until > now + LONG_PAUSE) {
            return 0;
        }
        match self.breaker.admission(now) {
            Admission::Resting(_) => 0,
            Admission::Probe => usize::from(self.is_idle()),
            Admission::Open => {
                let usual = self.to.max_waiting.min(self.room());
                self.budget.as_ref().map_or(usual, |budget| budget.wants(usual))
            }
        }
    }

    /// Whether something may go out now, when at most `share` attempts of this lane should be under way.
    pub(crate) fn turn(&self, now: Instant, share: usize) -> Turn {
        if self.queue.is_empty() {
            return Turn::Idle;
        }
        if self.held {
            return Turn::Held;
        }
        if let Some(until) = self.paused_until.filter(|until| *until > now) {
            return if until - now > LONG_PAUSE { Turn::Rest(until) } else { Turn::At(until) };
        }
        match self.breaker.admission(now) {
            Admission::Resting(until) => Turn::Rest(until),
            Admission::Probe if self.in_flight > 0 => Turn::Idle,
            Admission::Open if self.in_flight >= self.to.max_concurrent => Turn::Idle,
            Admission::Probe | Admission::Open if self.in_flight >= share => Turn::Crowded,
            Admission::Probe | Admission::Open => match &self.budget {
                None => Turn::Ready,
                Some(budget) => self.turn_by_budget(budget, now),
            },
        }
    }

    fn turn_by_budget(&self, budget: &LaneBudget, now: Instant) -> Turn {
        match budget.standing(self.in_flight, self.to.timeout, now) {
            Standing::Free => Turn::Ready,
            Standing::Wanting => Turn::Wanting,
            Standing::Asking => Turn::Idle,
            Standing::Later(at) => Turn::At(at),
            Standing::UsedUp => Turn::UsedUp,
        }
    }

    /// Takes the next delivery to send in this clock hour; ask [`Lane::turn`] first.
    pub(crate) fn take(&mut self, hour: i64, now: Instant) -> Option<(Claimed, Epoch, Option<Grant>)> {
        let claimed = self.queue.pop_front()?;
        self.bytes -= size(&claimed);
        self.in_flight += 1;
        self.keep_pace(now);
        let grant = self.budget.as_mut().map(|budget| budget.take(hour, self.to.timeout));
        Some((claimed, self.breaker.epoch(), grant))
    }

    /// Takes all that waits.
    pub(crate) fn clear(&mut self) -> Vec<Claimed> {
        self.bytes = 0;
        std::mem::take(&mut self.queue).into()
    }

    /// Takes what waits and fits.
    pub(crate) fn remove(&mut self, fits: impl Fn(&Claimed) -> bool) -> Vec<Claimed> {
        let (removed, kept): (Vec<_>, Vec<_>) = std::mem::take(&mut self.queue).into_iter().partition(fits);
        self.queue = kept.into();
        self.bytes -= removed.iter().map(size).sum::<usize>();
        removed
    }

    /// An attempt that began in `epoch` has ended. Returns whether that opened the breaker.
    pub(crate) fn ended(&mut self, epoch: Epoch, health: Health, pause: Option<Duration>, now: Instant) -> bool {
        self.in_flight = self.in_flight.saturating_sub(1);
        self.pause(pause, now);
        match health {
            Health::Good => self.breaker.succeeded(),
            Health::Bad => return self.breaker.failed(epoch, now),
            Health::Unknown => {}
        }
        false
    }

    /// A delivery that was taken was not sent.
    pub(crate) fn not_sent(&mut self) {
        self.in_flight = self.in_flight.saturating_sub(1);
    }

    /// The destination's rate is used up for this long.
    pub(crate) fn rate_is_used_up(&mut self, wait: Duration, now: Instant) {
        self.paced = self.to.destination.rate_limit.map(|rate| pace(rate).0);
        self.pause(Some(wait), now);
    }

    /// While the rate is used up, attempts begin at its pace: asking the limiter for each would mostly get a refusal.
    fn keep_pace(&mut self, now: Instant) {
        let (Some(left), Some(rate)) = (self.paced, self.to.destination.rate_limit) else { return };
        if self.queue.is_empty() {
            self.paced = None;
        } else if left > 1 {
            self.paced = Some(left - 1);
        } else {
            let (burst, every) = pace(rate);
            self.paced = Some(burst);
            self.pause(Some(every), now);
        }
    }

    /// Sends nothing for this long, counted from `now`.
    pub(crate) fn pause(&mut self, pause: Option<Duration>, now: Instant) {
        if let Some(pause) = pause {
            self.paused_until = self.paused_until.max(Some(now + pause));
        }
    }

    pub(crate) fn is_breaker_open(&self) -> bool {
        self.breaker.is_open()
    }

    /// Whether nothing waits and nothing is under way.
    pub(crate) fn is_idle(&self) -> bool {
        self.queue.is_empty() && self.in_flight == 0
    }

    /// Whether it may be forgotten.
    pub(crate) fn is_over(&self) -> bool {
        self.gone && self.is_idle()
    }

    /// Deliveries that wait.
    pub(crate) fn depth(&self) -> usize {
        self.queue.len()
    }

    /// Bytes of payload that wait.
    pub(crate) fn bytes(&self) -> usize {
        self.bytes
    }

    #[cfg(test)]
    pub(crate) fn in_flight(&self) -> usize {
        self.in_flight
    }

    /// Leases of waiting deliveries that would be too short for an attempt before they are looked at again: after `every`.
    pub(crate) fn ending_leases(
        &self,
        now: UnixMillis,
        lease: Duration,
        every: Duration,
    ) -> impl Iterator<Item = Lease> {
        // A lease that was just renewed must not count as ending.
        let before = now + milliseconds((self.to.timeout + 2 * every).min(lease.saturating_sub(every / 2)));
        self.queue.iter().filter(move |claimed| claimed.lease_until < before).map(lease_of)
    }

    /// Notes which claims now hold until `until`, and drops those that are no longer ours.
    pub(crate) fn renewed(
        &mut self,
        renewed: &HashSet<(DeliveryId, u32)>,
        lost: &HashSet<DeliveryId>,
        until: UnixMillis,
    ) {
        let mut dropped = 0;
        self.queue.retain_mut(|claimed| {
            if !renewed.contains(&(claimed.id, claimed.generation)) {
                return true;
            }
            if lost.contains(&claimed.id) {
                dropped += size(claimed);
                return false;
            }
            claimed.lease_until = claimed.lease_until.max(until);
            true
        });
        self.bytes -= dropped;
    }
}

/// Bytes of payload.
pub(crate) fn size(claimed: &Claimed) -> usize {
    claimed.event.body.len() + claimed.event.headers.as_bytes().len()
}

/// How many attempts fit into how long a time, at least [`PACE`].
fn pace(rate: Rate) -> (u32, Duration) {
    let interval = rate.per / rate.count.get();
    if interval >= PACE {
        return (1, interval);
    }
    let burst = PACE.as_nanos() * u128::from(rate.count.get()) / rate.per.as_nanos().max(1);
    (u32::try_from(burst).unwrap_or(u32::MAX).max(1), PACE)
}
