//! The options as a file writes them.

use std::collections::BTreeMap;

use serde::Deserialize;
use serde::de::IgnoredAny;
use spillway_slo::duration::Timespan;

use super::document::{Document, Value};
use super::{ConfigurationError, Stage};
use crate::flow::FlowSpec;

/// A whole file. Thresholds are read on their own, because their places and their order count.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(default, rename_all = "camelCase", deny_unknown_fields)]
pub(super) struct FileOptions {
    pub(super) vus: Option<u32>,
    pub(super) duration: Option<Timespan>,
    pub(super) iterations: Option<u64>,
    pub(super) stages: Option<Vec<FileStage>>,
    pub(super) scenarios: BTreeMap<String, FileScenario>,
    #[serde(rename = "thresholds")]
    _thresholds: Option<IgnoredAny>,
    pub(super) setup_timeout: Option<Timespan>,
    pub(super) teardown_timeout: Option<Timespan>,
    pub(super) user_agent: Option<String>,
    #[serde(rename = "insecureSkipTLSVerify")]
    pub(super) insecure_skip_tls_verify: bool,
    pub(super) no_connection_reuse: bool,
    pub(super) discard_response_bodies: bool,
    pub(super) summary_trend_stats: Option<Vec<String>>,
    pub(super) summary_time_unit: Option<String>,
    pub(super) tags: BTreeMap<String, String>,
    pub(super) execution_segment: Option<String>,
    pub(super) execution_segment_sequence: Option<String>,
    pub(super) target: Option<String>,
    pub(super) rps: Option<u32>,
    pub(super) flows: BTreeMap<String, FlowSpec>,
}

/// A scenario of a file: the options of all executors.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(default, rename_all = "camelCase", deny_unknown_fields)]
pub(super) struct FileScenario {
    pub(super) executor: Option<String>,
    pub(super) start_time: Option<Timespan>,
    pub(super) graceful_stop: Option<Timespan>,
    pub(super) env: BTreeMap<String, String>,
    pub(super) tags: BTreeMap<String, String>,
    pub(super) exec: Option<String>,
    pub(super) vus: Option<u32>,
    pub(super) iterations: Option<u64>,
    pub(super) max_duration: Option<Timespan>,
    pub(super) duration: Option<Timespan>,
    #[serde(rename = "startVUs")]
    pub(super) start_vus: Option<u32>,
    pub(super) stages: Option<Vec<FileStage>>,
    pub(super) graceful_ramp_down: Option<Timespan>,
    pub(super) rate: Option<f64>,
    pub(super) start_rate: Option<f64>,
    pub(super) time_unit: Option<Timespan>,
    #[serde(rename = "preAllocatedVUs")]
    pub(super) pre_allocated_vus: Option<u32>,
    #[serde(rename = "maxVUs")]
    pub(super) max_vus: Option<u32>,
    pub(super) spacing: Option<FileSpacing>,
    pub(super) seed: Option<u64>,
}

#[derive(Debug, Clone, Copy, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct FileStage {
    pub(super) duration: Timespan,
    pub(super) target: f64,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(super) enum FileSpacing {
    Even,
    Poisson,
}

impl From<FileStage> for Stage {
    fn from(stage: FileStage) -> Self {
        Self { duration: stage.duration.0, target: stage.target }
    }
}

/// Options of k6 that have no counterpart here.
const OF_K6_ALONE: &[&str] = &[
    "batch",
    "batchPerHost",
    "blacklistIPs",
    "blockHostnames",
    "cloud",
    "compatibilityMode",
    "dns",
    "ext",
    "hosts",
    "httpDebug",
    "linger",
    "localIPs",
    "maxRedirects",
    "minIterationDuration",
    "noCookiesReset",
    "noSetup",
    "noSummary",
    "noTeardown",
    "noThresholds",
    "noUsageReport",
    "noVUConnectionReuse",
    "paused",
    "systemTags",
    "throw",
    "tlsAuth",
    "tlsCipherSuites",
    "tlsVersion",
];

pub(super) fn refuse_options_of_k6_alone(document: &Document) -> Result<(), ConfigurationError> {
    match document.entries(&[]).iter().find(|(key, _)| OF_K6_ALONE.contains(&key.as_str())) {
        Some((key, _)) => Err(document.refuse(&[key], "k6 has this option, spillway-loadgen has not: remove it")),
        None => Ok(()),
    }
}

/// Says of each what was left out.
pub(super) fn leave_out_options_of_k6_alone(document: &mut Document) -> Vec<String> {
    let of_k6_alone = |key: &str| OF_K6_ALONE.contains(&key);
    let keys = document.entries(&[]).iter().map(|(key, _)| key).filter(|key| of_k6_alone(key));
    let warnings =
        keys.map(|key| format!("{}: k6's option {key} changes nothing here", document.place(&[key]))).collect();
    if let Value::Table(entries) = &mut document.root.value {
        entries.retain(|(key, _)| !of_k6_alone(key));
    }
    warnings
}
