//! `/api/v1/performance/metrics`: rates and percentiles of the last minute, five minutes, hour.

use std::sync::Arc;

use axum::extract::State;
use axum::response::Response;
use serde::Serialize;
use spillway_performance::{CounterMetric, LatencyMetric, Recorder};
use spillway_store::PoolState;
use utoipa::ToSchema;

use super::{LatencyView, at, rounded, sampled_at, tagged};
use crate::api::timestamp::Timestamp;
use crate::gateway::Gateway;
use crate::performance::{CLASSES, HostReading};

/// Windows begin at a multiple of this, which is the finest step of latencies.
const ALIGNED_S: i64 = 10;

/// Rates and percentiles of this node.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct MetricsView {
    /// When they were taken.
    #[schema(value_type = String, format = DateTime)]
    at: Timestamp,
    /// The node that answers.
    node: String,
    /// Seconds of the last 24 hours in which this node observed.
    observed_s: u64,
    windows: WindowsView,
    now: NowView,
}

/// The windows. Each begins at a multiple of ten seconds, so it may be up to ten seconds longer than its name says.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct WindowsView {
    #[serde(rename = "1m")]
    minute: WindowView,
    #[serde(rename = "5m")]
    five_minutes: WindowView,
    #[serde(rename = "1h")]
    hour: WindowView,
}

/// One window. Errors of the platform are ours; those of senders, destinations and clients are theirs.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct WindowView {
    /// Seconds in which this node observed; rates are for these.
    covered_s: u64,
    intake: IntakeRates,
    /// From a complete request at intake until its acknowledgement.
    acknowledgement: LatencyView,
    /// Commits of events.
    commit: LatencyView,
    deliveries: DeliveryRates,
    /// From the receipt of an event until a destination accepted it, retries included.
    delivery: LatencyView,
    /// The same for deliveries that were accepted at the first attempt.
    delivery_first_attempt: LatencyView,
    attempts: AttemptRates,
    /// Requests to destinations.
    attempt: LatencyView,
    api: ApiRates,
    /// Requests to the API.
    api_latency: LatencyView,
    /// The API by what its routes are about.
    api_classes: Vec<ApiClassView>,
}

/// Requests to intake a second.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct IntakeRates {
    per_second: Option<f64>,
    accepted_per_second: Option<f64>,
    sender_errors_per_second: Option<f64>,
    platform_errors_per_second: Option<f64>,
    /// Share of the requests that failed by our fault; null without requests.
    platform_error_ratio: Option<f64>,
}

/// Deliveries that ended, a second.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct DeliveryRates {
    delivered_per_second: Option<f64>,
    dead_per_second: Option<f64>,
    cancelled_per_second: Option<f64>,
}

/// Requests to destinations a second.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct AttemptRates {
    per_second: Option<f64>,
    destination_errors_per_second: Option<f64>,
    platform_errors_per_second: Option<f64>,
    /// Share that failed by the destination's fault; null without requests.
    destination_error_ratio: Option<f64>,
    /// Share that failed by our fault; null without requests.
    platform_error_ratio: Option<f64>,
}

/// Requests to the API a second.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct ApiRates {
    per_second: Option<f64>,
    client_errors_per_second: Option<f64>,
    platform_errors_per_second: Option<f64>,
    /// Share that failed by our fault; null without requests.
    platform_error_ratio: Option<f64>,
}

/// The routes of the API that are about one thing.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct ApiClassView {
    /// `configuration`, `events`, `publish` or `performance`.
    class: &'static str,
    per_second: Option<f64>,
    client_errors_per_second: Option<f64>,
    platform_errors_per_second: Option<f64>,
    latency: LatencyView,
}

/// What is so at this moment. Null is what this node has none of, or cannot know.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct NowView {
    /// Events that wait for their commit.
    intake_queue_depth: usize,
    /// Deliveries handed to this node's worker that have not started.
    ready_queue_depth: Option<f64>,
    /// Deliveries in the store that have not ended.
    pending_deliveries: Option<f64>,
    /// How long the longest-waiting due delivery has been due, in seconds.
    oldest_due_s: Option<f64>,
    /// Destinations whose circuit breaker is open.
    breakers_open: Option<f64>,
    /// Connections of the store's pool in use.
    pool_used: u32,
    /// The most there may be.
    pool_max: u32,
    /// Share of the processor time that this process may use, 0 to 1.
    cpu_ratio: Option<f64>,
    /// Processors that this process may use.
    cpu_cores: Option<f64>,
    /// Resident memory.
    memory_bytes: Option<f64>,
    /// Memory that this process may use.
    memory_limit_bytes: Option<f64>,
    /// Used space of the volume that holds the store.
    disk_used_bytes: Option<f64>,
    /// All space of that volume.
    disk_total_bytes: Option<f64>,
}

/// Show rates and percentiles of this node over the last minute, five minutes and hour.
#[utoipa::path(get, path = "/api/v1/performance/metrics", tag = "performance", operation_id = "show_performance_metrics",
    responses((status = 200, description = "The rates and percentiles", body = MetricsView)))]
pub(crate) async fn show(State(gateway): State<Arc<Gateway>>) -> Response {
    let now_s = sampled_at(&gateway);
    let (windows, observed_s, host) = gateway.performance.with(|state| {
        let window = |seconds: i64| window(&state.recorder, now_s, seconds);
        let windows = WindowsView { minute: window(60), five_minutes: window(300), hour: window(3_600) };
        (windows, state.recorder.covered_s(now_s + 1 - 86_400, now_s + 1), state.host)
    });
    tagged(&MetricsView {
        at: at(now_s),
        node: gateway.performance.settings.node.clone(),
        observed_s,
        windows,
        now: now(&gateway, &host),
    })
}

fn window(recorder: &Recorder, now_s: i64, seconds: i64) -> WindowView {
    let (from, to) = ((now_s + 1 - seconds).div_euclid(ALIGNED_S) * ALIGNED_S, now_s + 1);
    let covered_s = recorder.covered_s(from, to);
    let rate = |metric| recorder.rate(metric, from, to).map(rounded);
    let latency = |metric| LatencyView::new(&recorder.durations(metric, from, to), covered_s);
    let share = |part, whole| {
        let n = recorder.counted(whole, from, to);
        (n > 0).then(|| rounded(recorder.counted(part, from, to) as f64 / n as f64))
    };
    use CounterMetric as C;
    WindowView {
        covered_s,
        intake: IntakeRates {
            per_second: rate(C::IntakeReceived),
            accepted_per_second: rate(C::IntakeAccepted),
            sender_errors_per_second: rate(C::IntakeSenderErrors),
            platform_errors_per_second: rate(C::IntakePlatformErrors),
            platform_error_ratio: share(C::IntakePlatformErrors, C::IntakeReceived),
        },
        acknowledgement: latency(LatencyMetric::Acknowledgement),
        commit: latency(LatencyMetric::Commit),
        deliveries: DeliveryRates {
            delivered_per_second: rate(C::DeliveriesDelivered),
            dead_per_second: rate(C::DeliveriesDead),
            cancelled_per_second: rate(C::DeliveriesCancelled),
        },
        delivery: latency(LatencyMetric::Delivery),
        delivery_first_attempt: latency(LatencyMetric::DeliveryFirstAttempt),
        attempts: AttemptRates {
            per_second: rate(C::Attempts),
            destination_errors_per_second: rate(C::AttemptsDestinationErrors),
            platform_errors_per_second: rate(C::AttemptsPlatformErrors),
            destination_error_ratio: share(C::AttemptsDestinationErrors, C::Attempts),
            platform_error_ratio: share(C::AttemptsPlatformErrors, C::Attempts),
        },
        attempt: latency(LatencyMetric::Attempt),
        api: ApiRates {
            per_second: rate(C::ApiRequests),
            client_errors_per_second: rate(C::ApiClientErrors),
            platform_errors_per_second: rate(C::ApiPlatformErrors),
            platform_error_ratio: share(C::ApiPlatformErrors, C::ApiRequests),
        },
        api_latency: latency(LatencyMetric::Api),
        api_classes: CLASSES
            .iter()
            .map(|(_, class, [requests, client_errors, platform_errors], durations)| ApiClassView {
                class,
                per_second: rate(*requests),
                client_errors_per_second: rate(*client_errors),
                platform_errors_per_second: rate(*platform_errors),
                latency: latency(*durations),
            })
            .collect(),
    }
}

fn now(gateway: &Gateway, host: &HostReading) -> NowView {
    let metrics = &gateway.metrics;
    let PoolState { used, max, .. } = gateway.store.pool();
    NowView {
        intake_queue_depth: gateway.committer.depth(),
        ready_queue_depth: metrics.ready_queue_depth.get(),
        pending_deliveries: metrics.pending_deliveries.get(),
        oldest_due_s: metrics.oldest_due.get(),
        breakers_open: metrics.breaker_open.get(),
        pool_used: used,
        pool_max: max,
        cpu_ratio: host.cpu_ratio.map(rounded),
        cpu_cores: host.cores,
        memory_bytes: host.memory,
        memory_limit_bytes: host.memory_limit,
        disk_used_bytes: host.disk.map(|(used, _)| used),
        disk_total_bytes: host.disk.map(|(_, total)| total),
    }
}
