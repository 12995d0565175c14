//! `/api/v1/deliveries`: events on their way to destinations.

use std::sync::Arc;

use axum::Json;
use axum::extract::State;
use axum::response::{IntoResponse, Response};
use http::StatusCode;
use serde::{Deserialize, Serialize};
use spillway_model::{
    Configuration, ConnectionId, Delivery, DeliveryId, DeliveryState, Destination, DestinationId, EventId,
};
use spillway_store::{DeliveryFilter, RetryOutcome};
use utoipa::{IntoParams, ToSchema};

use super::entry;
use super::error::{ApiError, Kind};
use super::page::{List, PageRequest};
use super::path::PathValue;
use super::query::{ListQuery, Parameters};
use super::timestamp::Timestamp;
use crate::cached::forget_dead_letters;
use crate::gateway::Gateway;

/// A delivery.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct DeliveryView {
    /// Identifier.
    #[schema(value_type = String, example = "dlv_01k9zv5w3hf6p8r2t4x6y8a0b2")]
    id: DeliveryId,
    /// The event that is delivered.
    #[schema(value_type = String)]
    event: EventId,
    /// The destination's id.
    #[schema(value_type = String)]
    destination: DestinationId,
    /// The destination's name; null when the destination was deleted.
    destination_name: Option<String>,
    /// Which connection asked for it.
    #[schema(value_type = String)]
    connection: ConnectionId,
    /// `pending`, `delivered`, `dead`, `cancelled`, or `queued` behind an earlier one with its order key.
    #[schema(value_type = String, example = "delivered")]
    state: DeliveryState,
    /// Attempts made so far.
    attempts: u16,
    /// When the next attempt is due, or the lease of the one under way ends; null while it is queued and once it has ended.
    #[schema(value_type = Option<String>, format = DateTime)]
    due_at: Option<Timestamp>,
    /// When it ended; null while it is pending or queued.
    #[schema(value_type = Option<String>, format = DateTime)]
    ended_at: Option<Timestamp>,
    /// When its event was received.
    #[schema(value_type = String, format = DateTime)]
    created_at: Timestamp,
}

/// Which deliveries to list.
#[derive(Debug, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(crate) struct DeliveryQuery {
    /// Only those to this destination, by id or name.
    destination: Option<String>,
    /// Only those in this state: `pending`, `delivered`, `dead`, `cancelled` or `queued`.
    #[param(value_type = Option<String>)]
    state: Option<DeliveryState>,
    /// Only those of this event.
    event: Option<String>,
    /// Most entries to answer with, 1 to 200; 50 when absent.
    #[param(minimum = 1, maximum = 200)]
    limit: Option<u64>,
    /// The field `next` of the page before, unchanged.
    cursor: Option<String>,
    /// Fields of the entries to answer with, separated by commas; all when absent.
    fields: Option<String>,
}

/// List deliveries: by destination or state the latest first, of one event in the order of its connections, else the newest
/// first.
#[utoipa::path(get, path = "/api/v1/deliveries", tag = "deliveries", operation_id = "list_deliveries",
    params(DeliveryQuery), responses((status = 200, description = "A page of deliveries", body = List<DeliveryView>)))]
pub(crate) async fn list(
    State(gateway): State<Arc<Gateway>>,
    Parameters(query): Parameters<DeliveryQuery>,
) -> Result<Response, ApiError> {
    let page = PageRequest::new::<DeliveryView>(query.limit, query.cursor.as_deref(), query.fields.as_deref())?;
    let configuration = gateway.routing.load().configuration.clone();
    let destination = query.destination.as_deref().map(|wanted| destination_id(&configuration, wanted)).transpose()?;
    let event = query.event.as_deref().map(event_id).transpose()?;
    let filter = DeliveryFilter { event, destination, state: query.state, cursor: page.cursor, limit: page.limit };
    let rows = gateway.store.deliveries(filter).await?;
    Ok(page.answer(rows, |delivery| view(&delivery, &configuration)))
}

/// List the deliveries of an event, in the order of its connections.
#[utoipa::path(get, path = "/api/v1/events/{event}/deliveries", tag = "deliveries",
    operation_id = "list_event_deliveries", params(("event" = String, Path, description = "Id"), ListQuery),
    responses((status = 200, description = "A page of deliveries", body = List<DeliveryView>)))]
pub(crate) async fn of_event(
    State(gateway): State<Arc<Gateway>>,
    PathValue(wanted): PathValue<String>,
    Parameters(query): Parameters<ListQuery>,
) -> Result<Response, ApiError> {
    let page = PageRequest::of::<DeliveryView>(&query)?;
    let event = event_id(&wanted)?;
    let filter =
        DeliveryFilter { event: Some(event), destination: None, state: None, cursor: page.cursor, limit: page.limit };
    let rows = gateway.store.deliveries(filter).await?;
    if rows.rows.is_empty() && gateway.store.event(event).await?.is_none() {
        return Err(ApiError::not_found(Kind::Event, &wanted));
    }
    let configuration = gateway.routing.load().configuration.clone();
    Ok(page.answer(rows, |delivery| view(&delivery, &configuration)))
}

/// Show a delivery.
#[utoipa::path(get, path = "/api/v1/deliveries/{delivery}", tag = "deliveries", operation_id = "show_delivery",
    params(("delivery" = String, Path, description = "Id")),
    responses((status = 200, description = "The delivery", body = DeliveryView)))]
pub(crate) async fn show(
    State(gateway): State<Arc<Gateway>>,
    PathValue(wanted): PathValue<String>,
) -> Result<Response, ApiError> {
    Ok(Json(find(&gateway, &wanted).await?).into_response())
}

/// Try a delivery again now, whatever its state but queued. Its attempts go on counting.
#[utoipa::path(post, path = "/api/v1/deliveries/{delivery}/retry", tag = "deliveries", operation_id = "retry_delivery",
    params(("delivery" = String, Path, description = "Id")),
    responses((status = 202, description = "The delivery, due now", body = DeliveryView)))]
pub(crate) async fn retry(
    State(gateway): State<Arc<Gateway>>,
    PathValue(wanted): PathValue<String>,
) -> Result<Response, ApiError> {
    match gateway.store.retry(delivery_id(&wanted)?, gateway.clock.now()).await? {
        RetryOutcome::Due => {
            gateway.made_due();
            forget_dead_letters(&gateway).await;
            Ok((StatusCode::ACCEPTED, Json(find(&gateway, &wanted).await?)).into_response())
        }
        RetryOutcome::Unknown => Err(ApiError::not_found(Kind::Delivery, &wanted)),
        RetryOutcome::Queued => {
            let reason = "The delivery waits for an earlier one with its order key. It goes out by itself when that one has ended.";
            Err(ApiError::Conflict { code: "delivery_queued", reason: reason.to_owned() })
        }
        RetryOutcome::EventGone => {
            let reason = "Retention has removed the event or its payload, so there is nothing left to deliver. Ask its sender for it again.";
            Err(ApiError::Conflict { code: "event_gone", reason: reason.to_owned() })
        }
    }
}

/// The delivery's id, of the right form.
pub(super) fn delivery_id(wanted: &str) -> Result<DeliveryId, ApiError> {
    wanted.parse().map_err(|_| ApiError::not_found(Kind::Delivery, wanted))
}

async fn find(gateway: &Gateway, wanted: &str) -> Result<DeliveryView, ApiError> {
    let delivery = gateway.store.delivery(delivery_id(wanted)?).await?;
    let delivery = delivery.ok_or_else(|| ApiError::not_found(Kind::Delivery, wanted))?;
    Ok(view(&delivery, &gateway.routing.load().configuration))
}

fn event_id(wanted: &str) -> Result<EventId, ApiError> {
    wanted.parse().map_err(|_| ApiError::not_found(Kind::Event, wanted))
}

/// The id of a destination that exists, or that is named by an id: its deliveries outlive it.
fn destination_id(configuration: &Configuration, wanted: &str) -> Result<DestinationId, ApiError> {
    match wanted.parse() {
        Ok(id) => Ok(id),
        Err(_) => entry::find::<Destination>(configuration, wanted).map(|destination| destination.id),
    }
}

fn view(delivery: &Delivery, configuration: &Configuration) -> DeliveryView {
    let destination = configuration.destinations.iter().find(|destination| destination.id == delivery.destination);
    let (is_pending, is_queued) = (delivery.state == DeliveryState::Pending, delivery.state == DeliveryState::Queued);
    DeliveryView {
        id: delivery.id,
        event: delivery.id.event(),
        destination: delivery.destination,
        destination_name: destination.map(|destination| destination.name.to_string()),
        connection: delivery.connection,
        state: delivery.state,
        attempts: delivery.attempts,
        due_at: is_pending.then_some(Timestamp(delivery.at)),
        ended_at: (!is_pending && !is_queued).then_some(Timestamp(delivery.at)),
        created_at: Timestamp(delivery.id.event().timestamp()),
    }
}
