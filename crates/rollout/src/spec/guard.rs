//! What is watched at every step.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use spillway_slo::duration::Timespan;

/// Something that is watched: exactly one kind.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
#[schemars(extend("x-kubernetes-validations" = [{
    "rule": "(has(self.compare) ? 1 : 0) + (has(self.threshold) ? 1 : 0) + (has(self.alerts) ? 1 : 0) + (has(self.budget) ? 1 : 0) == 1",
    "message": "give exactly one of compare, threshold, alerts and budget"
}]))]
pub struct Guard {
    /// Name of the guard, unique in the plan; status and messages show it.
    #[schemars(length(min = 1, max = 63))]
    pub name: String,
    /// The judge compares candidate and live version, and may look after every window without crying wolf.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub compare: Option<Compare>,
    /// A value of the candidate must not pass a limit in several windows in a row.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub threshold: Option<Threshold>,
    /// No alert may fire; one that fires acts at once.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub alerts: Option<Alerts>,
    /// The error budget must not be spent: steps are smaller and longer from 90 % on, nothing is rolled out from 100 % on until it is below 70 %.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub budget: Option<Budget>,
}

/// A comparison by the judge.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Compare {
    /// What is compared: `errors`, the share of requests that failed for the platform's own reasons, or `latency`, the shares of requests slower
    /// than each boundary of the histogram.
    pub metric: CompareMetric,
    /// For latency: what is answered within this is fast enough, such as `10ms`; differences below it do not count. A slot with a tenth of the traffic is slower by
    /// a millisecond than one with the rest, because its connections and caches are colder. Default 10 ms; `0s` compares everything.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(with = "Option<String>")]
    pub fast_enough: Option<Timespan>,
}

/// What the judge compares.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub enum CompareMetric {
    /// Share of requests that failed for the platform's own reasons.
    Errors,
    /// Shares of requests slower than each boundary of the latency histogram.
    Latency,
}

/// A limit on a value. Exactly one of `metric` and `query`.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
#[schemars(extend("x-kubernetes-validations" = [{
    "rule": "has(self.metric) != has(self.query)",
    "message": "give exactly one of metric and query"
}]))]
pub struct Threshold {
    /// A value that the controller knows how to measure on the candidate: `errorRatio`, the share of requests that failed, from 0 to 1;
    /// `latencyP50`, `latencyP95` and `latencyP99`, percentiles of latency in seconds; `poolUsage`, the share of the database pool in use, from 0
    /// to 1; `restarts`, those of its processes since it became ready; `memoryBytes`, the resident memory of its largest process.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub metric: Option<ThresholdMetric>,
    /// A PromQL query for one number, asked of `analysis.prometheus`. `{slot}` is the candidate's slot.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub query: Option<String>,
    /// The largest value that is still good. In the value's own unit: shares from 0 to 1, seconds, numbers.
    pub max: f64,
    /// Length of a window, such as `1m`. Default 1 minute.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(with = "Option<String>")]
    pub window: Option<Timespan>,
    /// How many consecutive windows have to be beyond `max` until the guard fails. Default 1.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 1, max = 100))]
    pub windows: Option<u32>,
}

/// Values that the controller knows how to measure on the candidate.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub enum ThresholdMetric {
    /// Share of requests that failed, from 0 to 1.
    ErrorRatio,
    /// Median of latency, seconds.
    LatencyP50,
    /// 95th percentile of latency, seconds.
    LatencyP95,
    /// 99th percentile of latency, seconds.
    LatencyP99,
    /// Share of the database pool in use, from 0 to 1. Of several processes the worst one counts.
    PoolUsage,
    /// Restarts of the candidate's processes since it became ready.
    Restarts,
    /// Resident memory, bytes. Of several processes the worst one counts, not their sum: a leak in one replica must not hide behind the others.
    MemoryBytes,
}

/// Alerts that must not fire.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Alerts {
    /// Who is asked: `alertmanager`, which knows silences and inhibitions, or `prometheus`, for its own firing alerts.
    pub from: AlertsFrom,
    /// Base address of who is asked, such as `http://alertmanager:9093`. Default: `analysis.prometheus.url` for Prometheus.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub url: Option<String>,
    /// Labels that an alert must have to count, such as `severity: critical`. Silenced and inhibited alerts never count.
    #[serde(default, skip_serializing_if = "std::collections::BTreeMap::is_empty")]
    pub labels: std::collections::BTreeMap<String, String>,
}

/// Who knows the alerts.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub enum AlertsFrom {
    /// Alertmanager, which knows silences and inhibitions.
    Alertmanager,
    /// Prometheus' own firing alerts.
    Prometheus,
}

/// An error budget: warned at 90 % until it is below 85 % (smaller steps, longer bakes), frozen at 100 % until it is below 70 %
/// (no new rollout starts, a running one holds), emergency at 150 % (rolled back when the rollout did it).
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Budget {
    /// Share of events that have to be good, such as `0.999`.
    #[schemars(range(min = 0.0, max = 1.0))]
    pub target: f64,
    /// The window of the budget, such as `30d`. Default 30 days.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(with = "Option<String>")]
    pub window: Option<Timespan>,
    /// PromQL for the number of bad events, asked of `analysis.prometheus`; `{window}` is filled in.
    pub bad: String,
    /// PromQL for the number of all events, asked of `analysis.prometheus`; `{window}` is filled in.
    pub total: String,
    /// Fewer events than this say nothing. Default 1000.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub minimum_events: Option<u64>,
}
