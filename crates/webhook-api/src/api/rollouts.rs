//! `/api/v1/rollouts`: how rollouts stand, as their controller publishes it, and commands for it.

pub(crate) mod commands;

use std::sync::Arc;

use axum::Json;
use axum::extract::State;
use axum::response::{IntoResponse, Response};
use http::StatusCode;
use serde::Serialize;
use serde_json::value::RawValue;
use spillway_store::Document;
use utoipa::ToSchema;

use super::access::Caller;
use super::documents::{Content, check_name, content_of, keep, object};
use super::error::{ApiError, Kind};
use super::page::List;
use super::path::PathValue;
use super::timestamp::Timestamp;
use crate::gateway::Gateway;
use commands::CommandView;

const KIND: &str = "rollout";
/// Rollouts that are listed.
const MOST_LISTED: usize = 100;
/// A larger status is left out of the list.
const LISTED_BYTES: usize = 64 * 1_024;

/// How a rollout stands.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct RolloutView {
    /// Its name.
    name: String,
    /// When its status was published.
    #[schema(value_type = String, format = DateTime)]
    at: Timestamp,
    /// Name of the key that published it.
    by: String,
    /// What `spillway-rollout status --output json` prints, byte by byte.
    #[schema(value_type = Value)]
    status: Box<RawValue>,
    /// What it was told and has not taken yet, the oldest first.
    commands: Vec<CommandView>,
}

/// How a rollout stands, in a list.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct RolloutRow {
    /// Its name.
    name: String,
    /// When its status was published.
    #[schema(value_type = String, format = DateTime)]
    at: Timestamp,
    /// Name of the key that published it.
    by: String,
    /// Its status; null when it is larger than 64 KiB: show the rollout then.
    #[schema(value_type = Option<Value>)]
    status: Option<Box<RawValue>>,
    /// Size of its status.
    status_bytes: usize,
    /// Commands that it has not taken yet.
    commands: usize,
}

/// List rollouts, the latest published first: at most 100.
#[utoipa::path(get, path = "/api/v1/rollouts", tag = "rollouts", operation_id = "list_rollouts",
    responses((status = 200, description = "The rollouts", body = List<RolloutRow>)))]
pub(crate) async fn list(State(gateway): State<Arc<Gateway>>) -> Result<Response, ApiError> {
    let documents = gateway.store.documents(KIND, MOST_LISTED).await?;
    let commands = commands::waiting(&gateway, None).await?;
    let row = |document: &Document| {
        let (by, status) = content_of::<Box<RawValue>>(document)?;
        let status_bytes = status.get().len();
        Some(RolloutRow {
            name: document.key.clone(),
            at: Timestamp(document.at),
            by,
            status: (status_bytes <= LISTED_BYTES).then_some(status),
            status_bytes,
            commands: commands.iter().filter(|command| command.rollout == document.key).count(),
        })
    };
    Ok(Json(List::whole(documents.iter().filter_map(row).collect())).into_response())
}

/// Show how a rollout stands.
#[utoipa::path(get, path = "/api/v1/rollouts/{rollout}", tag = "rollouts", operation_id = "show_rollout",
    params(("rollout" = String, Path, description = "Name")),
    responses((status = 200, description = "The rollout", body = RolloutView)))]
pub(crate) async fn show(
    State(gateway): State<Arc<Gateway>>,
    PathValue(name): PathValue<String>,
) -> Result<Response, ApiError> {
    let document = find(&gateway, &name).await?;
    let (by, status) = content_of(&document).ok_or_else(|| ApiError::not_found(Kind::Rollout, &name))?;
    let commands = commands::waiting(&gateway, Some(&name)).await?;
    let commands = commands.into_iter().map(|command| command.view).collect();
    Ok(Json(RolloutView { name, at: Timestamp(document.at), by, status, commands }).into_response())
}

/// Publish how a rollout stands: what `spillway-rollout status --output json` prints, at most 1 MiB.
#[utoipa::path(put, path = "/api/v1/rollouts/{rollout}", tag = "rollouts", operation_id = "put_rollout",
    params(("rollout" = String, Path, description = "Name: 1 to 150 of A-Z, a-z, 0-9, \".\", \"_\" and \"-\"")),
    request_body(content = serde_json::Value, content_type = "application/json"),
    responses((status = 204, description = "It is kept")))]
pub(crate) async fn put(
    State(gateway): State<Arc<Gateway>>,
    caller: Caller,
    PathValue(name): PathValue<String>,
    Content(body): Content,
) -> Result<StatusCode, ApiError> {
    check_name("rollout", &name)?;
    keep(&gateway, KIND, name, caller, &object(&body)?).await?;
    Ok(StatusCode::NO_CONTENT)
}

/// Forget a rollout, and what it was told.
#[utoipa::path(delete, path = "/api/v1/rollouts/{rollout}", tag = "rollouts", operation_id = "delete_rollout",
    params(("rollout" = String, Path, description = "Name")),
    responses((status = 204, description = "It is gone")))]
pub(crate) async fn delete(
    State(gateway): State<Arc<Gateway>>,
    PathValue(name): PathValue<String>,
) -> Result<StatusCode, ApiError> {
    find(&gateway, &name).await?;
    for command in commands::waiting(&gateway, Some(&name)).await? {
        command.remove(&gateway).await?;
    }
    gateway.store.delete_document(KIND, &name).await?;
    Ok(StatusCode::NO_CONTENT)
}

async fn find(gateway: &Gateway, name: &str) -> Result<Document, ApiError> {
    let document = gateway.store.document(KIND, name).await?;
    document.ok_or_else(|| ApiError::not_found(Kind::Rollout, name))
}
