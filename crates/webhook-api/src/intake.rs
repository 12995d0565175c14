//! `POST /in/{source}`: limits, signature, one durable write, 202.

mod error;
mod synchronous;

use std::pin::pin;
use std::sync::Arc;
use std::time::{Duration, Instant};

use axum::body::Body;
use axum::response::{IntoResponse, Response};
use bytes::Bytes;
use http::{HeaderMap, HeaderName, HeaderValue, Method, StatusCode, header, request};
use http_body::Body as _;
use http_body_util::{BodyExt, LengthLimitError, Limited};
use ring::digest::{SHA256, digest};
use spillway_coordination::RateDecision;
use spillway_model::{Appended, Event, HeaderBlock, IdempotencyHash, NewEvent, SourceId, TraceContext, Validation};
use spillway_signature::{HandshakeResponse, Provider, Request as SignedRequest};
use spillway_telemetry::{ActiveSpan, IntakeOutcome, SpanName};

use crate::gateway::Gateway;
use crate::limits::{RateRefusal, add_rate_headers};
use crate::problem::Problem;
use crate::routing::RoutedSource;
use crate::rules;

pub use error::IntakeError;
pub use synchronous::AttemptWaiters;

/// Characters of the reason that is kept with an event in quarantine.
const MAX_REASON: usize = 500;

/// Limits of intake.
#[derive(Debug, Clone)]
pub struct IntakeLimits {
    /// Largest body in bytes, however it is framed. A source may set its own.
    pub max_body_bytes: u64,
    /// Most headers of a request.
    pub max_headers: usize,
    /// Most bytes of all header names and values together.
    pub max_header_bytes: usize,
    /// Longest time for a body to arrive.
    pub body_timeout: Duration,
    /// Longest time that the store may take before the sender is told to try again.
    pub commit_timeout: Duration,
}

/// Receives one request for the source `name`.
pub(crate) async fn receive(gateway: Arc<Gateway>, name: &str, parts: request::Parts, body: Body) -> Response {
    let routing = gateway.routing.load();
    let source = routing.source(name).cloned();
    if source.is_none() {
        routing.unknown_source.record(IntakeOutcome::UnknownSource);
    }
    drop(routing);
    let Some(source) = source else {
        return Problem::from(IntakeError::UnknownSource { name: name.chars().take(64).collect() }).into_response();
    };
    let span = gateway.tracer.start(SpanName::Intake, trace_parent(&parts.headers));
    let answer = async {
        match accept(&gateway, &source, &parts, body, &span).await {
            Ok(answer) => {
                source.metrics.record(answer.outcome());
                answer.into_response()
            }
            Err(error) => {
                source.metrics.record(error.outcome());
                refuse(&source, error)
            }
        }
    };
    let response = span.cover(answer).await;
    span.set("http.response.status_code", i64::from(response.status().as_u16()));
    response
}

fn refuse(source: &RoutedSource, error: IntakeError) -> Response {
    tracing::debug!(source = %source.source.name, error = &error as &dyn std::error::Error, "a request was refused");
    let decision = if let IntakeError::RateLimited(refusal) = &error { Some(refusal.decision) } else { None };
    let mut response = Problem::from(error).into_response();
    if let Some(decision) = decision {
        add_rate_headers(response.headers_mut(), &decision);
    }
    response
}

enum Answer {
    Stored(Stored, Option<RateDecision>),
    Handshake(HandshakeResponse),
}

impl Answer {
    fn outcome(&self) -> IntakeOutcome {
        match self {
            Self::Stored(stored, _) => stored.outcome(),
            Self::Handshake(_) => IntakeOutcome::Handshake,
        }
    }
}

/// What became of an event that was taken in.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Stored {
    pub(crate) appended: Appended,
    n_deliveries: usize,
    is_quarantined: bool,
}

impl Stored {
    pub(crate) fn outcome(self) -> IntakeOutcome {
        match self.appended {
            Appended::Accepted { .. } if self.is_quarantined => IntakeOutcome::Quarantined,
            Appended::Accepted { .. } => IntakeOutcome::Accepted,
            Appended::Duplicate { .. } => IntakeOutcome::Duplicate,
        }
    }
}

impl IntoResponse for Answer {
    fn into_response(self) -> Response {
        match self {
            Self::Stored(stored, rate) => {
                let mut response = acknowledgement(stored.appended);
                if let Some(decision) = rate {
                    add_rate_headers(response.headers_mut(), &decision);
                }
                response
            }
            Self::Handshake(handshake) => {
                let mut response = Response::new(Body::from(handshake.body));
                *response.status_mut() = StatusCode::from_u16(handshake.status).unwrap_or(StatusCode::OK);
                if let Some(content_type) = handshake.content_type {
                    response.headers_mut().insert(header::CONTENT_TYPE, HeaderValue::from_static(content_type));
                }
                response
            }
        }
    }
}

/// 202 for a stored event, 200 for one that was stored before.
pub(crate) fn acknowledgement(appended: Appended) -> Response {
    let (status, body) = match appended {
        Appended::Accepted { id } => (StatusCode::ACCEPTED, format!("{{\"id\":\"{id}\"}}")),
        Appended::Duplicate { id } => (StatusCode::OK, format!("{{\"id\":\"{id}\",\"duplicate\":true}}")),
    };
    let mut response = Response::new(Body::from(body));
    *response.status_mut() = status;
    response.headers_mut().insert(header::CONTENT_TYPE, HeaderValue::from_static("application/json"));
    response
}

async fn accept(
    gateway: &Gateway,
    source: &Arc<RoutedSource>,
    parts: &request::Parts,
    body: Body,
    span: &ActiveSpan,
) -> Result<Answer, IntakeError> {
    let verifier = source.verifier.as_ref().map_err(|_| IntakeError::Misconfigured)?;
    let target = parts.uri.path_and_query().map_or("", |target| target.as_str());
    if parts.method != Method::POST {
        return match verifier.crc_response(target) {
            Some(handshake) if parts.method == Method::GET => Ok(Answer::Handshake(handshake)),
            _ => Err(IntakeError::Method { method: parts.method.clone() }),
        };
    }
    check_headers(&parts.headers, &gateway.limits)?;
    let rate = check_rate(gateway, source).await?;
    let limit = source.source.max_body_bytes.unwrap_or(gateway.limits.max_body_bytes);
    let body = read_body(body, limit, gateway.limits.body_timeout).await?;
    let received = Instant::now();
    let request = SignedRequest {
        headers: &parts.headers,
        body: &body,
        path_and_query: target,
        now_unix_ms: gateway.clock.now(),
    };
    let proof = verifier.verify(&request)?;
    if let Some(handshake) = verifier.handshake(&proof, &request) {
        return Ok(Answer::Handshake(handshake));
    }
    let idempotency = verifier.idempotency_key(&request)?.map(|key| idempotency_hash(source.source.id, &key));
    let event_type = verifier.event_type(&request).map(|kind| kind.as_ref().into());
    let id = gateway.ids.event();
    if span.is_recording() {
        span.set("spillway.event.id", id.to_string());
    }
    let credential = credential_header(verifier.provider(), &source.source.scheme);
    let event = Event {
        quarantine: None,
        id,
        source: source.source.id,
        event_type,
        headers: end_to_end_headers(&parts.headers, credential),
        body,
        trace: span.to_keep(),
    };
    let stored = match &gateway.synchronous {
        None => store(gateway, source, event, idempotency, received).await?,
        Some(waiters) => synchronous::store(gateway, waiters, source, event, idempotency, received).await?,
    };
    gateway.metrics.intake_ack.observe_traced(received.elapsed(), span.exemplar());
    Ok(Answer::Stored(stored, rate))
}

/// Commits an event with a delivery for each connection of its source that wants it; with none when the source puts it into quarantine.
pub(crate) async fn store(
    gateway: &Gateway,
    source: &Arc<RoutedSource>,
    event: Event,
    idempotency: Option<IdempotencyHash>,
    received: Instant,
) -> Result<Stored, IntakeError> {
    let mut event = Arc::new(event);
    if let Some(reason) = rules::objection(source, &event).await {
        if source.source.validation != Validation::Quarantine {
            return Err(IntakeError::Event { reason });
        }
        Arc::make_mut(&mut event).quarantine = Some(shortened(reason).into());
    }
    let is_quarantined = event.quarantine.is_some();
    let deliveries = if is_quarantined { Vec::new() } else { rules::deliveries(source, &event).await };
    let n_deliveries = deliveries.len();
    let sampled = event.trace.filter(|trace| trace.is_sampled());
    let _span = sampled.map(|trace| gateway.tracer.start(SpanName::Commit, Some(trace)));
    let commit = pin!(gateway.committer.commit(NewEvent { event, idempotency, deliveries }, received));
    match tokio::time::timeout(gateway.limits.commit_timeout, commit).await {
        Ok(result) => Ok(Stored { appended: result?, n_deliveries, is_quarantined }),
        Err(_) => Err(IntakeError::StoreTooSlow),
    }
}

/// As much of a reason as is kept with the event.
fn shortened(mut reason: String) -> String {
    if let Some((end, _)) = reason.char_indices().nth(MAX_REASON) {
        reason.truncate(end);
        reason.push('…');
    }
    reason
}

pub(crate) fn check_headers(headers: &HeaderMap, limits: &IntakeLimits) -> Result<(), IntakeError> {
    let bytes: usize = headers.iter().map(|(name, value)| name.as_str().len() + value.len()).sum();
    if headers.len() > limits.max_headers || bytes > limits.max_header_bytes {
        return Err(IntakeError::HeadersTooLarge);
    }
    Ok(())
}

/// Counts a request against the source's limit; `None` when it has none.
pub(crate) async fn check_rate(gateway: &Gateway, source: &RoutedSource) -> Result<Option<RateDecision>, IntakeError> {
    let Some(rate) = source.source.rate_limit else { return Ok(None) };
    let decision = gateway.coordination.rate.check(&source.rate_key, rate).await;
    if decision.allowed {
        return Ok(Some(decision));
    }
    Err(IntakeError::RateLimited(RateRefusal { rate, retry_after: decision.retry_after, decision }))
}

/// The whole body, or why not. An announced length over the limit is refused before anything is read.
pub(crate) async fn read_body(body: Body, limit: u64, timeout: Duration) -> Result<Bytes, IntakeError> {
    let too_large = || IntakeError::TooLarge { limit };
    if body.size_hint().lower() > limit {
        return Err(too_large());
    }
    let limited = Limited::new(body, usize::try_from(limit).unwrap_or(usize::MAX));
    match tokio::time::timeout(timeout, limited.collect()).await {
        Ok(Ok(collected)) => Ok(collected.to_bytes()),
        Ok(Err(error)) if error.is::<LengthLimitError>() => Err(too_large()),
        Ok(Err(_)) => Err(IntakeError::Truncated),
        Err(_) => Err(IntakeError::TooSlow),
    }
}

pub(crate) fn trace_parent(headers: &HeaderMap) -> Option<TraceContext> {
    TraceContext::parse(headers.get("traceparent")?.as_bytes())
}

/// One 128-bit value for a source and a key of its sender's.
pub(crate) fn idempotency_hash(source: SourceId, key: &[u8]) -> IdempotencyHash {
    let mut named = Vec::with_capacity(16 + key.len());
    named.extend_from_slice(&source.to_bytes());
    named.extend_from_slice(key);
    let hash = digest(&SHA256, &named);
    hash.as_ref().first_chunk().map_or(0, |half| u128::from_be_bytes(*half))
}

/// The header that carries a secret of ours, which is not for destinations to see.
fn credential_header(provider: Provider, scheme: &serde_json::Map<String, serde_json::Value>) -> Option<HeaderName> {
    let standard = match provider {
        Provider::Basic | Provider::Bearer => "authorization",
        Provider::ApiKey => "x-api-key",
        Provider::Gitlab => "x-gitlab-token",
        _ => return None,
    };
    let configured = scheme.get("credential_header").and_then(|name| name.as_str());
    HeaderName::from_bytes(configured.unwrap_or(standard).as_bytes()).ok()
}

/// Headers that concern one connection only (RFC 9110, section 7.6.1), or that the worker sets itself.
const NOT_FORWARDED: [HeaderName; 12] = [
    header::CONNECTION,
    header::CONTENT_LENGTH,
    header::EXPECT,
    header::HOST,
    header::PROXY_AUTHENTICATE,
    header::PROXY_AUTHORIZATION,
    header::TE,
    header::TRAILER,
    header::TRANSFER_ENCODING,
    header::UPGRADE,
    HeaderName::from_static("keep-alive"),
    HeaderName::from_static("traceparent"),
];

fn end_to_end_headers(headers: &HeaderMap, credential: Option<HeaderName>) -> HeaderBlock {
    let named_in_connection = headers.get(header::CONNECTION).and_then(|value| value.to_str().ok()).unwrap_or_default();
    let is_named = |name: &HeaderName| {
        !named_in_connection.is_empty()
            && named_in_connection.split(',').any(|token| token.trim().eq_ignore_ascii_case(name.as_str()))
    };
    let kept = headers
        .iter()
        .filter(|(name, _)| !NOT_FORWARDED.contains(name) && Some(*name) != credential.as_ref() && !is_named(name));
    HeaderBlock::encode(kept.map(|(name, value)| (name.as_str(), value.as_bytes())))
}
