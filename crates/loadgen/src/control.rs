//! Control of a run from outside, in the shape of k6's REST interface (JSON:API), so that k6's own clients work too.
//!
//! `GET /v1/status`, `PATCH /v1/status` and `GET /v1/metrics`. It has no login: let it listen where only those come who may stop the run.

mod answer;
mod client;

use std::sync::Arc;
use std::time::Duration;

use axum::body::Bytes;
use axum::extract::State;
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use axum::{Json, Router};
use serde::Deserialize;
use spillway_slo::threshold::Threshold;
use tokio::net::TcpListener;
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;

pub use answer::{Document, Resource, Status};
pub use client::{Change, ControlClient, ControlError};

use crate::executor::Wanted;
use crate::listening::{self, Limits};
use crate::metrics::{Metric, Snapshot, Values};
use crate::options::{ExecutorPlan, Plan};

/// Where k6 listens, and we too.
pub const USUAL_ADDRESS: &str = "127.0.0.1:6565";

/// A run that can be controlled.
pub struct Control {
    /// What is asked of the externally controlled scenarios, all of them alike.
    pub wanted: watch::Sender<Wanted>,
    /// Users that they may have: the smallest `maxVUs` among them; `None` when there is no such scenario.
    pub max_vus: Option<u32>,
    /// Ends the run.
    pub stop: CancellationToken,
    /// Reads what was measured so far, and how long the run has lasted; zero before the start.
    pub measured: Arc<dyn Fn() -> (Snapshot, Duration) + Send + Sync>,
    /// What the run is judged by; it is tainted while one of them fails.
    pub thresholds: Vec<Threshold>,
}

/// What externally controlled scenarios begin with: the `vus` of the first; none wanted when there is none.
pub fn planned(plan: &Plan) -> Wanted {
    let vus = plan.scenarios.iter().find_map(|scenario| match scenario.executor {
        ExecutorPlan::ExternallyControlled { vus, .. } => Some(vus),
        _ => None,
    });
    Wanted { vus: vus.unwrap_or(0), paused: false }
}

/// Users that externally controlled scenarios may have: the smallest `maxVUs`; `None` when there is no such scenario.
pub fn max_vus(plan: &Plan) -> Option<u32> {
    let limit = |executor: &ExecutorPlan| match executor {
        ExecutorPlan::ExternallyControlled { max_vus, .. } => Some(*max_vus),
        _ => None,
    };
    plan.scenarios.iter().filter_map(|scenario| limit(&scenario.executor)).min()
}

/// Serves the control of a run until `over`.
pub async fn serve(listener: TcpListener, control: Control, over: CancellationToken) {
    let second = Duration::from_secs(1);
    let limits = Limits { connections: 16, body: 16 * 1024, exchange: 10 * second, drain: second };
    listening::serve(listener, router(Arc::new(control)), limits, over).await;
}

fn router(control: Arc<Control>) -> Router {
    Router::new().route("/v1/status", get(status).patch(change)).route("/v1/metrics", get(metrics)).with_state(control)
}

async fn status(State(control): State<Arc<Control>>) -> Json<Document<Status>> {
    Json(control.status())
}

async fn metrics(State(control): State<Arc<Control>>) -> Response {
    let (snapshot, elapsed) = (control.measured)();
    Json(answer::metrics(&snapshot, elapsed)).into_response()
}

async fn change(State(control): State<Arc<Control>>, body: Bytes) -> Response {
    let change: Document<Attributes> = match serde_json::from_slice(&body) {
        Ok(change) => change,
        Err(error) => return refuse(StatusCode::BAD_REQUEST, "Invalid data", &error.to_string()),
    };
    match control.apply(&change.data.attributes) {
        Ok(()) => Json(control.status()).into_response(),
        Err(refused) => refuse(StatusCode::BAD_REQUEST, "Execution config error", &refused.to_string()),
    }
}

fn refuse(status: StatusCode, title: &str, detail: &str) -> Response {
    (status, Json(answer::errors(status, title, detail))).into_response()
}

/// What may be changed; `null` and absent mean the same. What can only be read may be sent along, as k6's clients do, and is not looked at.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case", default)]
struct Attributes {
    vus: Option<u32>,
    vus_max: Option<u32>,
    paused: Option<bool>,
    stopped: Option<bool>,
    #[serde(rename = "status")]
    _status: Option<serde_json::Value>,
    #[serde(rename = "running")]
    _running: Option<serde_json::Value>,
    #[serde(rename = "tainted")]
    _tainted: Option<serde_json::Value>,
}

/// Why a change is not made. Nothing of it was done then.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
enum Refused {
    #[error("this run has no externally-controlled scenario: its users follow its schedule, only `stopped` can be set")]
    NotControlled,
    #[error(
        "{vus} users are more than the scenario's maxVUs of {max_vus}: ask for at most {max_vus}, or raise maxVUs in the file"
    )]
    TooMany { vus: u32, max_vus: u32 },
    #[error("maxVUs is {max_vus} and stays so while the test runs: change it in the file")]
    Fixed { max_vus: u32 },
    #[error("the run is stopping and cannot go on")]
    Stopping,
}

impl Control {
    fn apply(&self, change: &Attributes) -> Result<(), Refused> {
        let Attributes { vus, vus_max, paused, stopped, .. } = change;
        if vus.is_some() || vus_max.is_some() || paused.is_some() {
            let max_vus = self.max_vus.ok_or(Refused::NotControlled)?;
            match (*vus, *vus_max) {
                (_, Some(other)) if other != max_vus => return Err(Refused::Fixed { max_vus }),
                (Some(vus), _) if vus > max_vus => return Err(Refused::TooMany { vus, max_vus }),
                _ => {}
            }
        }
        if *stopped == Some(false) && self.stop.is_cancelled() {
            return Err(Refused::Stopping);
        }
        self.wanted.send_if_modified(|wanted| {
            let before = *wanted;
            wanted.vus = vus.unwrap_or(before.vus);
            wanted.paused = paused.unwrap_or(before.paused);
            *wanted != before
        });
        if *stopped == Some(true) {
            self.stop.cancel();
        }
        Ok(())
    }

    fn status(&self) -> Document<Status> {
        let (snapshot, elapsed) = (self.measured)();
        let gauge = |metric| match snapshot.total(metric, &[]) {
            Some(Values::Gauge { value, .. }) => value,
            _ => 0,
        };
        let stopped = self.stop.is_cancelled();
        let begun = !elapsed.is_zero();
        let fails = |threshold: &Threshold| {
            let value = snapshot.value(threshold, elapsed);
            value.is_some() && !threshold.judge(value).passed
        };
        Document::of(
            "status",
            "default",
            Status {
                status: if begun { answer::RUNNING } else { answer::CREATED },
                paused: self.wanted.borrow().paused,
                vus: gauge(Metric::Vus),
                vus_max: gauge(Metric::VusMax),
                stopped,
                running: begun && !stopped,
                tainted: self.thresholds.iter().any(fails),
            },
        )
    }
}

#[cfg(test)]
mod tests;
