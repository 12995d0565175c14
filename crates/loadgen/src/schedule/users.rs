//! How many users there are over time.

use std::time::Duration;

use crate::options::{ExecutorPlan, Stage};
use crate::segment::SegmentedIndex;

/// From an instant on there are so many users.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct VuChange {
    /// From the start of the scenario.
    pub at: Duration,
    /// Users of the segment.
    pub vus: u64,
}

/// Changes of the segment's users in the order of time, lazily; the first one is at the start. Executors that loop no users have none.
///
/// Within a stage of a ramp the count becomes `k` at `end − length·(target − k)/difference`, as in k6. A stage without length is one change.
pub fn vu_changes(executor: &ExecutorPlan, segment: &SegmentedIndex) -> impl Iterator<Item = VuChange> + Send + use<> {
    let (start, stages): (_, &[Stage]) = match executor {
        ExecutorPlan::ConstantVus { vus, .. } | ExecutorPlan::ExternallyControlled { vus, .. } => (Some(*vus), &[]),
        ExecutorPlan::RampingVus { start_vus, stages, .. } => (Some(*start_vus), stages),
        _ => (None, &[]),
    };
    let start = start.map(u64::from);
    let mut from = start.unwrap_or(0);
    let mut end = Duration::ZERO;
    let mut ramps = Vec::new();
    for stage in stages {
        end = end.saturating_add(stage.duration);
        let to = stage.target as u64;
        ramps.push(Ramp { end, length: stage.duration, from, to });
        from = to;
    }
    let segment = segment.clone();
    let first = start.map(|vus| VuChange { at: Duration::ZERO, vus: segment.share(vus) });
    first.into_iter().chain(ramps.into_iter().flat_map(move |ramp| ramp.changes(segment.clone())))
}

#[derive(Clone, Copy)]
struct Ramp {
    end: Duration,
    length: Duration,
    from: u64,
    to: u64,
}

impl Ramp {
    /// Each change by one of the segment's users, or a single one where there is no time between.
    fn changes(self, segment: SegmentedIndex) -> impl Iterator<Item = VuChange> + Send {
        let (from, to) = (segment.share(self.from), segment.share(self.to));
        let n = if self.length.is_zero() { u64::from(from != to) } else { from.abs_diff(to) };
        (1..=n).map(move |step| {
            if self.length.is_zero() {
                return VuChange { at: self.end, vus: to };
            }
            let vus = if to > from { from + step } else { from - step };
            // The segment's count goes up with its user's own number, and down when that user leaves.
            let count = if to > from { segment.nth(vus - 1) + 1 } else { segment.nth(vus) };
            VuChange { at: self.at(count), vus }
        })
    }

    /// When there are `count` users of all segments together.
    fn at(self, count: u64) -> Duration {
        let missing =
            u128::from(self.to.abs_diff(count)) * self.length.as_nanos() / u128::from(self.from.abs_diff(self.to));
        self.end - Duration::from_nanos_u128(missing)
    }
}
