//! Counters of a slot from a Prometheus: raw samples of a time range, never its extrapolated `increase()`.

use std::collections::BTreeMap;
use std::time::Duration;

use spillway_model::UnixMillis;
use spillway_rollout::Slot;
use spillway_rollout::spec::{Guard, PrometheusSource, ThresholdMetric};

use super::SlotLook;
use super::prometheus::{Outcome, Prometheus, Ranged};
use super::sample::{Limit, MAX_SERIES, Point, ProcessSample, SlotSample};
use super::scrape::{MEMORY, POOL, STARTED, unknown};
use super::selector::{Selectors, vector};

/// Labels that tell processes apart.
const PROCESS: [&str; 3] = ["job", "instance", "pod"];

/// A slot whose newest sample is older is not scraped any more.
const STALE_MS: i64 = 5 * 60_000;

/// The longest range that is asked for. A meter that slept longer begins anew.
const LONGEST_RANGE_MS: i64 = 3_600_000;

/// The time that is asked for.
pub(super) struct Range {
    now: UnixMillis,
    ms: i64,
}

impl Range {
    /// From a little before the last look until now: a sample between is seen in any case.
    pub(super) fn new(since: Option<UnixMillis>, now: UnixMillis, interval: Duration) -> Self {
        let interval = i64::try_from(interval.as_millis()).unwrap_or(LONGEST_RANGE_MS);
        let since = since.map_or(0, |since| now.saturating_sub(since).max(0));
        let ms = since.saturating_add(interval.saturating_mul(2)).saturating_add(60_000);
        Self { now, ms: ms.min(LONGEST_RANGE_MS) }
    }
}

/// Looks at a slot.
pub(super) async fn slot(
    prometheus: &Prometheus<'_>,
    source: &PrometheusSource,
    selectors: &Selectors,
    slot: Slot,
    range: &Range,
    guards: &[Guard],
) -> SlotLook {
    let mut fixed: Vec<(&str, &str)> =
        source.labels.iter().map(|(name, value)| (name.as_str(), value.as_str())).collect();
    fixed.push((source.slot_label.as_deref().unwrap_or("slot"), slot.name()));
    let ranged = |selector: String| {
        let query = format!("{selector}[{}ms]", range.ms);
        async move { matrix(prometheus, &query).await }
    };
    let wants = |metric: ThresholdMetric| {
        guards.iter().filter_map(|guard| guard.threshold.as_ref()).any(|threshold| threshold.metric == Some(metric))
    };
    let gauge = |wanted: bool, metric: &'static str| {
        let query = vector(metric, &fixed, std::iter::empty());
        async move { if wanted { prometheus.query(&query).await } else { Ok(Outcome::Vector(Vec::new())) } }
    };
    let Selectors { requests, errors, latency } = selectors;
    let has_errors = async {
        if errors.metric == requests.metric {
            return Ok(true);
        }
        let known = prometheus.query(&format!("count({})", errors.promql_of_all(&fixed))).await?;
        Ok(matches!(known, Outcome::Vector(found) if !found.is_empty()))
    };
    let found = tokio::try_join!(
        ranged(requests.promql(&fixed)),
        ranged(errors.promql(&fixed)),
        ranged(latency.promql(&fixed)),
        ranged(vector(STARTED, &fixed, std::iter::empty())),
        has_errors,
        gauge(wants(ThresholdMetric::PoolUsage), POOL),
        gauge(wants(ThresholdMetric::MemoryBytes), MEMORY),
    );
    let (of_requests, of_errors, of_latency, of_start, has_errors, pool, memory) = match found {
        Ok(found) => found,
        Err(trouble) => return SlotLook { troubles: vec![trouble], ..SlotLook::default() },
    };
    let mut look = SlotLook::default();
    if of_requests.is_empty() {
        look.troubles.push(format!("Prometheus has no series {}", requests.promql(&fixed)));
    } else if !has_errors {
        look.troubles.push(unknown(&errors.metric, "errors"));
    }
    if of_latency.is_empty() && !of_requests.is_empty() {
        look.warnings.push(unknown(&latency.metric, "latency"));
    }
    let mut sample = SlotSample::default();
    counters(&mut sample, of_requests, |process, labels| process.requests.entry(labels).or_default());
    counters(&mut sample, of_errors, |process, labels| process.errors.entry(labels).or_default());
    counters(&mut sample, of_start, |process, _| &mut process.started);
    for (mut labels, values) in of_latency {
        let Some(limit) = labels.remove("le").and_then(|limit| limit.parse().ok()).map(Limit) else { continue };
        counters(&mut sample, vec![(labels, values)], |process, labels| {
            process.histograms.entry(labels).or_default().entry(limit).or_default()
        });
    }
    gauges(&mut sample, pool, memory);
    if sample.processes.values().map(ProcessSample::n_series).sum::<usize>() > MAX_SERIES {
        let trouble = format!("more than {MAX_SERIES} series match: give labels in analysis that fewer have");
        return SlotLook { troubles: vec![trouble], ..SlotLook::default() };
    }
    let newest = sample.processes.values().map(|process| process.newest).max();
    if look.troubles.is_empty() && newest.is_some_and(|newest| range.now.saturating_sub(newest) > STALE_MS) {
        look.troubles.push("Prometheus got no sample for more than 5 minutes: look at its targets".to_owned());
    }
    look.sample = Some(sample);
    look
}

async fn matrix(prometheus: &Prometheus<'_>, query: &str) -> Result<Vec<Ranged>, String> {
    match prometheus.query(query).await? {
        Outcome::Matrix(series) => Ok(series),
        _ => Err(format!("Prometheus gives no range for `{query}`")),
    }
}

fn counters(
    sample: &mut SlotSample,
    found: Vec<Ranged>,
    place: impl Fn(&mut ProcessSample, String) -> &mut Vec<Point>,
) {
    for (labels, values) in found {
        let process = sample.processes.entry(process(&labels)).or_default();
        let key = key(&labels);
        for (at, value) in values {
            let point = Point { at: (at * 1_000.0).round() as UnixMillis, value };
            process.push(|process| place(process, key.clone()), point);
        }
    }
}

fn gauges(sample: &mut SlotSample, pool: Outcome, memory: Outcome) {
    let series = |outcome| if let Outcome::Vector(series) = outcome { series } else { Vec::new() };
    for (labels, value) in series(pool) {
        let process = sample.processes.entry(process(&labels)).or_default();
        match labels.get("state").map(String::as_str) {
            Some("used") => process.pool_used = Some(value),
            Some("max") => process.pool_max = Some(value),
            _ => {}
        }
    }
    for (labels, value) in series(memory) {
        sample.processes.entry(process(&labels)).or_default().memory = Some(value);
    }
}

fn process(labels: &BTreeMap<String, String>) -> String {
    PROCESS.map(|name| labels.get(name).map_or("", String::as_str)).join("/")
}

fn key(labels: &BTreeMap<String, String>) -> String {
    let own = labels.iter().filter(|(name, _)| *name != "__name__" && !PROCESS.contains(&name.as_str()));
    own.map(|(name, value)| format!("{name}={value:?},")).collect()
}
