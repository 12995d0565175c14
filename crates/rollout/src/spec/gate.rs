//! What has to pass once in a step.

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use spillway_slo::duration::Timespan;

/// A request to the candidate, and what its answer has to be. It is tried three times before it fails.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct HttpCheck {
    /// Path on the candidate, such as `/healthz`, or a whole URL.
    pub path: String,
    /// Method of the request, such as `POST`. Default `GET`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub method: Option<String>,
    /// Headers that are sent with the request.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub headers: BTreeMap<String, String>,
    /// Body that is sent with the request. Default: none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub body: Option<String>,
    /// Status that the answer has to have. Default: any 2xx.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 100, max = 599))]
    pub status: Option<u16>,
    /// Text that the answer's body has to contain. Default: anything will do.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub contains: Option<String>,
    /// Longest wait for the answer. Default 5 s.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(with = "Option<String>")]
    pub timeout: Option<Timespan>,
}

/// A load test with `spillway-loadgen`, against the candidate. Its thresholds are the verdict.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct LoadTest {
    /// Options file of the load test. On Kubernetes a key of the ConfigMap `configMap`.
    pub file: String,
    /// On Kubernetes: the ConfigMap with the options file, in the Rollout's namespace.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub config_map: Option<String>,
    /// On Kubernetes: image of `spillway-loadgen` that the load test's Job runs.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub image: Option<String>,
    /// Base address of the target. Default: the candidate slot itself.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub target: Option<String>,
    /// More arguments of `spillway-loadgen run`, such as `--scale 0.1`.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 50))]
    pub arguments: Vec<String>,
    /// Longest run; beyond it the gate fails. Default 1 hour.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(with = "Option<String>")]
    pub timeout: Option<Timespan>,
}

/// A webhook that is asked whether the step may go on, with Flagger's payload. Any 2xx passes, 204 included.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Webhook {
    /// Name of the webhook, which messages and the status show.
    pub name: String,
    /// Address that the question is sent to, by POST.
    pub url: String,
    /// Longest wait for the answer. Default 30 s.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(with = "Option<String>")]
    pub timeout: Option<Timespan>,
    /// How often it is tried again after an answer that is no 2xx, before the gate fails. Default 2.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 0, max = 100))]
    pub retries: Option<u32>,
    /// What is passed on in the payload's `metadata`, for the receiver alone.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub metadata: BTreeMap<String, String>,
}
