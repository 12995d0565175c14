//! Values that are set, or measured when somebody looks.

use std::{
    fmt,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
};

use parking_lot::RwLock;
use prometheus_client::{
    encoding::{EncodeMetric, MetricEncoder},
    metrics::{MetricType, TypedMetric},
};

type Sample = Box<dyn Fn() -> Option<f64> + Send + Sync>;

/// The present value of something. A gauge that was never set exports no sample: a process that has no worker has no
/// ready queue, which is not the same as an empty one.
#[derive(Clone, Default)]
pub struct Gauge(Arc<GaugeInner>);

#[derive(Default)]
struct GaugeInner {
    value: OptionalF64,
    sample: RwLock<Option<Sample>>,
}

impl Gauge {
    /// Sets the value. A sampling function, if there is one, goes before it.
    pub fn set(&self, value: f64) {
        self.0.value.set(Some(value));
    }

    /// Measures at each scrape with `sample` from now on, in place of an earlier function. `None` exports no sample. It
    /// must be quick and must not block: it runs while the metrics are encoded.
    pub fn sample_with(&self, sample: impl Fn() -> Option<f64> + Send + Sync + 'static) {
        *self.0.sample.write() = Some(Box::new(sample));
    }

    /// The value a scrape would see now.
    #[must_use]
    pub fn get(&self) -> Option<f64> {
        self.0.sample.read().as_ref().map_or_else(|| self.0.value.get(), |sample| sample())
    }

    pub(super) fn set_optional(&self, value: Option<f64>) {
        self.0.value.set(value);
    }
}

impl fmt::Debug for Gauge {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Gauge").field(&self.0.value.get()).finish()
    }
}

impl TypedMetric for Gauge {
    const TYPE: MetricType = MetricType::Gauge;
}

impl EncodeMetric for Gauge {
    fn encode(&self, mut encoder: MetricEncoder<'_>) -> fmt::Result {
        self.get().map_or(Ok(()), |value| encoder.encode_gauge(&value))
    }

    fn metric_type(&self) -> MetricType {
        Self::TYPE
    }
}

/// A counter that somebody else keeps, such as the kernel; we copy its value at the scrape. It exports no sample where
/// there is nothing to copy.
#[derive(Debug, Clone, Default)]
pub struct SampledCounter(Arc<OptionalF64>);

impl SampledCounter {
    pub(super) fn set_optional(&self, value: Option<f64>) {
        self.0.set(value);
    }
}

impl EncodeMetric for SampledCounter {
    fn encode(&self, mut encoder: MetricEncoder<'_>) -> fmt::Result {
        let no_exemplar = None::<&prometheus_client::metrics::exemplar::Exemplar<[(&str, &str); 0], f64>>;
        self.0.get().map_or(Ok(()), |value| encoder.encode_counter(&value, no_exemplar))
    }

    fn metric_type(&self) -> MetricType {
        MetricType::Counter
    }
}

/// An `Option<f64>` in one atomic word; not-a-number stands for `None`.
#[derive(Debug)]
struct OptionalF64(AtomicU64);

impl OptionalF64 {
    fn set(&self, value: Option<f64>) {
        self.0.store(value.unwrap_or(f64::NAN).to_bits(), Ordering::Relaxed);
    }

    fn get(&self) -> Option<f64> {
        let value = f64::from_bits(self.0.load(Ordering::Relaxed));
        (!value.is_nan()).then_some(value)
    }
}

impl Default for OptionalF64 {
    fn default() -> Self {
        Self(AtomicU64::new(f64::NAN.to_bits()))
    }
}
