//! Where measurements come from.

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use spillway_slo::duration::Timespan;

/// Where measurements come from, and how strict the judge is.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Analysis {
    /// Who measures: `slots` reads the processes' own `/metrics`, `prometheus` asks the Prometheus of `analysis.prometheus`. Default `slots`.
    #[serde(default)]
    pub source: AnalysisSource,
    /// The Prometheus, for `source: prometheus`, for queries and for its alerts.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub prometheus: Option<PrometheusSource>,
    /// Time between two looks, such as `15s`; each look closes one window of measurements. Default 15 s.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(with = "Option<String>")]
    pub interval: Option<Timespan>,
    /// What is measured this soon after the candidate became ready does not count. Default 30 s.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(with = "Option<String>")]
    pub warmup: Option<Timespan>,
    /// Chance that a rollout of an equally good version is rolled back by the judge. Default 0.01.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 0.000_001, max = 0.2))]
    pub alpha: Option<f64>,
    /// Chance that a worse version passes a step early. Default 0.05.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 0.000_001, max = 0.2))]
    pub beta: Option<f64>,
    /// The candidate's error ratio may be this multiple of the live one's, plus `toleratedDifference`, and still pass early. Default 1.5.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 1.0, max = 10.0))]
    pub tolerated_ratio: Option<f64>,
    /// What is added to `toleratedRatio` times the live version's error ratio, as a share of all requests. Default 0.001.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 0.0, max = 0.1))]
    pub tolerated_difference: Option<f64>,
    /// Requests, of all outcomes: a counter. Default: the count of `http_server_request_duration_seconds`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub requests: Option<Series>,
    /// Requests that failed for the platform's own reasons: a counter. A destination's failures are not the candidate's. Default: those of
    /// `http_server_request_duration_seconds` with a status of 500 to 599.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub errors: Option<Series>,
    /// Latency: a histogram in seconds. Default `http_server_request_duration_seconds`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub latency: Option<Latency>,
}

/// Who measures.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub enum AnalysisSource {
    /// The processes' own `/metrics`: no Prometheus is needed.
    #[default]
    Slots,
    /// A Prometheus.
    Prometheus,
}

/// A Prometheus.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct PrometheusSource {
    /// Base address, such as `http://prometheus:9090`.
    pub url: String,
    /// Bearer token: `env:NAME` or `file:PATH`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub token: Option<String>,
    /// The label whose value is `blue` or `green`. Default `slot`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub slot_label: Option<String>,
    /// Further labels that a series must have to be this rollout's, such as `namespace: shop`.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub labels: BTreeMap<String, String>,
}

/// Series of a counter.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Series {
    /// Name of the counter, such as `http_server_request_duration_seconds_count`.
    pub metric: String,
    /// Labels that count, each with a regular expression that the whole value has to match.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub labels: BTreeMap<String, String>,
}

/// A latency histogram.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Latency {
    /// Name of the histogram, without `_bucket`, such as `http_server_request_duration_seconds`.
    pub metric: String,
    /// Labels that count, each with a regular expression that the whole value has to match.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub labels: BTreeMap<String, String>,
}
