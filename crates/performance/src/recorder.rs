//! All series of a process.

use crate::business::Business;
use crate::cell::{Cell as _, Count, Level};
use crate::histogram::{Buckets, Histogram};
use crate::metric::{CounterMetric, GaugeMetric, LatencyMetric};
use crate::rings::{LATENCIES, LATENCIES_OF_PARTS, Rings, SCALARS};

/// Most seconds that one sample may stand for. A process that was stopped for longer did not observe what happened meanwhile.
const LONGEST_SAMPLE_S: u32 = 10;

/// Every series of a process, with the seconds in which it observed at all.
///
/// Memory is bounded by the lists of metrics, the lengths of the rings and [`MAX_BUSINESS_METRICS`](crate::MAX_BUSINESS_METRICS): below 4 MB
/// with all of them full. Pages are allocated when something happens, so an idle process holds a fraction of that.
#[derive(Debug, Clone)]
pub struct Recorder {
    covered: Rings<Count>,
    counters: Box<[Rings<Count>]>,
    gauges: Box<[Rings<Level>]>,
    latencies: Box<[Rings<Buckets>]>,
    business: Business,
    latest: Option<i64>,
}

impl Default for Recorder {
    fn default() -> Self {
        let latencies = LatencyMetric::ALL.iter();
        Self {
            covered: Rings::new(SCALARS),
            counters: CounterMetric::ALL.iter().map(|_| Rings::new(SCALARS)).collect(),
            gauges: GaugeMetric::ALL.iter().map(|_| Rings::new(SCALARS)).collect(),
            latencies: latencies
                .map(|metric| Rings::new(if metric.is_part() { LATENCIES_OF_PARTS } else { LATENCIES }))
                .collect(),
            business: Business::default(),
            latest: None,
        }
    }
}

impl Recorder {
    /// Begins a sample: what is added at this time was observed in the seconds since the last sample, at most ten of them. The first sample
    /// covers one second.
    pub fn observe(&mut self, at_s: i64) {
        let since = self.latest.map_or(1, |latest| at_s.saturating_sub(latest));
        let covered = u32::try_from(since).unwrap_or(0).min(LONGEST_SAMPLE_S);
        // Spread over the seconds that it stands for, so that no slot holds more than its own length.
        for second in 0..i64::from(covered) {
            self.covered.add(at_s - i64::from(covered) + 1 + second, &Count(1));
        }
        self.latest = Some(at_s);
    }

    /// Counts. More than a slot can hold stays at its largest value.
    pub fn count(&mut self, metric: CounterMetric, at_s: i64, n: u64) {
        if n > 0 {
            self.counters[metric as usize].add(at_s, &Count(u32::try_from(n).unwrap_or(u32::MAX)));
        }
    }

    /// Samples a value; `None`, and what is not finite, is no sample.
    pub fn gauge(&mut self, metric: GaugeMetric, at_s: i64, value: Option<f64>) {
        if let Some(value) = value {
            self.gauges[metric as usize].add(at_s, &Level::sample(value));
        }
    }

    /// Adds durations.
    pub fn latency(&mut self, metric: LatencyMetric, at_s: i64, durations: &Histogram) {
        let buckets = Buckets::from(durations);
        if !buckets.is_empty() {
            self.latencies[metric as usize].add(at_s, &buckets);
        }
    }

    /// When the last sample was taken.
    #[must_use]
    pub fn latest(&self) -> Option<i64> {
        self.latest
    }

    /// Seconds of this range in which the process observed.
    #[must_use]
    pub fn covered_s(&self, from_s: i64, to_s: i64) -> u64 {
        self.covered.sum(from_s, to_s)
    }

    /// How often it happened.
    #[must_use]
    pub fn counted(&self, metric: CounterMetric, from_s: i64, to_s: i64) -> u64 {
        self.counters[metric as usize].sum(from_s, to_s)
    }

    /// How often it happened for each second that was observed; `None` when none was.
    #[must_use]
    pub fn rate(&self, metric: CounterMetric, from_s: i64, to_s: i64) -> Option<f64> {
        let covered = self.covered_s(from_s, to_s);
        (covered > 0).then(|| self.counted(metric, from_s, to_s) as f64 / covered as f64)
    }

    /// The samples of a value.
    #[must_use]
    pub fn level(&self, metric: GaugeMetric, from_s: i64, to_s: i64) -> Level {
        self.gauges[metric as usize].sum(from_s, to_s)
    }

    /// The durations.
    #[must_use]
    pub fn durations(&self, metric: LatencyMetric, from_s: i64, to_s: i64) -> Histogram {
        self.latencies[metric as usize].sum(from_s, to_s)
    }

    /// What users record.
    #[must_use]
    pub fn business(&self) -> &Business {
        &self.business
    }

    /// What users record, to add to it.
    pub fn business_mut(&mut self) -> &mut Business {
        &mut self.business
    }

    /// Bytes that all rings have allocated now.
    #[must_use]
    pub fn memory_bytes(&self) -> usize {
        let counters = self.counters.iter().chain([&self.covered]).map(Rings::memory_bytes).sum::<usize>();
        let gauges = self.gauges.iter().map(Rings::memory_bytes).sum::<usize>();
        let latencies = self.latencies.iter().map(Rings::memory_bytes).sum::<usize>();
        size_of::<Self>() + counters + gauges + latencies + self.business.memory_bytes()
    }

    pub(crate) fn covered_rings(&self) -> &Rings<Count> {
        &self.covered
    }

    pub(crate) fn covered_rings_mut(&mut self) -> &mut Rings<Count> {
        &mut self.covered
    }

    pub(crate) fn counter(&self, metric: CounterMetric) -> &Rings<Count> {
        &self.counters[metric as usize]
    }

    pub(crate) fn counter_mut(&mut self, metric: CounterMetric) -> &mut Rings<Count> {
        &mut self.counters[metric as usize]
    }

    pub(crate) fn levels(&self, metric: GaugeMetric) -> &Rings<Level> {
        &self.gauges[metric as usize]
    }

    pub(crate) fn levels_mut(&mut self, metric: GaugeMetric) -> &mut Rings<Level> {
        &mut self.gauges[metric as usize]
    }

    pub(crate) fn latencies(&self, metric: LatencyMetric) -> &Rings<Buckets> {
        &self.latencies[metric as usize]
    }

    pub(crate) fn latencies_mut(&mut self, metric: LatencyMetric) -> &mut Rings<Buckets> {
        &mut self.latencies[metric as usize]
    }
}

/// Whether a metric of the process itself has this name.
pub(crate) fn is_built_in(name: &str) -> bool {
    CounterMetric::named(name).is_some() || GaugeMetric::named(name).is_some() || LatencyMetric::named(name).is_some()
}

#[cfg(test)]
mod tests;
