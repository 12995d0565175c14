//! The time line of all shards, second by second.

use std::collections::VecDeque;

use crate::metrics::{Points, Second};

/// Seconds that may wait for the slowest shard. More come only from a shard that does not keep to the protocol.
const MOST_OPEN: usize = 3_600;

/// Adds up the shards' seconds: counts and users add up, percentiles are those of the worst shard, because percentiles of different shards
/// cannot be added and are never averaged.
#[derive(Debug)]
pub(super) struct MergedTimeline {
    /// Number of seconds known of each shard, by its index; `None` after its last one.
    known: Vec<Option<u64>>,
    /// Seconds of which some shards are missing.
    open: VecDeque<Second>,
    /// Number of the first of them.
    first_open: u64,
    points: Points,
    last: Second,
}

impl MergedTimeline {
    pub(super) fn new(shards: u32) -> Self {
        Self {
            known: vec![Some(0); shards as usize],
            open: VecDeque::new(),
            first_open: 0,
            points: Points::default(),
            last: Second::default(),
        }
    }

    /// Takes those seconds that are new; `last` says that no more come of this shard. Returns how many are known.
    pub(super) fn receive(&mut self, shard: u32, first: u64, seconds: &[Second], last: bool) -> u64 {
        let Some(Some(known)) = self.known.get(shard as usize).copied() else { return first + seconds.len() as u64 };
        let mut next = known;
        for (number, second) in (first..).zip(seconds) {
            if number != next {
                continue;
            }
            let Some(place) = number.checked_sub(self.first_open).and_then(|at| usize::try_from(at).ok()) else {
                break;
            };
            if let Some(there) = self.open.get_mut(place) {
                there.overlay(second);
            } else if self.open.len() < MOST_OPEN {
                self.open.push_back(second.clone());
            } else {
                break;
            }
            next += 1;
        }
        self.known[shard as usize] = (!last).then_some(next);
        self.close();
        next
    }

    /// Moves on the seconds that all running shards have delivered.
    fn close(&mut self) {
        let complete = self.known.iter().flatten().min().copied().unwrap_or(u64::MAX);
        while self.first_open < complete
            && let Some(second) = self.open.pop_front()
        {
            self.points.push(&second);
            self.last = second;
            self.first_open += 1;
        }
    }

    /// The newest second that all shards have delivered.
    pub(super) fn last(&self) -> &Second {
        &self.last
    }

    /// All seconds that all shards have delivered.
    pub(super) fn seconds(&self) -> Vec<Second> {
        self.points.seconds()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn second(number: u64, requests: u64, p99_ms: f64) -> Second {
        let at_ms = number as f64 * 1_000.0;
        Second { at_ms, duration_ms: 1_000.0, requests, vus: 2, p99_ms: Some(p99_ms), ..Second::default() }
    }

    #[test]
    fn a_second_is_complete_when_each_shard_has_told_it() {
        let mut timeline = MergedTimeline::new(2);
        assert_eq!(timeline.receive(0, 0, &[second(0, 10, 5.0), second(1, 20, 6.0)], false), 2);
        assert_eq!(timeline.seconds(), []);
        assert_eq!(timeline.receive(1, 0, &[second(0, 1, 9.0)], false), 1);
        let merged = Second { vus: 4, ..second(0, 11, 9.0) };
        assert_eq!((timeline.seconds(), timeline.last()), (vec![merged.clone()], &merged));
        // Twice, early and too late: nothing changes.
        assert_eq!(timeline.receive(1, 0, &[second(0, 1, 9.0)], false), 1);
        assert_eq!(timeline.receive(1, 5, &[second(5, 1, 9.0)], false), 1);
        assert_eq!(timeline.seconds(), [merged]);
    }

    #[test]
    fn a_shard_that_ended_holds_up_nobody() {
        let mut timeline = MergedTimeline::new(2);
        timeline.receive(0, 0, &[second(0, 10, 5.0)], true);
        timeline.receive(1, 0, &[second(0, 1, 9.0), second(1, 2, 1.0)], false);
        assert_eq!(timeline.seconds().iter().map(|second| second.requests).collect::<Vec<_>>(), [11, 2]);
        timeline.receive(0, 1, &[second(1, 100, 5.0)], false);
        timeline.receive(1, 2, &[second(2, 3, 1.0)], true);
        assert_eq!(timeline.seconds().iter().map(|second| second.requests).collect::<Vec<_>>(), [11, 2, 3]);
    }
}
