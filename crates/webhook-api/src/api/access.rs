//! Who may do what: keys, scopes, the rate of each key, and that of clients without one.

use std::sync::Arc;
use std::time::Duration;

use axum::extract::{FromRequestParts, MatchedPath, Request, State};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use http::request::Parts;
use http::{HeaderMap, HeaderValue, Method, StatusCode, header};
use spillway_coordination::RateDecision;
use spillway_model::{ApiKey, KeyHash, Scope};

use super::error::ApiError;
use super::keys;
use crate::gateway::Gateway;
use crate::limits::{ClientAddress, RateRefusal, add_rate_headers};

/// Whoever makes a request that was admitted.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Caller {
    pub(crate) scope: Scope,
    /// Hash of its key.
    pub(crate) key: KeyHash,
}

impl<S: Sync> FromRequestParts<S> for Caller {
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, ApiError> {
        parts.extensions.get().copied().ok_or(ApiError::KeyMissing)
    }
}

/// Lets a request through when its key is known, is within its rate, and has the scope for method and route.
pub(crate) async fn admit(State(gateway): State<Arc<Gateway>>, mut request: Request, next: Next) -> Response {
    let key = match authenticate(&gateway, request.headers()) {
        Ok(key) => key,
        Err(error) => return turn_away(&gateway, request.extensions().get().copied(), error).await,
    };
    let rate = key.rate_limit.unwrap_or(gateway.api_rate_limit);
    let decision = gateway.coordination.rate.check(&format!("key:{}", key.id), rate).await;
    let needed = needed_scope(&request);
    let refusal = if !decision.allowed {
        Some(ApiError::RateLimited(RateRefusal { rate, retry_after: decision.retry_after, decision }))
    } else if key.scope < needed {
        Some(ApiError::Scope { needed, has: key.scope, why: "this request" })
    } else {
        None
    };
    let response = match refusal {
        Some(error) => error.into_response(),
        None => {
            request.extensions_mut().insert(Caller { scope: key.scope, key: key.hash });
            run(gateway.api.request_timeout, request, next).await
        }
    };
    finish(response, &decision)
}

/// Answers a request without a known key, and counts it for its client. Requests with one are not counted: nobody can lock out
/// others behind the same address, and a key has too many bits to be found in the meantime.
async fn turn_away(gateway: &Gateway, client: Option<ClientAddress>, error: ApiError) -> Response {
    let Some(client) = client else { return error.into_response() };
    let rate = gateway.unauthenticated_rate_limit;
    let decision = gateway.coordination.rate.check(&format!("client:{}", client.network()), rate).await;
    let error = if decision.allowed {
        error
    } else {
        ApiError::TurnedAway(RateRefusal { rate, retry_after: decision.retry_after, decision })
    };
    finish(error.into_response(), &decision)
}

async fn run(limit: Duration, request: Request, next: Next) -> Response {
    match tokio::time::timeout(limit, next.run(request)).await {
        Ok(response) => response,
        Err(_) => ApiError::TimedOut { limit }.into_response(),
    }
}

/// Adds what every answer of the API carries. What a handler says about caching stands; else an answer is for its key alone.
fn finish(mut response: Response, decision: &RateDecision) -> Response {
    let caching = if response.status() == StatusCode::OK { "private, no-cache" } else { "no-store" };
    let headers = response.headers_mut();
    add_rate_headers(headers, decision);
    headers.entry(header::CACHE_CONTROL).or_insert(HeaderValue::from_static(caching));
    response
}

pub(super) fn authenticate(gateway: &Gateway, headers: &HeaderMap) -> Result<ApiKey, ApiError> {
    let text = bearer(headers).ok_or(ApiError::KeyMissing)?;
    gateway.routing.load().key(&keys::hash(text)).cloned().ok_or(ApiError::KeyUnknown)
}

fn bearer(headers: &HeaderMap) -> Option<&str> {
    let (scheme, key) = headers.get(header::AUTHORIZATION)?.to_str().ok()?.split_once(' ')?;
    let key = key.trim();
    (scheme.eq_ignore_ascii_case("bearer") && !key.is_empty()).then_some(key)
}

fn needed_scope(request: &Request) -> Scope {
    let route = request.extensions().get::<MatchedPath>().map_or("", MatchedPath::as_str);
    scope_of(request.method(), route)
}

/// The scope that a request needs: reading, changing, everything about keys, and changing which workers deliver.
pub(super) fn scope_of(method: &Method, route: &str) -> Scope {
    if route.starts_with("/api/v1/keys") {
        Scope::Admin
    } else if method == Method::GET || method == Method::HEAD {
        Scope::Read
    } else if route.starts_with("/api/v1/workers") {
        Scope::Admin
    } else {
        Scope::Write
    }
}
