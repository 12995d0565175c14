//! Metrics: one registry, every metric declared once in [`Catalogue`], encoded as OpenMetrics text.

mod business;
mod catalogue;
mod family;
mod gauge;
mod histogram;
mod http;
mod intake;
mod label;
mod process;

pub use business::BusinessMetrics;
pub use catalogue::{Catalogue, LabelDescription, MetricDescription, MetricKind, catalogue, catalogue_markdown};
pub use family::Family;
pub use gauge::{Gauge, SampledCounter};
pub use histogram::{LatencyHistogram, SizeHistogram};
pub use http::{HttpRequests, RouteMetrics};
pub use intake::{IntakeRequests, SourceMetrics, UNKNOWN_SOURCE};
pub use label::{
    AlertName, CacheName, CacheResult, DeliveryOutcome, IntakeOutcome, Label, LabelSet, PoolState, Removed, StoreQuery,
    StreamEvent, StreamKind,
};

use std::{
    fmt,
    ops::Deref,
    sync::{Arc, OnceLock},
};

use prometheus_client::{
    encoding::{EncodeMetric, MetricEncoder, text},
    metrics::MetricType,
    registry::Registry,
};

/// A number that only grows. Counting is one atomic addition.
pub type Counter = prometheus_client::metrics::counter::Counter;

/// The `Content-Type` of [`Metrics::encode`].
pub const CONTENT_TYPE: &str = "application/openmetrics-text; version=1.0.0; charset=utf-8";

/// Every metric of the process. A clone is another handle to the same metrics; two calls of [`Metrics::new`] share nothing,
/// so tests need no isolation.
#[derive(Clone)]
pub struct Metrics(Arc<Inner>);

struct Inner {
    registry: Registry,
    catalogue: Catalogue,
}

impl Metrics {
    /// The catalogue with every counter at zero and every gauge without a value. `commit` is the source revision, or
    /// "unknown".
    #[must_use]
    pub fn new(version: &str, commit: &str) -> Self {
        let mut registry = Registry::default();
        let catalogue = Catalogue::register(&mut registry);
        catalogue.build_info.set(version, commit);
        Self(Arc::new(Inner { registry, catalogue }))
    }

    /// All metrics as OpenMetrics text that ends in `# EOF`. It samples what is measured at the scrape: gauges with a
    /// sampling function, and the process.
    ///
    /// # Errors
    /// Never in practice: only writing text into memory can fail.
    pub fn encode(&self) -> Result<String, fmt::Error> {
        process::sample(&self.0.catalogue);
        let mut text = String::with_capacity(64 * 1024);
        text::encode(&mut text, &self.0.registry)?;
        Ok(text)
    }

    /// The handles of one source, for the configuration snapshot to keep. See [`IntakeRequests::for_source`].
    #[must_use]
    pub fn intake_for_source(&self, source: &str) -> SourceMetrics {
        self.0.catalogue.intake_requests.for_source(source)
    }
}

impl Deref for Metrics {
    type Target = Catalogue;

    fn deref(&self) -> &Catalogue {
        &self.0.catalogue
    }
}

impl fmt::Debug for Metrics {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Metrics").finish_non_exhaustive()
    }
}

/// The version and source revision of the running program, as labels of a constant 1.
#[derive(Debug, Clone, Default)]
pub struct BuildInfo(Arc<OnceLock<[(&'static str, String); 2]>>);

impl BuildInfo {
    fn set(&self, version: &str, commit: &str) {
        self.0.get_or_init(|| [("version", version.to_owned()), ("commit", commit.to_owned())]);
    }
}

impl EncodeMetric for BuildInfo {
    fn encode(&self, mut encoder: MetricEncoder<'_>) -> fmt::Result {
        self.0.get().map_or(Ok(()), |labels| encoder.encode_info(labels))
    }

    fn metric_type(&self) -> MetricType {
        MetricType::Info
    }
}

#[cfg(test)]
mod tests;
