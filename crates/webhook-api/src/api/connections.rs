//! `/api/v1/connections`: which source goes to which destination.

pub(super) mod trial;

use std::sync::Arc;

use axum::extract::State;
use axum::response::Response;
use http::StatusCode;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use spillway_model::{Configuration, Connection, ConnectionId, Destination, DestinationId, Source, SourceId};
use spillway_transform::Program;
use utoipa::ToSchema;

use super::access::Caller;
use super::body::JsonBody;
use super::entry::{self, Circumstances, Settable, find};
use super::error::{ApiError, Kind};
use super::page::List;
use super::path::PathValue;
use super::query::{ListQuery, Parameters};
use super::tag::{Tagged, Target};
use super::timestamp::Timestamp;
use crate::gateway::Gateway;
use crate::routing::MAX_CONNECTIONS;

/// A connection: events of its source go to its destination.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct ConnectionView {
    /// Identifier.
    #[schema(value_type = String, example = "con_01k9zv5w3hf6p8r2t4x6y8a0b2")]
    id: ConnectionId,
    /// The source's id.
    #[schema(value_type = String)]
    source: SourceId,
    /// The destination's id.
    #[schema(value_type = String)]
    destination: DestinationId,
    /// A disabled connection makes no deliveries.
    enabled: bool,
    /// A jq program: only events for which its first output is neither `false` nor `null` are delivered. Null lets all through.
    filter: Option<String>,
    /// A jq program whose one output is delivered in place of the body; null delivers the body as it came.
    transform: Option<String>,
    /// A jq program that names what must stay in order; null for no order.
    order_by: Option<String>,
    /// When it was made.
    #[schema(value_type = String, format = DateTime)]
    created_at: Timestamp,
}

impl From<&Connection> for ConnectionView {
    fn from(connection: &Connection) -> Self {
        Self {
            id: connection.id,
            source: connection.source,
            destination: connection.destination,
            enabled: connection.enabled,
            filter: connection.filter.clone(),
            transform: connection.transform.clone(),
            order_by: connection.order_by.clone(),
            created_at: Timestamp(connection.created_at),
        }
    }
}

/// What may be set about a connection.
#[derive(Debug, Clone, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct ConnectionInput {
    /// Id or name of the source.
    source: String,
    /// Id or name of the destination.
    destination: String,
    /// A disabled connection makes no deliveries.
    #[serde(default = "yes")]
    enabled: bool,
    /// A jq program: only events for which its first output is neither `false` nor `null` are delivered, such as
    /// `.type == "invoice.paid"`. Beside the body (`.`) it has `$headers`, `$source`, `$type`, `$id` and `$received_at`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    filter: Option<String>,
    /// A jq program whose one output is delivered in place of the body, such as `{id, amount: (.cents / 100)}`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    transform: Option<String>,
    /// A jq program that names what must stay in order, such as `.customer.id`: deliveries with the same output go out strictly one after
    /// the other. `null` is not ordered.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    order_by: Option<String>,
}

const fn yes() -> bool {
    true
}

impl From<&Connection> for ConnectionInput {
    fn from(connection: &Connection) -> Self {
        Self {
            source: connection.source.to_string(),
            destination: connection.destination.to_string(),
            enabled: connection.enabled,
            filter: connection.filter.clone(),
            transform: connection.transform.clone(),
            order_by: connection.order_by.clone(),
        }
    }
}

impl Settable for Connection {
    type Input = ConnectionInput;

    fn set(input: ConnectionInput, existing: Option<&Self>, at: &Circumstances<'_>) -> Result<Self, ApiError> {
        let (source, destination) = ends(at.current, &input)?;
        let programs = [("filter", &input.filter), ("transform", &input.transform), ("order_by", &input.order_by)];
        for (field, program) in programs {
            check_program(field, program.as_deref())?;
        }
        let connection = Self {
            filter: input.filter,
            transform: input.transform,
            order_by: input.order_by,
            id: existing.map_or_else(|| at.gateway.ids.connection(), |connection| connection.id),
            source: source.id,
            destination: destination.id,
            enabled: input.enabled,
            created_at: existing.map_or_else(|| at.gateway.clock.now(), |connection| connection.created_at),
        };
        check(at.current, &connection, source, destination)?;
        Ok(connection)
    }
}

/// List connections, the oldest first.
#[utoipa::path(get, path = "/api/v1/connections", tag = "configuration", operation_id = "list_connections",
    params(ListQuery), responses((status = 200, description = "A page of connections", body = List<ConnectionView>)))]
pub(crate) async fn list(
    State(gateway): State<Arc<Gateway>>,
    Parameters(query): Parameters<ListQuery>,
) -> Result<Response, ApiError> {
    entry::list::<Connection>(&gateway, &query)
}

/// Connect a source to a destination.
#[utoipa::path(post, path = "/api/v1/connections", tag = "configuration", operation_id = "create_connection",
    request_body = ConnectionInput,
    responses((status = 201, description = "The connection", body = ConnectionView)))]
pub(crate) async fn create(
    State(gateway): State<Arc<Gateway>>,
    caller: Caller,
    JsonBody(input): JsonBody<ConnectionInput>,
) -> Result<Response, ApiError> {
    Ok(entry::create::<Connection>(&gateway, caller, input).await?.created())
}

/// Show a connection.
#[utoipa::path(get, path = "/api/v1/connections/{connection}", tag = "configuration", operation_id = "show_connection",
    params(("connection" = String, Path, description = "Id")),
    responses((status = 200, description = "The connection", body = ConnectionView)))]
pub(crate) async fn show(
    State(gateway): State<Arc<Gateway>>,
    PathValue(wanted): PathValue<String>,
) -> Result<Tagged<Connection>, ApiError> {
    entry::show(&gateway, &wanted)
}

/// Replace a connection.
#[utoipa::path(put, path = "/api/v1/connections/{connection}", tag = "configuration",
    operation_id = "replace_connection", params(("connection" = String, Path, description = "Id")),
    request_body = ConnectionInput,
    responses((status = 200, description = "The connection", body = ConnectionView)))]
pub(crate) async fn replace(
    State(gateway): State<Arc<Gateway>>,
    caller: Caller,
    target: Target,
    JsonBody(input): JsonBody<ConnectionInput>,
) -> Result<Tagged<Connection>, ApiError> {
    entry::replace(&gateway, caller, &target, input).await
}

/// Change a connection, as a JSON merge patch (RFC 7396).
#[utoipa::path(patch, path = "/api/v1/connections/{connection}", tag = "configuration",
    operation_id = "update_connection", params(("connection" = String, Path, description = "Id")),
    request_body(content = Object, content_type = "application/merge-patch+json"),
    responses((status = 200, description = "The connection", body = ConnectionView)))]
pub(crate) async fn update(
    State(gateway): State<Arc<Gateway>>,
    caller: Caller,
    target: Target,
    JsonBody(patch): JsonBody<Value>,
) -> Result<Tagged<Connection>, ApiError> {
    entry::update(&gateway, caller, &target, &patch).await
}

/// Delete a connection. Its deliveries stay.
#[utoipa::path(delete, path = "/api/v1/connections/{connection}", tag = "configuration",
    operation_id = "delete_connection", params(("connection" = String, Path, description = "Id")),
    responses((status = 204, description = "It is gone")))]
pub(crate) async fn delete(State(gateway): State<Arc<Gateway>>, target: Target) -> Result<StatusCode, ApiError> {
    entry::delete::<Connection>(&gateway, &target, |_, _| Ok(())).await
}

/// Whether a program can be used.
fn check_program(field: &'static str, text: Option<&str>) -> Result<(), ApiError> {
    let compiled = text.map(Program::compile).transpose();
    compiled.map(drop).map_err(|error| ApiError::Program { field, error })
}

fn ends<'c>(current: &'c Configuration, input: &ConnectionInput) -> Result<(&'c Source, &'c Destination), ApiError> {
    let source = find::<Source>(current, &input.source);
    let source = source.map_err(|_| ApiError::reference(Kind::Source, &input.source))?;
    let destination = find::<Destination>(current, &input.destination);
    let destination = destination.map_err(|_| ApiError::reference(Kind::Destination, &input.destination))?;
    Ok((source, destination))
}

fn check(
    current: &Configuration,
    connection: &Connection,
    source: &Source,
    destination: &Destination,
) -> Result<(), ApiError> {
    let others = || current.connections.iter().filter(|other| other.id != connection.id && other.source == source.id);
    if others().any(|other| other.destination == destination.id) {
        let reason = format!(
            "A connection from {} to {} exists already. Change that one, or name another source or destination.",
            source.name, destination.name
        );
        return Err(ApiError::Conflict { code: "connection_exists", reason });
    }
    if others().count() >= MAX_CONNECTIONS {
        let reason = format!("The source {} has {MAX_CONNECTIONS} connections; it cannot have more.", source.name);
        return Err(ApiError::Conflict { code: "too_many_connections", reason });
    }
    Ok(())
}
