//! Whose turn it is: which request may be sent now.

use std::time::{Duration, Instant};

/// One request that is to be sent.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Ticket {
    /// Its number within the flood, from zero.
    pub(super) index: u64,
    /// When it was due; `None` without a schedule.
    pub(super) due: Option<Instant>,
}

/// One thread's part of a flood: of `parts` threads, number `part` sends the requests `part`, `part + parts`, …
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Share {
    pub(super) part: u64,
    pub(super) parts: u64,
}

/// Requests as fast as they are answered, until the end.
#[derive(Debug)]
pub(super) struct Closed {
    pub(super) next: u64,
    pub(super) step: u64,
    pub(super) ends: Instant,
}

impl Closed {
    pub(super) fn new(share: Share, start: Instant, duration: Duration) -> Self {
        Self { next: share.part, step: share.parts, ends: start + duration }
    }

    pub(super) fn take(&mut self, now: Instant) -> Option<Ticket> {
        if now >= self.ends {
            return None;
        }
        let index = self.next;
        self.next += self.step;
        Some(Ticket { index, due: None })
    }
}

/// An absolute schedule: request i is due at `start + i / rate`, whatever became of those before.
#[derive(Debug)]
pub(super) struct Open {
    start: Instant,
    rate: f64,
    most_wait: Duration,
    step: u64,
    /// The first request that was neither taken nor dropped.
    next: u64,
    /// Requests of all threads.
    total: u64,
    dropped: u64,
}

impl Open {
    /// All requests due before `start + duration`.
    pub(super) fn new(share: Share, start: Instant, duration: Duration, rate: f64, most_wait: Duration) -> Self {
        // Rounded, so that 0.1 s at 30/s are 3 requests in spite of the last binary digit.
        let total = (rate * duration.as_secs_f64() * 1e6).round() / 1e6;
        Self { start, rate, most_wait, step: share.parts, next: share.part, total: total.ceil() as u64, dropped: 0 }
    }

    /// The request that has waited longest, if one is due. Those that waited too long are dropped.
    pub(super) fn take(&mut self, now: Instant) -> Option<Ticket> {
        while self.next < self.total {
            let due = self.due(self.next);
            if due > now {
                return None;
            }
            let index = self.next;
            self.next += self.step;
            if now.duration_since(due) <= self.most_wait {
                return Some(Ticket { index, due: Some(due) });
            }
            self.dropped += 1;
        }
        None
    }

    /// Drops what is due and takes nothing of what would come.
    pub(super) fn stop(&mut self, now: Instant) {
        while self.next < self.total && self.due(self.next) <= now {
            self.next += self.step;
            self.dropped += 1;
        }
        self.next = self.next.max(self.total);
    }

    /// Drops what waited too long by `now`, without taking anything.
    pub(super) fn expire(&mut self, now: Instant) {
        while self.next < self.total && self.due(self.next) + self.most_wait < now {
            self.next += self.step;
            self.dropped += 1;
        }
    }

    /// Every request was taken or dropped.
    pub(super) fn is_over(&self) -> bool {
        self.next >= self.total
    }

    /// Requests dropped so far.
    pub(super) fn dropped(&self) -> u64 {
        self.dropped
    }

    /// When to look again: the first request due after `now`, or when the one that waits must be dropped.
    pub(super) fn wake(&self, now: Instant) -> Instant {
        let due = self.due(self.next);
        if due > now {
            return due;
        }
        let elapsed = now.duration_since(self.start).as_secs_f64() * self.rate;
        let steps = ((elapsed - self.next as f64) / self.step as f64).max(0.0) as u64 + 1;
        let following = self.due(self.next + steps * self.step);
        following.min(due + self.most_wait + Duration::from_micros(1))
    }

    fn due(&self, index: u64) -> Instant {
        self.start + Duration::from_secs_f64(index as f64 / self.rate)
    }
}

#[cfg(test)]
mod tests;
