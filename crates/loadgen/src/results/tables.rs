//! What a run measured, as rows: endpoints, errors, checks.

use std::collections::BTreeMap;
use std::time::Duration;

use spillway_slo::threshold::Aggregation;

use super::figures::percentile;
use crate::metrics::{Metric, SeriesValues, Snapshot, Values};

/// The requests of one name and method.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Endpoint {
    pub(super) method: String,
    pub(super) name: String,
    pub(super) requests: u64,
    pub(super) failed: u64,
    pub(super) p50_ms: Option<f64>,
    pub(super) p95_ms: Option<f64>,
    pub(super) p99_ms: Option<f64>,
    pub(super) max_ms: Option<f64>,
}

/// Requests that failed in the same way.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct ErrorKind {
    /// Such as `status 503` or `timeout`.
    pub(super) kind: String,
    pub(super) count: u64,
    /// The request that failed so most often, with its method.
    pub(super) endpoint: String,
}

/// A check and how often it held.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Check {
    pub(super) group: String,
    pub(super) name: String,
    pub(super) passes: u64,
    pub(super) total: u64,
}

impl Endpoint {
    /// Method and name.
    pub(super) fn label(&self) -> String {
        label(&self.method, &self.name)
    }

    /// Share of failed requests from 0 to 1.
    pub(super) fn failed_share(&self) -> f64 {
        if self.requests > 0 { self.failed as f64 / self.requests as f64 } else { 0.0 }
    }
}

/// Every endpoint, the slowest (by its 95th percentile) first.
pub(super) fn endpoints(snapshot: &Snapshot) -> Vec<Endpoint> {
    type Sums = (u64, u64, Option<Values>);
    let mut sums: BTreeMap<(&str, &str), Sums> = BTreeMap::new();
    for SeriesValues { tags, values } in &snapshot.series {
        let Some(Values::Counter(requests)) = values.get(&Metric::HttpReqs) else { continue };
        let (all, failed, durations) = sums.entry((&tags.method, &tags.name)).or_default();
        *all = all.saturating_add(*requests);
        if let Some(Values::Rate { passes, .. }) = values.get(&Metric::HttpReqFailed) {
            *failed = failed.saturating_add(*passes);
        }
        match (durations, values.get(&Metric::HttpReqDuration)) {
            (Some(sum), Some(more)) => sum.merge(more),
            (none, Some(first)) => *none = Some(first.clone()),
            (_, None) => {}
        }
    }
    let endpoint = |((method, name), (requests, failed, durations)): ((&str, &str), Sums)| Endpoint {
        method: method.to_owned(),
        name: name.to_owned(),
        requests,
        failed,
        p50_ms: percentile(durations.as_ref(), 50.0),
        p95_ms: percentile(durations.as_ref(), 95.0),
        p99_ms: percentile(durations.as_ref(), 99.0),
        max_ms: durations.as_ref().and_then(|durations| durations.aggregate(Aggregation::Max, Duration::ZERO)),
    };
    let mut endpoints: Vec<Endpoint> = sums.into_iter().map(endpoint).collect();
    let slowness = |endpoint: &Endpoint| endpoint.p95_ms.unwrap_or(-1.0);
    endpoints.sort_by(|one, other| slowness(other).total_cmp(&slowness(one)));
    endpoints
}

/// Every kind of error, the most frequent first.
pub(super) fn errors(snapshot: &Snapshot) -> Vec<ErrorKind> {
    let mut kinds: BTreeMap<String, BTreeMap<String, u64>> = BTreeMap::new();
    for SeriesValues { tags, values } in &snapshot.series {
        let Some(Values::Rate { passes: failed @ 1.., .. }) = values.get(&Metric::HttpReqFailed) else { continue };
        let kind = match (tags.error.as_str(), tags.status) {
            ("" | "status", Some(status @ 1..)) => format!("status {status}"),
            ("" | "status", _) => "no answer".to_owned(),
            ("refused", _) => "connection refused".to_owned(),
            ("reset", _) => "connection reset".to_owned(),
            ("closed", _) => "connection closed".to_owned(),
            ("dns", _) => "host not found (dns)".to_owned(),
            (other, _) => other.replace('_', " "),
        };
        let count = kinds.entry(kind).or_default().entry(label(&tags.method, &tags.name)).or_default();
        *count = count.saturating_add(*failed);
    }
    let kind = |(kind, endpoints): (String, BTreeMap<String, u64>)| ErrorKind {
        kind,
        count: endpoints.values().fold(0, |sum, count| sum.saturating_add(*count)),
        endpoint: endpoints.into_iter().max_by_key(|(_, count)| *count).map(|(name, _)| name).unwrap_or_default(),
    };
    let mut errors: Vec<ErrorKind> = kinds.into_iter().map(kind).collect();
    errors.sort_by_key(|error| std::cmp::Reverse(error.count));
    errors
}

/// Every check by its group and name, in their order.
pub(super) fn checks(snapshot: &Snapshot) -> Vec<Check> {
    let mut checks: BTreeMap<(&str, &str), (u64, u64)> = BTreeMap::new();
    for SeriesValues { tags, values } in &snapshot.series {
        let Some(Values::Rate { passes, total }) = values.get(&Metric::Checks) else { continue };
        let (held, all) = checks.entry((&tags.group, &tags.check)).or_default();
        *held = held.saturating_add(*passes);
        *all = all.saturating_add(*total);
    }
    let check = |((group, name), (passes, total)): ((&str, &str), (u64, u64))| Check {
        group: group.to_owned(),
        name: name.to_owned(),
        passes,
        total,
    };
    checks.into_iter().map(check).collect()
}

fn label(method: &str, name: &str) -> String {
    let name = if name.is_empty() { "(unnamed)" } else { name };
    if method.is_empty() { name.to_owned() } else { format!("{method} {name}") }
}
