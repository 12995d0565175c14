//! What people tell a rollout: kept until its controller takes it.

use std::sync::Arc;

use axum::Json;
use axum::extract::State;
use axum::response::{IntoResponse, Response};
use http::StatusCode;
use serde::{Deserialize, Serialize};
use spillway_model::UnixMillis;
use utoipa::ToSchema;

use super::super::access::Caller;
use super::super::body::JsonBody;
use super::super::documents::{content_of, keep, name_of};
use super::super::error::ApiError;
use super::super::page::List;
use super::super::path::PathValue;
use super::super::timestamp::Timestamp;
use super::find;
use crate::gateway::Gateway;

const KIND: &str = "rollout_command";
/// Commands that may wait for one rollout.
const MOST_WAITING: usize = 20;
/// Commands that are looked at: of 100 rollouts at most.
const MOST_READ: usize = 2_000;
/// An older command is not what anybody wants any more.
const LIFETIME_MS: i64 = 3_600_000;
/// Characters of a reason at most.
const MAX_REASON_CHARS: usize = 500;

/// What a rollout can be told.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Verb {
    /// Go on to the next step now.
    Promote,
    /// Stay where it is.
    Pause,
    /// Go on after a pause.
    Resume,
    /// Take the new version back.
    Abort,
    /// Begin again after it was taken back.
    Retry,
    /// Let it pass a gate that waits for a person.
    Approve,
}

/// A command to give.
#[derive(Debug, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct CommandInput {
    /// What to do.
    verb: Verb,
    /// With `promote`: all steps that are left, not the next one only.
    #[serde(default)]
    full: bool,
    /// Why, for those who ask later: at most 500 characters.
    #[serde(default)]
    reason: Option<String>,
}

/// A command that waits for the controller.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct CommandView {
    /// Identifier; in the order of time.
    id: String,
    #[serde(flatten)]
    command: CommandInput,
    /// When it was given.
    #[schema(value_type = String, format = DateTime)]
    at: Timestamp,
    /// Name of the key that gave it.
    by: String,
}

/// A stored command.
pub(super) struct Waiting {
    pub(super) rollout: String,
    pub(super) view: CommandView,
    key: String,
}

impl Waiting {
    pub(super) async fn remove(&self, gateway: &Gateway) -> Result<(), ApiError> {
        Ok(gateway.store.delete_document(KIND, &self.key).await?)
    }
}

/// Commands that wait, of one rollout or of all, the oldest first. Those that are too old are removed.
pub(super) async fn waiting(gateway: &Gateway, rollout: Option<&str>) -> Result<Vec<Waiting>, ApiError> {
    let oldest: UnixMillis = gateway.clock.now() - LIFETIME_MS;
    let mut waiting = Vec::new();
    for document in gateway.store.documents(KIND, MOST_READ).await? {
        let Some((name, id)) = document.key.split_once('/') else { continue };
        if document.at < oldest {
            gateway.store.delete_document(KIND, &document.key).await?;
            continue;
        }
        let Some((by, command)) = content_of(&document).filter(|_| rollout.is_none_or(|rollout| rollout == name))
        else {
            continue;
        };
        let view = CommandView { id: id.to_owned(), command, at: Timestamp(document.at), by };
        waiting.push(Waiting { rollout: name.to_owned(), view, key: document.key.clone() });
    }
    waiting.sort_by(|one, other| one.key.cmp(&other.key));
    Ok(waiting)
}

/// List what a rollout was told and has not taken yet, the oldest first. What is older than an hour is ignored.
#[utoipa::path(get, path = "/api/v1/rollouts/{rollout}/commands", tag = "rollouts", operation_id = "list_rollout_commands",
    params(("rollout" = String, Path, description = "Name")),
    responses((status = 200, description = "The commands", body = List<CommandView>)))]
pub(crate) async fn list(
    State(gateway): State<Arc<Gateway>>,
    PathValue(name): PathValue<String>,
) -> Result<Response, ApiError> {
    let commands = waiting(&gateway, Some(&name)).await?;
    if commands.is_empty() {
        find(&gateway, &name).await?;
    }
    Ok(Json(List::whole(commands.into_iter().map(|command| command.view).collect())).into_response())
}

/// Tell a rollout what to do. Its controller takes the command within seconds.
#[utoipa::path(post, path = "/api/v1/rollouts/{rollout}/commands", tag = "rollouts", operation_id = "command_rollout",
    params(("rollout" = String, Path, description = "Name")), request_body = CommandInput,
    responses((status = 202, description = "The command waits", body = CommandView)))]
pub(crate) async fn give(
    State(gateway): State<Arc<Gateway>>,
    caller: Caller,
    PathValue(name): PathValue<String>,
    JsonBody(command): JsonBody<CommandInput>,
) -> Result<Response, ApiError> {
    check(&command)?;
    find(&gateway, &name).await?;
    if waiting(&gateway, Some(&name)).await?.len() >= MOST_WAITING {
        let reason = format!(
            "{MOST_WAITING} commands wait for the rollout {name}, so its controller does not take them. Look whether it runs, or delete \
             commands."
        );
        return Err(ApiError::Conflict { code: "commands_full", reason });
    }
    // As an event's id, so that text order is time order.
    let id = gateway.ids.event().to_string().replacen("evt_", "cmd_", 1);
    let at = keep(&gateway, KIND, format!("{name}/{id}"), caller, &command).await?;
    let view = CommandView { id, command, at: Timestamp(at), by: name_of(&gateway, caller) };
    Ok((StatusCode::ACCEPTED, Json(view)).into_response())
}

fn check(command: &CommandInput) -> Result<(), ApiError> {
    if command.full && command.verb != Verb::Promote {
        return Err(ApiError::invalid("full", "it goes with the verb promote"));
    }
    let reason = command.reason.as_deref().unwrap_or_default();
    if reason.chars().count() > MAX_REASON_CHARS || reason.chars().any(|c| c.is_control() && c != '\n') {
        let rule = format!("it must have at most {MAX_REASON_CHARS} characters, none of them a control character");
        return Err(ApiError::invalid("reason", rule));
    }
    Ok(())
}

/// Take a command, or withdraw it. It is no error when somebody else did.
#[utoipa::path(delete, path = "/api/v1/rollouts/{rollout}/commands/{command}", tag = "rollouts",
    operation_id = "take_rollout_command",
    params(("rollout" = String, Path, description = "Name"), ("command" = String, Path, description = "Id")),
    responses((status = 204, description = "It waits no more")))]
pub(crate) async fn take(
    State(gateway): State<Arc<Gateway>>,
    PathValue((name, id)): PathValue<(String, String)>,
) -> Result<StatusCode, ApiError> {
    gateway.store.delete_document(KIND, &format!("{name}/{id}")).await?;
    Ok(StatusCode::NO_CONTENT)
}
