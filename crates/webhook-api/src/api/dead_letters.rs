//! `/api/v1/dead-letters`: deliveries that were given up, by destination and reason.

use std::sync::Arc;

use axum::Json;
use axum::extract::State;
use axum::response::{IntoResponse, Response};
use serde::Serialize;
use spillway_model::{AttemptClass, Configuration, DestinationId};
use spillway_store::DeadLetterGroup;
use utoipa::ToSchema;

use super::error::ApiError;
use super::timestamp::Timestamp;
use crate::cached::dead_letters;
use crate::gateway::Gateway;

/// Groups in one answer.
const MAX_GROUPS: usize = 500;

/// Deliveries that were given up for the same reason.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct DeadLetterView {
    /// The destination's id.
    #[schema(value_type = String)]
    destination: DestinationId,
    /// The destination's name; null when the destination was deleted.
    destination_name: Option<String>,
    /// How the last attempt of each ended, such as `server_error`; null when no attempt is stored.
    #[schema(value_type = Option<String>, example = "server_error")]
    class: Option<AttemptClass>,
    /// The status of the last answer; null when there was none.
    status: Option<u16>,
    /// How many there are.
    deliveries: u64,
    /// When the first of them was given up.
    #[schema(value_type = String, format = DateTime)]
    oldest: Timestamp,
    /// When the last of them was given up.
    #[schema(value_type = String, format = DateTime)]
    newest: Timestamp,
}

/// Dead deliveries in groups.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct DeadLetterGroups {
    /// The largest group first.
    data: Vec<DeadLetterView>,
    /// False when there are more than 10,000: then only the newest are counted.
    complete: bool,
}

/// Show deliveries that were given up, by destination and reason, as it was at most ten seconds ago. A replay with state `dead` sends them again.
#[utoipa::path(get, path = "/api/v1/dead-letters", tag = "deliveries", operation_id = "show_dead_letters",
    responses((status = 200, description = "The groups", body = DeadLetterGroups)))]
pub(crate) async fn show(State(gateway): State<Arc<Gateway>>) -> Result<Response, ApiError> {
    let dead = dead_letters(&gateway).await?;
    let configuration = gateway.routing.load().configuration.clone();
    let complete = dead.is_complete && dead.groups.len() <= MAX_GROUPS;
    let data = dead.groups.iter().take(MAX_GROUPS).map(|group| view(group, &configuration)).collect();
    Ok(Json(DeadLetterGroups { data, complete }).into_response())
}

fn view(group: &DeadLetterGroup, configuration: &Configuration) -> DeadLetterView {
    let destination = configuration.destinations.iter().find(|destination| destination.id == group.destination);
    DeadLetterView {
        destination: group.destination,
        destination_name: destination.map(|destination| destination.name.to_string()),
        class: group.class,
        status: group.status,
        deliveries: group.deliveries,
        oldest: Timestamp(group.oldest),
        newest: Timestamp(group.newest),
    }
}
