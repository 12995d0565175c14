//! Where to go on after a connection broke.

use std::collections::{HashSet, VecDeque};

use spillway_model::EventId;

/// Events are stored a little out of the order of their ids: so far before the last one a new connection begins.
const OVERLAP_MS: i64 = 10_000;
/// Events that are known not to be new.
const MOST_KNOWN: usize = 16_384;

/// What was forwarded already.
#[derive(Debug)]
pub(super) struct Resume {
    /// Nothing before it is wanted; unknown until the gateway said from where it sends.
    begin: Option<EventId>,
    is_under_way: bool,
    latest: Option<EventId>,
    known: HashSet<EventId>,
    order: VecDeque<EventId>,
}

impl Resume {
    pub(super) fn new(begin: Option<EventId>) -> Self {
        Self { begin, is_under_way: false, latest: None, known: HashSet::new(), order: VecDeque::new() }
    }

    /// Whether there was a connection already.
    pub(super) fn is_under_way(&self) -> bool {
        self.is_under_way
    }

    /// The gateway sends events from this one on. Returns whether it is the first connection.
    pub(super) fn begin(&mut self, from: EventId) -> bool {
        self.begin.get_or_insert(from);
        !std::mem::replace(&mut self.is_under_way, true)
    }

    /// Where the next connection begins; `None` is now.
    pub(super) fn from(&self) -> Option<EventId> {
        let before_latest = self.latest.map(|latest| EventId::first_of(latest.timestamp() - OVERLAP_MS));
        self.begin.max(before_latest)
    }

    pub(super) fn is_new(&self, id: EventId) -> bool {
        !self.known.contains(&id)
    }

    /// The event was forwarded.
    pub(super) fn done(&mut self, id: EventId) {
        if self.known.insert(id) {
            self.order.push_back(id);
        }
        if self.order.len() > MOST_KNOWN
            && let Some(oldest) = self.order.pop_front()
        {
            self.known.remove(&oldest);
        }
        self.latest = self.latest.max(Some(id));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_new_connection_begins_before_the_last_event_but_not_before_the_first() {
        let at = EventId::first_of;
        let mut resume = Resume::new(None);
        assert_eq!(resume.from(), None, "from now");
        assert!(resume.begin(at(1_000_000)));
        assert_eq!(resume.from(), Some(at(1_000_000)));
        resume.done(at(1_005_000));
        assert_eq!(resume.from(), Some(at(1_000_000)));
        resume.done(at(1_050_000));
        resume.done(at(1_049_000));
        assert_eq!(resume.from(), Some(at(1_040_000)));
        assert!(!resume.begin(at(1_040_000)));
        assert!(!resume.is_new(at(1_049_000)) && resume.is_new(at(1_049_001)));
    }

    #[test]
    fn what_is_remembered_is_bounded() {
        let mut resume = Resume::new(None);
        for n in 0..MOST_KNOWN as i64 + 10 {
            resume.done(EventId::first_of(n));
        }
        assert_eq!((resume.known.len(), resume.order.len()), (MOST_KNOWN, MOST_KNOWN));
    }
}
