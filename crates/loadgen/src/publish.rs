//! Results told to others: a Prometheus Pushgateway, Slack, and a Spillway gateway.
//!
//! The addresses are checked before the run. What fails afterwards is a warning: it changes neither the result nor the exit code.

mod gateway;
mod pushgateway;
mod slack;

use std::fmt;
use std::str::FromStr;
use std::time::Duration;

use url::Url;

pub use gateway::Gateway;
use pushgateway::Pushgateway;
use slack::Slack;

/// Longest time that one receiver may take.
const TIMEOUT: Duration = Duration::from_secs(10);

/// What is told about a run.
#[derive(Debug, Clone, PartialEq)]
pub struct Facts<'a> {
    /// Name of the test, such as `smoke`.
    pub test: String,
    /// Where the target runs, such as `staging`; `None` or empty leaves it out.
    pub environment: Option<String>,
    /// The run is valid, ran to its end, and all thresholds held.
    pub passed: bool,
    /// `passed`, `failed`, `invalid` or `interrupted`.
    pub verdict: &'a str,
    /// Median time of a request; none without requests.
    pub p50_ms: Option<f64>,
    /// Its 95th percentile.
    pub p95_ms: Option<f64>,
    /// Its 99th percentile.
    pub p99_ms: Option<f64>,
    /// Requests per second.
    pub throughput_rps: f64,
    /// Requests that failed, in percent of all.
    pub error_rate_percent: f64,
    /// Iterations that were due and never began.
    pub dropped: u64,
    /// From the start to the end of the run.
    pub duration_s: f64,
    /// The thresholds that did not hold, as in `http_req_duration p(95)<250 (was 312)`.
    pub failed_thresholds: Vec<String>,
    /// Path or URL of the report.
    pub report: Option<String>,
}

/// Who is told. The default is nobody.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Receivers {
    /// Address of a Pushgateway, without `/metrics/job`; user and password may be part of it.
    pub pushgateway: Option<Secret>,
    /// The value of the label `instance` there.
    pub instance: Option<String>,
    /// Address of an incoming webhook of Slack, or of what understands its messages.
    pub slack: Option<Secret>,
}

/// A URL that lets its holder in. It is never printed.
#[derive(Clone, PartialEq, Eq)]
pub struct Secret(String);

/// An address that nothing can be sent to.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum PublishError {
    /// Of the Pushgateway.
    #[error(
        "the address of the Pushgateway (--pushgateway, PROMETHEUS_PUSHGATEWAY_URL) must be http:// or https:// with a host, and \
         without /metrics/job, such as http://127.0.0.1:9091"
    )]
    Pushgateway,
    /// Of a gateway.
    #[error(
        "the address of a gateway (--out gateway=URL) must be http:// or https:// with a host, such as http://127.0.0.1:8080"
    )]
    Gateway,
    /// The key of a gateway's API.
    #[error(
        "a result is published with a key of the gateway's API that has scope write: set SPILLWAY_API_KEY, or give --gateway-key"
    )]
    GatewayKey,
    /// Of Slack.
    #[error(
        "the address of the Slack webhook (--slack-webhook, SLACK_WEBHOOK_URL) must be the whole https:// URL that Slack shows \
         for an incoming webhook"
    )]
    Slack,
}

/// Tells the receivers about a run.
pub struct Publisher {
    pushgateway: Option<Pushgateway>,
    slack: Option<Slack>,
}

impl Publisher {
    /// Checks the addresses; nothing is sent.
    ///
    /// # Errors
    /// When one is no URL to send to.
    pub fn new(receivers: &Receivers) -> Result<Self, PublishError> {
        let pushgateway =
            receivers.pushgateway.as_ref().map(|url| Pushgateway::new(url, receivers.instance.as_deref()));
        Ok(Self { pushgateway: pushgateway.transpose()?, slack: receivers.slack.as_ref().map(Slack::new).transpose()? })
    }

    /// Tells all receivers at once, and returns what went wrong, for people. Takes 10 s at most.
    pub async fn publish(self, facts: &Facts<'_>) -> Vec<String> {
        let push = async {
            let pushed = self.pushgateway?.push(facts).await;
            pushed.err().map(|error| format!("the result is not in the Pushgateway: {error}"))
        };
        let post = async {
            let posted = self.slack?.post(facts).await;
            posted.err().map(|error| format!("the result is not in Slack: {error}"))
        };
        let (pushed, posted) = tokio::join!(push, post);
        [pushed, posted].into_iter().flatten().collect()
    }
}

impl Facts<'_> {
    fn environment(&self) -> Option<&str> {
        self.environment.as_deref().filter(|environment| !environment.is_empty())
    }
}

impl Secret {
    /// Whether there is no text at all.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    fn url(&self) -> Option<Url> {
        Url::parse(&self.0).ok().filter(|url| matches!(url.scheme(), "http" | "https") && url.has_host())
    }
}

impl FromStr for Secret {
    type Err = std::convert::Infallible;

    /// Takes any text, because an error would print it; [`Publisher::new`] checks it.
    fn from_str(text: &str) -> Result<Self, Self::Err> {
        Ok(Self(text.trim().to_owned()))
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("Secret(…)")
    }
}

#[cfg(test)]
mod tests;
