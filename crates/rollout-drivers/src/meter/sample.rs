//! What was seen of a slot: raw counters by process and series, never differences.

use std::cmp::Ordering;
use std::collections::BTreeMap;

use spillway_model::UnixMillis;

/// Series that are kept of one process; more say that the labels are not narrow enough.
pub(super) const MAX_SERIES: usize = 20_000;

/// A counter at a time.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Point {
    pub(super) at: UnixMillis,
    pub(super) value: f64,
}

/// Counters by their labels; points oldest first.
pub(super) type Series = BTreeMap<String, Vec<Point>>;

/// An upper limit of a bucket.
#[derive(Debug, Clone, Copy)]
pub(super) struct Limit(pub(super) f64);

/// A slot.
#[derive(Debug, Clone, Default)]
pub(super) struct SlotSample {
    /// By address, or whatever names a process.
    pub(super) processes: BTreeMap<String, ProcessSample>,
}

/// A process.
#[derive(Debug, Clone, Default)]
pub(super) struct ProcessSample {
    /// Its start, seconds since the Unix epoch.
    pub(super) started: Vec<Point>,
    pub(super) requests: Series,
    pub(super) errors: Series,
    /// The latency histogram by labels without `le`.
    pub(super) histograms: BTreeMap<String, BTreeMap<Limit, Vec<Point>>>,
    /// Connections of the database pool: used, and the limit.
    pub(super) pool_used: Option<f64>,
    pub(super) pool_max: Option<f64>,
    /// Resident bytes.
    pub(super) memory: Option<f64>,
    /// Newest point of any series.
    pub(super) newest: UnixMillis,
}

impl SlotSample {
    /// Keeps what the next sample is compared with: the last point of each series, and those of `earlier` that a process did not show this time.
    pub(super) fn become_base(&mut self, earlier: Option<&Self>) {
        for (name, process) in &mut self.processes {
            if let Some(earlier) = earlier.and_then(|earlier| earlier.processes.get(name)) {
                process.carry_over(earlier);
            }
            process.every_series().for_each(|points| {
                points.drain(..points.len().saturating_sub(1));
            });
        }
    }
}

impl ProcessSample {
    /// Counters that are kept.
    pub(super) fn n_series(&self) -> usize {
        self.requests.len() + self.errors.len() + self.histograms.values().map(BTreeMap::len).sum::<usize>()
    }

    /// Adds a point of a counter; what is no count is no point.
    pub(super) fn push(&mut self, place: impl FnOnce(&mut Self) -> &mut Vec<Point>, point: Point) {
        if point.value.is_finite() && point.value >= 0.0 {
            place(self).push(point);
            self.newest = self.newest.max(point.at);
        }
    }

    fn every_series(&mut self) -> impl Iterator<Item = &mut Vec<Point>> {
        let histograms = self.histograms.values_mut().flat_map(BTreeMap::values_mut);
        let counters = self.requests.values_mut().chain(self.errors.values_mut());
        std::iter::once(&mut self.started).chain(counters).chain(histograms)
    }

    /// A counter that is missing once would seem new afterwards, and count from zero.
    fn carry_over(&mut self, earlier: &Self) {
        if super::gain::has_reset(earlier, self) {
            return;
        }
        let mut room = MAX_SERIES.saturating_sub(self.n_series());
        let mut keep = |own: &mut Series, earlier: &Series| {
            for (labels, points) in earlier {
                if !own.contains_key(labels) && room > 0 {
                    room -= 1;
                    own.insert(labels.clone(), points.clone());
                }
            }
        };
        keep(&mut self.requests, &earlier.requests);
        keep(&mut self.errors, &earlier.errors);
        for (labels, buckets) in &earlier.histograms {
            if !self.histograms.contains_key(labels) && room >= buckets.len() {
                room -= buckets.len();
                self.histograms.insert(labels.clone(), buckets.clone());
            }
        }
    }
}

impl PartialEq for Limit {
    fn eq(&self, other: &Self) -> bool {
        self.cmp(other) == Ordering::Equal
    }
}

impl Eq for Limit {}

impl PartialOrd for Limit {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for Limit {
    fn cmp(&self, other: &Self) -> Ordering {
        self.0.total_cmp(&other.0)
    }
}
