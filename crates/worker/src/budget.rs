//! The budget of one destination as its lane sees it: requests and places in hand. Decides only; the dispatcher asks the store.

mod books;
mod limits;

use std::time::{Duration, Instant};

pub(crate) use books::{Books, Correction};
pub(crate) use limits::Limits;

/// Places are held for this much longer than an attempt may take. So long are those of a lost node occupied.
const PLACES_MARGIN: Duration = Duration::from_secs(60);
/// They are renewed when less than this is left beside an attempt's time.
const RENEW_BELOW: Duration = Duration::from_secs(40);
/// No attempt begins when less than this is left beside its time.
const BEGIN_ABOVE: Duration = Duration::from_secs(5);
/// A store that could not be asked is left alone for this time.
const AWAY: Duration = Duration::from_secs(1);
/// How soon a lane without a place asks again; doubled at most three times.
const NO_PLACE: Duration = Duration::from_millis(100);
/// A lane that got no place for this long steps back: whoever has the places delivers what it holds.
const PATIENCE: Duration = Duration::from_secs(5);

/// Whether the budget lets the next request go.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Standing {
    /// It may go.
    Free,
    /// The store has to be asked first.
    Wanting,
    /// The store is being asked.
    Asking,
    /// The store has to be asked again, not before this time.
    Later(Instant),
    /// Nothing is left this hour.
    UsedUp,
}

/// What a lane asks of the store.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Wish {
    /// Requests of this hour; zero asks for none.
    pub(crate) requests: u64,
    /// Places in all, those it has included.
    pub(crate) places: Option<u32>,
    /// How long places are to be held.
    pub(crate) hold: Duration,
}

/// What the store said to a wish.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Granted {
    pub(crate) requests: u64,
    pub(crate) places: Option<u32>,
}

/// One request that the budget lets go.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Grant {
    /// The clock hour that it counts for.
    pub(crate) hour: i64,
    /// What it is expected to cost, in millionths.
    pub(crate) cost_micros: u64,
    /// It must have begun by then, or its place may be somebody else's before it ends. `None` when places are not limited.
    pub(crate) begin_by: Option<Instant>,
}

/// What an attempt used of its grant.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Spent {
    /// No request was made.
    Nothing,
    /// One request, and what it was expected to cost.
    Expected,
    /// One request, and as much as the answer said, in millionths.
    Said(u64),
    /// One request; what the answer said is no amount, so it counts as expected.
    Unreadable(Box<str>),
}

/// What a lane has in hand.
#[derive(Debug)]
pub(crate) struct LaneBudget {
    limits: Limits,
    /// Requests that may go this hour.
    requests: u64,
    used_up: bool,
    places: u32,
    places_until: Option<Instant>,
    /// The store is being asked: at that time, for that.
    asking: Option<(Instant, Wish)>,
    not_before: Option<Instant>,
    /// Answers in a row that gave no place.
    refusals: u32,
    refused_since: Option<Instant>,
    /// More was in hand than was needed when last looked.
    surplus: bool,
    /// An answer of this hour could not be read, and that was said.
    warned_in: Option<i64>,
}

impl LaneBudget {
    pub(crate) fn new(limits: Limits) -> Self {
        Self {
            limits,
            requests: 0,
            used_up: false,
            places: 0,
            places_until: None,
            asking: None,
            not_before: None,
            refusals: 0,
            refused_since: None,
            surplus: false,
            warned_in: None,
        }
    }

    pub(crate) fn limits(&self) -> &Limits {
        &self.limits
    }

    /// Takes other limits: what was refused is asked for again. The requests in hand go back first, see [`LaneBudget::give_up`].
    pub(crate) fn set_limits(&mut self, limits: Limits) {
        self.limits = limits;
        self.forget_refusals();
    }

    /// A new hour has begun, or the limits are others. The requests in hand go back first, see [`LaneBudget::give_up`].
    pub(crate) fn forget_refusals(&mut self) {
        (self.used_up, self.not_before, self.refusals, self.refused_since) = (false, None, 0, None);
    }

    /// Whether the next request may go while `in_flight` are under way.
    pub(crate) fn standing(&self, in_flight: usize, timeout: Duration, now: Instant) -> Standing {
        if self.limits.is_metered() && self.requests == 0 {
            return if self.used_up { Standing::UsedUp } else { self.must_ask(now) };
        }
        if self.limits.max_places.is_some() && in_flight >= self.usable_places(timeout, now) {
            return self.must_ask(now);
        }
        Standing::Free
    }

    fn must_ask(&self, now: Instant) -> Standing {
        match self.not_before {
            _ if self.asking.is_some() => Standing::Asking,
            Some(at) if at > now => Standing::Later(at),
            _ => Standing::Wanting,
        }
    }

    fn usable_places(&self, timeout: Duration, now: Instant) -> usize {
        let holds = self.places_until.is_some_and(|until| until > now + timeout + BEGIN_ABOVE);
        if holds { self.places as usize } else { 0 }
    }

    /// Takes what one request needs; see [`LaneBudget::standing`].
    pub(crate) fn take(&mut self, hour: i64, timeout: Duration) -> Grant {
        if self.limits.is_metered() {
            self.requests = self.requests.saturating_sub(1);
        }
        let cost_micros = self.limits.cost_micros_each;
        let places_until = self.limits.max_places.and(self.places_until);
        Grant { hour, cost_micros, begin_by: places_until.and_then(|until| until.checked_sub(timeout)) }
    }

    /// A request that was granted was not made, in the hour that it was granted for.
    pub(crate) fn take_back(&mut self) {
        if self.limits.is_metered() {
            self.requests += 1;
        }
    }

    /// The requests in hand, which the lane then has no more.
    pub(crate) fn give_up(&mut self) -> u64 {
        std::mem::take(&mut self.requests)
    }

    /// The requests in hand when nothing has waited for them since this was last asked.
    pub(crate) fn give_up_surplus(&mut self, waiting: usize) -> u64 {
        let is_surplus = self.requests > 0 && waiting == 0 && self.asking.is_none();
        let was_surplus = std::mem::replace(&mut self.surplus, is_surplus);
        if is_surplus && was_surplus { self.give_up() } else { 0 }
    }

    /// What to ask the store for, if anything; `at_once` is the most that may be under way. A lane asks for no more than waits in it, so
    /// that no node hoards what another one could use.
    pub(crate) fn wish(
        &mut self,
        waiting: usize,
        in_flight: usize,
        at_once: usize,
        timeout: Duration,
        now: Instant,
    ) -> Option<Wish> {
        if self.asking.is_some() || self.not_before.is_some_and(|at| at > now) {
            return None;
        }
        let needs_requests = self.limits.is_metered() && self.requests == 0 && !self.used_up;
        let requests = if needs_requests { self.limits.chunk().min(waiting as u64) } else { 0 };
        let places = self.wanted_places(waiting, in_flight, at_once, timeout, now);
        if requests == 0 && places.is_none() {
            return None;
        }
        let wish = Wish { requests, places, hold: timeout + PLACES_MARGIN };
        self.asking = Some((now, wish));
        Some(wish)
    }

    fn wanted_places(
        &self,
        waiting: usize,
        in_flight: usize,
        at_once: usize,
        timeout: Duration,
        now: Instant,
    ) -> Option<u32> {
        let max = self.limits.max_places?;
        // Nothing new begins while nothing is left this hour.
        let waiting = if self.used_up { 0 } else { waiting };
        let needed = u32::try_from((in_flight + waiting).min(at_once)).unwrap_or(u32::MAX).min(max);
        let ends_soon = self.places_until.is_none_or(|until| until < now + timeout + RENEW_BELOW);
        let is_due = needed != self.places || (needed > 0 && ends_soon);
        is_due.then_some(needed)
    }

    /// The store's answer; `None` when it could not be asked. Returns whether the lane had better step back.
    pub(crate) fn answered(&mut self, granted: Option<Granted>, in_flight: usize, now: Instant) -> bool {
        let Some((asked_at, wish)) = self.asking.take() else { return false };
        let Some(granted) = granted else {
            self.not_before = Some(now + AWAY);
            return false;
        };
        self.not_before = None;
        self.requests += granted.requests;
        self.used_up |= wish.requests > 0 && granted.requests == 0;
        let (Some(wanted), Some(places)) = (wish.places, granted.places) else { return false };
        self.places = places;
        self.places_until = (places > 0).then_some(asked_at + wish.hold);
        if places >= wanted || places as usize > in_flight {
            (self.refusals, self.refused_since) = (0, None);
            return false;
        }
        self.not_before = Some(now + NO_PLACE * (1 << self.refusals.min(3)));
        self.refusals = self.refusals.saturating_add(1);
        if places > 0 {
            self.refused_since = None;
            return false;
        }
        let since = *self.refused_since.get_or_insert(now);
        let steps_back = now.duration_since(since) >= PATIENCE;
        if steps_back {
            self.refused_since = None;
        }
        steps_back
    }

    /// Places that it holds, which it then has no more.
    pub(crate) fn leave_places(&mut self) -> u32 {
        std::mem::take(&mut self.places)
    }

    /// How many deliveries are worth claiming, of those that the lane would take.
    pub(crate) fn wants(&self, usual: usize) -> usize {
        match () {
            () if self.used_up => 0,
            () if self.refused_since.is_some() => usual.min(1),
            () => usual,
        }
    }

    /// Whether the destination waits: nothing is left this hour, or every place is somebody else's.
    pub(crate) fn is_waiting(&self) -> bool {
        self.used_up || self.refused_since.is_some()
    }

    /// Whether to say that an answer's cost could not be read: once an hour.
    pub(crate) fn warns_in(&mut self, hour: i64) -> bool {
        self.warned_in.replace(hour) != Some(hour)
    }
}

#[cfg(test)]
mod tests;
