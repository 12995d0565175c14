//! `/api/v1/events/{event}/replay` and `/release`: one event, sent again or for the first time.

use std::sync::Arc;

use axum::Json;
use axum::extract::State;
use axum::response::{IntoResponse, Response};
use http::StatusCode;
use serde::Serialize;
use spillway_model::{DeliveryId, DeliveryState, Event, EventId, ReplayId, Selection};
use spillway_store::{DeliveryFilter, NewRoute, RetryOutcome};
use utoipa::ToSchema;

use super::error::{ApiError, Kind};
use super::path::PathValue;
use super::replays;
use crate::gateway::Gateway;
use crate::rules;

/// Deliveries that are tried again at once; an event with more gets a replay of its own.
const AT_ONCE: usize = 500;

/// What became of the wish to send an event again.
#[derive(Debug, Default, Serialize, ToSchema)]
pub(crate) struct Resent {
    /// Deliveries that are due again.
    retried: u64,
    /// Deliveries that were on their way already.
    skipped: u64,
    /// Deliveries that were added, for connections that had none.
    #[schema(value_type = Vec<String>)]
    added: Vec<DeliveryId>,
    /// The replay that sends the event's deliveries again, when there are more than 500.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<String>)]
    replay: Option<ReplayId>,
}

/// Send an event again, to all its destinations, and to connections that came later.
#[utoipa::path(post, path = "/api/v1/events/{event}/replay", tag = "replays", operation_id = "replay_event",
    params(("event" = String, Path, description = "Id")),
    responses((status = 202, description = "What is due now", body = Resent)))]
pub(crate) async fn replay(
    State(gateway): State<Arc<Gateway>>,
    PathValue(wanted): PathValue<String>,
) -> Result<Response, ApiError> {
    let event = find(&gateway, &wanted).await?;
    if event.quarantine.is_some() {
        let reason =
            "The event is in quarantine and was never sent. Release it instead, or mend its sender.".to_owned();
        return Err(ApiError::Conflict { code: "event_quarantined", reason });
    }
    let filter = DeliveryFilter { event: Some(event.id), destination: None, state: None, cursor: None, limit: AT_ONCE };
    let present = gateway.store.deliveries(filter).await?;
    let added = add(&gateway, &event).await?;
    let mut resent = Resent { added, ..Resent::default() };
    if present.next.is_some() {
        let selection = Selection { event: Some(event.id), ..Selection::default() };
        resent.replay = Some(replays::begin(&gateway, selection, gateway.api.replay_per_second).await?.id);
        return Ok((StatusCode::ACCEPTED, Json(resent)).into_response());
    }
    for delivery in present.rows {
        let is_open = matches!(delivery.state, DeliveryState::Pending | DeliveryState::Queued);
        if is_open {
            resent.skipped += 1;
            continue;
        }
        match gateway.store.retry(delivery.id, gateway.clock.now()).await? {
            RetryOutcome::Due => resent.retried += 1,
            RetryOutcome::EventGone => return Err(gone()),
            RetryOutcome::Queued | RetryOutcome::Unknown => resent.skipped += 1,
        }
    }
    gateway.made_due();
    Ok((StatusCode::ACCEPTED, Json(resent)).into_response())
}

/// Release an event from quarantine: it goes to all connections of its source.
#[utoipa::path(post, path = "/api/v1/events/{event}/release", tag = "replays", operation_id = "release_event",
    params(("event" = String, Path, description = "Id")),
    responses((status = 202, description = "What is due now", body = Resent)))]
pub(crate) async fn release(
    State(gateway): State<Arc<Gateway>>,
    PathValue(wanted): PathValue<String>,
) -> Result<Response, ApiError> {
    let event = find(&gateway, &wanted).await?;
    if event.quarantine.is_none() {
        let reason = "The event is not in quarantine. To send it again, replay it.".to_owned();
        return Err(ApiError::Conflict { code: "event_not_quarantined", reason });
    }
    if routes(&gateway, &event).await.is_empty() {
        let reason = "The event's source is disabled or deleted, or no enabled connection of it takes the event: it would go nowhere. \
                      Connect the source first, then release the event.";
        return Err(ApiError::Conflict { code: "event_unroutable", reason: reason.to_owned() });
    }
    let added = add(&gateway, &event).await?;
    Ok((StatusCode::ACCEPTED, Json(Resent { added, ..Resent::default() })).into_response())
}

async fn find(gateway: &Gateway, wanted: &str) -> Result<Arc<Event>, ApiError> {
    let unknown = || ApiError::not_found(Kind::Event, wanted);
    let id: EventId = wanted.parse().map_err(|_| unknown())?;
    gateway.store.event(id).await?.map(Arc::new).ok_or_else(unknown)
}

/// Adds deliveries for connections that have none, which also ends a quarantine.
async fn add(gateway: &Gateway, event: &Arc<Event>) -> Result<Vec<DeliveryId>, ApiError> {
    let to = routes(gateway, event).await;
    let added = gateway.store.deliver(event.id, to, gateway.clock.now()).await?.ok_or_else(gone)?;
    gateway.made_due();
    Ok(added)
}

/// Where the event goes by the configuration of now, filters and order included; nowhere when its source is disabled or deleted.
async fn routes(gateway: &Gateway, event: &Arc<Event>) -> Vec<NewRoute> {
    let source = gateway.routing.load().source_by_id(event.source).cloned();
    let Some(source) = source else { return Vec::new() };
    let deliveries = rules::deliveries(&source, event).await;
    let route = |delivery: spillway_model::NewDelivery| NewRoute {
        connection: delivery.connection,
        destination: delivery.destination,
        order: delivery.order,
    };
    deliveries.into_iter().map(route).collect()
}

fn gone() -> ApiError {
    let reason = "Retention has removed the event or its payload, so there is nothing left to deliver. Ask its sender for it again.";
    ApiError::Conflict { code: "event_gone", reason: reason.to_owned() }
}
