//! What a user writes: the `Rollout`, the same YAML for a Kubernetes custom resource and for one host.
//!
//! These types hold what is written. [`Plan`](crate::Plan) is what was checked and completed with defaults.

mod analysis;
mod gate;
mod guard;
mod notification;
mod target;

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use spillway_slo::duration::Timespan;

pub use analysis::{Analysis, AnalysisSource, Latency, PrometheusSource, Series};
pub use gate::{HttpCheck, LoadTest, Webhook};
pub use guard::{Alerts, AlertsFrom, Budget, Compare, CompareMetric, Guard, Threshold, ThresholdMetric};
pub use notification::{Console, Notification, NotificationKind};
pub use target::{
    Candidate, CommandLine, HostSlot, HostTarget, HttpRouteRouter, NginxConfigMapRouter, NginxRouter, Target,
    VirtualServiceRouter, WorkersTarget, WorkloadTarget,
};

/// Version of the format, `apiVersion` of every Rollout.
pub const API_VERSION: &str = "spillway.dev/v1alpha1";
/// `kind` of every Rollout.
pub const KIND: &str = "Rollout";

/// A Rollout as a file: the frame that a Kubernetes resource has too.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Rollout {
    /// [`API_VERSION`].
    pub api_version: String,
    /// [`KIND`].
    pub kind: String,
    /// Its name.
    pub metadata: Metadata,
    /// What shall happen.
    pub spec: RolloutSpec,
}

/// Who a Rollout is.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Metadata {
    /// Name, a DNS label.
    pub name: String,
    /// Namespace on Kubernetes; none on a host.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub namespace: Option<String>,
    /// Labels. `spillway.dev/fix: "true"` marks a rollout that mends something: a frozen budget does not hold it.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub labels: BTreeMap<String, String>,
}

/// How traffic moves from the live version to a new one, what is watched meanwhile, and what happens when it fails.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct RolloutSpec {
    /// `canary` moves traffic step by step, `blueGreen` keeps the old version whole until the observation ends, `shadow` sends the
    /// new version copies of requests and no traffic of its own. Default `canary`.
    #[serde(default)]
    pub strategy: Strategy,
    /// What is rolled out, and where: exactly one of `host`, `workload` and `workers`.
    pub target: Target,
    /// What the steps are, in order. Without any: 10, 25, 50 and 100 % with a bake of 30 minutes each for `canary`; 10, 50 and 100 % for
    /// `blueGreen`; a mirror of everything for 30 minutes for `shadow`.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 50))]
    pub steps: Vec<Step>,
    /// What is watched at every step. Without any: the judge compares errors and latency, errors stay at most 1 % and the 99th
    /// percentile at most 10 s (each fails in 5 consecutive minutes), restarts and an exhausted database pool fail.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 50))]
    pub guards: Vec<Guard>,
    /// Where measurements come from, and how strict the judge is. Without it the slots' own `/metrics` are read every 15 s.
    #[serde(default)]
    pub analysis: Analysis,
    /// What happens when a guard or a gate fails: `rollback` gives all traffic back to the live slot and stops the candidate, `hold` leaves the
    /// weight where it is until a person decides. Default `rollback`.
    #[serde(default)]
    pub on_failure: OnFailure,
    /// What happens at the end of a step when there was too little evidence to call it good: `hold` waits for evidence or a person, `extend`
    /// repeats the bake at most three times and then holds, `rollback` does as after a failure. Default `hold`.
    #[serde(default)]
    pub on_inconclusive: OnInconclusive,
    /// How long the new version is watched at 100 % before the old one is cleaned up, such as `60m`. Default 60 minutes; 24 hours for
    /// `blueGreen`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(with = "Option<String>")]
    pub observation: Option<Timespan>,
    /// How long the candidate may take to become ready. Default 10 minutes.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(with = "Option<String>")]
    pub progress_deadline: Option<Timespan>,
    /// Holds everything where it is while it is true: no weight rises or falls, and no rollout starts. Default false.
    #[serde(default)]
    pub paused: bool,
    /// Who is told what happens. Nobody without any.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 20))]
    pub notifications: Vec<Notification>,
    /// A gateway whose console shows the rollout and passes on what people say there. When it cannot be reached the rollout goes on.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub console: Option<Console>,
}

/// How traffic moves.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub enum Strategy {
    /// Step by step, judged at each.
    #[default]
    Canary,
    /// All replicas of both versions stay until the observation ends.
    BlueGreen,
    /// Copies of requests only; the live version goes on answering and stays live.
    Shadow,
}

/// What happens when a guard or a gate fails.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub enum OnFailure {
    /// All traffic goes back to the live slot and the candidate stops.
    #[default]
    Rollback,
    /// The weight stays where it is until a person decides.
    Hold,
}

/// What happens at the end of a step without enough evidence.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub enum OnInconclusive {
    /// The weight stays where it is until evidence comes or a person decides.
    #[default]
    Hold,
    /// The bake is repeated, at most three times; then it holds.
    Extend,
    /// As after a failure.
    Rollback,
}

/// One step: a weight, gates that are passed once, and a bake during which the guards watch.
///
/// In this order: weight (and mirror) → smoke checks → webhooks → load test → bake → approval.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Step {
    /// Share of the traffic that the candidate gets, in percent. Never less than in the step before. Default: that of the step before.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 0, max = 100))]
    pub weight: Option<u8>,
    /// Share of the requests to the live slot that are copied to the candidate, whose answers are thrown away, in percent. Only safe
    /// methods (GET, HEAD, OPTIONS) are copied unless the router says otherwise. Default 0.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 0, max = 100))]
    pub mirror: Option<u8>,
    /// How long the step is watched, such as `30m`. When the judge has proven the candidate no worse than the live version before, the
    /// step ends earlier, but not before a fifth of this. Default 30 minutes.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(with = "Option<String>")]
    pub bake: Option<Timespan>,
    /// Requests to the candidate that have to be answered as expected.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 50))]
    pub smoke: Vec<HttpCheck>,
    /// Webhooks that have to answer with a 2xx status.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 20))]
    pub webhooks: Vec<Webhook>,
    /// A load test of the candidate that has to pass before the bake begins.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub load_test: Option<LoadTest>,
    /// After the bake, wait until a person says `spillway-rollout approve`. Default false.
    #[serde(default)]
    pub approval: bool,
}
