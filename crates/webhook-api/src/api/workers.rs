//! `/api/v1/workers/shares`: how the worker slots share the deliveries.

use std::sync::Arc;

use axum::Json;
use axum::extract::State;
use axum::response::{IntoResponse, Response};
use http::{StatusCode, header};
use serde::{Deserialize, Serialize};
use spillway_model::{Configuration, ConfigurationChange, Slot, WorkerShares};
use utoipa::ToSchema;

use super::body::JsonBody;
use super::change::change;
use super::error::ApiError;
use super::tag::{Condition, tag_of};
use crate::gateway::Gateway;

/// How the worker slots share the deliveries.
#[derive(Debug, Clone, Copy, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct SharesDocument {
    /// The shares; null while the deliveries are not shared, and any worker takes any of them.
    shares: Option<Shares>,
}

/// Shares of all deliveries in percent, 100 together.
#[derive(Debug, Clone, Copy, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct Shares {
    /// Of the workers in the slot blue.
    #[schema(minimum = 0, maximum = 100, example = 90)]
    blue: u8,
    /// Of the workers in the slot green.
    #[schema(minimum = 0, maximum = 100, example = 10)]
    green: u8,
}

impl From<Option<WorkerShares>> for SharesDocument {
    fn from(shares: Option<WorkerShares>) -> Self {
        let shown = |shares: WorkerShares| Shares { blue: shares.of(Slot::Blue), green: shares.of(Slot::Green) };
        Self { shares: shares.map(shown) }
    }
}

/// Show how the worker slots share the deliveries.
#[utoipa::path(get, path = "/api/v1/workers/shares", tag = "workers", operation_id = "show_worker_shares",
    responses((status = 200, description = "The shares", body = SharesDocument)))]
pub(crate) async fn show_shares(State(gateway): State<Arc<Gateway>>) -> Response {
    let configuration = gateway.routing.load().configuration.clone();
    answer(configuration.worker_shares, &configuration)
}

/// Share the deliveries between the worker slots. A slot with share 0 takes none. Every node follows within a second; a delivery that is
/// being attempted is finished where it is. With null any worker takes any delivery.
#[utoipa::path(put, path = "/api/v1/workers/shares", tag = "workers", operation_id = "set_worker_shares",
    request_body = SharesDocument, responses((status = 200, description = "The shares", body = SharesDocument)))]
pub(crate) async fn set_shares(
    State(gateway): State<Arc<Gateway>>,
    condition: Condition,
    JsonBody(document): JsonBody<SharesDocument>,
) -> Result<Response, ApiError> {
    let shares = document.shares.map(|shares| WorkerShares::new(shares.blue, shares.green)).transpose()?;
    set(&gateway, &condition, shares).await
}

/// Share the deliveries no more: any worker takes any of them.
#[utoipa::path(delete, path = "/api/v1/workers/shares", tag = "workers", operation_id = "unset_worker_shares",
    responses((status = 204, description = "The deliveries are not shared")))]
pub(crate) async fn unset_shares(
    State(gateway): State<Arc<Gateway>>,
    condition: Condition,
) -> Result<StatusCode, ApiError> {
    set(&gateway, &condition, None).await?;
    Ok(StatusCode::NO_CONTENT)
}

async fn set(gateway: &Gateway, condition: &Condition, shares: Option<WorkerShares>) -> Result<Response, ApiError> {
    let changed = |current: &Configuration| {
        if !condition.allows(&current.worker_shares, current) {
            return Err(ApiError::SharesChanged);
        }
        Ok((ConfigurationChange::SetWorkerShares(shares), answer(shares, current)))
    };
    change(gateway, changed).await
}

/// Answers with the shares and their tag.
fn answer(shares: Option<WorkerShares>, configuration: &Configuration) -> Response {
    let tag = tag_of(&shares, configuration);
    ([(header::ETAG, tag)], Json(SharesDocument::from(shares))).into_response()
}
