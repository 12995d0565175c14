//! The way to one receiver.

use std::sync::Arc;
use std::time::Duration;

use http::{HeaderMap, StatusCode};
use spillway_rollout::spec::NotificationKind;
use tokio::sync::mpsc;
use tracing::warn;

use super::message::Message;
use super::{NotifySettings, pagerduty, slack};
use crate::http::{HttpClient, HttpError};
use crate::secrets::Secrets;

/// Longest pause between two attempts, whatever the receiver asks for.
const LONGEST_PAUSE: Duration = Duration::from_secs(60);

/// Sends one message after the other.
pub(super) struct Lane {
    pub(super) http: HttpClient,
    pub(super) secrets: Arc<dyn Secrets>,
    pub(super) settings: Arc<NotifySettings>,
    pub(super) kind: NotificationKind,
    pub(super) to: String,
}

/// Why an attempt did not succeed. Nothing here holds the address, which is a secret.
struct Refused {
    reason: String,
    again: bool,
    after: Option<Duration>,
}

impl Lane {
    /// Runs until all senders are gone and everything was sent.
    pub(super) async fn run(self, mut messages: mpsc::Receiver<Message>) {
        while let Some(message) = messages.recv().await {
            let mut pause = self.settings.first_pause;
            for attempt in 1..=self.settings.attempts.max(1) {
                let Err(refused) = self.send(&message).await else { break };
                if !refused.again || attempt >= self.settings.attempts {
                    warn!(rollout = message.rollout, kind = ?self.kind, attempt, "nobody was told: {}", refused.reason);
                    break;
                }
                tokio::time::sleep(refused.after.unwrap_or(pause).min(LONGEST_PAUSE)).await;
                pause = pause.saturating_mul(2);
            }
        }
    }

    async fn send(&self, message: &Message) -> Result<(), Refused> {
        // A secret may be put there, or rotated, while this waits.
        let to = self.secrets.resolve(&self.to).await;
        let to = to.map_err(|reason| Refused { reason, again: true, after: None })?;
        let (url, body) = match self.kind {
            NotificationKind::Slack => (to.expose(), slack::body(message)),
            NotificationKind::Webhook => (to.expose(), message.json()),
            NotificationKind::PagerDuty => match pagerduty::event(message, &to) {
                Some(event) => (self.settings.pagerduty_url.as_str(), event),
                None => return Ok(()),
            },
        };
        let answer = self.http.post_json(url, &body, self.settings.timeout).await.map_err(|error| refused(&error))?;
        let status = answer.status;
        if status.is_success() {
            return Ok(());
        }
        Err(Refused {
            reason: format!("the receiver answered {status}"),
            again: status.is_server_error()
                || matches!(status, StatusCode::TOO_MANY_REQUESTS | StatusCode::REQUEST_TIMEOUT),
            after: retry_after(&answer.headers),
        })
    }
}

fn refused(error: &HttpError) -> Refused {
    let (reason, again) = match error {
        HttpError::Invalid(..) => ("`to` is no address: correct it, or what it refers to".to_owned(), false),
        HttpError::Unreachable { reason, .. } => (format!("the receiver is not reachable: {reason}"), true),
        HttpError::Slow { timeout, .. } => {
            (format!("the receiver did not answer within {} ms", timeout.as_millis()), true)
        }
        HttpError::TooLarge { .. } => ("the receiver's answer is too large".to_owned(), false),
    };
    Refused { reason, again, after: None }
}

/// In seconds; a date is passed over.
fn retry_after(headers: &HeaderMap) -> Option<Duration> {
    headers.get("retry-after")?.to_str().ok()?.trim().parse().ok().map(Duration::from_secs)
}
