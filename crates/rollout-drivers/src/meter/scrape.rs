//! Metrics straight from the processes.

use std::time::Duration;

use bytes::Bytes;
use futures_util::future::join_all;
use http::Request;
use http_body_util::Full;
use spillway_model::UnixMillis;

use super::SlotLook;
use super::exposition::{self, Item, Labels, Line};
use super::sample::{Limit, MAX_SERIES, Point, ProcessSample, SlotSample};
use super::selector::{Selector, Selectors};
use crate::http::{HttpClient, HttpError};

const ACCEPT: &str = "application/openmetrics-text;version=1.0.0,text/plain;version=0.0.4;q=0.5,*/*;q=0.1";

/// What the processes of the gateway and the usual client libraries say of themselves.
pub(super) const POOL: &str = "spillway_store_pool_connections";
pub(super) const MEMORY: &str = "process_resident_memory_bytes";
pub(super) const STARTED: &str = "process_start_time_seconds";

/// Which of the wanted metrics a process knows, with or without a sample.
#[derive(Debug, Clone, Copy, Default)]
struct Known {
    requests: bool,
    errors: bool,
    latency: bool,
}

/// Looks at all processes of a slot at once.
pub(super) async fn slot(
    http: &HttpClient,
    urls: &[String],
    selectors: &Selectors,
    now: UnixMillis,
    timeout: Duration,
) -> SlotLook {
    let mut look = SlotLook::default();
    if urls.is_empty() {
        look.troubles.push("it has no process".to_owned());
        return look;
    }
    let answers = join_all(urls.iter().map(|url| process(http, url, selectors, now, timeout))).await;
    let mut sample = SlotSample::default();
    let mut known = Known::default();
    for (url, answer) in urls.iter().zip(answers) {
        match answer {
            Ok((process, of_process)) => {
                known.requests |= of_process.requests;
                known.errors |= of_process.errors;
                known.latency |= of_process.latency;
                sample.processes.insert(url.clone(), process);
            }
            Err(trouble) => look.troubles.push(trouble),
        }
    }
    if sample.processes.is_empty() {
        return look;
    }
    for (is_known, selector, field) in
        [(known.requests, &selectors.requests, "requests"), (known.errors, &selectors.errors, "errors")]
    {
        if !is_known && look.troubles.is_empty() {
            look.troubles.push(unknown(&selector.metric, field));
        }
    }
    if !known.latency && look.troubles.is_empty() {
        look.warnings.push(unknown(&selectors.latency.metric, "latency"));
    }
    look.sample = Some(sample);
    look
}

pub(super) fn unknown(metric: &str, field: &str) -> String {
    format!("there is no metric {metric}: correct analysis.{field}, or expose it with 0 from the start")
}

async fn process(
    http: &HttpClient,
    url: &str,
    selectors: &Selectors,
    now: UnixMillis,
    timeout: Duration,
) -> Result<(ProcessSample, Known), String> {
    let request = Request::get(url).header("accept", ACCEPT).body(Full::<Bytes>::default());
    let request = request.map_err(|error| HttpError::Invalid(url.to_owned(), error.to_string()).to_string())?;
    let answer = http.send(request, timeout).await.map_err(|error| error.to_string())?;
    if !answer.status.is_success() {
        return Err(format!("{url} answered {}", answer.status));
    }
    let text =
        std::str::from_utf8(&answer.body).map_err(|_| format!("{url} answered with something that is no text"))?;
    read(text, selectors, now).map_err(|trouble| format!("{url}: {trouble}"))
}

fn read(text: &str, selectors: &Selectors, now: UnixMillis) -> Result<(ProcessSample, Known), String> {
    let mut process = ProcessSample { newest: now, ..ProcessSample::default() };
    let mut known = Known::default();
    for item in exposition::read(text) {
        match item.map_err(|garbage| garbage.to_string())? {
            Item::Family(family) => {
                let declares = |selector: &Selector| {
                    let suffix = selector.metric.strip_prefix(family);
                    suffix.is_some_and(|suffix| matches!(suffix, "" | "_total" | "_count" | "_bucket" | "_sum"))
                };
                known.requests |= declares(&selectors.requests);
                known.errors |= declares(&selectors.errors);
                known.latency |= declares(&selectors.latency);
            }
            Item::Sample(line) => take(&mut process, &mut known, &line, selectors, now),
        }
        if process.n_series() > MAX_SERIES {
            return Err(format!("more than {MAX_SERIES} series match: give labels in analysis that fewer have"));
        }
    }
    Ok((process, known))
}

fn take(process: &mut ProcessSample, known: &mut Known, line: &Line<'_>, selectors: &Selectors, now: UnixMillis) {
    let point = Point { at: now, value: line.value };
    let Selectors { requests, errors, latency } = selectors;
    if line.name == requests.metric {
        known.requests = true;
        if requests.matches(&line.labels) {
            process.push(|process| process.requests.entry(key(&line.labels)).or_default(), point);
        }
    }
    if line.name == errors.metric {
        known.errors = true;
        if errors.matches(&line.labels) {
            process.push(|process| process.errors.entry(key(&line.labels)).or_default(), point);
        }
    }
    if line.name == latency.metric {
        known.latency = true;
        if let Some(limit) = limit(&line.labels).filter(|_| latency.matches(&line.labels)) {
            process.push(
                |process| process.histograms.entry(key(&line.labels)).or_default().entry(limit).or_default(),
                point,
            );
        }
    }
    match line.name {
        STARTED => process.push(|process| &mut process.started, point),
        MEMORY => process.memory = Some(line.value),
        POOL => match line.labels.iter().find(|(name, _)| *name == "state").map(|(_, state)| &**state) {
            Some("used") => process.pool_used = Some(line.value),
            Some("max") => process.pool_max = Some(line.value),
            _ => {}
        },
        _ => {}
    }
}

fn limit(labels: &Labels<'_>) -> Option<Limit> {
    let (_, limit) = labels.iter().find(|(name, _)| *name == "le")?;
    limit.parse().ok().filter(|limit: &f64| !limit.is_nan()).map(Limit)
}

/// Labels without `le`, in their order by name: a process may write them in any.
fn key(labels: &Labels<'_>) -> String {
    let mut labels: Vec<_> = labels.iter().filter(|(name, _)| *name != "le").collect();
    labels.sort_unstable();
    labels.into_iter().map(|(name, value)| format!("{name}={value:?},")).collect()
}
