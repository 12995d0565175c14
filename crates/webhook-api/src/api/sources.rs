//! `/api/v1/sources`: where events come from.

mod retention;
pub(super) mod validate;

use std::sync::Arc;

use axum::extract::State;
use axum::response::Response;
use http::StatusCode;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};
use spillway_model::{Configuration, EventType, Name, Rate, Retention, Secret, Source, SourceId, Validation};
use spillway_signature::MAX_SECRETS;
use utoipa::ToSchema;

use super::access::Caller;
use super::body::JsonBody;
use super::entry::{self, Circumstances, Settable};
use super::error::{ApiError, Kind};
use super::page::List;
use super::path::PathValue;
use super::query::{ListQuery, Parameters};
use super::secrets::{SecretView, check_references};
use super::tag::{Tagged, Target};
use super::timestamp::Timestamp;
use crate::gateway::Gateway;
use crate::routing::prepare;
use crate::rules::check_event_types;
use retention::RetentionView;

/// The largest body that a source may allow.
const MAX_BODY_LIMIT: u64 = 64 << 20;

/// A source.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct SourceView {
    /// Identifier.
    #[schema(value_type = String, example = "src_01k9zv5w3hf6p8r2t4x6y8a0b2")]
    id: SourceId,
    /// The last part of the intake path, unique.
    #[schema(value_type = String, example = "github")]
    name: Name,
    /// The signature scheme.
    #[schema(example = "github")]
    provider: String,
    /// One entry for each secret, in their order. The texts are never shown.
    secrets: Vec<SecretView>,
    /// Options of the scheme.
    #[schema(value_type = Object)]
    scheme: Map<String, Value>,
    /// Requests that are admitted, such as `100/s`; null for no limit of its own.
    #[schema(value_type = Option<String>)]
    rate_limit: Option<Rate>,
    /// Largest body in bytes; null for the server's limit.
    max_body_bytes: Option<u64>,
    /// A disabled source answers 404.
    enabled: bool,
    /// Kinds of events that come from here; empty for any, unchecked.
    event_types: Vec<EventTypeInput>,
    /// What becomes of events that are none of these kinds: `off`, `reject` or `quarantine`.
    #[schema(value_type = String, example = "quarantine")]
    validation: Validation,
    /// How long its events are kept where that differs from the server's setting; null where it does not.
    retention: Option<RetentionView>,
    /// When it was made.
    #[schema(value_type = String, format = DateTime)]
    created_at: Timestamp,
}

impl From<&Source> for SourceView {
    fn from(source: &Source) -> Self {
        Self {
            id: source.id,
            name: source.name.clone(),
            provider: source.provider.clone(),
            secrets: source.secrets.iter().map(SecretView::from).collect(),
            scheme: source.scheme.clone(),
            rate_limit: source.rate_limit,
            max_body_bytes: source.max_body_bytes,
            enabled: source.enabled,
            event_types: source.event_types.iter().cloned().map(EventTypeInput::from).collect(),
            validation: source.validation,
            retention: source.retention.map(RetentionView::from),
            created_at: Timestamp(source.created_at),
        }
    }
}

/// What may be set about a source.
#[derive(Debug, Clone, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct SourceInput {
    /// The last part of the intake path, unique: 1 to 64 letters, digits, '.', '_' or '-'.
    #[schema(value_type = String)]
    name: Name,
    /// The signature scheme, such as `github`, `stripe`, `standard-webhooks`, `hmac` or `none`.
    provider: String,
    /// Secrets, each a literal, `env:NAME` or `file:PATH` (these two need scope admin). Left out of a change, they stay.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<Vec<String>>)]
    secrets: Option<Vec<Secret>>,
    /// Options of the scheme, such as `tolerance`, or `hmac` with the description of a scheme.
    #[serde(default)]
    #[schema(value_type = Object)]
    scheme: Map<String, Value>,
    /// Requests that are admitted, such as `100/s`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<String>)]
    rate_limit: Option<Rate>,
    /// Largest body in bytes, at most 64 MiB.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    max_body_bytes: Option<u64>,
    /// A disabled source answers 404.
    #[serde(default = "yes")]
    enabled: bool,
    /// Kinds of events that come from here, at most 64. Empty: any, unchecked.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    event_types: Vec<EventTypeInput>,
    /// What becomes of events that are none of these kinds, or do not satisfy the schema of theirs: `off` (they are not checked), `reject`
    /// (refused with 422) or `quarantine` (stored and acknowledged, and delivered to nobody).
    #[serde(default, skip_serializing_if = "Validation::is_off")]
    #[schema(value_type = String)]
    validation: Validation,
    /// How long its events are kept where that differs from the server's setting.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    retention: Option<RetentionView>,
}

/// A kind of event.
#[derive(Debug, Clone, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct EventTypeInput {
    /// The sender's name for it, such as `invoice.paid`: 1 to 128 bytes.
    name: String,
    /// JSON Schema (draft 2020-12 unless it names another) that the body must satisfy, without references to other documents; any body
    /// when absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<Object>)]
    schema: Option<Value>,
}

impl From<EventType> for EventTypeInput {
    fn from(EventType { name, schema }: EventType) -> Self {
        Self { name, schema }
    }
}

impl From<EventTypeInput> for EventType {
    fn from(EventTypeInput { name, schema }: EventTypeInput) -> Self {
        Self { name, schema }
    }
}

/// A secret to add to a source.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct SecretInput {
    /// A literal, `env:NAME` or `file:PATH`.
    #[schema(value_type = String)]
    secret: Secret,
}

const fn yes() -> bool {
    true
}

impl From<&Source> for SourceInput {
    /// What a merge patch applies to. Secrets are left out: a patch that says nothing of them leaves them.
    fn from(source: &Source) -> Self {
        Self {
            name: source.name.clone(),
            provider: source.provider.clone(),
            secrets: None,
            scheme: source.scheme.clone(),
            rate_limit: source.rate_limit,
            max_body_bytes: source.max_body_bytes,
            enabled: source.enabled,
            event_types: source.event_types.iter().cloned().map(EventTypeInput::from).collect(),
            validation: source.validation,
            retention: source.retention.map(RetentionView::from),
        }
    }
}

impl Settable for Source {
    type Input = SourceInput;

    fn set(input: SourceInput, existing: Option<&Self>, at: &Circumstances<'_>) -> Result<Self, ApiError> {
        check_references(at.caller, input.secrets.iter().flatten())?;
        let kept = || existing.map(|source| source.secrets.clone()).unwrap_or_default();
        let source = Self {
            event_types: input.event_types.into_iter().map(EventType::from).collect(),
            retention: retention(input.retention)?,
            validation: input.validation,
            id: existing.map_or_else(|| at.gateway.ids.source(), |source| source.id),
            name: input.name,
            provider: input.provider,
            secrets: input.secrets.unwrap_or_else(kept),
            scheme: input.scheme,
            rate_limit: input.rate_limit,
            max_body_bytes: input.max_body_bytes,
            enabled: input.enabled,
            created_at: existing.map_or_else(|| at.gateway.clock.now(), |source| source.created_at),
        };
        check(&source, at.gateway)?;
        Ok(source)
    }
}

/// List sources, the oldest first.
#[utoipa::path(get, path = "/api/v1/sources", tag = "configuration", operation_id = "list_sources", params(ListQuery),
    responses((status = 200, description = "A page of sources", body = List<SourceView>)))]
pub(crate) async fn list(
    State(gateway): State<Arc<Gateway>>,
    Parameters(query): Parameters<ListQuery>,
) -> Result<Response, ApiError> {
    entry::list::<Source>(&gateway, &query)
}

/// Create a source.
#[utoipa::path(post, path = "/api/v1/sources", tag = "configuration", operation_id = "create_source",
    request_body = SourceInput, responses((status = 201, description = "The source", body = SourceView)))]
pub(crate) async fn create(
    State(gateway): State<Arc<Gateway>>,
    caller: Caller,
    JsonBody(input): JsonBody<SourceInput>,
) -> Result<Response, ApiError> {
    Ok(entry::create::<Source>(&gateway, caller, input).await?.created())
}

/// Show a source.
#[utoipa::path(get, path = "/api/v1/sources/{source}", tag = "configuration", operation_id = "show_source",
    params(("source" = String, Path, description = "Id or name")),
    responses((status = 200, description = "The source", body = SourceView)))]
pub(crate) async fn show(
    State(gateway): State<Arc<Gateway>>,
    PathValue(wanted): PathValue<String>,
) -> Result<Tagged<Source>, ApiError> {
    entry::show(&gateway, &wanted)
}

/// Replace the settings of a source. Secrets that are left out stay.
#[utoipa::path(put, path = "/api/v1/sources/{source}", tag = "configuration", operation_id = "replace_source",
    params(("source" = String, Path, description = "Id or name")), request_body = SourceInput,
    responses((status = 200, description = "The source", body = SourceView)))]
pub(crate) async fn replace(
    State(gateway): State<Arc<Gateway>>,
    caller: Caller,
    target: Target,
    JsonBody(input): JsonBody<SourceInput>,
) -> Result<Tagged<Source>, ApiError> {
    entry::replace(&gateway, caller, &target, input).await
}

/// Change some settings of a source, as a JSON merge patch (RFC 7396).
#[utoipa::path(patch, path = "/api/v1/sources/{source}", tag = "configuration", operation_id = "update_source",
    params(("source" = String, Path, description = "Id or name")),
    request_body(content = Object, content_type = "application/merge-patch+json"),
    responses((status = 200, description = "The source", body = SourceView)))]
pub(crate) async fn update(
    State(gateway): State<Arc<Gateway>>,
    caller: Caller,
    target: Target,
    JsonBody(patch): JsonBody<Value>,
) -> Result<Tagged<Source>, ApiError> {
    entry::update(&gateway, caller, &target, &patch).await
}

/// Delete a source and its connections. Its events stay.
#[utoipa::path(delete, path = "/api/v1/sources/{source}", tag = "configuration", operation_id = "delete_source",
    params(("source" = String, Path, description = "Id or name")),
    responses((status = 204, description = "It is gone")))]
pub(crate) async fn delete(State(gateway): State<Arc<Gateway>>, target: Target) -> Result<StatusCode, ApiError> {
    entry::delete::<Source>(&gateway, &target, |_, _| Ok(())).await
}

/// Add a secret to a source. Any secret of a source may verify a request, so add the new one, change the sender, and then
/// remove the old one.
#[utoipa::path(post, path = "/api/v1/sources/{source}/secrets", tag = "configuration", operation_id = "add_source_secret",
    params(("source" = String, Path, description = "Id or name")), request_body = SecretInput,
    responses((status = 200, description = "The source; the new secret is the first", body = SourceView)))]
pub(crate) async fn add_secret(
    State(gateway): State<Arc<Gateway>>,
    caller: Caller,
    target: Target,
    JsonBody(SecretInput { secret }): JsonBody<SecretInput>,
) -> Result<Tagged<Source>, ApiError> {
    check_references(caller, [&secret])?;
    let added = |source: &Source, _: &Configuration| {
        if source.secrets.len() >= MAX_SECRETS {
            let reason =
                format!("A source has at most {MAX_SECRETS} secrets. Remove one that is no longer used first.");
            return Err(ApiError::Conflict { code: "too_many_secrets", reason });
        }
        let mut source = source.clone();
        source.secrets.insert(0, secret.clone());
        check(&source, &gateway)?;
        Ok(source)
    };
    entry::edit(&gateway, &target, added).await
}

/// Remove a secret from a source, by its position in the list, counted from one.
#[utoipa::path(delete, path = "/api/v1/sources/{source}/secrets/{position}", tag = "configuration",
    operation_id = "remove_source_secret",
    params(("source" = String, Path, description = "Id or name"), ("position" = u32, Path, description = "From one")),
    responses((status = 200, description = "The source", body = SourceView)))]
pub(crate) async fn remove_secret(
    State(gateway): State<Arc<Gateway>>,
    target: Target,
    PathValue(path): PathValue<(String, String)>,
) -> Result<Tagged<Source>, ApiError> {
    let (_, position) = path;
    let removed = |source: &Source, _: &Configuration| {
        let index = position.parse::<usize>().ok().and_then(|position| position.checked_sub(1));
        let Some(index) = index.filter(|index| *index < source.secrets.len()) else {
            return Err(ApiError::not_found(Kind::Secret, &position));
        };
        let mut source = source.clone();
        source.secrets.remove(index);
        check(&source, &gateway)?;
        Ok(source)
    };
    entry::edit(&gateway, &target, removed).await
}

/// What is kept for how long; nothing of its own when no time is left in it.
fn retention(given: Option<RetentionView>) -> Result<Option<Retention>, ApiError> {
    let kept = given.map(RetentionView::parse).transpose()?;
    Ok(kept.filter(|kept| *kept != Retention::default()))
}

/// Whether the source could verify requests.
fn check(source: &Source, gateway: &Gateway) -> Result<(), ApiError> {
    if source.max_body_bytes.is_some_and(|limit| !(1..=MAX_BODY_LIMIT).contains(&limit)) {
        return Err(ApiError::invalid("max_body_bytes", format!("it must be from 1 to {MAX_BODY_LIMIT}")));
    }
    check_event_types(&source.event_types).map_err(|reason| ApiError::invalid("event_types", reason))?;
    if source.validation != Validation::Off && source.event_types.is_empty() {
        let reason = "there is nothing to check events against; give event_types too, or leave it off";
        return Err(ApiError::invalid("validation", reason));
    }
    match prepare(source, &gateway.secrets) {
        Ok(_) => Ok(()),
        Err(reason) => Err(ApiError::invalid("provider, secrets or scheme", reason)),
    }
}
