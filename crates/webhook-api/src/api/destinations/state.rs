//! Pause, resume and enable.

use std::sync::Arc;

use axum::extract::State;
use spillway_model::{Configuration, Destination, DestinationState};

use super::view::DestinationView;
use crate::api::entry;
use crate::api::error::ApiError;
use crate::api::tag::{Tagged, Target};
use crate::gateway::Gateway;

/// Hold the deliveries of a destination. They wait, none is lost, until it is resumed.
#[utoipa::path(post, path = "/api/v1/destinations/{destination}/pause", tag = "configuration",
    operation_id = "pause_destination", params(("destination" = String, Path, description = "Id or name")),
    responses((status = 200, description = "The destination", body = DestinationView)))]
pub(crate) async fn pause(
    State(gateway): State<Arc<Gateway>>,
    target: Target,
) -> Result<Tagged<Destination>, ApiError> {
    set(&gateway, &target, |_| Ok(DestinationState::Paused)).await
}

/// Serve a paused destination again. One that is disabled needs `enable`.
#[utoipa::path(post, path = "/api/v1/destinations/{destination}/resume", tag = "configuration",
    operation_id = "resume_destination", params(("destination" = String, Path, description = "Id or name")),
    responses((status = 200, description = "The destination", body = DestinationView)))]
pub(crate) async fn resume(
    State(gateway): State<Arc<Gateway>>,
    target: Target,
) -> Result<Tagged<Destination>, ApiError> {
    let resumed = |state| match state {
        DestinationState::Active | DestinationState::Paused => Ok(DestinationState::Active),
        DestinationState::Disabled => {
            let reason =
                "The destination answered 410 Gone and is disabled. Make sure that it exists, then use enable.";
            Err(ApiError::Conflict { code: "destination_disabled", reason: reason.to_owned() })
        }
    };
    set(&gateway, &target, resumed).await
}

/// Serve a destination again, whatever held it.
#[utoipa::path(post, path = "/api/v1/destinations/{destination}/enable", tag = "configuration",
    operation_id = "enable_destination", params(("destination" = String, Path, description = "Id or name")),
    responses((status = 200, description = "The destination", body = DestinationView)))]
pub(crate) async fn enable(
    State(gateway): State<Arc<Gateway>>,
    target: Target,
) -> Result<Tagged<Destination>, ApiError> {
    set(&gateway, &target, |_| Ok(DestinationState::Active)).await
}

async fn set(
    gateway: &Gateway,
    target: &Target,
    next: impl Fn(DestinationState) -> Result<DestinationState, ApiError>,
) -> Result<Tagged<Destination>, ApiError> {
    let changed = |destination: &Destination, _: &Configuration| {
        Ok(Destination { state: next(destination.state)?, ..destination.clone() })
    };
    entry::edit(gateway, target, changed).await
}
