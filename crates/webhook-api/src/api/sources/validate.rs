//! `POST /api/v1/sources/{source}/validate`: a body tried against event types.

use std::sync::Arc;

use axum::Json;
use axum::extract::State;
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;
use spillway_model::{EventType, Source, Validation};
use utoipa::ToSchema;

use super::EventTypeInput;
use crate::api::body::JsonBody;
use crate::api::entry::find;
use crate::api::error::ApiError;
use crate::api::path::PathValue;
use crate::gateway::Gateway;
use crate::rules::{CompiledRules, EventTypes, check_event_types};

/// An event to look at. Nothing is stored.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct Sample {
    /// The sender's name for the kind of event.
    r#type: Option<String>,
    /// Its body.
    #[schema(value_type = Object)]
    body: Box<RawValue>,
    /// Event types to check it against in place of the source's.
    event_types: Option<Vec<EventTypeInput>>,
}

/// Whether an event would be taken.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct Validity {
    /// Whether it is one of the event types and satisfies its schema.
    valid: bool,
    /// Why it is not; null when it is.
    reason: Option<String>,
    /// What the source does with events that are not valid.
    #[schema(value_type = String)]
    validation: Validation,
}

/// Check a body against the event types of a source, or against others. Nothing is stored.
#[utoipa::path(post, path = "/api/v1/sources/{source}/validate", tag = "configuration", operation_id = "validate_event",
    params(("source" = String, Path, description = "Id or name")), request_body = Sample,
    responses((status = 200, description = "Whether it is valid", body = Validity)))]
pub(crate) async fn validate(
    State(gateway): State<Arc<Gateway>>,
    PathValue(wanted): PathValue<String>,
    JsonBody(sample): JsonBody<Sample>,
) -> Result<Json<Validity>, ApiError> {
    let configuration = gateway.routing.load().configuration.clone();
    let source: &Source = find(&configuration, &wanted)?;
    let types = match sample.event_types {
        Some(types) => types.into_iter().map(EventType::from).collect(),
        None => source.event_types.clone(),
    };
    check_event_types(&types).map_err(|reason| ApiError::invalid("event_types", reason))?;
    let reason = if types.is_empty() {
        None
    } else {
        let types = EventTypes::new(&types, &mut CompiledRules::default());
        types.check(sample.r#type.as_deref(), sample.body.get().as_bytes()).err()
    };
    Ok(Json(Validity { valid: reason.is_none(), reason, validation: source.validation }))
}
