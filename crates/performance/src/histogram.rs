//! Distributions that add up without loss.

use crate::cell::Cell;

/// Upper bounds of the buckets in seconds, ascending, without +Inf: those of the exported histograms, which contain every threshold of
/// our objectives and alerts.
pub const BOUNDS: [f64; 23] = [
    0.000_05, 0.000_1, 0.000_25, 0.000_5, 0.001, 0.002_5, 0.005, 0.008, 0.015, 0.025, 0.05, 0.1, 0.2, 0.3, 0.4, 0.5,
    0.8, 1.0, 2.0, 5.0, 10.0, 30.0, 60.0,
];

/// Buckets: one for each bound, and one for what is above all of them.
pub const BUCKETS: usize = BOUNDS.len() + 1;

/// How many observations fell into each bucket. Histograms of seconds and of nodes add up bucket by bucket, so a percentile of an hour is
/// that of its observations and never a mean of percentiles.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Histogram {
    /// Observations by bucket, not accumulated.
    pub counts: [u64; BUCKETS],
}

/// The same in one slot of a ring, in half the room. A bucket stays at its largest value rather than starting anew, which takes 1.19 million
/// observations a second for an hour.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Buckets(pub(crate) [u32; BUCKETS]);

impl Histogram {
    /// What was observed between two readings of ever growing counts. A count that went back, because its owner started anew, counts as
    /// nothing.
    #[must_use]
    pub fn between(before: &[u64; BUCKETS], now: &[u64; BUCKETS]) -> Self {
        Self { counts: std::array::from_fn(|bucket| now[bucket].saturating_sub(before[bucket])) }
    }

    /// One observation, in seconds.
    #[must_use]
    pub fn of(seconds: f64) -> Self {
        let mut histogram = Self::default();
        let bucket = BOUNDS.iter().position(|bound| seconds <= *bound).unwrap_or(BUCKETS - 1);
        histogram.counts[bucket] = 1;
        histogram
    }

    /// All observations.
    #[must_use]
    pub fn count(&self) -> u64 {
        self.counts.iter().sum()
    }

    /// Adds other observations.
    pub fn merge(&mut self, other: &Self) {
        for (count, more) in self.counts.iter_mut().zip(&other.counts) {
            *count = count.saturating_add(*more);
        }
    }

    /// The observations that took at most so long. Exact when `seconds` is one of [`BOUNDS`]; else those up to the bound below it.
    #[must_use]
    pub fn within(&self, seconds: f64) -> u64 {
        let below = BOUNDS.iter().take_while(|bound| **bound <= seconds).count();
        self.counts[..below].iter().sum()
    }

    /// The time in seconds that a share `q`, 0 to 1, of the observations did not exceed, read off between the bounds of its bucket. `None`
    /// without observations. What is above the last bound reads as that bound.
    #[must_use]
    pub fn quantile(&self, q: f64) -> Option<f64> {
        let total = self.count();
        if total == 0 {
            return None;
        }
        let rank = q.clamp(0.0, 1.0) * total as f64;
        let mut below = 0.0;
        for (bucket, count) in self.counts.iter().enumerate().filter(|(_, count)| **count > 0) {
            let count = *count as f64;
            if below + count >= rank {
                let Some(upper) = BOUNDS.get(bucket) else { break };
                let lower = bucket.checked_sub(1).map_or(0.0, |before| BOUNDS[before]);
                return Some(lower + (upper - lower) * ((rank - below) / count).clamp(0.0, 1.0));
            }
            below += count;
        }
        Some(BOUNDS[BOUNDS.len() - 1])
    }
}

impl From<&Histogram> for Buckets {
    fn from(histogram: &Histogram) -> Self {
        Self(histogram.counts.map(|count| u32::try_from(count).unwrap_or(u32::MAX)))
    }
}

impl Cell for Buckets {
    type Sum = Histogram;

    fn merge(&mut self, other: &Self) {
        for (count, more) in self.0.iter_mut().zip(&other.0) {
            *count = count.saturating_add(*more);
        }
    }

    fn add_to(&self, sum: &mut Histogram) {
        for (count, more) in sum.counts.iter_mut().zip(&self.0) {
            *count += u64::from(*more);
        }
    }

    fn is_empty(&self) -> bool {
        self.0.iter().all(|count| *count == 0)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn of(seconds: &[f64]) -> Histogram {
        seconds.iter().fold(Histogram::default(), |mut sum, seconds| {
            sum.merge(&Histogram::of(*seconds));
            sum
        })
    }

    #[test]
    fn percentiles_are_read_off_between_the_bounds_of_their_bucket() {
        let even: Vec<f64> = (1..=100).map(|n| f64::from(n) / 1_000.0).collect();
        let histogram = of(&even);
        assert_eq!(histogram.count(), 100);
        for (q, expected) in [(0.5, 0.05), (0.95, 0.095), (0.99, 0.099), (1.0, 0.1)] {
            let found = histogram.quantile(q).unwrap();
            assert!((found - expected).abs() < 0.005, "p{} is {found}", q * 100.0);
        }
        assert_eq!(histogram.within(0.05), 50);
        assert_eq!(Histogram::default().quantile(0.5), None);
        assert_eq!(of(&[1e9]).quantile(0.5), Some(60.0), "above the last bound");
    }

    #[test]
    fn a_count_that_went_back_counts_as_nothing() {
        let mut before = [5; BUCKETS];
        let mut now = [7; BUCKETS];
        before[3] = 100;
        now[4] = u64::MAX;
        let between = Histogram::between(&before, &now);
        assert_eq!((between.counts[0], between.counts[3], between.counts[4]), (2, 0, u64::MAX - 5));
        assert_eq!(Buckets::from(&between).0[4], u32::MAX);
    }

    proptest! {
        #[test]
        fn the_percentile_of_a_sum_is_that_of_all_observations(
            a in proptest::collection::vec(0.0..70.0f64, 0..50), b in proptest::collection::vec(0.0..70.0f64, 0..50), q in 0.0..=1.0f64,
        ) {
            let mut sum = of(&a);
            sum.merge(&of(&b));
            let all: Vec<f64> = a.iter().chain(&b).copied().collect();
            prop_assert_eq!(sum, of(&all));
            let (low, high) = (sum.quantile(q), sum.quantile((q + 0.1).min(1.0)));
            prop_assert!(low <= high, "a higher percentile is never smaller");
            if let Some(value) = low {
                // The value lies in the bucket of the observation with that rank.
                let mut sorted = all;
                sorted.sort_by(f64::total_cmp);
                let rank = ((q * sorted.len() as f64).ceil() as usize).clamp(1, sorted.len());
                let exact = sorted[rank - 1];
                let upper = BOUNDS.iter().find(|bound| exact <= **bound).copied().unwrap_or(60.0);
                let lower = BOUNDS.iter().rev().find(|bound| exact > **bound).copied().unwrap_or(0.0);
                prop_assert!(value <= upper + 1e-12 && value >= lower.min(60.0) - 1e-12, "{} is not in {}..={}", value, lower, upper);
            }
        }
    }
}
