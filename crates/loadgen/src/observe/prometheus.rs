//! A Prometheus server, asked at the end about the time of the run.

use std::collections::BTreeMap;
use std::time::Duration;

use serde::Deserialize;
use spillway_model::UnixMillis;
use url::Url;

use super::recording::Recording;
use super::{ObserveError, Observed, Query, unit};
use crate::fetch::{Answer, FetchError, Server, shown};

/// Longest time of one question. Prometheus's own limit is 2 minutes.
const TIMEOUT: Duration = Duration::from_secs(20);

/// Points that are asked for in one series. The step between them is a second or more.
const MOST_STEPS: i64 = 1_000;

/// Series that are kept of one question.
const MOST_SERIES: usize = 8;

const JSON: &str = "application/json";

/// A server and what to ask it.
pub(super) struct Prometheus {
    server: Server,
    url: Url,
    queries: Vec<Query>,
}

/// An answer of the HTTP API.
#[derive(Debug, Deserialize)]
struct Reply {
    data: Option<Data>,
    error: Option<String>,
    #[serde(default)]
    warnings: Vec<String>,
}

#[derive(Debug, Deserialize)]
struct Data {
    #[serde(default)]
    result: Vec<Series>,
}

#[derive(Debug, Deserialize)]
struct Series {
    #[serde(default)]
    metric: BTreeMap<String, String>,
    #[serde(default)]
    values: Vec<(f64, String)>,
}

impl Prometheus {
    /// Asks each question once, for now, so that a wrong one is found before the run.
    pub(super) async fn open(url: &Url, queries: Vec<Query>) -> Result<Self, ObserveError> {
        let problem = |reason: String| ObserveError::Prometheus { url: shown(url), reason };
        let server = Server::new(url, TIMEOUT).map_err(|_| problem("it is not http:// or https://".to_owned()))?;
        let mut own = Self { server, url: url.clone(), queries };
        for query in own.queries.clone() {
            let url = own.address("query", &[("query", &query.expression)]);
            match own.server.get(&url, JSON).await {
                Ok(_) => {}
                Err(FetchError::Status { status, text }) if status.is_client_error() && said(&text).is_some() => {
                    let reason = said(&text).unwrap_or_default();
                    return Err(ObserveError::Query { name: query.name, expression: query.expression, reason });
                }
                Err(error) => return Err(problem(error.to_string())),
            }
        }
        Ok(own)
    }

    /// Asks each question about the time from `start` to `end`.
    pub(super) async fn ask(mut self, start: UnixMillis, end: UnixMillis) -> Observed {
        let mut recording = Recording::new(format!("prometheus {}", shown(&self.url)));
        let step = ((end - start).max(0) / 1_000 / MOST_STEPS + 1).to_string();
        let [from, to] = [start, end.max(start)].map(|at| format!("{:.3}", at as f64 / 1_000.0));
        for Query { name, expression } in std::mem::take(&mut self.queries) {
            let question = [("query", expression.as_str()), ("start", &from), ("end", &to), ("step", &step)];
            let url = self.address("query_range", &question);
            match self.server.get(&url, JSON).await {
                Ok(answer) => record(&name, &answer, start, &mut recording),
                Err(FetchError::Status { status, text }) => {
                    let reason = said(&text).unwrap_or_else(|| format!("it answered {status}"));
                    recording.warn(format!("{name}: {reason}"));
                }
                Err(error) => recording.warn(format!("{name}: {error}")),
            }
        }
        recording.end()
    }

    fn address(&self, call: &str, question: &[(&str, &str)]) -> Url {
        let mut url = self.url.clone();
        url.set_path(&format!("{}/api/v1/{call}", self.url.path().trim_end_matches('/')));
        url.query_pairs_mut().clear().extend_pairs(question);
        url
    }
}

fn record(name: &str, answer: &Answer, start: UnixMillis, recording: &mut Recording) {
    if answer.cut_off {
        return recording.warn(format!("{name}: the answer is longer than 1 MiB; aggregate it, as in sum(…)"));
    }
    let reply: Reply = match serde_json::from_str(&answer.text) {
        Ok(reply) => reply,
        Err(error) => return recording.warn(format!("{name}: the answer is none of Prometheus: {error}")),
    };
    for warning in reply.warnings {
        recording.warn(format!("{name}: {warning}"));
    }
    let found = reply.data.map(|data| data.result).unwrap_or_default();
    if found.is_empty() {
        recording.warn(format!("{name}: nothing was found for the time of the run"));
    }
    if found.len() > MOST_SERIES {
        let n = found.len();
        recording.warn(format!("{name}: {n} series, of which {MOST_SERIES} are kept; aggregate them, as in sum(…)"));
    }
    let (unit, factor) = unit::of_gauge(name);
    let alone = found.len() == 1;
    for Series { metric, values } in found.into_iter().take(MOST_SERIES) {
        let name = if alone { name.to_owned() } else { format!("{name}{{{}}}", labels(&metric)) };
        for (at, value) in values {
            let at = (at - start as f64 / 1_000.0).max(0.0);
            if let (Ok(value), Ok(at)) = (value.parse::<f64>(), Duration::try_from_secs_f64(at)) {
                recording.record(&name, unit, at, value * factor);
            }
        }
    }
}

/// Why a question was refused, in the server's words.
fn said(text: &str) -> Option<String> {
    serde_json::from_str::<Reply>(text).ok()?.error
}

fn labels(metric: &BTreeMap<String, String>) -> String {
    let labels = metric.iter().filter(|(name, _)| *name != "__name__");
    labels.map(|(name, value)| format!("{name}={value:?}")).collect::<Vec<_>>().join(",")
}
