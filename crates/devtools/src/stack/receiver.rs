//! The other end of a local stack: the destination that webhooks are delivered to, and a stand-in for Slack, PagerDuty and the webhook that alerts
//! go to. What it was told is printed, and can be asked for.

use std::collections::VecDeque;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Instant;

use axum::extract::{Path, State};
use axum::routing::{get, post};
use axum::{Json, Router};
use bytes::Bytes;
use http::{HeaderMap, StatusCode};
use serde_json::{Value, json};
use tokio::net::TcpListener;
use tokio::signal::unix::{SignalKind, signal};

use crate::Failure;

/// Ids of webhooks that are remembered; later ones are only counted.
const MOST_IDS: usize = 500_000;
/// Alerts that are remembered; older ones go.
const MOST_ALERTS: usize = 5_000;

#[derive(Debug, clap::Args)]
pub(super) struct ReceiverArgs {
    /// Where it listens
    #[arg(long)]
    listen: SocketAddr,
}

/// What came.
struct Received {
    begun: Instant,
    webhooks: Mutex<Webhooks>,
    alerts: Mutex<VecDeque<Value>>,
    heartbeat: Mutex<Option<Instant>>,
}

#[derive(Default)]
struct Webhooks {
    count: u64,
    ids: Vec<String>,
}

type Shared = State<Arc<Received>>;

/// Serves until SIGTERM.
pub(super) async fn run(arguments: &ReceiverArgs) -> Result<(), Failure> {
    let received = Arc::new(Received {
        begun: Instant::now(),
        webhooks: Mutex::default(),
        alerts: Mutex::default(),
        heartbeat: Mutex::default(),
    });
    let router = Router::new()
        .route("/healthz", get(async || "ok\n"))
        .route("/hooks", post(webhook))
        .route("/received/webhooks", get(webhooks))
        .route("/received/alerts", get(alerts))
        .route("/received/heartbeat", get(heartbeat))
        .route("/{to}", post(told))
        .route("/{to}/{*rest}", post(told_below))
        .with_state(received);
    let listener = TcpListener::bind(arguments.listen).await?;
    let mut terminate = signal(SignalKind::terminate())?;
    tokio::select! {
        served = axum::serve(listener, router) => Ok(served?),
        _ = terminate.recv() => Ok(()),
    }
}

async fn webhook(State(received): Shared, headers: HeaderMap, _body: Bytes) -> StatusCode {
    let id = headers.get("webhook-id").and_then(|id| id.to_str().ok()).unwrap_or_default();
    let mut webhooks = received.webhooks.lock().unwrap_or_else(PoisonError::into_inner);
    webhooks.count += 1;
    if webhooks.ids.len() < MOST_IDS {
        webhooks.ids.push(id.to_owned());
    }
    StatusCode::OK
}

/// Ids in the order of their arrival, one a line.
async fn webhooks(State(received): Shared) -> String {
    let webhooks = received.webhooks.lock().unwrap_or_else(PoisonError::into_inner);
    webhooks.ids.join("\n") + "\n"
}

async fn told(State(received): Shared, Path(to): Path<String>, body: Bytes) -> StatusCode {
    received.note(&to, &body)
}

async fn told_below(State(received): Shared, Path((to, _)): Path<(String, String)>, body: Bytes) -> StatusCode {
    received.note(&to, &body)
}

async fn alerts(State(received): Shared) -> Json<Value> {
    let alerts = received.alerts.lock().unwrap_or_else(PoisonError::into_inner);
    Json(alerts.iter().cloned().collect())
}

/// How long ago Prometheus and Alertmanager last said that they work.
async fn heartbeat(State(received): Shared) -> Json<Value> {
    let last = *received.heartbeat.lock().unwrap_or_else(PoisonError::into_inner);
    Json(json!({ "seconds_ago": last.map(|last| last.elapsed().as_secs_f64()) }))
}

impl Received {
    fn note(&self, to: &str, body: &[u8]) -> StatusCode {
        let Ok(body) = serde_json::from_slice::<Value>(body) else { return StatusCode::BAD_REQUEST };
        if to == "heartbeat" && body["status"] == "firing" {
            *self.heartbeat.lock().unwrap_or_else(PoisonError::into_inner) = Some(Instant::now());
            // It comes every minute while all is well, and is not worth a line.
            return StatusCode::OK;
        }
        println!("{}", described(to, &body));
        let at = self.begun.elapsed().as_secs_f64();
        let mut alerts = self.alerts.lock().unwrap_or_else(PoisonError::into_inner);
        alerts.push_back(json!({ "to": to, "at_s": at, "body": body }));
        if alerts.len() > MOST_ALERTS {
            alerts.pop_front();
        }
        // What PagerDuty answers; the others take it too.
        StatusCode::ACCEPTED
    }
}

/// A notification for people: what each of the three is told.
fn described(to: &str, body: &Value) -> String {
    let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
    let mut lines: Vec<String> = Vec::new();
    for alert in body["alerts"].as_array().into_iter().flatten() {
        let (labels, annotations) = (&alert["labels"], &alert["annotations"]);
        lines.push(format!(
            "{to}: {} {} ({}): {}",
            text(&alert["status"]),
            text(&labels["alertname"]),
            text(&labels["severity"]),
            text(&annotations["summary"])
        ));
    }
    for attachment in body["attachments"].as_array().into_iter().flatten() {
        lines.push(format!("{to}: {}: {}", text(&attachment["title"]), text(&attachment["text"]).trim()));
    }
    if let Some(action) = body["event_action"].as_str() {
        lines.push(format!("{to}: {action}: {}", text(&body["payload"]["summary"])));
    }
    if lines.is_empty() { format!("{to}: {body}") } else { lines.join("\n") }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_kind_of_notification_is_a_line() {
        let webhook = json!({ "status": "firing", "alerts": [{
            "status": "firing", "labels": { "alertname": "GatewayDown", "severity": "page" },
            "annotations": { "summary": "it is down" },
        }] });
        assert_eq!(described("alerts", &webhook), "alerts: firing GatewayDown (page): it is down");
        let slack = json!({ "attachments": [{ "title": "FIRING GatewayDown", "text": "it is down (page)\n" }] });
        assert_eq!(described("slack", &slack), "slack: FIRING GatewayDown: it is down (page)");
        let pagerduty = json!({ "event_action": "trigger", "payload": { "summary": "GatewayDown: it is down" } });
        assert_eq!(described("pagerduty", &pagerduty), "pagerduty: trigger: GatewayDown: it is down");
        assert_eq!(described("other", &json!({})), "other: {}");
    }
}
