//! Numbers that users record, one series for each name.

use std::{collections::BTreeMap, fmt, sync::Arc};

use parking_lot::RwLock;
use prometheus_client::{
    encoding::{EncodeMetric, MetricEncoder},
    metrics::MetricType,
};

/// Names that have a series; the recorder of these numbers allows no more.
const MAX_NAMES: usize = 1_000;

/// The present value of each name. The names are free, so this label set is bounded rather than closed.
#[derive(Debug, Clone, Default)]
pub struct BusinessMetrics {
    values: Arc<RwLock<BTreeMap<Box<str>, f64>>>,
}

impl BusinessMetrics {
    /// Sets a value. Above 1,000 names a new one is not exported.
    pub fn set(&self, name: &str, value: f64) {
        let mut values = self.values.write();
        if let Some(known) = values.get_mut(name) {
            *known = value;
        } else if values.len() < MAX_NAMES {
            values.insert(name.into(), value);
        }
    }

    /// Stops exporting the names for which `keep` is false.
    pub fn retain(&self, keep: impl Fn(&str) -> bool) {
        self.values.write().retain(|name, _| keep(name));
    }
}

impl EncodeMetric for BusinessMetrics {
    fn encode(&self, mut encoder: MetricEncoder<'_>) -> fmt::Result {
        for (name, value) in self.values.read().iter() {
            encoder.encode_family(&[("name", &**name)])?.encode_gauge(value)?;
        }
        Ok(())
    }

    fn metric_type(&self) -> MetricType {
        MetricType::Gauge
    }
}
