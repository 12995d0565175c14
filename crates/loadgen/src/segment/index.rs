//! Which of the whole's iterations and users fall to a segment.

use std::sync::Arc;

use super::Segment;

/// The indices of a segment, in ascending order. Cheap to clone.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SegmentedIndex {
    /// After so many indices the pattern repeats.
    period: u64,
    /// Those of the segment within a period, ascending and never empty.
    own: Arc<[u64]>,
}

impl SegmentedIndex {
    /// Deals the indices to the parts of the segment's whole, and keeps those of the segment.
    #[must_use]
    pub fn new(segment: &Segment) -> Self {
        let (lengths, period) = segment.lengths();
        // Of parts of the same length the first one comes first.
        let mut longest_first: Vec<usize> = (0..lengths.len()).collect();
        longest_first.sort_by_key(|part| std::cmp::Reverse(lengths[*part]));
        let mut dealt = vec![0_u64; lengths.len()];
        let mut own = Vec::new();
        for index in 0..period {
            // A part's index number `n` is due from `n / length` of a period on. One always is: all of them together are as many as indices.
            let due = |part: &usize| dealt[*part] * period <= index * lengths[*part];
            if let Some(part) = longest_first.iter().copied().find(due) {
                dealt[part] += 1;
                if part == segment.part {
                    own.push(index);
                }
            }
        }
        Self { period, own: own.into() }
    }

    /// How many of the first `n` are the segment's.
    #[must_use]
    pub fn share(&self, n: u64) -> u64 {
        let begun = self.own.partition_point(|own| *own < n % self.period);
        n / self.period * self.own.len() as u64 + begun as u64
    }

    /// The segment's index with the number `n`, counted from 0; the last `u64` when it is beyond all numbers.
    #[must_use]
    pub fn nth(&self, n: u64) -> u64 {
        let length = self.own.len() as u64;
        let within = self.own[(n % length) as usize];
        (n / length).checked_mul(self.period).and_then(|periods| periods.checked_add(within)).unwrap_or(u64::MAX)
    }

    /// Whether an index is the segment's.
    #[must_use]
    pub fn owns(&self, index: u64) -> bool {
        self.own.binary_search(&(index % self.period)).is_ok()
    }
}
