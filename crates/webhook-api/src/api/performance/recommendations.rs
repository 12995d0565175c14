//! `/api/v1/performance/recommendations`: what to change, and why.

use std::collections::BTreeMap;
use std::sync::Arc;

use axum::extract::State;
use axum::response::Response;
use serde::Serialize;
use spillway_performance::recommendations::{Facts, Recommendation, Waiting, recommend};
use spillway_performance::{CounterMetric, GaugeMetric, LatencyMetric, Recorder};
use spillway_telemetry::{CacheName, Label as _};
use utoipa::ToSchema;

use super::{at, rounded, sampled_at, tagged};
use crate::api::timestamp::Timestamp;
use crate::gateway::Gateway;
use crate::performance::{HostReading, of_cache};

const HOUR_S: i64 = 3_600;
/// The engine whose pool a server's connections are limited by.
const POSTGRES: &str = "postgres";

/// What to change on this node.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct RecommendationsView {
    /// When the numbers were taken.
    #[schema(value_type = String, format = DateTime)]
    at: Timestamp,
    /// The node that answers.
    node: String,
    /// What to change, the most urgent first; empty when nothing is to be changed.
    data: Vec<RecommendationView>,
    /// What is not known well enough to be recommended.
    waiting: Vec<WaitingView>,
}

/// Something to change.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct RecommendationView {
    /// Stable: the same advice has the same id at every look.
    #[schema(example = "pool_size")]
    id: String,
    /// `advice` or `soon`.
    urgency: &'static str,
    /// A sentence with the numbers that led to it.
    text: String,
    /// The setting to change, if one does it.
    setting: Option<&'static str>,
    /// What is in force.
    current: Option<f64>,
    /// What to set.
    recommended: Option<f64>,
    /// In what both are.
    unit: Option<&'static str>,
    /// The numbers, by name.
    evidence: BTreeMap<&'static str, f64>,
}

/// Advice that cannot be given yet.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct WaitingView {
    /// The id it would have, or what its ids begin with.
    id: &'static str,
    /// What is missing.
    reason: String,
}

/// Show what to change on this node, each with the numbers that led to it.
#[utoipa::path(get, path = "/api/v1/performance/recommendations", tag = "performance",
    operation_id = "list_recommendations",
    responses((status = 200, description = "The recommendations", body = RecommendationsView)))]
pub(crate) async fn list(State(gateway): State<Arc<Gateway>>) -> Response {
    let now_s = sampled_at(&gateway);
    let pool_max = (gateway.store.engine() == POSTGRES).then(|| gateway.store.pool().max);
    let facts = gateway.performance.with(|state| facts(&state.recorder, &state.host, pool_max, now_s));
    let advice = recommend(&facts);
    tagged(&RecommendationsView {
        at: at(now_s),
        node: gateway.performance.settings.node.clone(),
        data: advice.recommendations.into_iter().map(RecommendationView::from).collect(),
        waiting: advice.waiting.into_iter().map(|Waiting { id, reason }| WaitingView { id, reason }).collect(),
    })
}

/// What the last hour and the last day say.
fn facts(recorder: &Recorder, host: &HostReading, pool_max: Option<u32>, now_s: i64) -> Facts {
    let (from, to) = (now_s + 1 - HOUR_S, now_s + 1);
    let mean = |metric| recorder.level(metric, from, to).mean();
    let counted = |metric| recorder.counted(metric, from, to);
    let p95 = |metric| {
        let durations = recorder.durations(metric, from, to);
        durations.quantile(0.95).map(|p95| (p95, durations.count()))
    };
    let requests = counted(CounterMetric::IntakeReceived) + counted(CounterMetric::ApiRequests);
    let failed = counted(CounterMetric::IntakePlatformErrors) + counted(CounterMetric::ApiPlatformErrors);
    let queries = LatencyMetric::ALL.iter().filter(|metric| metric.name().starts_with("store_"));
    Facts {
        observed_minutes: u32::try_from(recorder.covered_s(from, to) / 60).unwrap_or(u32::MAX),
        observed_minutes_of_day: recorder.observed_minutes(now_s),
        events_per_second: recorder.rate(CounterMetric::IntakeReceived, from, to),
        pool_max,
        pool_ratio: mean(GaugeMetric::PoolRatio),
        cpu_ratio: mean(GaugeMetric::CpuRatio),
        cpu_cores: host.cores,
        cpu_cores_used: recorder
            .quantile_of_minutes(GaugeMetric::CpuRatio, 0.95, now_s)
            .zip(host.cores)
            .map(|(ratio, cores)| ratio * cores),
        memory_ratio: mean(GaugeMetric::MemoryRatio),
        memory_limit: host.memory_limit,
        memory_used: recorder.quantile_of_minutes(GaugeMetric::Memory, 0.95, now_s),
        api_latency: p95(LatencyMetric::Api),
        platform_errors: (requests > 0).then(|| (failed as f64 / requests as f64, requests)),
        caches: CacheName::ALL
            .iter()
            .map(|cache| {
                let [hits, misses] = of_cache(*cache).map(counted);
                (cache.value(), hits + misses, hits)
            })
            .collect(),
        queries: queries.filter_map(|metric| p95(*metric).map(|(p95, n)| (*metric, p95, n))).collect(),
    }
}

impl From<Recommendation> for RecommendationView {
    fn from(told: Recommendation) -> Self {
        Self {
            id: told.id,
            urgency: told.urgency.as_str(),
            text: told.text,
            setting: told.setting,
            current: told.current.map(rounded),
            recommended: told.recommended.map(rounded),
            unit: told.unit,
            evidence: told.evidence.into_iter().map(|(name, value)| (name, rounded(value))).collect(),
        }
    }
}
