//! List, create, show, change and delete destinations.

use std::sync::Arc;

use axum::extract::State;
use axum::response::Response;
use http::{HeaderValue, StatusCode, header};
use serde_json::Value;
use spillway_model::{Destination, Secret};
use spillway_signature::generate_secret;

use super::input::DestinationInput;
use super::view::{DestinationView, DestinationWithSecret};
use crate::api::access::Caller;
use crate::api::body::JsonBody;
use crate::api::entry;
use crate::api::error::ApiError;
use crate::api::page::List;
use crate::api::path::PathValue;
use crate::api::query::{ListQuery, Parameters};
use crate::api::tag::{Tagged, Target};
use crate::gateway::Gateway;

/// List destinations, the oldest first.
#[utoipa::path(get, path = "/api/v1/destinations", tag = "configuration", operation_id = "list_destinations",
    params(ListQuery), responses((status = 200, description = "A page of destinations", body = List<DestinationView>)))]
pub(crate) async fn list(
    State(gateway): State<Arc<Gateway>>,
    Parameters(query): Parameters<ListQuery>,
) -> Result<Response, ApiError> {
    entry::list::<Destination>(&gateway, &query)
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
    let made = entry::create(&gateway, caller, input).await?;
    Ok(with_secret(StatusCode::CREATED, &made, generated))
}

/// Show a destination.
#[utoipa::path(get, path = "/api/v1/destinations/{destination}", tag = "configuration",
    operation_id = "show_destination", params(("destination" = String, Path, description = "Id or name")),
    responses((status = 200, description = "The destination", body = DestinationView)))]
pub(crate) async fn show(
    State(gateway): State<Arc<Gateway>>,
    PathValue(wanted): PathValue<String>,
) -> Result<Tagged<Destination>, ApiError> {
    entry::show(&gateway, &wanted)
}

/// Replace the settings of a destination. Headers and signing secrets that are left out stay; so does its state.
#[utoipa::path(put, path = "/api/v1/destinations/{destination}", tag = "configuration",
    operation_id = "replace_destination", params(("destination" = String, Path, description = "Id or name")),
    request_body = DestinationInput,
    responses((status = 200, description = "The destination", body = DestinationView)))]
pub(crate) async fn replace(
    State(gateway): State<Arc<Gateway>>,
    caller: Caller,
    target: Target,
    JsonBody(input): JsonBody<DestinationInput>,
) -> Result<Tagged<Destination>, ApiError> {
    entry::replace(&gateway, caller, &target, input).await
}

/// Change some settings of a destination, as a JSON merge patch (RFC 7396).
#[utoipa::path(patch, path = "/api/v1/destinations/{destination}", tag = "configuration",
    operation_id = "update_destination", params(("destination" = String, Path, description = "Id or name")),
    request_body(content = Object, content_type = "application/merge-patch+json"),
    responses((status = 200, description = "The destination", body = DestinationView)))]
pub(crate) async fn update(
    State(gateway): State<Arc<Gateway>>,
    caller: Caller,
    target: Target,
    JsonBody(patch): JsonBody<Value>,
) -> Result<Tagged<Destination>, ApiError> {
    entry::update(&gateway, caller, &target, &patch).await
}

/// Delete a destination and its connections. Its pending deliveries are cancelled when they come up.
#[utoipa::path(delete, path = "/api/v1/destinations/{destination}", tag = "configuration",
    operation_id = "delete_destination", params(("destination" = String, Path, description = "Id or name")),
    responses((status = 204, description = "It is gone")))]
pub(crate) async fn delete(State(gateway): State<Arc<Gateway>>, target: Target) -> Result<StatusCode, ApiError> {
    entry::delete::<Destination>(&gateway, &target, |_, _| Ok(())).await
}

/// The answer that shows a new secret; nothing on its way may keep it.
pub(super) fn with_secret(
    status: StatusCode,
    destination: &Tagged<Destination>,
    signing_secret: Option<Secret>,
) -> Response {
    let shown = DestinationWithSecret { destination: DestinationView::from(&destination.entry), signing_secret };
    let mut response = destination.answer(status, &shown);
    response.headers_mut().insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
    response
}
