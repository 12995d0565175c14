use std::sync::Arc;

use axum::Json;
use axum::extract::State;
use axum::response::{IntoResponse, Response};
use data_encoding::BASE64URL_NOPAD;
use http::{HeaderMap, HeaderValue, StatusCode, header};
use ring::digest::{SHA256, digest};
use serde::{Deserialize, Serialize};
use spillway_model::{ApiKey, Configuration, KeyHash, KeyId, Rate, Scope, Secret};
use utoipa::ToSchema;

use super::access;
use super::body::JsonBody;
use super::change::{change, check_room};
use super::entry;
use super::error::{ApiError, Kind};
use super::page::List;
use super::path::PathValue;
use super::query::{ListQuery, Parameters};
use super::tag::{Tagged, Target};
use super::timestamp::Timestamp;
use crate::gateway::Gateway;

/// What the text of a key begins with.
const PREFIX: &str = "spk_";
/// Longest name of a key, in characters.
const MAX_NAME_CHARS: usize = 100;

/// A new key's text: `spk_` and 32 random bytes in base64url, 43 characters.
#[must_use]
pub fn generate() -> Secret {
    let random: [u8; 32] = rand::random();
    Secret::new(format!("{PREFIX}{}", BASE64URL_NOPAD.encode(&random)))
}

/// What is stored of a key's text, and what it is found by.
#[must_use]
pub fn hash(text: &str) -> KeyHash {
    let mut hash = KeyHash::default();
    hash.copy_from_slice(digest(&SHA256, text.as_bytes()).as_ref());
    hash
}

/// A key of the API. Its text is not kept.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct KeyView {
    /// Identifier.
    #[schema(value_type = String, example = "key_01k9zv5w3hf6p8r2t4x6y8a0b2")]
    id: KeyId,
    /// What its owner calls it.
    name: String,
    /// `read`, `write` or `admin`; each includes those before it.
    #[schema(value_type = String, example = "write")]
    scope: Scope,
    /// Requests allowed with this key, such as `100/s`; null for the server's default.
    #[schema(value_type = Option<String>)]
    rate_limit: Option<Rate>,
    /// When it was made.
    #[schema(value_type = String, format = DateTime)]
    created_at: Timestamp,
}

impl From<&ApiKey> for KeyView {
    fn from(key: &ApiKey) -> Self {
        Self {
            id: key.id,
            name: key.name.clone(),
            scope: key.scope,
            rate_limit: key.rate_limit,
            created_at: Timestamp(key.created_at),
        }
    }
}

/// A key with its text. This is the only time that the text is shown.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct KeyWithText {
    #[serde(flatten)]
    view: KeyView,
    /// What to send as `Authorization: Bearer …`.
    #[schema(value_type = String)]
    key: Secret,
}

/// What to set about a new key.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct KeyInput {
    /// What its owner calls it, unique: 1 to 100 characters.
    name: String,
    /// `read`, `write` or `admin`; each includes those before it.
    #[schema(value_type = String, example = "write")]
    scope: Scope,
    /// Requests allowed with this key, such as `100/s`.
    #[schema(value_type = Option<String>)]
    rate_limit: Option<Rate>,
}

/// List keys, the oldest first.
#[utoipa::path(get, path = "/api/v1/keys", tag = "keys", operation_id = "list_keys", params(ListQuery),
    responses((status = 200, description = "A page of keys", body = List<KeyView>)))]
pub(crate) async fn list(
    State(gateway): State<Arc<Gateway>>,
    Parameters(query): Parameters<ListQuery>,
) -> Result<Response, ApiError> {
    entry::list::<ApiKey>(&gateway, &query)
}

/// Show the key that asks: what it is called, and what it may do.
#[utoipa::path(get, path = "/api/v1/key", tag = "keys", operation_id = "show_own_key",
    responses((status = 200, description = "The key of this request", body = KeyView)))]
pub(crate) async fn own(State(gateway): State<Arc<Gateway>>, headers: HeaderMap) -> Result<Response, ApiError> {
    let key = access::authenticate(&gateway, &headers)?;
    Ok(Json(KeyView::from(&key)).into_response())
}

/// Make a key. Its text is shown in this answer only.
#[utoipa::path(post, path = "/api/v1/keys", tag = "keys", operation_id = "create_key", request_body = KeyInput,
    responses((status = 201, description = "The key with its text", body = KeyWithText)))]
pub(crate) async fn create(
    State(gateway): State<Arc<Gateway>>,
    JsonBody(input): JsonBody<KeyInput>,
) -> Result<Response, ApiError> {
    let name = input.name;
    if name.trim().is_empty() || name.chars().count() > MAX_NAME_CHARS || name.chars().any(char::is_control) {
        let reason = format!("it must have 1 to {MAX_NAME_CHARS} characters, none of them a control character");
        return Err(ApiError::invalid("name", reason));
    }
    let text = generate();
    let key = ApiKey {
        id: gateway.ids.key(),
        name,
        scope: input.scope,
        hash: hash(text.expose()),
        rate_limit: input.rate_limit,
        created_at: gateway.clock.now(),
    };
    let made = |current: &Configuration| {
        check_room(Kind::Key, current.keys.len())?;
        entry::put(key.clone(), current)
    };
    let made = change(&gateway, made).await?;
    let shown = KeyWithText { view: KeyView::from(&made.entry), key: text };
    let mut response = made.answer(StatusCode::CREATED, &shown);
    // Tags depend on the keys there are, and now there is another one.
    response.headers_mut().remove(header::ETAG);
    response.headers_mut().insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
    Ok(response)
}

/// Show a key.
#[utoipa::path(get, path = "/api/v1/keys/{key}", tag = "keys", operation_id = "show_key",
    params(("key" = String, Path, description = "Id or name")),
    responses((status = 200, description = "The key", body = KeyView)))]
pub(crate) async fn show(
    State(gateway): State<Arc<Gateway>>,
    PathValue(wanted): PathValue<String>,
) -> Result<Tagged<ApiKey>, ApiError> {
    entry::show(&gateway, &wanted)
}

/// Delete a key: requests with it are refused from now on. The last one with scope admin stays.
#[utoipa::path(delete, path = "/api/v1/keys/{key}", tag = "keys", operation_id = "delete_key",
    params(("key" = String, Path, description = "Id or name")),
    responses((status = 204, description = "It is gone")))]
pub(crate) async fn delete(State(gateway): State<Arc<Gateway>>, target: Target) -> Result<StatusCode, ApiError> {
    let another_administrator = |key: &ApiKey, current: &Configuration| {
        if current.keys.iter().any(|other| other.id != key.id && other.scope == Scope::Admin) {
            return Ok(());
        }
        let reason = "No other key has scope admin, so nobody could make keys any more. Make another one first.";
        Err(ApiError::Conflict { code: "last_admin_key", reason: reason.to_owned() })
    };
    entry::delete(&gateway, &target, another_administrator).await
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_are_43_characters_of_base64url_after_the_prefix_and_never_the_same() {
        let (one, other) = (generate(), generate());
        let random = one.expose().strip_prefix("spk_").expect("the prefix");
        assert_eq!(random.len(), 43);
        assert!(random.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-' || b == b'_'));
        assert_ne!(one, other);
        assert_ne!(hash(one.expose()), hash(other.expose()));
    }
}
