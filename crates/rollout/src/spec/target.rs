//! What is rolled out, and who moves its traffic.

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use spillway_slo::duration::Timespan;

use crate::slot::Slots;

/// What is rolled out: exactly one of these.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
#[schemars(extend("x-kubernetes-validations" = [{
    "rule": "(has(self.host) ? 1 : 0) + (has(self.workload) ? 1 : 0) + (has(self.workers) ? 1 : 0) == 1",
    "message": "give exactly one of host, workload and workers"
}]))]
pub struct Target {
    /// Processes on one host behind nginx.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub host: Option<HostTarget>,
    /// A Deployment of this namespace, whose pods are moved into two slots.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub workload: Option<WorkloadTarget>,
    /// Queue workers of a Spillway gateway, which have no request traffic: the weight is the share of deliveries that the candidate may claim.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub workers: Option<WorkersTarget>,
}

/// Processes on one host behind nginx. Each slot is an upstream group.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct HostTarget {
    /// The nginx in front of the slots, and the file with which its traffic is moved.
    pub nginx: NginxRouter,
    /// Where the two slots listen. One is live; a new revision goes to the other.
    pub slots: Slots<HostSlot>,
    /// The candidate: a new revision to roll out. A change of `revision` starts a rollout.
    pub candidate: Candidate,
}

/// A new revision on a host.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Candidate {
    /// Name of the revision, such as a version or a commit. Anything that differs from the live one's starts a rollout.
    #[schemars(length(min = 1, max = 128))]
    pub revision: String,
    /// Starts the candidate in the idle slot and keeps running while it serves. `{slot}`, `{address}` and `{revision}` are filled in. Without it the
    /// candidate is expected to run already, and traffic is only switched.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub start: Option<CommandLine>,
    /// How long a process that shall stop has between SIGTERM and SIGKILL. Default 30 s.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(with = "Option<String>")]
    pub stop_timeout: Option<Timespan>,
}

/// A program and its arguments; no shell in between.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct CommandLine {
    /// Program and arguments, one entry each. No shell is in between.
    #[schemars(length(min = 1, max = 100))]
    pub command: Vec<String>,
    /// Environment variables beside the controller's own.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub environment: BTreeMap<String, String>,
    /// Folder in which it runs. Default: the controller's own.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub working_directory: Option<String>,
}

/// Where a slot listens.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct HostSlot {
    /// Address of the process, such as `127.0.0.1:8081`; several make a group.
    #[schemars(length(min = 1, max = 20))]
    pub addresses: Vec<String>,
    /// Path that says that the slot can take traffic. Default `/readyz`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ready_path: Option<String>,
    /// Path of its metrics in Prometheus' text format. Default `/metrics`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub metrics_path: Option<String>,
}

/// An nginx whose configuration includes a file that the controller writes.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct NginxRouter {
    /// The file that the controller owns, included in the `http` block of nginx's configuration. It defines the upstream groups
    /// `<rollout>_blue` and `<rollout>_green`, the variable `$<rollout>_slot` that splits requests by weight, and the internal locations'
    /// mirror target `$<rollout>_mirror`.
    pub file: String,
    /// The main configuration that `nginx -t` checks. Default: nginx's own.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub config: Option<String>,
    /// The program that checks and reloads. Default `nginx`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub program: Option<String>,
    /// Copy requests with unsafe methods (POST, PUT, PATCH, DELETE) too. They would be applied twice: only where that is harmless. Default false.
    #[serde(default)]
    pub mirror_unsafe_methods: bool,
}

/// A Deployment whose pods are moved into two slots.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
#[schemars(extend("x-kubernetes-validations" = [{
    "rule": "(has(self.virtualService) ? 1 : 0) + (has(self.httpRoute) ? 1 : 0) + (has(self.nginx) ? 1 : 0) == 1",
    "message": "give exactly one router: virtualService, httpRoute or nginx"
}]))]
pub struct WorkloadTarget {
    /// The Deployment whose pod template is rolled out. Its pods are taken over without downtime; afterwards it is the template only, with
    /// zero replicas.
    pub deployment: String,
    /// Port of the pods that takes requests; the slots' Services listen on it.
    #[schemars(range(min = 1, max = 65535))]
    pub port: u16,
    /// Replicas that the whole load needs, when no autoscaler sets them: those of the live slot. The candidate has its share of them, before it gets
    /// the traffic; with `strategy: blueGreen` all of them from the start. Default: those that the Deployment had.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 1, max = 1000))]
    pub replicas: Option<u32>,
    /// Replicas that the candidate has at least, however small its share, and that are left of it after it went back, until it is stopped.
    /// Default 1.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 1, max = 1000))]
    pub min_replicas: Option<u32>,
    /// HorizontalPodAutoscaler that is copied for each slot that takes traffic.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub autoscaler: Option<String>,
    /// Weights in a named route of an Istio VirtualService.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub virtual_service: Option<VirtualServiceRouter>,
    /// Weights in a named rule of a Gateway API HTTPRoute.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub http_route: Option<HttpRouteRouter>,
    /// Weights in a key of a ConfigMap that an nginx in the cluster includes.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub nginx: Option<NginxConfigMapRouter>,
}

/// A route of an Istio VirtualService.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct VirtualServiceRouter {
    /// Name of the VirtualService, in this namespace.
    pub name: String,
    /// Name of the route in its `http` list. Nothing else of it is touched.
    pub route: String,
    /// Copy requests with unsafe methods (POST, PUT, PATCH, DELETE) too. They would be applied twice: only where that is harmless. Without it, copies
    /// are refused unless the route itself matches GET, HEAD or OPTIONS only. Default false.
    #[serde(default)]
    pub mirror_unsafe_methods: bool,
}

/// A rule of a Gateway API HTTPRoute.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct HttpRouteRouter {
    /// Name of the HTTPRoute, in this namespace.
    pub name: String,
    /// Name of the rule in its `rules` list. Nothing else of the route is touched.
    pub rule: String,
    /// Copy requests with unsafe methods (POST, PUT, PATCH, DELETE) too. They would be applied twice: only where that is harmless. Without it, copies
    /// are refused unless the rule itself matches GET, HEAD or OPTIONS only. Default false.
    #[serde(default)]
    pub mirror_unsafe_methods: bool,
}

/// A key of a ConfigMap that an nginx in the cluster includes.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct NginxConfigMapRouter {
    /// Name of the ConfigMap, in this namespace.
    pub config_map: String,
    /// The key that the controller owns: it holds the configuration for nginx' `http` block.
    pub key: String,
}

/// Queue workers of a Spillway gateway.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct WorkersTarget {
    /// Address of the gateway's API, such as `http://127.0.0.1:8080`.
    pub gateway: String,
    /// API key with scope `admin`: `env:NAME` or `file:PATH`.
    pub api_key: String,
    /// The slots: processes that were started with `spillway serve --role worker --slot NAME`.
    pub slots: Slots<HostSlot>,
    /// The candidate: a new revision of the workers. A change of `revision` starts a rollout.
    pub candidate: Candidate,
}
