//! Answers in JSON:API, as k6 gives them.

use std::collections::BTreeMap;
use std::time::Duration;

use axum::http::StatusCode;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use spillway_slo::threshold::{Aggregation, MetricKind};

use crate::metrics::{Metric, Snapshot, Unit, Values};

/// k6's number for a run before its start.
pub(super) const CREATED: u8 = 0;

/// k6's number for a run under way.
pub(super) const RUNNING: u8 = 7;

/// A JSON:API document with one resource.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Document<Attributes> {
    /// It.
    pub data: Resource<Attributes>,
}

/// A JSON:API resource.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Resource<Attributes> {
    /// Its kind.
    #[serde(rename = "type", default)]
    pub kind: String,
    /// Its name among its kind.
    #[serde(default)]
    pub id: String,
    /// What it says.
    pub attributes: Attributes,
}

impl<Attributes> Document<Attributes> {
    pub(super) fn of(kind: &str, id: &str, attributes: Attributes) -> Self {
        Self { data: Resource { kind: kind.to_owned(), id: id.to_owned(), attributes } }
    }
}

/// How a run stands.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub struct Status {
    /// k6's number of the phase: 0 before the start, 7 under way.
    pub status: u8,
    /// No iteration starts.
    pub paused: bool,
    /// Users that iterate.
    pub vus: u64,
    /// Users that there may be.
    pub vus_max: u64,
    /// It was told to stop.
    pub stopped: bool,
    /// It goes on.
    pub running: bool,
    /// A threshold fails as it stands.
    pub tainted: bool,
}

/// Every metric that has samples, over all series.
pub(super) fn metrics(snapshot: &Snapshot, elapsed: Duration) -> Value {
    let one = |metric: Metric| {
        let values = snapshot.total(metric, &[])?;
        let sample = sample(&values, elapsed);
        let is_empty = matches!(values, Values::Counter(0)) || sample.is_empty();
        (!is_empty).then(|| {
            let attributes = json!({
                "type": metric.kind().to_string(),
                "contains": match metric.unit() {
                    Unit::Time => "time",
                    Unit::Bytes => "data",
                    Unit::Count | Unit::Share => "default",
                },
                "tainted": null,
                "sample": sample,
            });
            Document::of("metrics", metric.name(), attributes).data
        })
    };
    json!({ "data": Metric::ALL.into_iter().filter_map(one).collect::<Vec<_>>() })
}

/// The numbers of a metric under k6's names: times in milliseconds.
fn sample(values: &Values, elapsed: Duration) -> BTreeMap<String, f64> {
    use Aggregation::{Avg, Count, Max, Med, Min, Percentile, Rate, Value};
    let wanted: &[Aggregation] = match values.kind() {
        MetricKind::Counter => &[Count, Rate],
        MetricKind::Gauge => &[Value],
        MetricKind::Rate => &[Rate],
        MetricKind::Trend => &[Avg, Min, Med, Max, Percentile(90.0), Percentile(95.0), Percentile(99.0)],
    };
    let number = |aggregation: &Aggregation| Some((aggregation.to_string(), values.aggregate(*aggregation, elapsed)?));
    wanted.iter().filter_map(number).collect()
}

/// A refusal.
pub(super) fn errors(status: StatusCode, title: &str, detail: &str) -> Value {
    json!({ "errors": [{ "status": status.as_str(), "title": title, "detail": detail }] })
}
