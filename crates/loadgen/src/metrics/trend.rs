use std::collections::BTreeMap;
use std::time::Duration;

use serde::{Deserialize, Serialize, Serializer};

/// Largest time that a bucket tells apart, in microseconds: one hour. Longer ones count as this long in percentiles.
pub const HIGHEST_MICROS: u64 = 3_600_000_000;

/// Buckets in which every microsecond is told apart; above, each doubling of the time has half as many.
const EXACT: usize = 1 << EXACT_BITS;
const EXACT_BITS: u32 = 11;

/// Buckets that are allocated together: times gather, so most pages stay away.
const PAGE: usize = 64;

/// Samples that a stored trend may have: as many as a floating-point number tells apart, and years of load.
const MOST_SAMPLES: u64 = 1 << 53;

/// Number of buckets.
const BUCKETS: usize = index(HIGHEST_MICROS) + 1;

/// How long something took, many times: a histogram with the bounds 1 µs to 1 h and three significant digits, the same buckets as
/// `hdrhistogram`'s, and the exact count, sum, minimum and maximum beside it. All in microseconds.
///
/// Trends add up without loss, whoever recorded them.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(try_from = "Sparse")]
pub struct Trend {
    count: u64,
    sum: u64,
    min: u64,
    max: u64,
    pages: Vec<Option<Box<Page>>>,
    /// How often a bucket's number in its page began again at zero. Almost always empty: it takes four thousand million samples.
    carries: BTreeMap<usize, u64>,
}

type Page = [u32; PAGE];

/// Samples of about the same size.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Bucket {
    /// Smallest time of the bucket, in microseconds.
    pub low: u64,
    /// Largest time of the bucket, in microseconds.
    pub high: u64,
    /// Samples in it; never zero.
    pub count: u64,
}

impl Trend {
    /// One without samples.
    pub fn new() -> Self {
        Self::default()
    }

    /// Adds a sample, rounded to microseconds.
    pub fn record(&mut self, time: Duration) {
        self.record_micros(micros(time));
    }

    /// Adds a sample in microseconds.
    pub fn record_micros(&mut self, value: u64) {
        self.min = if self.count == 0 { value } else { self.min.min(value) };
        self.max = self.max.max(value);
        self.count += 1;
        self.sum = self.sum.saturating_add(value);
        self.add(index(value), 1);
    }

    /// Adds all samples of another one.
    pub fn merge(&mut self, other: &Self) {
        let fits = self.count.saturating_add(other.count) <= u64::from(u32::MAX);
        self.merge_summary(other.count, other.sum, other.min, other.max);
        if !fits {
            other.counts().for_each(|(index, count)| self.add(index, count));
            return;
        }
        if self.pages.len() < other.pages.len() {
            self.pages.resize(other.pages.len(), None);
        }
        for (own, other) in self.pages.iter_mut().zip(&other.pages) {
            match (own, other) {
                (Some(own), Some(other)) => own.iter_mut().zip(other.iter()).for_each(|(own, other)| *own += other),
                (own, Some(other)) => *own = Some(other.clone()),
                (_, None) => {}
            }
        }
    }

    pub(crate) fn merge_sparse(&mut self, other: &Sparse) {
        self.merge_summary(other.count, other.sum, other.min, other.max);
        for (index, count) in other.buckets() {
            self.add(index, count);
        }
    }

    /// Forgets all samples and keeps the memory for the next ones.
    pub(crate) fn clear(&mut self) {
        self.pages.iter_mut().flatten().for_each(|page| page.fill(0));
        self.carries.clear();
        (self.count, self.sum, self.min, self.max) = (0, 0, 0, 0);
    }

    /// Number of samples.
    pub fn count(&self) -> u64 {
        self.count
    }

    /// Sum of all samples, exact; it stays at the largest number there is.
    pub fn sum(&self) -> u64 {
        self.sum
    }

    /// Smallest sample, exact; `None` without samples.
    pub fn min(&self) -> Option<u64> {
        (self.count > 0).then_some(self.min)
    }

    /// Largest sample, exact; `None` without samples.
    pub fn max(&self) -> Option<u64> {
        (self.count > 0).then_some(self.max)
    }

    /// Mean of all samples, exact; `None` without samples.
    pub fn mean(&self) -> Option<f64> {
        (self.count > 0).then(|| self.sum as f64 / self.count as f64)
    }

    /// The value below which `percent` of the samples lie, from 0 (the smallest) to 100 (the largest); `None` without samples.
    ///
    /// With n samples in order, the rank is `percent / 100 · (n − 1)`, and between two samples the value is interpolated linearly, as k6
    /// does. Each sample counts as the middle of its bucket, at most 0.05 % from its exact value.
    pub fn percentile(&self, percent: f64) -> Option<f64> {
        let last = self.count.checked_sub(1)?;
        let rank = percent.clamp(0.0, 100.0) / 100.0 * last as f64;
        let below = (rank.floor() as u64).min(last);
        let above = (below + 1).min(last);
        let mut seen = 0;
        let mut at_below = None;
        for bucket in self.buckets() {
            seen += bucket.count;
            if at_below.is_none() && seen > below {
                at_below = Some(self.sample(below, bucket));
            }
            if let Some(at_below) = at_below
                && seen > above
            {
                return Some(at_below + (self.sample(above, bucket) - at_below) * (rank - below as f64));
            }
        }
        Some(self.max as f64)
    }

    /// The sample of this rank, which lies in this bucket.
    fn sample(&self, rank: u64, bucket: Bucket) -> f64 {
        if rank == 0 {
            self.min as f64
        } else if rank == self.count - 1 {
            self.max as f64
        } else {
            f64::midpoint(bucket.low as f64, bucket.high as f64).clamp(self.min as f64, self.max as f64)
        }
    }

    /// The buckets that have samples, in rising order.
    pub fn buckets(&self) -> impl Iterator<Item = Bucket> {
        self.counts().map(|(index, count)| {
            let (low, high) = bounds(index);
            Bucket { low, high, count }
        })
    }

    fn counts(&self) -> impl Iterator<Item = (usize, u64)> {
        let pages = self.pages.iter().enumerate().filter_map(|(at, page)| Some((at, page.as_deref()?)));
        let slots = pages.flat_map(|(at, page)| (at * PAGE..).zip(page.iter().copied()));
        let counts = slots.map(|(index, slot)| {
            let carried =
                if self.carries.is_empty() { 0 } else { self.carries.get(&index).map_or(0, |times| times << 32) };
            (index, carried + u64::from(slot))
        });
        counts.filter(|(_, count)| *count > 0)
    }

    fn add(&mut self, index: usize, count: u64) {
        let at = index / PAGE;
        if at >= self.pages.len() {
            self.pages.resize(at + 1, None);
        }
        let slot = &mut self.pages[at].get_or_insert_with(|| Box::new([0; PAGE]))[index % PAGE];
        let sum = u64::from(*slot).saturating_add(count);
        *slot = sum as u32;
        if sum > u64::from(u32::MAX) {
            *self.carries.entry(index).or_default() += sum >> 32;
        }
    }

    fn merge_summary(&mut self, count: u64, sum: u64, min: u64, max: u64) {
        if count > 0 {
            self.min = if self.count == 0 { min } else { self.min.min(min) };
            self.max = self.max.max(max);
            self.count = self.count.saturating_add(count);
            self.sum = self.sum.saturating_add(sum);
        }
    }

    #[cfg(test)]
    pub(crate) fn heap_bytes(&self) -> usize {
        self.pages.capacity() * size_of::<Option<Box<Page>>>() + self.pages.iter().flatten().count() * size_of::<Page>()
    }
}

impl PartialEq for Trend {
    fn eq(&self, other: &Self) -> bool {
        (self.count, self.sum, self.min, self.max) == (other.count, other.sum, other.min, other.max)
            && self.counts().eq(other.counts())
    }
}

impl Serialize for Trend {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        Sparse::from(self).serialize(serializer)
    }
}

/// A trend at rest: a pair of numbers for each bucket that has samples, namely the number of empty buckets before it and its count.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Sparse {
    count: u64,
    sum: u64,
    min: u64,
    max: u64,
    buckets: Vec<u64>,
}

impl Sparse {
    fn buckets(&self) -> impl Iterator<Item = (usize, u64)> {
        self.buckets.chunks_exact(2).scan(0_usize, |next, pair| {
            let index = next.saturating_add(usize::try_from(pair[0]).unwrap_or(usize::MAX));
            *next = index.saturating_add(1);
            Some((index, pair[1]))
        })
    }

    /// Whether a trend could have become this.
    fn is_sound(&self) -> bool {
        let mut counted = 0_u64;
        let mut ends = None;
        for (index, count) in self.buckets() {
            if index >= BUCKETS || count == 0 {
                return false;
            }
            counted = counted.saturating_add(count);
            ends = Some((ends.map_or(index, |(first, _)| first), index));
        }
        let holds = |value: u64| u128::from(self.count) * u128::from(value);
        let summed = holds(self.min)..=holds(self.max);
        self.count <= MOST_SAMPLES
            && self.buckets.len().is_multiple_of(2)
            && counted == self.count
            && (summed.contains(&u128::from(self.sum)) || self.sum == u64::MAX)
            && ends.map_or(self.min == 0 && self.max == 0, |ends| ends == (index(self.min), index(self.max)))
    }
}

impl From<&Trend> for Sparse {
    fn from(trend: &Trend) -> Self {
        let mut buckets = Vec::new();
        let mut next = 0;
        for (index, count) in trend.counts() {
            buckets.extend([(index - next) as u64, count]);
            next = index + 1;
        }
        buckets.shrink_to_fit();
        Self { count: trend.count, sum: trend.sum, min: trend.min, max: trend.max, buckets }
    }
}

impl TryFrom<Sparse> for Trend {
    type Error = &'static str;

    fn try_from(sparse: Sparse) -> Result<Self, &'static str> {
        if !sparse.is_sound() {
            return Err("the buckets of a trend contradict its count, sum, min or max");
        }
        let mut trend = Self::new();
        trend.merge_sparse(&sparse);
        Ok(trend)
    }
}

/// Rounded to whole microseconds.
pub(crate) fn micros(time: Duration) -> u64 {
    time.as_secs().saturating_mul(1_000_000).saturating_add(u64::from((time.subsec_nanos() + 500) / 1_000))
}

const fn index(value: u64) -> usize {
    let value = if value > HIGHEST_MICROS { HIGHEST_MICROS } else { value };
    let shift = (value | (EXACT as u64 - 1)).ilog2() - (EXACT_BITS - 1);
    shift as usize * (EXACT / 2) + (value >> shift) as usize
}

/// The smallest and the largest value of a bucket.
const fn bounds(index: usize) -> (u64, u64) {
    let shift = (index / (EXACT / 2)).saturating_sub(1);
    let low = ((index - shift * (EXACT / 2)) as u64) << shift;
    (low, low + (1 << shift) - 1)
}

#[cfg(test)]
mod tests;
