//! `/api/v1/performance/health`: each dependency, with the time that its answer took.

use std::sync::Arc;

use axum::extract::State;
use axum::response::Response;
use serde::Serialize;
use utoipa::ToSchema;

use super::{at, tagged};
use crate::api::timestamp::Timestamp;
use crate::gateway::Gateway;
use crate::health::{self, Check};

const DAY_MS: i64 = 86_400_000;
/// A certificate that expires sooner is told.
const CERTIFICATE_DAYS: i64 = 7;

/// The dependencies of this node.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct HealthView {
    /// When they were asked.
    #[schema(value_type = String, format = DateTime)]
    at: Timestamp,
    /// The node that answers.
    node: String,
    /// `ok`; `degraded` when something is wrong that events survive; `unavailable` when the store does not answer.
    #[schema(example = "ok")]
    status: &'static str,
    /// One for each dependency.
    checks: Vec<CheckView>,
}

/// One dependency.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct CheckView {
    /// `store`, `commit_queue`, `coordination`, `store_pool` or `certificate`.
    name: &'static str,
    /// `ok`, or a word for what is wrong.
    status: &'static str,
    /// How long its answer took; null where nothing was asked.
    latency_ms: Option<f64>,
    /// What there is to say.
    detail: String,
}

/// Ask every dependency of this node.
#[utoipa::path(get, path = "/api/v1/performance/health", tag = "performance", operation_id = "show_performance_health",
    responses((status = 200, description = "The dependencies, also when one is down", body = HealthView)))]
pub(crate) async fn show(State(gateway): State<Arc<Gateway>>) -> Response {
    let mut report = health::everything(&gateway).await;
    if let Some(certificate) = certificate(&gateway) {
        if certificate.status != "ok" && report.status == "ok" {
            report.status = "degraded";
        }
        report.checks.push(certificate);
    }
    let check = |check: Check| CheckView {
        name: check.name,
        status: check.status,
        latency_ms: check.milliseconds,
        detail: check.detail,
    };
    tagged(&HealthView {
        at: at(gateway.clock.now().div_euclid(1_000)),
        node: gateway.performance.settings.node.clone(),
        status: report.status,
        checks: report.checks.into_iter().map(check).collect(),
    })
}

fn certificate(gateway: &Gateway) -> Option<Check> {
    let expires_at = gateway.performance.settings.certificate_expires_at?;
    let left = expires_at - gateway.clock.now();
    let (status, verb) = match left {
        left if left <= 0 => ("expired", "expired"),
        left if left <= CERTIFICATE_DAYS * DAY_MS => ("expires_soon", "expires"),
        _ => ("ok", "expires"),
    };
    Some(Check {
        name: "certificate",
        status,
        detail: format!("{verb} at {}", Timestamp(expires_at)),
        milliseconds: None,
    })
}
