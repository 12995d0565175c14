//! `/api/v1/performance/trends`: series over an hour, a day, a month.

use std::sync::Arc;

use axum::extract::State;
use axum::response::Response;
use serde::{Deserialize, Serialize};
use spillway_performance::{CounterMetric, GaugeMetric, LatencyMetric, MetricKind, Point, Recorder, TrendWindow};
use utoipa::{IntoParams, ToSchema};

use super::{at, milliseconds, rounded, sampled_at, tagged};
use crate::api::error::ApiError;
use crate::api::path::PathValue;
use crate::api::query::Parameters;
use crate::api::suggest::nearest;
use crate::api::timestamp::Timestamp;
use crate::gateway::Gateway;

const DEFAULT_POINTS: u32 = 60;
const MAX_POINTS: u32 = 720;
const BUSINESS: &str = "Recorded by its users";

/// Everything that has a trend.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct TrendList {
    /// Those of the node itself, then those that users record.
    data: Vec<TrendName>,
}

/// Something that has a trend.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct TrendName {
    /// Its name, for the path.
    name: String,
    /// `counter`, `gauge` or `latency`.
    kind: &'static str,
    /// What it counts or is measured in.
    unit: String,
    /// Whether users record it.
    business: bool,
    /// What it means.
    description: &'static str,
}

/// A series over time.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct TrendView {
    /// Which.
    metric: String,
    /// `counter`, `gauge` or `latency`.
    kind: &'static str,
    /// What it counts or is measured in.
    unit: String,
    /// `1h`, `24h` or `30d`.
    window: &'static str,
    /// Seconds between two points.
    step_s: i64,
    /// The node that answers.
    node: String,
    /// From the oldest to the newest, which may not be full yet.
    points: Vec<PointView>,
}

/// One point.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct PointView {
    /// When it begins.
    #[schema(value_type = String, format = DateTime)]
    at: Timestamp,
    /// The rate a second of a counter, or of the observations of a latency; the mean of a gauge. Null when nothing was observed.
    value: Option<f64>,
    /// The largest value of a gauge.
    #[serde(skip_serializing_if = "Option::is_none")]
    max: Option<f64>,
    /// The observations of a latency.
    #[serde(skip_serializing_if = "Option::is_none")]
    count: Option<u64>,
    /// Half of the observations took no longer.
    #[serde(skip_serializing_if = "Option::is_none")]
    p50_ms: Option<f64>,
    /// 95 % of the observations took no longer.
    #[serde(skip_serializing_if = "Option::is_none")]
    p95_ms: Option<f64>,
    /// 99 % of the observations took no longer.
    #[serde(skip_serializing_if = "Option::is_none")]
    p99_ms: Option<f64>,
}

/// How much of a series to answer with.
#[derive(Debug, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(crate) struct TrendQuery {
    /// `1h`, `24h` or `30d`; `1h` when absent.
    window: Option<String>,
    /// Most points to answer with, 2 to 720; 60 when absent.
    #[param(minimum = 2, maximum = 720)]
    points: Option<u32>,
}

/// List what has a trend.
#[utoipa::path(get, path = "/api/v1/performance/trends", tag = "performance", operation_id = "list_trends",
    responses((status = 200, description = "The names", body = TrendList)))]
pub(crate) async fn list(State(gateway): State<Arc<Gateway>>) -> Response {
    tagged(&TrendList { data: gateway.performance.with(|state| names(&state.recorder)) })
}

/// Show a series over the last hour, 24 hours or 30 days. The step is a multiple of what is kept, so there may be fewer points than asked for.
#[utoipa::path(get, path = "/api/v1/performance/trends/{metric}", tag = "performance", operation_id = "show_trend",
    params(("metric" = String, Path, description = "A name of the list of trends"), TrendQuery),
    responses((status = 200, description = "The series", body = TrendView)))]
pub(crate) async fn show(
    State(gateway): State<Arc<Gateway>>,
    PathValue(metric): PathValue<String>,
    Parameters(query): Parameters<TrendQuery>,
) -> Result<Response, ApiError> {
    let window = window(query.window.as_deref())?;
    let points = query.points.unwrap_or(DEFAULT_POINTS);
    if !(2..=MAX_POINTS).contains(&points) {
        return Err(ApiError::Query { reason: format!("points must be from 2 to {MAX_POINTS}, not {points}") });
    }
    let now_s = sampled_at(&gateway);
    let series = gateway.performance.with(|state| {
        let series = state.recorder.trend(&metric, window, points, now_s);
        series.ok_or_else(|| unknown(&metric, &state.recorder))
    })?;
    Ok(tagged(&TrendView {
        metric,
        kind: series.kind.as_str(),
        unit: series.unit,
        window: window.as_str(),
        step_s: series.span.step_s,
        node: gateway.performance.settings.node.clone(),
        points: series.points.iter().map(|point| PointView::new(point, series.kind)).collect(),
    }))
}

fn window(given: Option<&str>) -> Result<TrendWindow, ApiError> {
    let Some(given) = given else { return Ok(TrendWindow::Hour) };
    TrendWindow::named(given).ok_or_else(|| {
        let given: String = given.chars().take(40).collect();
        ApiError::Query { reason: format!("there is no window {given:?}: it is 1h, 24h or 30d") }
    })
}

fn unknown(metric: &str, recorder: &Recorder) -> ApiError {
    let names = names(recorder);
    let nearest = nearest(metric, names.iter().map(|known| known.name.as_str())).map(str::to_owned);
    ApiError::metric(metric, nearest)
}

fn names(recorder: &Recorder) -> Vec<TrendName> {
    let built_in = |name: &str, kind: MetricKind, unit: &str, description| TrendName {
        name: name.to_owned(),
        kind: kind.as_str(),
        unit: unit.to_owned(),
        business: false,
        description,
    };
    let counters =
        CounterMetric::ALL.iter().map(|it| built_in(it.name(), MetricKind::Counter, it.unit(), it.description()));
    let gauges = GaugeMetric::ALL.iter().map(|it| built_in(it.name(), MetricKind::Gauge, it.unit(), it.description()));
    let latencies =
        LatencyMetric::ALL.iter().map(|it| built_in(it.name(), MetricKind::Latency, it.unit(), it.description()));
    let business = recorder.business().names().map(|(name, kind, unit)| TrendName {
        name: name.to_owned(),
        kind: kind.as_str(),
        unit: unit.to_owned(),
        business: true,
        description: BUSINESS,
    });
    counters.chain(gauges).chain(latencies).chain(business).collect()
}

impl PointView {
    fn new(point: &Point, kind: MetricKind) -> Self {
        let durations = point.durations.filter(|_| kind == MetricKind::Latency);
        let percentile = |q| durations.as_ref().and_then(|durations| milliseconds(durations, q));
        Self {
            at: at(point.at_s),
            value: point.value.map(rounded),
            max: point.max.map(rounded),
            count: durations.map(|durations| durations.count()),
            p50_ms: percentile(0.5),
            p95_ms: percentile(0.95),
            p99_ms: percentile(0.99),
        }
    }
}
