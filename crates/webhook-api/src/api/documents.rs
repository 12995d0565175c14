//! Documents that others publish here to be seen: rollouts and results of load tests.

use std::sync::Arc;

use axum::extract::{FromRequest, Request};
use bytes::Bytes;
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;
use spillway_model::UnixMillis;
use spillway_store::{DOCUMENT_LIMIT_BYTES, Document};

use super::access::Caller;
use super::body::{check_media_type, parse};
use super::error::ApiError;
use crate::gateway::Gateway;
use crate::intake::{IntakeError, read_body};

/// What is kept beside the content: who and when.
const ENVELOPE_BYTES: usize = 4 * 1_024;
/// Largest content of a document.
pub(super) const MAX_CONTENT_BYTES: u64 = (DOCUMENT_LIMIT_BYTES - ENVELOPE_BYTES) as u64;
/// Longest name of a document.
const MAX_NAME_BYTES: usize = 150;

/// Content with who put it there, as it is stored.
#[derive(Debug, Serialize, Deserialize)]
pub(super) struct Kept {
    /// Name of the key.
    pub(super) by: String,
    /// The content, byte by byte.
    pub(super) content: Box<RawValue>,
}

/// A JSON body as large as a document may be.
pub(super) struct Content(pub(super) Bytes);

impl FromRequest<Arc<Gateway>> for Content {
    type Rejection = ApiError;

    async fn from_request(request: Request, gateway: &Arc<Gateway>) -> Result<Self, ApiError> {
        check_media_type(request.headers())?;
        let body = read_body(request.into_body(), MAX_CONTENT_BYTES, gateway.limits.body_timeout).await;
        body.map(Self).map_err(|error| match error {
            IntakeError::TooLarge { limit } => ApiError::BodyTooLarge { limit },
            other => other.into(),
        })
    }
}

/// Keeps `content` under this name.
pub(super) async fn keep(
    gateway: &Gateway,
    kind: &str,
    key: String,
    caller: Caller,
    content: &impl Serialize,
) -> Result<UnixMillis, ApiError> {
    let at = gateway.clock.now();
    let content = serde_json::value::to_raw_value(content);
    let content = content.map_err(|error| ApiError::invalid("the body", error.to_string()))?;
    let kept = Kept { by: name_of(gateway, caller), content };
    let body = serde_json::to_vec(&kept).unwrap_or_default().into();
    gateway.store.put_document(Document { kind: kind.to_owned(), key, at, body }).await?;
    Ok(at)
}

/// Name of the caller's key.
pub(super) fn name_of(gateway: &Gateway, caller: Caller) -> String {
    gateway.routing.load().key(&caller.key).map(|key| key.name.clone()).unwrap_or_default()
}

/// What a document holds; `None` when another version wrote it.
pub(super) fn content_of<T: DeserializeOwned>(document: &Document) -> Option<(String, T)> {
    let kept: Kept = serde_json::from_slice(&document.body).ok()?;
    Some((kept.by, serde_json::from_str(kept.content.get()).ok()?))
}

/// Checks the name of a document.
pub(super) fn check_name(field: &'static str, name: &str) -> Result<(), ApiError> {
    let is_allowed = |byte: u8| byte.is_ascii_alphanumeric() || b"._-".contains(&byte);
    if name.is_empty() || name.len() > MAX_NAME_BYTES || !name.bytes().all(is_allowed) {
        let reason =
            format!("it must have 1 to {MAX_NAME_BYTES} of the characters A-Z, a-z, 0-9, \".\", \"_\" and \"-\"");
        return Err(ApiError::invalid(field, reason));
    }
    Ok(())
}

/// The JSON object in a body, byte by byte.
pub(super) fn object(body: &[u8]) -> Result<Box<RawValue>, ApiError> {
    let value: Box<RawValue> = parse(body)?;
    if !value.get().starts_with('{') {
        return Err(ApiError::invalid("the body", "it must be a JSON object"));
    }
    Ok(value)
}
