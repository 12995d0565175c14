//! The routes of a gateway that a rollout uses.

use std::sync::Arc;
use std::time::Duration;

use http::{Method, StatusCode};
use jiff::Timestamp;
use serde::Deserialize;
use serde_json::Value;
use spillway_model::{Clock, UnixMillis};
use spillway_report::text::plain;
use spillway_rollout::observed::{Command, CommandAction};
use spillway_rollout::ports::PortError;
use spillway_rollout::spec::Console;

use super::shown::Shown;
use crate::gateway::{self, Call};
use crate::http::{HttpAnswer, HttpClient};
use crate::secrets::Secrets;

/// Commands of one answer; more are left for the next look.
const MOST_COMMANDS: usize = 16;
/// Longest id of a command.
const LONGEST_ID: usize = 80;

/// The routes for one rollout.
pub(super) struct Gateway {
    url: String,
    key: String,
    http: HttpClient,
    secrets: Arc<dyn Secrets>,
    clock: Arc<dyn Clock>,
    timeout: Duration,
}

/// Something in the list of commands.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Asked {
    /// Its id at the gateway.
    pub(super) id: String,
    /// What it says, or why it says nothing.
    pub(super) command: Result<Command, String>,
}

/// A list as gateways answer.
#[derive(Deserialize)]
struct Listed {
    #[serde(alias = "commands")]
    data: Vec<Entry>,
}

#[derive(Deserialize)]
struct Entry {
    id: String,
    verb: String,
    /// With `promote`: all steps that are left.
    #[serde(default)]
    full: bool,
    #[serde(default)]
    by: Option<String>,
    #[serde(default)]
    reason: Option<String>,
    /// RFC 3339, or milliseconds since 1970.
    #[serde(default)]
    at: Value,
}

impl Gateway {
    pub(super) fn new(
        console: &Console,
        name: &str,
        http: HttpClient,
        secrets: Arc<dyn Secrets>,
        clock: Arc<dyn Clock>,
        timeout: Duration,
    ) -> Self {
        let url = format!("{}/api/v1/rollouts/{name}", console.url.trim_end_matches('/'));
        Self { url, key: console.key.clone(), http, secrets, clock, timeout }
    }

    pub(super) fn url(&self) -> &str {
        &self.url
    }

    /// Shows how the rollout stands.
    pub(super) async fn put(&self, shown: &Shown) -> Result<(), PortError> {
        let body =
            shown.body().map_err(|error| PortError::Permanent(format!("the status cannot be written: {error}")))?;
        self.send(Method::PUT, &self.url, Some(body)).await?;
        Ok(())
    }

    /// What people said, oldest first.
    pub(super) async fn commands(&self) -> Result<Vec<Asked>, PortError> {
        let url = format!("{}/commands", self.url);
        let answer = self.send(Method::GET, &url, None).await?;
        let listed: Listed = serde_json::from_slice(&answer.body)
            .map_err(|_| PortError::Permanent(format!("{url} answered, but not as a Spillway gateway does")))?;
        let now = self.clock.now();
        Ok(listed.data.into_iter().take(MOST_COMMANDS).map(|entry| entry.asked(now)).collect())
    }

    /// Takes a command off the list.
    pub(super) async fn acknowledge(&self, id: &str) -> Result<(), PortError> {
        if !is_id(id) {
            // No address can be made of it; the gateway gives up on it by itself.
            return Ok(());
        }
        let url = format!("{}/commands/{id}", self.url);
        match self.send(Method::DELETE, &url, None).await {
            Err(Refused { status: Some(StatusCode::NOT_FOUND), .. }) => Ok(()),
            sent => Ok(sent.map(drop)?),
        }
    }

    async fn send(&self, method: Method, url: &str, body: Option<Vec<u8>>) -> Result<HttpAnswer, Refused> {
        let key = self.secrets.resolve(&self.key).await;
        let key =
            key.map_err(|error| Refused::of(PortError::Permanent(format!("console.key cannot be read: {error}"))))?;
        let call = Call { method, url, key: &key, body, tag: None, timeout: self.timeout };
        let answer = gateway::send(&self.http, call).await.map_err(Refused::of)?;
        if answer.status.is_success() { Ok(answer) } else { Err(refusal(url, &answer)) }
    }
}

/// An answer that is none.
#[derive(Debug)]
struct Refused {
    status: Option<StatusCode>,
    error: PortError,
}

impl Refused {
    fn of(error: PortError) -> Self {
        Self { status: None, error }
    }
}

impl From<Refused> for PortError {
    fn from(refused: Refused) -> Self {
        refused.error
    }
}

/// What to do about it.
fn refusal(url: &str, answer: &HttpAnswer) -> Refused {
    let (status, said) = (answer.status.as_u16(), gateway::said(answer));
    let error = match answer.status {
        StatusCode::UNAUTHORIZED | StatusCode::FORBIDDEN => {
            PortError::Permanent(format!("{url} answered {status}{said}: console.key must be a key that may write"))
        }
        StatusCode::NOT_FOUND | StatusCode::METHOD_NOT_ALLOWED => PortError::Permanent(format!(
            "{url} answered {status}{said}: console.url must be a gateway that serves the API and shows rollouts"
        )),
        _ => PortError::Temporary(format!("{url} answered {status}{said}")),
    };
    Refused { status: Some(answer.status), error }
}

impl Entry {
    fn asked(self, now: UnixMillis) -> Asked {
        let action = match self.verb.as_str() {
            "promote" => Some(CommandAction::Promote { full: self.full }),
            "pause" => Some(CommandAction::Pause),
            "resume" => Some(CommandAction::Resume),
            "abort" => Some(CommandAction::Abort),
            "retry" => Some(CommandAction::Retry),
            "approve" => Some(CommandAction::Approve),
            _ => None,
        };
        let command = match action {
            _ if !is_id(&self.id) => {
                Err(format!("its id is not 1 to {LONGEST_ID} letters, digits, hyphens and underscores"))
            }
            None => Err(format!("`{}` is no verb that a rollout knows", plain(&self.verb, 40))),
            Some(action) => Ok(Command {
                // Ids of an inbox have no underscore.
                id: format!("console-{}", self.id.replace('_', "-")),
                at: self.said_at(now),
                by: plain(self.by.as_deref().unwrap_or("the console"), 100),
                action,
                reason: self.reason.as_deref().map(|reason| plain(reason.trim(), 500)).filter(|it| !it.is_empty()),
            }),
        };
        Asked { id: self.id, command }
    }

    /// When it was said: not later than now, and now when that is not told.
    fn said_at(&self, now: UnixMillis) -> UnixMillis {
        let told = match &self.at {
            Value::String(text) => text.parse::<Timestamp>().ok().map(Timestamp::as_millisecond),
            number => number.as_i64(),
        };
        told.map_or(now, |told| told.min(now))
    }
}

fn is_id(id: &str) -> bool {
    let is_plain = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'-' || byte == b'_';
    (1..=LONGEST_ID).contains(&id.len()) && id.bytes().all(is_plain)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn asked(entry: Value) -> Asked {
        serde_json::from_value::<Entry>(entry).expect("an entry").asked(2_000_000_000_000)
    }

    #[test]
    fn every_verb_is_a_command_and_anything_else_is_told() {
        for verb in ["promote", "pause", "resume", "abort", "retry", "approve"] {
            let entry = serde_json::json!({ "id": "cmd_1", "verb": verb, "by": "ann", "at": "2023-11-14T22:13:20Z" });
            let command = asked(entry).command.expect(verb);
            assert_eq!(
                (command.id.as_str(), command.by.as_str(), command.at),
                ("console-cmd-1", "ann", 1_700_000_000_000)
            );
        }
        let unknown = asked(serde_json::json!({ "id": "1", "verb": "explode" }));
        assert!(unknown.command.is_err_and(|why| why.contains("`explode`")));
        let odd = asked(serde_json::json!({ "id": "../1", "verb": "pause" }));
        assert!(odd.command.is_err());
    }

    #[test]
    fn a_command_from_the_future_or_without_a_time_is_said_now() {
        for at in [serde_json::json!(9_000_000_000_000_i64), Value::Null, serde_json::json!("soon")] {
            let entry = serde_json::json!({ "id": "1", "verb": "pause", "at": at });
            assert_eq!(asked(entry).command.expect("a command").at, 2_000_000_000_000);
        }
    }
}
