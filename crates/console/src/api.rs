//! Asks the management API of this process.

use std::time::Duration;

use axum::Router;
use axum::body::{Body, Bytes, to_bytes};
use http::{Extensions, HeaderMap, HeaderValue, Method, Request, Response, StatusCode, header};
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};
use serde_json::Value;
use spillway_model::Secret;
use tower::ServiceExt as _;

use crate::read::Read as _;

/// Largest answer that a page is made of: the largest payload that intake may allow, escaped, and what belongs to it.
const MAX_ANSWER_BYTES: usize = 160 << 20;

const SEGMENT: &AsciiSet = &NON_ALPHANUMERIC.remove(b'-').remove(b'.').remove(b'_').remove(b'~');

/// The API, as one session uses it.
#[derive(Clone)]
pub(crate) struct Api {
    service: Router,
    bearer: HeaderValue,
    client: Extensions,
}

/// Why the API did not do it, in its own words.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Problem {
    pub(crate) status: StatusCode,
    pub(crate) code: String,
    pub(crate) title: String,
    pub(crate) detail: String,
    pub(crate) retry_after: Option<Duration>,
}

/// What the API answered, with its entity tag.
#[derive(Debug, Clone)]
pub(crate) struct Answer {
    pub(crate) value: Value,
    pub(crate) tag: Option<String>,
}

/// A request that changes something.
#[derive(Debug, Default)]
pub(crate) struct Change<'c> {
    pub(crate) body: Option<&'c Value>,
    /// The entity tag that the thing must still have.
    pub(crate) tag: Option<&'c str>,
}

impl Api {
    /// `client` is what names the browser to the limits of the API.
    pub(crate) fn new(service: Router, key: &Secret, client: Extensions) -> Self {
        let bearer = HeaderValue::try_from(format!("Bearer {}", key.expose()));
        let mut bearer = bearer.unwrap_or(HeaderValue::from_static("Bearer ?"));
        bearer.set_sensitive(true);
        Self { service, bearer, client }
    }

    /// Reads.
    pub(crate) async fn get(&self, path: &str) -> Result<Value, Problem> {
        Ok(self.ask(Method::GET, path, Change::default()).await?.value)
    }

    /// Reads one entry, with its entity tag.
    pub(crate) async fn get_tagged(&self, path: &str) -> Result<Answer, Problem> {
        self.ask(Method::GET, path, Change::default()).await
    }

    /// Reads what gateways of another version may not have: `None` when there is no such route.
    pub(crate) async fn get_optional(&self, path: &str) -> Result<Option<Value>, Problem> {
        match self.get(path).await {
            Ok(value) => Ok(Some(value)),
            Err(problem) if problem.is_no_route() => Ok(None),
            Err(problem) => Err(problem),
        }
    }

    /// Posts a document.
    pub(crate) async fn post(&self, path: &str, body: &Value) -> Result<Value, Problem> {
        Ok(self.ask(Method::POST, path, Change { body: Some(body), tag: None }).await?.value)
    }

    /// Posts nothing: the path says it all.
    pub(crate) async fn act(&self, path: &str) -> Result<Value, Problem> {
        Ok(self.ask(Method::POST, path, Change::default()).await?.value)
    }

    /// Makes a request.
    pub(crate) async fn ask(&self, method: Method, path: &str, change: Change<'_>) -> Result<Answer, Problem> {
        let (head, body) = self.stream(method, path, change).await?.into_parts();
        let Ok(body) = to_bytes(body, MAX_ANSWER_BYTES).await else { return Err(Problem::unreadable()) };
        if !head.status.is_success() {
            return Err(Problem::from_answer(head.status, &head.headers, &body));
        }
        let value = match body.is_empty() {
            true => Value::Null,
            false => serde_json::from_slice(&body).map_err(|_| Problem::unreadable())?,
        };
        let tag = head.headers.get(header::ETAG).and_then(|tag| tag.to_str().ok()).map(str::to_owned);
        Ok(Answer { value, tag })
    }

    /// Makes a request, and leaves its answer as it comes.
    pub(crate) async fn stream(
        &self,
        method: Method,
        path: &str,
        change: Change<'_>,
    ) -> Result<Response<Body>, Problem> {
        let mut request = Request::builder().method(&method).uri(path).header(header::AUTHORIZATION, &self.bearer);
        if let Some(tag) = change.tag.filter(|tag| !tag.is_empty()) {
            request = request.header(header::IF_MATCH, tag);
        }
        let body = match change.body {
            None => Bytes::new(),
            Some(value) => {
                let patch = method == Method::PATCH;
                let kind = if patch { "application/merge-patch+json" } else { "application/json" };
                request = request.header(header::CONTENT_TYPE, kind);
                serde_json::to_vec(value).unwrap_or_default().into()
            }
        };
        let Ok(mut request) = request.body(Body::from(body)) else { return Err(Problem::unreadable()) };
        *request.extensions_mut() = self.client.clone();
        match self.service.clone().oneshot(request).await {
            Ok(response) => Ok(response),
            Err(never) => match never {},
        }
    }
}

impl Problem {
    /// A problem that the console found itself, in the words of the API.
    pub(crate) fn new(status: StatusCode, code: &str, title: &str, detail: impl Into<String>) -> Self {
        Self { status, code: code.to_owned(), title: title.to_owned(), detail: detail.into(), retry_after: None }
    }

    fn unreadable() -> Self {
        let detail =
            "The API's answer could not be read. Try again; if it stays like this, look into the gateway's log.";
        Self::new(StatusCode::BAD_GATEWAY, "answer_unreadable", "Answer not understood", detail)
    }

    fn from_answer(status: StatusCode, headers: &HeaderMap, body: &[u8]) -> Self {
        let document: Value = serde_json::from_slice(body).unwrap_or_default();
        let wait = headers.get(header::RETRY_AFTER).and_then(|wait| wait.to_str().ok()?.parse().ok());
        let reason = status.canonical_reason().unwrap_or("The request failed");
        Self {
            status,
            code: document.text("/code").to_owned(),
            title: document.some_text("/title").unwrap_or(reason).to_owned(),
            detail: document.some_text("/detail").unwrap_or("The API said no more.").to_owned(),
            retry_after: wait.map(Duration::from_secs),
        }
    }

    /// Whether the API has no such route, which is another thing than having no such entry.
    pub(crate) fn is_no_route(&self) -> bool {
        matches!(self.code.as_str(), "not_found" | "method_not_allowed")
    }

    /// Whether the key of the session is none any more.
    pub(crate) fn is_signed_out(&self) -> bool {
        self.status == StatusCode::UNAUTHORIZED
    }

    /// Whether the person can mend it in the form.
    pub(crate) fn is_of_form(&self) -> bool {
        matches!(self.status.as_u16(), 400 | 403 | 409 | 412 | 413 | 422 | 429)
    }

    /// The field that it is about, if it names one.
    pub(crate) fn field(&self) -> Option<&str> {
        let named = self.detail.strip_prefix("The value of ").and_then(|rest| rest.split(" cannot be used").next());
        let placed = || self.detail.strip_prefix("The body cannot be used at ").and_then(|rest| rest.split(':').next());
        named.or_else(placed)
    }
}

/// One part of a path, whatever stands in it.
pub(crate) fn segment(text: &str) -> String {
    utf8_percent_encode(text, SEGMENT).to_string()
}

/// A path with the parameters that have a value.
pub(crate) fn with_query<'q>(path: &str, parameters: impl IntoIterator<Item = (&'q str, &'q str)>) -> String {
    let mut query = url::form_urlencoded::Serializer::new(String::new());
    for (name, value) in parameters.into_iter().filter(|(_, value)| !value.is_empty()) {
        query.append_pair(name, value);
    }
    let query = query.finish();
    if query.is_empty() { path.to_owned() } else { format!("{path}?{query}") }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_part_of_a_path_cannot_leave_it() {
        assert_eq!(segment("../keys?a=b#c/ä"), "..%2Fkeys%3Fa%3Db%23c%2F%C3%A4");
    }

    #[test]
    fn parameters_without_a_value_are_left_out() {
        assert_eq!(with_query("/a", [("q", "x y&z"), ("state", "")]), "/a?q=x+y%26z");
        assert_eq!(with_query("/a", [("q", "")]), "/a");
    }

    #[test]
    fn a_problem_names_its_field() {
        let problem = |detail: &str| Problem::new(StatusCode::UNPROCESSABLE_ENTITY, "value_invalid", "", detail);
        assert_eq!(problem("The value of timeout_ms cannot be used: too long.").field(), Some("timeout_ms"));
        assert_eq!(problem("The body cannot be used at rate_limit: what. Its form").field(), Some("rate_limit"));
        assert_eq!(problem("There is no source \"x\".").field(), None);
    }
}
