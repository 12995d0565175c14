//! Entity tags of single entries: who changes what he read can have it refused when it is no longer that.

use std::convert::Infallible;

use axum::Json;
use axum::extract::{FromRequestParts, RawPathParams};
use axum::response::{IntoResponse, Response};
use data_encoding::HEXLOWER;
use http::request::Parts;
use http::{HeaderMap, HeaderValue, StatusCode, header};
use ring::hmac;
use serde::Serialize;
use spillway_model::Configuration;

use super::entry::{Entry, find};
use super::error::ApiError;

/// An entry with its entity tag.
#[derive(Debug)]
pub(crate) struct Tagged<E> {
    pub(crate) entry: E,
    tag: HeaderValue,
}

impl<E: Entry> Tagged<E> {
    pub(crate) fn new(entry: E, configuration: &Configuration) -> Self {
        let tag = tag_of(&entry, configuration);
        Self { entry, tag }
    }

    /// Answers with the entry as `shown`. A new one comes with its place.
    pub(crate) fn answer(&self, status: StatusCode, shown: &impl Serialize) -> Response {
        let mut response = (status, [(header::ETAG, self.tag.clone())], Json(shown)).into_response();
        if status == StatusCode::CREATED {
            let place = format!("/api/v1/{}s/{}", E::KIND.word(), self.entry.id());
            response.headers_mut().extend(HeaderValue::try_from(place).map(|place| (header::LOCATION, place)));
        }
        response
    }

    /// Answers 201 with the entry as the API shows it.
    pub(crate) fn created(&self) -> Response {
        self.answer(StatusCode::CREATED, &E::View::from(&self.entry))
    }
}

impl<E: Entry> IntoResponse for Tagged<E> {
    fn into_response(self) -> Response {
        self.answer(StatusCode::OK, &E::View::from(&self.entry))
    }
}

/// A strong tag of all that is stored of an entry, secrets included. It is keyed with the hashes of the API keys, which every node
/// knows and nobody is shown: without a key, whoever may read could try secrets against it.
pub(crate) fn tag_of(entry: &impl Serialize, configuration: &Configuration) -> HeaderValue {
    let hashes: Vec<u8> = configuration.keys.iter().flat_map(|key| key.hash).collect();
    let document = serde_json::to_vec(entry).unwrap_or_default();
    let code = hmac::sign(&hmac::Key::new(hmac::HMAC_SHA256, &hashes), &document);
    let tag = format!("\"{}\"", HEXLOWER.encode(&code.as_ref()[..16]));
    HeaderValue::try_from(tag).unwrap_or(HeaderValue::from_static("\"\""))
}

/// The entry that the path names first, and the tags that `If-Match` allows it to have.
#[derive(Debug)]
pub(crate) struct Target {
    wanted: String,
    condition: Option<String>,
}

impl Target {
    /// The entry, if it is there and is what the request expects it to be.
    pub(crate) fn find<'c, E: Entry>(&self, configuration: &'c Configuration) -> Result<&'c E, ApiError> {
        let entry = find::<E>(configuration, &self.wanted)?;
        match &self.condition {
            Some(condition) if !allows(condition, &tag_of(entry, configuration)) => {
                Err(ApiError::precondition(E::KIND, &self.wanted))
            }
            _ => Ok(entry),
        }
    }
}

/// What `If-Match` says about something that there is only one of.
#[derive(Debug)]
pub(crate) struct Condition(Option<String>);

impl Condition {
    /// Whether it allows the change of what is stored like this.
    pub(crate) fn allows(&self, stored: &impl Serialize, configuration: &Configuration) -> bool {
        self.0.as_ref().is_none_or(|condition| allows(condition, &tag_of(stored, configuration)))
    }
}

impl<S: Send + Sync> FromRequestParts<S> for Condition {
    type Rejection = Infallible;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Infallible> {
        Ok(Self(condition(&parts.headers)))
    }
}

impl<S: Send + Sync> FromRequestParts<S> for Target {
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, ApiError> {
        let path = RawPathParams::from_request_parts(parts, state).await.map_err(|_| ApiError::Path)?;
        let wanted = path.iter().next().map(|(_, value)| value.to_owned()).unwrap_or_default();
        Ok(Self { wanted, condition: condition(&parts.headers) })
    }
}

/// All tags of `If-Match`; what cannot be read is no tag of ours.
fn condition(headers: &HeaderMap) -> Option<String> {
    let lines = headers.get_all(header::IF_MATCH).iter().map(|line| line.to_str().unwrap_or_default());
    lines.map(str::to_owned).reduce(|all, line| format!("{all},{line}"))
}

/// Strong comparison (RFC 9110, sections 8.8.3.2 and 13.1.1). Our tags hold no comma.
fn allows(condition: &str, tag: &HeaderValue) -> bool {
    condition.trim() == "*" || condition.split(',').any(|one| one.trim().as_bytes() == tag.as_bytes())
}
