//! JSON bodies: bounded, and refused with a place and a reason.

use std::sync::Arc;

use axum::extract::{FromRequest, Request};
use bytes::Bytes;
use http::{HeaderMap, header};
use serde::Deserialize;
use serde::de::DeserializeOwned;
use serde_json::error::Category;

use super::error::ApiError;
use super::suggest::with_nearest_field;
use crate::gateway::Gateway;
use crate::intake::{IntakeError, read_body};

/// Largest body of a management request.
pub(crate) const MAX_BODY_BYTES: u64 = 64 * 1_024;

/// A JSON body of at most 64 KiB.
pub(crate) struct JsonBody<T>(pub(crate) T);

impl<T: DeserializeOwned> FromRequest<Arc<Gateway>> for JsonBody<T> {
    type Rejection = ApiError;

    async fn from_request(request: Request, gateway: &Arc<Gateway>) -> Result<Self, ApiError> {
        check_media_type(request.headers())?;
        parse(&read(request, gateway).await?).map(Self)
    }
}

/// A JSON body that may be missing; its default then.
pub(crate) struct OptionalJsonBody<T>(pub(crate) T);

impl<T: DeserializeOwned + Default> FromRequest<Arc<Gateway>> for OptionalJsonBody<T> {
    type Rejection = ApiError;

    async fn from_request(request: Request, gateway: &Arc<Gateway>) -> Result<Self, ApiError> {
        let media_type = check_media_type(request.headers());
        let body = read(request, gateway).await?;
        if body.is_empty() {
            return Ok(Self(T::default()));
        }
        media_type?;
        parse(&body).map(Self)
    }
}

async fn read(request: Request, gateway: &Gateway) -> Result<Bytes, ApiError> {
    let body = read_body(request.into_body(), MAX_BODY_BYTES, gateway.limits.body_timeout).await;
    body.map_err(|error| match error {
        IntakeError::TooLarge { limit } => ApiError::BodyTooLarge { limit },
        other => other.into(),
    })
}

/// Accepts `application/json` and every `application/…+json`, such as a merge patch.
pub(crate) fn check_media_type(headers: &HeaderMap) -> Result<(), ApiError> {
    let given = headers.get(header::CONTENT_TYPE).map_or(b"".as_slice(), |value| value.as_bytes());
    let given = String::from_utf8_lossy(given);
    let essence = given.split(';').next().unwrap_or_default().trim().to_ascii_lowercase();
    let subtype = essence.strip_prefix("application/").unwrap_or_default();
    if subtype == "json" || subtype.ends_with("+json") {
        Ok(())
    } else {
        Err(ApiError::MediaType { given: given.chars().take(100).collect() })
    }
}

/// The value in `json`, or the place and the reason why it is none.
pub(crate) fn parse<'de, T: Deserialize<'de>>(json: &'de [u8]) -> Result<T, ApiError> {
    let mut deserializer = serde_json::Deserializer::from_slice(json);
    let value = serde_path_to_error::deserialize(&mut deserializer).map_err(refusal)?;
    deserializer.end().map_err(|error| malformed(&error))?;
    Ok(value)
}

/// The value that `json` stands for, or the place and the reason why it cannot.
pub(crate) fn from_value<T: DeserializeOwned>(json: serde_json::Value) -> Result<T, ApiError> {
    serde_path_to_error::deserialize(json).map_err(refusal)
}

fn refusal(error: serde_path_to_error::Error<serde_json::Error>) -> ApiError {
    let path = error.path().to_string();
    let inner = error.into_inner();
    match inner.classify() {
        Category::Data => {
            let path = if path == "." { String::new() } else { path };
            ApiError::JsonInvalid { path, reason: with_nearest_field(&inner.to_string()) }
        }
        Category::Io | Category::Syntax | Category::Eof => malformed(&inner),
    }
}

fn malformed(error: &serde_json::Error) -> ApiError {
    let text = error.to_string();
    let reason = text.split(" at line ").next().unwrap_or(&text).to_owned();
    ApiError::JsonMalformed { line: error.line(), column: error.column(), reason }
}
