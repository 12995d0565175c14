//! All lanes of a worker: the one account of what waits and what is under way, and whose turn it is.
//!
//! No lane may fill the house. What a lane may take of the attempts and of the memory is a share of what is *free* (dynamic
//! thresholds, Choudhury and Hahne, 1998): a busy lane gets much, and several slow ones together still leave room for the next. A
//! lane that is alone may have every attempt.

mod desk;

use std::collections::{BTreeSet, HashMap, HashSet, VecDeque};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use spillway_model::{Claimed, DeliveryId, DestinationId, Lease, UnixMillis};

use desk::Desk;
pub(crate) use desk::Question;

use crate::breaker::Epoch;
use crate::budget::Grant;
use crate::destinations::{Destinations, Prepared};
use crate::lane::{Lane, Turn, size};
use crate::verdict::Health;

/// The most that all lanes together hold.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Bounds {
    /// Attempts under way.
    pub(crate) attempts: usize,
    /// Deliveries that wait.
    pub(crate) deliveries: usize,
    /// Bytes of payload that wait. A single batch that is larger still passes.
    pub(crate) bytes: usize,
}

/// Numbers for the metrics.
#[derive(Debug, Default)]
pub(crate) struct Counts {
    pub(crate) waiting: AtomicUsize,
    pub(crate) open_breakers: AtomicUsize,
    pub(crate) over_budget: AtomicUsize,
}

/// What to do next.
#[derive(Debug)]
pub(crate) enum Next {
    /// Send this.
    Send { claimed: Claimed, to: Arc<Prepared>, epoch: Epoch, grant: Option<Grant> },
    /// Give these back to the store.
    GiveBack { deliveries: Vec<Claimed>, rest: Rest },
}

/// When deliveries that are given back are due.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Rest {
    /// After this time.
    For(Duration),
    /// When the next clock hour begins.
    UntilNextHour,
}

#[derive(Debug)]
pub(crate) struct Lanes {
    bounds: Bounds,
    lanes: HashMap<DestinationId, Entry>,
    /// Lanes that may have something to send, each once.
    turns: VecDeque<DestinationId>,
    /// When lanes that must wait are looked at again, each once.
    wakes: BTreeSet<(Instant, DestinationId)>,
    waiting: usize,
    bytes: usize,
    in_flight: usize,
    desk: Desk,
    counts: Arc<Counts>,
}

#[derive(Debug)]
struct Entry {
    lane: Lane,
    in_turn: bool,
    wake: Option<Instant>,
}

impl Lanes {
    pub(crate) fn new(bounds: Bounds) -> Self {
        Self {
            bounds,
            lanes: HashMap::new(),
            turns: VecDeque::new(),
            wakes: BTreeSet::new(),
            waiting: 0,
            bytes: 0,
            in_flight: 0,
            desk: Desk::default(),
            counts: Arc::default(),
        }
    }

    pub(crate) fn counts(&self) -> Arc<Counts> {
        self.counts.clone()
    }

    /// How many more deliveries may wait; zero also when there is no room for their bytes.
    pub(crate) fn room(&self) -> usize {
        if self.bytes >= self.bounds.bytes { 0 } else { self.bounds.deliveries.saturating_sub(self.waiting) }
    }

    /// How many bytes of payload may still be taken.
    pub(crate) fn free_bytes(&self) -> usize {
        self.bounds.bytes.saturating_sub(self.bytes)
    }

    /// Puts a delivery into its lane. Gives it back when the lane has its share.
    pub(crate) fn push(&mut self, claimed: Claimed, to: &Arc<Prepared>) -> Result<(), Claimed> {
        let (share, free_bytes) = (self.room().div_ceil(2), self.free_bytes());
        let id = claimed.destination;
        let new = || Entry { lane: Lane::new(to.clone()), in_turn: false, wake: None };
        let lane = &mut self.lanes.entry(id).or_insert_with(new).lane;
        let bytes = size(&claimed);
        let has_room = lane.room() > 0 && lane.depth() < share;
        let has_bytes = free_bytes > 0 && (lane.depth() == 0 || lane.bytes() + bytes <= free_bytes / 2);
        if !has_room || !has_bytes {
            return Err(claimed);
        }
        if lane.has_budget() {
            self.desk.keep(id);
        }
        lane.push_back(claimed);
        self.add(1, bytes);
        self.queue_turn(id);
        Ok(())
    }

    /// The next thing to do, or `None` when every lane must wait for something. Lanes take turns, one attempt at a time.
    pub(crate) fn next(&mut self, now: Instant) -> Option<Next> {
        let mut crowded = 0;
        while crowded < self.turns.len() {
            let free = self.bounds.attempts.saturating_sub(self.in_flight);
            if free == 0 {
                return None;
            }
            let alone = self.lanes.len() == 1;
            let share = if alone { usize::MAX } else { (free - 1).max(1) };
            let id = self.turns.pop_front()?;
            let Some(entry) = self.lanes.get_mut(&id) else { continue };
            entry.in_turn = false;
            match entry.lane.turn(now, share) {
                Turn::Idle => {}
                Turn::Crowded => {
                    self.queue_turn(id);
                    crowded += 1;
                }
                Turn::At(until) => self.wake_at(id, until),
                Turn::Wanting => self.desk.want(id),
                Turn::Rest(until) => return Some(self.give_back(id, Rest::For(until - now))),
                Turn::UsedUp => return Some(self.give_back(id, Rest::UntilNextHour)),
                Turn::Held => return Some(self.give_back(id, Rest::For(Duration::ZERO))),
                Turn::Ready => {
                    let Some((claimed, epoch, grant)) = entry.lane.take(self.desk.hour(), now) else { continue };
                    let to = entry.lane.to().clone();
                    self.subtract(1, size(&claimed));
                    self.in_flight += 1;
                    self.queue_turn(id);
                    return Some(Next::Send { claimed, to, epoch, grant });
                }
            }
        }
        None
    }

    fn give_back(&mut self, id: DestinationId, rest: Rest) -> Next {
        let deliveries = self.lanes.get_mut(&id).map(|entry| entry.lane.clear()).unwrap_or_default();
        self.subtract(deliveries.len(), deliveries.iter().map(size).sum());
        self.forget_if_over(id);
        Next::GiveBack { deliveries, rest }
    }

    /// An attempt has ended. Returns whether that opened the destination's breaker.
    pub(crate) fn ended(
        &mut self,
        id: DestinationId,
        epoch: Epoch,
        health: Health,
        pause: Option<Duration>,
        now: Instant,
    ) -> bool {
        let opened = self.after_attempt(id, |lane| lane.ended(epoch, health, pause, now));
        opened.unwrap_or_default()
    }

    /// A delivery that was taken was not sent: the rate is used up for `wait`. Gives it back when there is no such lane.
    pub(crate) fn rate_limited(&mut self, claimed: Claimed, wait: Duration, now: Instant) -> Result<(), Claimed> {
        self.put_back(claimed, |lane| lane.rate_is_used_up(wait, now))
    }

    /// A delivery that was taken was not sent: its place at the destination is not held for long enough. Gives it back when there is no
    /// such lane.
    pub(crate) fn place_ended(&mut self, claimed: Claimed) -> Result<(), Claimed> {
        self.put_back(claimed, |_| {})
    }

    fn put_back(&mut self, claimed: Claimed, act: impl FnOnce(&mut Lane)) -> Result<(), Claimed> {
        let (id, bytes) = (claimed.destination, size(&claimed));
        let mut claimed = Some(claimed);
        self.after_attempt(id, |lane| {
            lane.not_sent();
            act(lane);
            claimed.take().into_iter().for_each(|claimed| lane.push_front(claimed));
        });
        match claimed {
            Some(claimed) => Err(claimed),
            None => {
                self.add(1, bytes);
                Ok(())
            }
        }
    }

    /// A delivery that was taken was not sent, and is not ours any more.
    pub(crate) fn lost(&mut self, id: DestinationId) {
        self.after_attempt(id, Lane::not_sent);
    }

    fn after_attempt<T>(&mut self, id: DestinationId, act: impl FnOnce(&mut Lane) -> T) -> Option<T> {
        self.in_flight = self.in_flight.saturating_sub(1);
        let lane = &mut self.lanes.get_mut(&id)?.lane;
        let was_open = lane.is_breaker_open();
        let outcome = act(lane);
        match (was_open, lane.is_breaker_open()) {
            (false, true) => _ = self.counts.open_breakers.fetch_add(1, Ordering::Relaxed),
            (true, false) => _ = self.counts.open_breakers.fetch_sub(1, Ordering::Relaxed),
            _ => {}
        }
        self.queue_turn(id);
        self.forget_if_over(id);
        Some(outcome)
    }

    /// Stops a lane at once, or lets it go on after `pause` if its destination is served.
    pub(crate) fn hold(&mut self, id: DestinationId, held: bool, pause: Option<Duration>, now: Instant) {
        if let Some(entry) = self.lanes.get_mut(&id) {
            entry.lane.hold(held);
            entry.lane.pause(pause, now);
            self.queue_turn(id);
        }
    }

    /// Takes a changed configuration.
    pub(crate) fn reload(&mut self, destinations: &Destinations) {
        for (id, entry) in &mut self.lanes {
            let to = destinations.get(*id).cloned();
            self.desk.change_limits(*id, &mut entry.lane, to.as_ref().and_then(|to| to.budget.as_ref()));
            entry.lane.update(to);
        }
        let ids: Vec<DestinationId> = self.lanes.keys().copied().collect();
        for id in ids {
            self.queue_turn(id);
            self.forget_if_over(id);
        }
        let open = self.lanes.values().filter(|entry| entry.lane.is_breaker_open()).count();
        self.counts.open_breakers.store(open, Ordering::Relaxed);
        self.count_over_budget();
    }

    /// How many deliveries each lane wants, where that is not the usual number.
    pub(crate) fn wants(&self, now: Instant) -> impl Iterator<Item = (DestinationId, usize)> {
        let share = self.room().div_ceil(2);
        self.lanes.iter().filter_map(move |(id, Entry { lane, .. })| {
            let wants = lane.wants(now).min(share.saturating_sub(lane.depth()));
            let is_usual = wants > 0 && lane.is_idle() && !lane.is_breaker_open() && !lane.is_over_budget();
            (!is_usual).then_some((*id, wants))
        })
    }

    /// Leases of waiting deliveries that would be too short for an attempt before they are looked at again: after `every`.
    pub(crate) fn ending_leases(&self, now: UnixMillis, lease: Duration, every: Duration) -> Vec<Lease> {
        self.lanes.values().flat_map(|entry| entry.lane.ending_leases(now, lease, every)).collect()
    }

    /// Notes which claims now hold until `until`, and drops those that are no longer ours.
    pub(crate) fn renewed(
        &mut self,
        renewed: &HashSet<(DeliveryId, u32)>,
        lost: &HashSet<DeliveryId>,
        until: UnixMillis,
    ) {
        let (mut dropped, mut dropped_bytes) = (0, 0);
        for lane in self.lanes.values_mut().map(|entry| &mut entry.lane) {
            let before = (lane.depth(), lane.bytes());
            lane.renewed(renewed, lost, until);
            dropped += before.0 - lane.depth();
            dropped_bytes += before.1 - lane.bytes();
        }
        self.subtract(dropped, dropped_bytes);
    }

    /// Takes all that waits.
    pub(crate) fn clear(&mut self) -> Vec<Claimed> {
        let all: Vec<Claimed> = self.lanes.values_mut().flat_map(|entry| entry.lane.clear()).collect();
        self.subtract(all.len(), self.bytes);
        all
    }

    /// Takes what waits and fits.
    pub(crate) fn remove(&mut self, fits: impl Fn(&Claimed) -> bool) -> Vec<Claimed> {
        let removed: Vec<Claimed> = self.lanes.values_mut().flat_map(|entry| entry.lane.remove(&fits)).collect();
        self.subtract(removed.len(), removed.iter().map(size).sum());
        let ids: HashSet<DestinationId> = removed.iter().map(|claimed| claimed.destination).collect();
        ids.into_iter().for_each(|id| self.forget_if_over(id));
        removed
    }

    /// When a lane must next be looked at, unless something else happens.
    pub(crate) fn next_wake(&self) -> Option<Instant> {
        self.wakes.first().map(|(at, _)| *at)
    }

    /// Gives their turn to the lanes whose wait is over.
    pub(crate) fn wake(&mut self, now: Instant) {
        while let Some((at, id)) = self.wakes.first().copied()
            && at <= now
        {
            self.wakes.pop_first();
            if let Some(entry) = self.lanes.get_mut(&id) {
                entry.wake = None;
            }
            self.queue_turn(id);
        }
    }

    fn wake_at(&mut self, id: DestinationId, at: Instant) {
        let Some(entry) = self.lanes.get_mut(&id) else { return };
        if let Some(earlier) = entry.wake.replace(at) {
            self.wakes.remove(&(earlier, id));
        }
        self.wakes.insert((at, id));
    }

    fn queue_turn(&mut self, id: DestinationId) {
        if let Some(entry) = self.lanes.get_mut(&id)
            && !std::mem::replace(&mut entry.in_turn, true)
        {
            self.turns.push_back(id);
        }
    }

    fn forget_if_over(&mut self, id: DestinationId) {
        if !self.lanes.get(&id).is_some_and(|entry| entry.lane.is_over()) {
            return;
        }
        if let Some(entry) = self.lanes.remove(&id) {
            if let Some(at) = entry.wake {
                self.wakes.remove(&(at, id));
            }
            if entry.lane.is_breaker_open() {
                self.counts.open_breakers.fetch_sub(1, Ordering::Relaxed);
            }
            if entry.lane.has_budget() {
                self.count_over_budget();
            }
        }
    }

    fn add(&mut self, deliveries: usize, bytes: usize) {
        self.waiting += deliveries;
        self.bytes += bytes;
        self.counts.waiting.store(self.waiting, Ordering::Relaxed);
    }

    fn subtract(&mut self, deliveries: usize, bytes: usize) {
        self.waiting -= deliveries;
        self.bytes -= bytes;
        self.counts.waiting.store(self.waiting, Ordering::Relaxed);
    }
}

#[cfg(test)]
mod tests;
