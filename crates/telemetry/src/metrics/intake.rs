//! Intake requests by source and outcome. The source is a free name, so this label set is bounded rather than closed.

use std::{collections::BTreeMap, fmt, sync::Arc};

use parking_lot::RwLock;
use prometheus_client::{
    encoding::{EncodeMetric, MetricEncoder},
    metrics::MetricType,
};

use super::{Counter, Family, IntakeOutcome, Label as _};

/// The value of `source` for requests that name no configured source. Names begin with a letter or digit, so no source
/// can be called this.
pub const UNKNOWN_SOURCE: &str = "_unknown";

/// The value of `source` for sources above [`MAX_SOURCES`].
const OTHER_SOURCE: &str = "_other";

/// Sources that have series of their own, with [`UNKNOWN_SOURCE`].
const MAX_SOURCES: usize = 2_000;

/// The intake counters of every source.
#[derive(Debug, Clone, Default)]
pub struct IntakeRequests {
    sources: Arc<RwLock<BTreeMap<Box<str>, SourceMetrics>>>,
}

impl IntakeRequests {
    /// The handles of one source, made at the first call. It takes a lock: call it when the configuration changes and
    /// keep the handles. Above 2,000 sources all further ones count together as `_other`.
    #[must_use]
    pub fn for_source(&self, source: &str) -> SourceMetrics {
        let mut sources = self.sources.write();
        let full = sources.len() >= MAX_SOURCES && !sources.contains_key(source);
        let name = if full { OTHER_SOURCE } else { source };
        if let Some(known) = sources.get(name) {
            return known.clone();
        }
        sources.entry(name.into()).or_default().clone()
    }

    /// The requests counted so far over all sources that are exported, by outcome in the order of [`IntakeOutcome::ALL`]. It goes back when
    /// sources are removed.
    #[must_use]
    pub fn totals(&self) -> Vec<u64> {
        let sources = self.sources.read();
        IntakeOutcome::ALL.iter().map(|outcome| sources.values().map(|source| source.count(*outcome)).sum()).collect()
    }

    /// Stops exporting the sources for which `keep` is false, so that removed sources do not stay for ever. Requests
    /// still counted on an old handle are lost.
    pub fn retain(&self, keep: impl Fn(&str) -> bool) {
        self.sources.write().retain(|name, _| name.starts_with('_') || keep(name));
    }
}

/// The intake counters of one source.
#[derive(Debug, Clone, Default)]
pub struct SourceMetrics {
    by_outcome: Family<IntakeOutcome, Counter>,
}

impl SourceMetrics {
    /// Counts one request: one atomic addition.
    pub fn record(&self, outcome: IntakeOutcome) {
        self.by_outcome.get(outcome).inc();
    }

    /// The requests counted so far.
    #[must_use]
    pub fn count(&self, outcome: IntakeOutcome) -> u64 {
        self.by_outcome.get(outcome).get()
    }
}

impl EncodeMetric for IntakeRequests {
    fn encode(&self, mut encoder: MetricEncoder<'_>) -> fmt::Result {
        for (source, metrics) in self.sources.read().iter() {
            for outcome in IntakeOutcome::ALL {
                let labels = [("source", &**source), (IntakeOutcome::NAME, outcome.value())];
                metrics.by_outcome.get(*outcome).encode(encoder.encode_family(&labels)?)?;
            }
        }
        Ok(())
    }

    fn metric_type(&self) -> MetricType {
        MetricType::Counter
    }
}
