//! The Pushgateway of Prometheus: each run replaces the numbers of the one before it with the same labels.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use http::Method;
use url::Url;

use super::{Facts, PublishError, Secret, TIMEOUT};
use crate::fetch::{FetchError, Server};

const JOB: &str = "spillway_loadtest";

const TEXT: &str = "text/plain; version=0.0.4; charset=utf-8";

/// A Pushgateway.
pub(super) struct Pushgateway {
    server: Server,
    url: Url,
    instance: Option<String>,
}

impl Pushgateway {
    pub(super) fn new(url: &Secret, instance: Option<&str>) -> Result<Self, PublishError> {
        let url = url.url().filter(|url| !url.path().contains("/metrics/job"));
        let url = url.ok_or(PublishError::Pushgateway)?;
        let server = Server::new(&url, TIMEOUT).map_err(|_| PublishError::Pushgateway)?;
        Ok(Self { server, url, instance: instance.filter(|text| !text.is_empty()).map(str::to_owned) })
    }

    pub(super) async fn push(mut self, facts: &Facts<'_>) -> Result<(), FetchError> {
        let mut url = self.url.clone();
        let labels =
            [("instance", self.instance.as_deref()), ("environment", facts.environment()), ("test", Some(&facts.test))];
        url.set_path(&format!("{}{}", self.url.path().trim_end_matches('/'), group(&labels)));
        url.set_query(None);
        self.server.put(Method::PUT, &url, TEXT, text(facts)).await.map(drop)
    }
}

/// The path of the group of metrics with these labels.
fn group(labels: &[(&str, Option<&str>)]) -> String {
    let mut path = format!("/metrics/job/{JOB}");
    for (name, value) in labels {
        let Some(value) = value else { continue };
        path.push_str(&match value {
            value if is_plain(value) => format!("/{name}/{value}"),
            // As documented, `=` stands for no text at all.
            &"" => format!("/{name}@base64/="),
            value => format!("/{name}@base64/{}", URL_SAFE_NO_PAD.encode(value)),
        });
    }
    path
}

/// Whether a value is the same text in a path. One of dots only would be taken for a step up.
fn is_plain(value: &str) -> bool {
    value.chars().all(|c| c.is_ascii_alphanumeric() || "-_.".contains(c)) && value.chars().any(|c| c != '.')
}

/// Prometheus's text form. A number that is not there has no line.
fn text(facts: &Facts<'_>) -> String {
    let flag = |holds: bool| Some(f64::from(u8::from(holds)));
    let is_valid = !matches!(facts.verdict, "invalid" | "interrupted");
    let metrics = [
        ("loadtest_latency_p50_ms", "Median time of a request in milliseconds.", facts.p50_ms),
        ("loadtest_latency_p95_ms", "95th percentile of the time of a request in milliseconds.", facts.p95_ms),
        ("loadtest_latency_p99_ms", "99th percentile of the time of a request in milliseconds.", facts.p99_ms),
        ("loadtest_throughput_rps", "Requests per second.", Some(facts.throughput_rps)),
        ("loadtest_error_rate_percent", "Requests that failed, in percent of all.", Some(facts.error_rate_percent)),
        ("loadtest_dropped_iterations", "Iterations that were due and never began.", Some(facts.dropped as f64)),
        ("loadtest_duration_seconds", "From the start to the end of the run.", Some(facts.duration_s)),
        ("loadtest_slo_passed", "1 when the run was valid and all thresholds held, else 0.", flag(facts.passed)),
        (
            "loadtest_run_valid",
            "0 when the run says nothing: the generator was the bottleneck, or it was interrupted; else 1.",
            flag(is_valid),
        ),
    ];
    let mut text = String::new();
    for (name, help, value) in metrics {
        if let Some(value) = value.filter(|value| value.is_finite()) {
            text.push_str(&format!("# HELP {name} {help}\n# TYPE {name} gauge\n{name} {value}\n"));
        }
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn labels_that_are_no_path_are_encoded() {
        let table = [
            ("staging", "/metrics/job/spillway_loadtest/environment/staging"),
            ("eu-1.b_2", "/metrics/job/spillway_loadtest/environment/eu-1.b_2"),
            ("a/b", "/metrics/job/spillway_loadtest/environment@base64/YS9i"),
            ("zwei Wörter", "/metrics/job/spillway_loadtest/environment@base64/endlaSBXw7ZydGVy"),
            ("..", "/metrics/job/spillway_loadtest/environment@base64/Li4"),
            ("", "/metrics/job/spillway_loadtest/environment@base64/="),
        ];
        for (value, path) in table {
            assert_eq!(group(&[("instance", None), ("environment", Some(value))]), path);
        }
    }
}
