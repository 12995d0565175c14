//! Requests to the management API of a Spillway gateway.

use std::time::Duration;

use bytes::Bytes;
use http::{HeaderValue, Method, Request, header};
use http_body_util::Full;
use serde::Deserialize;
use spillway_model::Secret;
use spillway_rollout::ports::PortError;

use crate::http::{HttpAnswer, HttpClient};

/// One request.
#[derive(Debug)]
pub(crate) struct Call<'a> {
    pub(crate) method: Method,
    pub(crate) url: &'a str,
    /// The API key.
    pub(crate) key: &'a Secret,
    /// JSON.
    pub(crate) body: Option<Vec<u8>>,
    /// What is changed must still have this tag.
    pub(crate) tag: Option<&'a str>,
    /// Longest wait for the answer.
    pub(crate) timeout: Duration,
}

/// What a gateway says when it refuses.
#[derive(Deserialize)]
struct Problem {
    code: String,
    detail: String,
}

/// Sends it and reads the answer, whatever its status.
///
/// # Errors
/// Permanent when address or key are none, temporary without an answer.
pub(crate) async fn send(http: &HttpClient, call: Call<'_>) -> Result<HttpAnswer, PortError> {
    let invalid = |what: &str| PortError::Permanent(format!("{} cannot be asked: {what}", call.url));
    let mut bearer = HeaderValue::from_str(&format!("Bearer {}", call.key.expose()))
        .map_err(|_| invalid("the API key has characters that no key has"))?;
    bearer.set_sensitive(true);
    let mut request = Request::builder().method(call.method).uri(call.url).header(header::AUTHORIZATION, bearer);
    if call.body.is_some() {
        request = request.header(header::CONTENT_TYPE, "application/json");
    }
    if let Some(tag) = call.tag {
        request = request.header(header::IF_MATCH, tag);
    }
    let request = request.body(Full::new(Bytes::from(call.body.unwrap_or_default())));
    let request = request.map_err(|error| invalid(&error.to_string()))?;
    http.send(request, call.timeout).await.map_err(|error| PortError::Temporary(error.to_string()))
}

/// What a refusal says itself, as `: DETAIL (CODE)`; empty when it says nothing.
pub(crate) fn said(answer: &HttpAnswer) -> String {
    let problem = serde_json::from_slice::<Problem>(&answer.body).ok();
    problem.map_or_else(String::new, |problem| format!(": {} ({})", problem.detail, problem.code))
}
