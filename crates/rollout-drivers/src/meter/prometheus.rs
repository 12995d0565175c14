//! The HTTP API of a Prometheus.

use std::collections::BTreeMap;
use std::time::Duration;

use bytes::Bytes;
use http::Request;
use http_body_util::Full;
use serde::Deserialize;
use spillway_model::Secret;
use spillway_rollout::spec::PrometheusSource;
use url::Url;

use crate::http::{HttpAnswer, HttpClient};
use crate::secrets::Secrets;

/// A server that is asked during one look.
pub(super) struct Prometheus<'a> {
    http: &'a HttpClient,
    base: Url,
    token: Option<Secret>,
    timeout: Duration,
}

/// A series over a time: its labels, and its points as seconds since the Unix epoch and a number.
pub(super) type Ranged = (BTreeMap<String, String>, Vec<(f64, f64)>);

/// What a query gave.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Outcome {
    /// One number.
    Scalar(f64),
    /// Labels and a number each.
    Vector(Vec<(BTreeMap<String, String>, f64)>),
    /// Labels and raw points each.
    Matrix(Vec<Ranged>),
}

/// An alert of the server itself.
#[derive(Debug, Clone, Deserialize)]
pub(super) struct Alert {
    pub(super) labels: BTreeMap<String, String>,
    pub(super) state: String,
}

#[derive(Deserialize)]
struct Reply<T> {
    data: Option<T>,
    error: Option<String>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase", tag = "resultType", content = "result")]
enum Data {
    Scalar((f64, String)),
    Vector(Vec<VectorSeries>),
    Matrix(Vec<MatrixSeries>),
    String((f64, String)),
}

#[derive(Deserialize)]
struct VectorSeries {
    metric: BTreeMap<String, String>,
    value: Option<(f64, String)>,
}

#[derive(Deserialize)]
struct MatrixSeries {
    metric: BTreeMap<String, String>,
    #[serde(default)]
    values: Vec<(f64, String)>,
}

#[derive(Deserialize)]
struct Alerts {
    alerts: Vec<Alert>,
}

impl<'a> Prometheus<'a> {
    /// Resolves the token. The error is a sentence.
    pub(super) async fn open(
        http: &'a HttpClient,
        source: &PrometheusSource,
        secrets: &dyn Secrets,
        timeout: Duration,
    ) -> Result<Self, String> {
        let token = match &source.token {
            Some(reference) => {
                let token = secrets.resolve(reference).await;
                Some(token.map_err(|reason| format!("the token of Prometheus is not there: {reason}"))?)
            }
            None => None,
        };
        Ok(Self { token, ..Self::anonymous(http, &source.url, timeout)? })
    }

    /// A server that wants no token.
    pub(super) fn anonymous(http: &'a HttpClient, url: &str, timeout: Duration) -> Result<Self, String> {
        Ok(Self { http, base: base(url)?, token: None, timeout })
    }

    /// Asks for a query at the server's own time.
    pub(super) async fn query(&self, query: &str) -> Result<Outcome, String> {
        let data = self.get("api/v1/query", &[("query", query)]).await?;
        let number = |text: &str| text.parse::<f64>().unwrap_or(f64::NAN);
        match data {
            Data::Scalar((_, value)) => Ok(Outcome::Scalar(number(&value))),
            Data::Vector(series) => Ok(Outcome::Vector(
                series
                    .into_iter()
                    .filter_map(|VectorSeries { metric, value }| Some((metric, number(&value?.1))))
                    .collect(),
            )),
            Data::Matrix(series) => {
                let each = series.into_iter().map(|MatrixSeries { metric, values }| {
                    (metric, values.into_iter().map(|(at, value)| (at, number(&value))).collect())
                });
                Ok(Outcome::Matrix(each.collect()))
            }
            Data::String((_, text)) => Err(format!("`{query}` is the text `{text}`, and no number")),
        }
    }

    /// Asks for a query that gives one number. Everything else is a sentence: no data is no number.
    pub(super) async fn number(&self, query: &str) -> Result<f64, String> {
        let value = match self.query(query).await? {
            Outcome::Scalar(value) => value,
            Outcome::Vector(series) => match series.as_slice() {
                [(_, value)] => *value,
                [] => return Err(format!("`{query}` has no data; where none means zero, add `or vector(0)`")),
                many => {
                    let n = many.len();
                    return Err(format!("`{query}` gives {n} numbers instead of one: aggregate it, as in sum(…)"));
                }
            },
            Outcome::Matrix(_) => return Err(format!("`{query}` gives a range instead of one number")),
        };
        if value.is_finite() { Ok(value) } else { Err(format!("`{query}` gives {value}, which says nothing")) }
    }

    /// The server's alerts, pending ones too.
    pub(super) async fn alerts(&self) -> Result<Vec<Alert>, String> {
        Ok(self.get::<Alerts>("api/v1/alerts", &[]).await?.alerts)
    }

    async fn get<T: for<'de> Deserialize<'de>>(&self, path: &str, question: &[(&str, &str)]) -> Result<T, String> {
        let answer = ask(self.http, &self.base, path, question, self.token.as_ref(), self.timeout).await?;
        let reply: Result<Reply<T>, _> = serde_json::from_slice(&answer.body);
        match reply {
            Ok(Reply { data: Some(data), .. }) if answer.status.is_success() => Ok(data),
            Ok(Reply { error: Some(error), .. }) => Err(format!("Prometheus refuses: {error}")),
            _ if !answer.status.is_success() => {
                Err(format!("Prometheus at {} answered {}", shown(&self.base), answer.status))
            }
            _ => Err(format!("{} does not answer as a Prometheus does", shown(&self.base))),
        }
    }
}

/// `GET` of a path below a base address.
pub(super) async fn ask(
    http: &HttpClient,
    base: &Url,
    path: &str,
    question: &[(&str, &str)],
    token: Option<&Secret>,
    timeout: Duration,
) -> Result<HttpAnswer, String> {
    let mut url = base.clone();
    url.set_path(&format!("{}/{path}", base.path().trim_end_matches('/')));
    if !question.is_empty() {
        url.query_pairs_mut().extend_pairs(question);
    }
    let mut request = Request::get(url.as_str());
    if let Some(token) = token {
        request = request.header("authorization", format!("Bearer {}", token.expose()));
    }
    let request = request.body(Full::<Bytes>::default());
    let request = request.map_err(|_| format!("{} cannot be asked: the token is no header value", shown(base)))?;
    http.send(request, timeout).await.map_err(|error| error.to_string())
}

/// A base address that can be asked.
pub(super) fn base(url: &str) -> Result<Url, String> {
    Url::parse(url)
        .ok()
        .filter(|url| matches!(url.scheme(), "http" | "https") && url.has_host())
        .ok_or_else(|| "an address of Prometheus or Alertmanager has to begin with http:// or https://".to_owned())
}

/// Without password and query.
fn shown(url: &Url) -> String {
    url.origin().ascii_serialization()
}
