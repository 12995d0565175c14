//! `/health`, `/readyz` and `/healthz`.

use std::sync::Arc;
use std::time::{Duration, Instant};

use axum::Json;
use axum::extract::State;
use axum::response::{IntoResponse, Response};
use http::{HeaderValue, StatusCode, header};
use serde::Serialize;

use crate::gateway::Gateway;

/// A dependency that does not answer within this time counts as down.
const PATIENCE: Duration = Duration::from_secs(2);

/// State of the process or of one part of it.
#[derive(Debug, Clone, Serialize)]
pub(crate) struct Report {
    pub(crate) status: &'static str,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub(crate) checks: Vec<Check>,
}

#[derive(Debug, Clone, Serialize)]
pub(crate) struct Check {
    pub(crate) name: &'static str,
    pub(crate) status: &'static str,
    pub(crate) detail: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) milliseconds: Option<f64>,
}

/// The process is up: always 200.
pub(crate) async fn health() -> Response {
    answer(StatusCode::OK, Report { status: "ok", checks: Vec::new() })
}

/// Whether this node can take traffic: the store answers, the commit queue has room, and it is not stopping.
pub(crate) async fn ready(State(gateway): State<Arc<Gateway>>) -> Response {
    let mut checks = vec![check_store(&gateway).await, check_queue(&gateway)];
    if gateway.is_stopping() {
        checks.push(Check { name: "process", status: "stopping", detail: "draining".into(), milliseconds: None });
    }
    let ready = checks.iter().all(|check| check.status == "ok");
    let (status, word) = if ready { (StatusCode::OK, "ok") } else { (StatusCode::SERVICE_UNAVAILABLE, "unavailable") };
    answer(status, Report { status: word, checks })
}

/// Every dependency with detail. Redis that is lost, a pool that is nearly used up and a commit queue without room degrade and do
/// not fail: events are received and delivered without Redis, and the others pass.
pub(crate) async fn healthz(State(gateway): State<Arc<Gateway>>) -> Response {
    let report = everything(&gateway).await;
    let code = if report.status == "unavailable" { StatusCode::SERVICE_UNAVAILABLE } else { StatusCode::OK };
    answer(code, report)
}

/// Asks every dependency.
pub(crate) async fn everything(gateway: &Gateway) -> Report {
    let store = check_store(gateway).await;
    let healthy = gateway.coordination.ready.is_healthy();
    let coordination = Check {
        name: "coordination",
        status: if healthy { "ok" } else { "degraded" },
        detail: if healthy {
            "ready".into()
        } else {
            "Redis cannot be reached; deliveries wait for the next poll".into()
        },
        milliseconds: None,
    };
    let pool = gateway.store.pool();
    let pool = Check {
        name: "store_pool",
        status: gateway.api.pool.status(pool).as_str(),
        detail: format!("{} used, {} idle, {} at most", pool.used, pool.idle, pool.max),
        milliseconds: None,
    };
    let queue = check_queue(gateway);
    let status = if store.status != "ok" {
        "unavailable"
    } else if [&queue, &coordination, &pool].iter().all(|check| check.status == "ok") {
        "ok"
    } else {
        "degraded"
    };
    Report { status, checks: vec![store, queue, coordination, pool] }
}

fn check_queue(gateway: &Gateway) -> Check {
    let (waiting, most) = (gateway.committer.depth(), gateway.committer.capacity());
    let status = if waiting < most { "ok" } else { "full" };
    let detail = format!("{waiting} events wait, {most} at most");
    Check { name: "commit_queue", status, detail, milliseconds: None }
}

async fn check_store(gateway: &Gateway) -> Check {
    let start = Instant::now();
    let result = tokio::time::timeout(PATIENCE, gateway.store.ping()).await;
    let milliseconds = Some((start.elapsed().as_secs_f64() * 1e5).round() / 100.0);
    let (status, detail) = match result {
        Ok(Ok(())) => ("ok", gateway.store.engine().to_owned()),
        Ok(Err(error)) => ("unavailable", error.code().to_owned()),
        Err(_) => ("unavailable", format!("no answer within {} s", PATIENCE.as_secs())),
    };
    Check { name: "store", status, detail, milliseconds }
}

fn answer(status: StatusCode, report: Report) -> Response {
    let mut response = (status, Json(report)).into_response();
    response.headers_mut().insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
    response
}
