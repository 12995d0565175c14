//! Removing what is older than it must be.
//!
//! What is old enough is found by walking over the events in the order of their ids, once for each rule: a [`Scope`] is the events that one
//! rule is for, and how far it has come is kept in the database. Events that are old enough but have a delivery that has not ended are set
//! aside and looked at again.

#[cfg(any(feature = "postgres", feature = "sqlite"))]
mod plan;

use std::collections::HashMap;

use spillway_model::{Retention, SourceId, UnixMillis};

#[cfg(any(feature = "postgres", feature = "sqlite"))]
pub(crate) use plan::{Aging, Ends, Looked, RELOOK_MS, STEPS_IN_A_ROUND, Scope, Sweep, Verdict};

/// How long things are kept.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct RetentionPolicy {
    /// For sources without a rule of their own.
    pub default: Retention,
    /// Rules of sources; what one leaves out is the default's.
    pub sources: HashMap<SourceId, Retention>,
}

/// What one round of [`crate::Store::expire`] removed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Expired {
    /// Events with their deliveries. Those that went with their partition are not counted.
    pub events: u64,
    /// Payloads of events that stay listed.
    pub payloads: u64,
    /// Attempts; those that went with their event are not counted.
    pub attempts: u64,
    /// Whole partitions, on engines that have them.
    pub partitions: u64,
    /// Whether there may be more to remove right now.
    pub more: bool,
}

impl std::ops::AddAssign for Expired {
    /// Adds the counts up; there is more if one of the two says so.
    fn add_assign(&mut self, other: Self) {
        self.events += other.events;
        self.payloads += other.payloads;
        self.attempts += other.attempts;
        self.partitions += other.partitions;
        self.more |= other.more;
    }
}

/// Used by callers to work in small steps.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ExpireLimits {
    /// Now.
    pub now: UnixMillis,
    /// Rows removed in one round at most, at least one event: a round must not hold up intake. An event goes whole, so one that has more
    /// deliveries and attempts than this takes a round of its own.
    pub rows: usize,
}
