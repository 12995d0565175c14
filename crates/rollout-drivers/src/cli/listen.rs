//! A run over HTTP: its report, its status, its metrics.

use axum::Router;
use axum::extract::State;
use axum::http::{StatusCode, header};
use axum::response::{Html, IntoResponse, Json, Response};
use axum::routing::get;
use tokio::net::TcpListener;
use tokio::sync::watch;

use crate::metrics::{CONTENT_TYPE, Metrics};
use crate::people::Report;

/// What is shown; `None` before the first look.
type Shown = watch::Receiver<Option<Report>>;

/// Answers until the process ends.
pub(super) async fn serve(listener: TcpListener, shown: Shown) {
    let router = Router::new()
        .route("/", get(page))
        .route("/status", get(status))
        .route("/metrics", get(metrics))
        .route("/healthz", get(|| async { "ok\n" }))
        .with_state(shown);
    if let Err(error) = axum::serve(listener, router).await {
        tracing::warn!("the status is no longer served: {error}");
    }
}

fn nothing() -> Response {
    (StatusCode::SERVICE_UNAVAILABLE, "nothing was seen yet: ask again in a moment\n").into_response()
}

async fn page(State(shown): State<Shown>) -> Response {
    let report = shown.borrow().clone();
    report.map_or_else(nothing, |report| Html(report.html()).into_response())
}

async fn status(State(shown): State<Shown>) -> Response {
    let report = shown.borrow().clone();
    report.map_or_else(nothing, |report| Json(report.view).into_response())
}

async fn metrics(State(shown): State<Shown>) -> Response {
    let report = shown.borrow().clone();
    let metrics = Metrics::on_a_host();
    if let Some(Report { view, .. }) = report {
        metrics.record(None, &view.name, &view.state);
    }
    ([(header::CONTENT_TYPE, CONTENT_TYPE)], metrics.text()).into_response()
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::http::HttpClient;
    use crate::people::{Series, View, sample};

    #[tokio::test]
    async fn report_status_and_metrics_are_served() {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let base = format!("http://{}", listener.local_addr().expect("an address"));
        let shown = watch::Sender::new(None);
        tokio::spawn(serve(listener, shown.subscribe()));
        let http = HttpClient::new();
        let get = async |path: &str| {
            let answer = http.get(&format!("{base}{path}"), Duration::from_secs(10)).await.expect("an answer");
            (answer.status.as_u16(), String::from_utf8_lossy(&answer.body).into_owned())
        };
        assert_eq!(get("/healthz").await, (200, "ok\n".to_owned()));
        assert_eq!(get("/status").await.0, 503);
        let view = sample::good();
        shown.send_replace(Some(Report { view: view.clone(), series: Series::default(), plan: String::new() }));
        let (code, status) = get("/status").await;
        assert_eq!((code, serde_json::from_str::<View>(&status).expect("a view")), (200, view));
        assert!(get("/").await.1.contains("v1.5.0 has 25 % of the traffic"));
        let metrics = get("/metrics").await.1;
        assert!(metrics.contains("spillway_rollout_weight{rollout=\"checkout\"} 25\n"), "{metrics}");
        assert!(
            metrics.contains("spillway_rollout_phase{rollout=\"checkout\",phase=\"progressing\"} 1\n"),
            "{metrics}"
        );
    }
}
