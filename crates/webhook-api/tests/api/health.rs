//! `/health`, `/readyz` and `/healthz`: what they say when something is wrong.

use std::sync::atomic::Ordering;
use std::time::Duration;

use futures_util::StreamExt;
use futures_util::stream::FuturesUnordered;
use http::{Method, StatusCode};
use serde_json::{Value, json};
use spillway_webhook_api::PoolLimits;

use crate::store_double::StoreDouble;
use crate::support::{Options, TestApp};

/// Asks without a key, as probes do. Returns the status of the whole and of each part.
async fn asked(app: &TestApp, path: &str, status: u16) -> Value {
    let answer = app.request(Method::GET, path).send().await;
    assert_eq!(answer.header("cache-control"), Some("no-store"));
    let report = answer.expect(StatusCode::from_u16(status).expect("a status")).json();
    let checks = report["checks"].as_array().cloned().unwrap_or_default();
    let parts =
        checks.into_iter().map(|check| (check["name"].as_str().expect("a name").to_owned(), check["status"].clone()));
    json!({"status": report["status"], "parts": parts.collect::<serde_json::Map<_, _>>()})
}

#[tokio::test]
async fn a_node_that_is_well_says_so_for_each_part() {
    let app = TestApp::start().await;
    assert_eq!(asked(&app, "/health", 200).await, json!({"status": "ok", "parts": {}}));
    let ready = json!({"status": "ok", "parts": {"store": "ok", "commit_queue": "ok"}});
    assert_eq!(asked(&app, "/readyz", 200).await, ready);
    let parts = json!({"store": "ok", "commit_queue": "ok", "coordination": "ok", "store_pool": "ok"});
    assert_eq!(asked(&app, "/healthz", 200).await, json!({"status": "ok", "parts": parts}));
}

#[tokio::test]
async fn without_the_store_it_is_alive_and_not_ready() {
    let app = TestApp::start().await;
    app.store.close().await;
    assert_eq!(asked(&app, "/health", 200).await["status"], "ok");
    for path in ["/readyz", "/healthz"] {
        let report = asked(&app, path, 503).await;
        assert_eq!(
            (&report["status"], &report["parts"]["store"]),
            (&json!("unavailable"), &json!("unavailable")),
            "{path}"
        );
    }
}

#[tokio::test]
async fn a_node_that_stops_is_not_ready() {
    let app = TestApp::start().await;
    app.gateway.stopping.store(true, Ordering::Relaxed);
    let report = asked(&app, "/readyz", 503).await;
    assert_eq!((&report["parts"]["process"], &report["parts"]["store"]), (&json!("stopping"), &json!("ok")));
}

#[tokio::test]
async fn a_node_whose_commit_queue_is_full_is_not_ready() {
    let options = Options { queue: 1, batch: 1, committer_store: Some(StoreDouble::Hangs), ..Options::default() };
    let app = TestApp::start_with(options).await;
    app.github_source().await;
    // One event is being committed, one is gathered for the next commit, one fills the queue.
    let mut sending = FuturesUnordered::new();
    while sending.len() < 3 || app.request(Method::GET, "/readyz").send().await.status == StatusCode::OK {
        sending.push(app.webhook("d-1", b"{}").send());
        // Answered at once without room, and not at all with room.
        if let Ok(Some(refused)) = tokio::time::timeout(Duration::from_millis(50), sending.next()).await {
            refused.refused(503, "intake_full", &[]);
        }
    }
    assert_eq!(asked(&app, "/readyz", 503).await["parts"]["commit_queue"], "full");
    let report = asked(&app, "/healthz", 200).await;
    assert_eq!((&report["status"], &report["parts"]["commit_queue"]), (&json!("degraded"), &json!("full")));
}

#[tokio::test]
async fn a_pool_in_use_beyond_its_limits_degrades() {
    let mut options = Options::default();
    // Both are reached by an idle pool already.
    options.api.pool = PoolLimits { warning_ratio: 0.0, critical_ratio: 0.0 };
    let app = TestApp::start_with(options).await;
    let report = asked(&app, "/healthz", 200).await;
    assert_eq!((&report["status"], &report["parts"]["store_pool"]), (&json!("degraded"), &json!("critical")));
}
