//! A webhook that is asked whether the step may go on.

use std::time::Duration;

use serde_json::{Value, json};
use spillway_rollout::Plan;
use spillway_rollout::decision::GateRequest;
use spillway_rollout::observed::GateState;
use spillway_rollout::spec::Webhook;

use super::answer::said;
use super::{Progress, broken};
use crate::http::{HttpClient, HttpError};

const USUAL_TIMEOUT: Duration = Duration::from_secs(30);
const USUAL_RETRIES: u32 = 2;
const MOST_RETRIES: u32 = 100;

/// Any 2xx passes. Another answer fails after the retries; no answer at all says nothing.
pub(super) async fn run(
    http: &HttpClient,
    plan: &Plan,
    request: &GateRequest,
    webhook: &Webhook,
    retry_pause: Duration,
    progress: &Progress,
) -> GateState {
    let name = &webhook.name;
    let payload = payload(plan, request, webhook);
    let timeout = webhook.timeout.map_or(USUAL_TIMEOUT, |timeout| timeout.0);
    let tries = webhook.retries.unwrap_or(USUAL_RETRIES).min(MOST_RETRIES) + 1;
    let mut last = broken(String::new());
    for attempt in 1..=tries {
        progress.tell(match attempt {
            1 => format!("webhook {name} is asked"),
            _ => format!("webhook {name} is asked again, {attempt} of {tries}"),
        });
        last = match http.post_json(&webhook.url, &payload, timeout).await {
            Ok(answer) if answer.status.is_success() => {
                return GateState::Passed {
                    summary: format!("webhook {name} answered {}", answer.status),
                    report: None,
                };
            }
            Ok(answer) => GateState::Failed { summary: format!("webhook {name} {}", said(&answer)), report: None },
            Err(error) => broken(format!("webhook {name}: {}", reason(&error))),
        };
        if attempt < tries {
            tokio::time::sleep(retry_pause).await;
        }
    }
    last
}

/// Without the address, which may hold a secret.
fn reason(error: &HttpError) -> String {
    match error {
        HttpError::Invalid(..) => "its url is no address: correct webhooks.url".to_owned(),
        HttpError::Unreachable { reason, .. } => format!("it is not reachable: {reason}"),
        HttpError::Slow { timeout, .. } => format!("it did not answer within {} ms", timeout.as_millis()),
        HttpError::TooLarge { .. } => "its answer is too large".to_owned(),
    }
}

/// As Flagger sends it. `checksum` tells rollouts of the same name apart.
fn payload(plan: &Plan, request: &GateRequest, webhook: &Webhook) -> Value {
    let mut payload = json!({
        "name": plan.name,
        "namespace": plan.namespace.as_deref().unwrap_or_default(),
        "phase": "Progressing",
        "checksum": request.revision,
    });
    if !webhook.metadata.is_empty() {
        payload["metadata"] = json!(webhook.metadata);
    }
    payload
}
