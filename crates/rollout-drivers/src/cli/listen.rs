//! A run over HTTP: its report, its status, its metrics.

use std::fmt::Write as _;

use axum::Router;
use axum::extract::State;
use axum::http::{StatusCode, header};
use axum::response::{Html, IntoResponse, Json, Response};
use axum::routing::get;
use spillway_rollout::state::Phase;
use tokio::net::TcpListener;
use tokio::sync::watch;

use crate::people::{Report, View};

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
    let text = report.map_or_else(String::new, |report| exposition(&report.view));
    ([(header::CONTENT_TYPE, "text/plain; version=0.0.4; charset=utf-8")], text).into_response()
}

/// The metrics that the controller of a cluster has for each Rollout.
fn exposition(view: &View) -> String {
    const PHASES: [(Phase, &str); 8] = [
        (Phase::Idle, "idle"),
        (Phase::Preparing, "preparing"),
        (Phase::Progressing, "progressing"),
        (Phase::Observing, "observing"),
        (Phase::Succeeded, "succeeded"),
        (Phase::RollingBack, "rollingBack"),
        (Phase::RolledBack, "rolledBack"),
        (Phase::Aborted, "aborted"),
    ];
    let mut out = String::new();
    let name = &view.name;
    let mut family = |metric: &str, help: &str, samples: &[(String, i64)]| {
        // Writing to a text cannot fail.
        let _ = writeln!(out, "# HELP {metric} {help}\n# TYPE {metric} gauge");
        for (labels, value) in samples {
            let _ = writeln!(out, "{metric}{{{labels}}} {value}");
        }
    };
    // A plan's name is a DNS label: nothing in it has to be escaped.
    let of = format!("rollout=\"{name}\"");
    let phases = PHASES.map(|(phase, word)| (format!("{of},phase=\"{word}\""), i64::from(view.state.phase == phase)));
    family("spillway_rollout_phase", "1 for the phase in which a Rollout is, 0 for the others", &phases);
    let weight = view.rollout().map_or(0, |rollout| i64::from(rollout.weight));
    let help = "Percent of the traffic that the candidate of a Rollout has";
    family("spillway_rollout_weight", help, &[(of.clone(), weight)]);
    let held = i64::from(view.state.held.is_some() || view.state.paused);
    family("spillway_rollout_held", "1 while a Rollout waits for evidence or a person, else 0", &[(of, held)]);
    out
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::http::HttpClient;
    use crate::people::{Series, sample};

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
