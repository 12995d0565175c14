//! `/api/v1/connections`: which source goes to which destination.

use std::sync::Arc;

use axum::Json;
use axum::extract::State;
use axum::response::{IntoResponse, Response};
use http::{StatusCode, header};
use serde::{Deserialize, Serialize};
use serde_json::Value;
use spillway_model::{
    Configuration, ConfigurationChange, Connection, ConnectionId, Destination, DestinationId, Source, SourceId,
};
use utoipa::ToSchema;

use super::body::{JsonBody, from_value};
use super::caching::versioned;
use super::change::{change, check_room};
use super::error::{ApiError, Kind};
use super::merge::merge;
use super::page::{List, PageRequest};
use super::path::PathValue;
use super::query::{ListQuery, Parameters};
use super::timestamp::Timestamp;
use super::{destinations, sources};
use crate::gateway::Gateway;
use crate::routing::MAX_CONNECTIONS;

/// A connection: every event of its source goes to its destination.
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
            created_at: Timestamp(connection.created_at),
        }
    }
}

/// What may be set about a connection.
#[derive(Debug, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct ConnectionInput {
    /// Id or name of the source.
    source: String,
    /// Id or name of the destination.
    destination: String,
    /// A disabled connection makes no deliveries.
    #[serde(default = "yes")]
    enabled: bool,
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
        }
    }
}

/// List connections, the oldest first.
#[utoipa::path(get, path = "/api/v1/connections", tag = "configuration", operation_id = "list_connections",
    params(ListQuery), responses((status = 200, description = "A page of connections", body = List<ConnectionView>)))]
pub(crate) async fn list(
    State(gateway): State<Arc<Gateway>>,
    Parameters(query): Parameters<ListQuery>,
) -> Result<Response, ApiError> {
    let page = PageRequest::of::<ConnectionView>(&query)?;
    let configuration = gateway.routing.load().configuration.clone();
    let rows = page.cut(&configuration.connections, |connection| connection.id.to_u128());
    Ok(versioned(configuration.version, page.answer(rows, ConnectionView::from)))
}

/// Connect a source to a destination.
#[utoipa::path(post, path = "/api/v1/connections", tag = "configuration", operation_id = "create_connection",
    request_body = ConnectionInput,
    responses((status = 201, description = "The connection", body = ConnectionView)))]
pub(crate) async fn create(
    State(gateway): State<Arc<Gateway>>,
    JsonBody(input): JsonBody<ConnectionInput>,
) -> Result<Response, ApiError> {
    let connection = put(&gateway, |_| Ok((None, input))).await?;
    let location = format!("/api/v1/connections/{}", connection.id);
    Ok((StatusCode::CREATED, [(header::LOCATION, location)], Json(ConnectionView::from(&connection))).into_response())
}

/// Show a connection.
#[utoipa::path(get, path = "/api/v1/connections/{connection}", tag = "configuration", operation_id = "show_connection",
    params(("connection" = String, Path, description = "Id")),
    responses((status = 200, description = "The connection", body = ConnectionView)))]
pub(crate) async fn show(
    State(gateway): State<Arc<Gateway>>,
    PathValue(wanted): PathValue<String>,
) -> Result<Response, ApiError> {
    let configuration = gateway.routing.load().configuration.clone();
    let connection = find(&configuration, &wanted)?;
    Ok(versioned(configuration.version, Json(ConnectionView::from(connection)).into_response()))
}

/// Replace a connection.
#[utoipa::path(put, path = "/api/v1/connections/{connection}", tag = "configuration",
    operation_id = "replace_connection", params(("connection" = String, Path, description = "Id")),
    request_body = ConnectionInput,
    responses((status = 200, description = "The connection", body = ConnectionView)))]
pub(crate) async fn replace(
    State(gateway): State<Arc<Gateway>>,
    PathValue(wanted): PathValue<String>,
    JsonBody(input): JsonBody<ConnectionInput>,
) -> Result<Response, ApiError> {
    let connection = put(&gateway, |current| Ok((Some(find(current, &wanted)?), input))).await?;
    Ok(Json(ConnectionView::from(&connection)).into_response())
}

/// Change a connection, as a JSON merge patch (RFC 7396).
#[utoipa::path(patch, path = "/api/v1/connections/{connection}", tag = "configuration",
    operation_id = "update_connection", params(("connection" = String, Path, description = "Id")),
    request_body(content = Object, content_type = "application/merge-patch+json"),
    responses((status = 200, description = "The connection", body = ConnectionView)))]
pub(crate) async fn update(
    State(gateway): State<Arc<Gateway>>,
    PathValue(wanted): PathValue<String>,
    JsonBody(patch): JsonBody<Value>,
) -> Result<Response, ApiError> {
    let connection = put(&gateway, |current| {
        let existing = find(current, &wanted)?;
        let mut settings = serde_json::to_value(ConnectionInput::from(existing)).unwrap_or_default();
        merge(&mut settings, patch);
        Ok((Some(existing), from_value(settings)?))
    })
    .await?;
    Ok(Json(ConnectionView::from(&connection)).into_response())
}

/// Delete a connection. Its deliveries stay.
#[utoipa::path(delete, path = "/api/v1/connections/{connection}", tag = "configuration",
    operation_id = "delete_connection", params(("connection" = String, Path, description = "Id")),
    responses((status = 204, description = "It is gone")))]
pub(crate) async fn delete(
    State(gateway): State<Arc<Gateway>>,
    PathValue(wanted): PathValue<String>,
) -> Result<StatusCode, ApiError> {
    let gone = |current: &Configuration| {
        let id = find(current, &wanted)?.id;
        Ok((vec![ConfigurationChange::DeleteConnection(id)], ()))
    };
    change(&gateway, gone).await?;
    Ok(StatusCode::NO_CONTENT)
}

fn find<'c>(configuration: &'c Configuration, wanted: &str) -> Result<&'c Connection, ApiError> {
    let id = wanted.parse::<ConnectionId>().ok();
    let found = configuration.connections.iter().find(|connection| Some(connection.id) == id);
    found.ok_or_else(|| ApiError::not_found(Kind::Connection, wanted))
}

async fn put(
    gateway: &Gateway,
    decide: impl FnOnce(&Configuration) -> Result<(Option<&Connection>, ConnectionInput), ApiError>,
) -> Result<Connection, ApiError> {
    let decide = |current: &Configuration| {
        let (existing, input) = decide(current)?;
        if existing.is_none() {
            check_room(Kind::Connection, current.connections.len())?;
        }
        let (source, destination) = ends(current, &input)?;
        let connection = Connection {
            id: existing.map_or_else(|| gateway.ids.connection(), |connection| connection.id),
            source: source.id,
            destination: destination.id,
            enabled: input.enabled,
            created_at: existing.map_or_else(|| gateway.clock.now(), |connection| connection.created_at),
        };
        check(current, &connection, source, destination)?;
        Ok((vec![ConfigurationChange::PutConnection(connection.clone())], connection))
    };
    change(gateway, decide).await
}

fn ends<'c>(current: &'c Configuration, input: &ConnectionInput) -> Result<(&'c Source, &'c Destination), ApiError> {
    let source = sources::find(current, &input.source);
    let source = source.map_err(|_| ApiError::reference(Kind::Source, &input.source))?;
    let destination = destinations::find(current, &input.destination);
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
