use std::time::Duration;

use serde::{Deserialize, Serialize};
use spillway_slo::threshold::{Aggregation, MetricKind};

use super::trend::Trend;

/// What became of a metric's samples, by the metric's kind.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Values {
    /// The sum.
    Counter(u64),
    /// The newest value, and the smallest and largest one there were. Of several generators: the sums, as they hold at the same time.
    Gauge {
        /// The newest.
        value: u64,
        /// The smallest.
        min: u64,
        /// The largest.
        max: u64,
    },
    /// How many samples were true.
    Rate {
        /// The true ones.
        passes: u64,
        /// All.
        total: u64,
    },
    /// Times.
    Trend(Trend),
}

impl Values {
    /// Waits for its first sample.
    pub(crate) fn new(kind: MetricKind) -> Self {
        match kind {
            MetricKind::Counter => Self::Counter(0),
            MetricKind::Gauge => Self::Gauge { value: 0, min: u64::MAX, max: 0 },
            MetricKind::Rate => Self::Rate { passes: 0, total: 0 },
            MetricKind::Trend => Self::Trend(Trend::new()),
        }
    }

    /// The sum of parts of one kind; `None` without parts, but a counter to which nobody added is zero.
    pub(crate) fn total<'a>(kind: MetricKind, mut parts: impl Iterator<Item = &'a Self>) -> Option<Self> {
        let Some(mut total) = parts.next().cloned() else {
            return (kind == MetricKind::Counter).then_some(Self::Counter(0));
        };
        parts.for_each(|part| total.merge(part));
        Some(total)
    }

    pub(crate) fn kind(&self) -> MetricKind {
        match self {
            Self::Counter(_) => MetricKind::Counter,
            Self::Gauge { .. } => MetricKind::Gauge,
            Self::Rate { .. } => MetricKind::Rate,
            Self::Trend(_) => MetricKind::Trend,
        }
    }

    /// Adds a sample: an addend, a reading, 0 or 1, microseconds.
    pub(crate) fn record(&mut self, sample: u64) {
        match self {
            Self::Counter(sum) => *sum = sum.saturating_add(sample),
            Self::Gauge { value, min, max } => (*value, *min, *max) = (sample, sample.min(*min), sample.max(*max)),
            Self::Rate { passes, total } => {
                *passes += u64::from(sample != 0);
                *total += 1;
            }
            Self::Trend(trend) => trend.record_micros(sample),
        }
    }

    /// Adds what was measured elsewhere. Values of another kind have no meaning here and are left out.
    pub(crate) fn merge(&mut self, other: &Self) {
        match (self, other) {
            (Self::Counter(sum), Self::Counter(other)) => *sum = sum.saturating_add(*other),
            (Self::Gauge { value, min, max }, Self::Gauge { value: other_value, min: other_min, max: other_max }) => {
                *value = value.saturating_add(*other_value);
                *min = min.saturating_add(*other_min);
                *max = max.saturating_add(*other_max);
            }
            (Self::Rate { passes, total }, Self::Rate { passes: other_passes, total: other_total }) => {
                *passes = passes.saturating_add(*other_passes);
                *total = total.saturating_add(*other_total);
            }
            (Self::Trend(trend), Self::Trend(other)) => trend.merge(other),
            _ => {}
        }
    }

    /// One number about all samples, as a threshold or a report asks for it: times in milliseconds, shares from 0 to 1, a counter's rate per
    /// second of `elapsed`.
    ///
    /// `None` when there are no samples, or when this kind of metric has no such number. A counter that was never added to is not
    /// without samples: it is zero.
    pub fn aggregate(&self, aggregation: Aggregation, elapsed: Duration) -> Option<f64> {
        let milliseconds = |micros: f64| micros / 1_000.0;
        match (self, aggregation) {
            (Self::Counter(sum), Aggregation::Count) => Some(*sum as f64),
            (Self::Counter(sum), Aggregation::Rate) => {
                (!elapsed.is_zero()).then(|| *sum as f64 / elapsed.as_secs_f64())
            }
            (Self::Gauge { value, .. }, Aggregation::Value) => Some(*value as f64),
            (Self::Rate { passes, total }, Aggregation::Rate) => (*total > 0).then(|| *passes as f64 / *total as f64),
            (Self::Trend(trend), Aggregation::Avg) => trend.mean().map(milliseconds),
            (Self::Trend(trend), Aggregation::Min) => trend.min().map(|min| milliseconds(min as f64)),
            (Self::Trend(trend), Aggregation::Max) => trend.max().map(|max| milliseconds(max as f64)),
            (Self::Trend(trend), Aggregation::Med) => trend.percentile(50.0).map(milliseconds),
            (Self::Trend(trend), Aggregation::Percentile(percent)) => trend.percentile(percent).map(milliseconds),
            _ => None,
        }
    }
}
