//! List, create, show, change and delete destinations.

use std::sync::Arc;

use axum::Json;
use axum::extract::State;
use axum::response::{IntoResponse, Response};
use http::{HeaderValue, StatusCode, header};
use serde_json::Value;
use spillway_model::{Configuration, ConfigurationChange, Destination, Secret};
use spillway_signature::generate_secret;

use super::find;
use super::input::{DestinationInput, check, check_caller};
use super::view::{DestinationView, DestinationWithSecret};
use crate::api::access::Caller;
use crate::api::body::{JsonBody, from_value};
use crate::api::caching::versioned;
use crate::api::change::{change, check_room};
use crate::api::error::{ApiError, Kind};
use crate::api::merge::merge;
use crate::api::page::{List, PageRequest};
use crate::api::path::PathValue;
use crate::api::query::{ListQuery, Parameters};
use crate::gateway::Gateway;

/// List destinations, the oldest first.
#[utoipa::path(get, path = "/api/v1/destinations", tag = "configuration", operation_id = "list_destinations",
    params(ListQuery), responses((status = 200, description = "A page of destinations", body = List<DestinationView>)))]
pub(crate) async fn list(
    State(gateway): State<Arc<Gateway>>,
    Parameters(query): Parameters<ListQuery>,
) -> Result<Response, ApiError> {
    let page = PageRequest::of::<DestinationView>(&query)?;
    let configuration = gateway.routing.load().configuration.clone();
    let rows = page.cut(&configuration.destinations, |destination| destination.id.to_u128());
    Ok(versioned(configuration.version, page.answer(rows, DestinationView::from)))
}

/// Create a destination. A signing secret is made unless the request brings one, and shown in this answer only.
#[utoipa::path(post, path = "/api/v1/destinations", tag = "configuration", operation_id = "create_destination",
    request_body = DestinationInput,
    responses((status = 201, description = "The destination, with its new secret", body = DestinationWithSecret)))]
pub(crate) async fn create(
    State(gateway): State<Arc<Gateway>>,
    caller: Caller,
    JsonBody(mut input): JsonBody<DestinationInput>,
) -> Result<Response, ApiError> {
    let generated = input.signing_secrets.is_none().then(|| Secret::new(generate_secret(rand::random())));
    if let Some(secret) = &generated {
        input.signing_secrets = Some(vec![secret.clone()]);
    }
    let destination = put(&gateway, caller, |_| Ok((None, input))).await?;
    let location = format!("/api/v1/destinations/{}", destination.id);
    Ok((StatusCode::CREATED, [(header::LOCATION, location)], with_secret(&destination, generated)).into_response())
}

/// Show a destination.
#[utoipa::path(get, path = "/api/v1/destinations/{destination}", tag = "configuration",
    operation_id = "show_destination", params(("destination" = String, Path, description = "Id or name")),
    responses((status = 200, description = "The destination", body = DestinationView)))]
pub(crate) async fn show(
    State(gateway): State<Arc<Gateway>>,
    PathValue(wanted): PathValue<String>,
) -> Result<Response, ApiError> {
    let configuration = gateway.routing.load().configuration.clone();
    let destination = find(&configuration, &wanted)?;
    Ok(versioned(configuration.version, Json(DestinationView::from(destination)).into_response()))
}

/// Replace the settings of a destination. Headers and signing secrets that are left out stay; so does its state.
#[utoipa::path(put, path = "/api/v1/destinations/{destination}", tag = "configuration",
    operation_id = "replace_destination", params(("destination" = String, Path, description = "Id or name")),
    request_body = DestinationInput,
    responses((status = 200, description = "The destination", body = DestinationView)))]
pub(crate) async fn replace(
    State(gateway): State<Arc<Gateway>>,
    caller: Caller,
    PathValue(wanted): PathValue<String>,
    JsonBody(input): JsonBody<DestinationInput>,
) -> Result<Response, ApiError> {
    let destination = put(&gateway, caller, |current| Ok((Some(find(current, &wanted)?), input))).await?;
    Ok(Json(DestinationView::from(&destination)).into_response())
}

/// Change some settings of a destination, as a JSON merge patch (RFC 7396).
#[utoipa::path(patch, path = "/api/v1/destinations/{destination}", tag = "configuration",
    operation_id = "update_destination", params(("destination" = String, Path, description = "Id or name")),
    request_body(content = Object, content_type = "application/merge-patch+json"),
    responses((status = 200, description = "The destination", body = DestinationView)))]
pub(crate) async fn update(
    State(gateway): State<Arc<Gateway>>,
    caller: Caller,
    PathValue(wanted): PathValue<String>,
    JsonBody(patch): JsonBody<Value>,
) -> Result<Response, ApiError> {
    let destination = put(&gateway, caller, |current| {
        let existing = find(current, &wanted)?;
        let mut settings = serde_json::to_value(DestinationInput::from(existing)).unwrap_or_default();
        merge(&mut settings, patch);
        Ok((Some(existing), from_value(settings)?))
    })
    .await?;
    Ok(Json(DestinationView::from(&destination)).into_response())
}

/// Delete a destination and its connections. Its pending deliveries are cancelled when they come up.
#[utoipa::path(delete, path = "/api/v1/destinations/{destination}", tag = "configuration",
    operation_id = "delete_destination", params(("destination" = String, Path, description = "Id or name")),
    responses((status = 204, description = "It is gone")))]
pub(crate) async fn delete(
    State(gateway): State<Arc<Gateway>>,
    PathValue(wanted): PathValue<String>,
) -> Result<StatusCode, ApiError> {
    let gone = |current: &Configuration| {
        let id = find(current, &wanted)?.id;
        Ok((vec![ConfigurationChange::DeleteDestination(id)], ()))
    };
    change(&gateway, gone).await?;
    Ok(StatusCode::NO_CONTENT)
}

/// The answer that shows a new secret; nothing on its way may keep it.
pub(super) fn with_secret(destination: &Destination, signing_secret: Option<Secret>) -> Response {
    let shown = DestinationWithSecret { destination: DestinationView::from(destination), signing_secret };
    let mut response = Json(shown).into_response();
    response.headers_mut().insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
    response
}

async fn put(
    gateway: &Gateway,
    caller: Caller,
    decide: impl FnOnce(&Configuration) -> Result<(Option<&Destination>, DestinationInput), ApiError>,
) -> Result<Destination, ApiError> {
    let decide = |current: &Configuration| {
        let (existing, input) = decide(current)?;
        if existing.is_none() {
            check_room(Kind::Destination, current.destinations.len())?;
        }
        let destination = input.apply(existing, gateway);
        check_caller(caller, existing, &destination)?;
        if current.destinations.iter().any(|other| other.name == destination.name && other.id != destination.id) {
            return Err(ApiError::name_taken(Kind::Destination, destination.name.as_str()));
        }
        check(&destination, gateway)?;
        Ok((vec![ConfigurationChange::PutDestination(destination.clone())], destination))
    };
    change(gateway, decide).await
}
