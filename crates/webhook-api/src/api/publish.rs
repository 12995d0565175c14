//! `POST /api/v1/events`: an application's own event.

use std::io::Write;
use std::sync::Arc;
use std::time::Instant;

use axum::extract::{Request, State};
use axum::response::Response;
use bytes::Bytes;
use http::{HeaderMap, header};
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;
use spillway_model::{Configuration, Event, EventId, HeaderBlock, Source};
use spillway_signature::MAX_IDEMPOTENCY_KEY_BYTES;
use spillway_telemetry::{ActiveSpan, IntakeOutcome, SpanName};
use utoipa::ToSchema;

use super::body::{check_media_type, parse};
use super::entry;
use super::error::{ApiError, Kind};
use super::timestamp::Timestamp;
use crate::gateway::Gateway;
use crate::intake::{self, IntakeError, Stored};
use crate::routing::{RoutedSource, Routing};

const IDEMPOTENCY_HEADER: &str = "idempotency-key";
/// Longest name of a kind of event, as for received ones.
const MAX_TYPE_BYTES: usize = 128;

/// An event to publish.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct Publication {
    /// Id or name of the source whose connections the event takes.
    source: String,
    /// What kind of event it is, such as `invoice.paid`: 1 to 128 bytes.
    r#type: String,
    /// The payload; it is sent on byte by byte as it stands here.
    #[schema(value_type = Value)]
    data: Box<RawValue>,
    /// Events of one source with the same key are one event: at most 255 bytes. The header `Idempotency-Key` does the same.
    idempotency_key: Option<String>,
}

/// An event that is stored.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct Acknowledgement {
    /// Its id; that of the first one when this is a duplicate.
    #[schema(value_type = String, example = "evt_01k9zv5w3hf6p8r2t4x6y8a0b2")]
    id: EventId,
    /// True when it was stored before, and left out otherwise.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    duplicate: bool,
}

/// Publish an event. It goes out as a Standard Webhook: `{"type": …, "timestamp": …, "data": …}`.
#[utoipa::path(post, path = "/api/v1/events", tag = "events", operation_id = "publish_event",
    params(("idempotency-key" = Option<String>, Header, description = "In place of `idempotency_key`")),
    request_body = Publication,
    responses(
        (status = 202, description = "The event is stored", body = Acknowledgement),
        (status = 200, description = "An event with this idempotency key was stored before", body = Acknowledgement),
    ))]
pub(crate) async fn publish(State(gateway): State<Arc<Gateway>>, request: Request) -> Result<Response, ApiError> {
    let (parts, body) = request.into_parts();
    check_media_type(&parts.headers)?;
    let routing = Arc::clone(&gateway.routing.load());
    let limit = largest_body(&gateway, &routing.configuration);
    let body = intake::read_body(body, limit, gateway.limits.body_timeout).await?;
    let received = Instant::now();
    let publication: Publication = parse(&body)?;
    let source = find(&routing, &publication.source)?;
    let span = gateway.tracer.start(SpanName::Intake, intake::trace_parent(&parts.headers));
    let answer = span.cover(accept(&gateway, source, &parts.headers, &publication, received, &span)).await;
    source.metrics.record(match &answer {
        Ok(stored) => stored.outcome(),
        Err(ApiError::Intake(error)) => error.outcome(),
        Err(_) => IntakeOutcome::Invalid,
    });
    answer.map(|stored| intake::acknowledgement(stored.appended))
}

async fn accept(
    gateway: &Gateway,
    source: &Arc<RoutedSource>,
    headers: &HeaderMap,
    publication: &Publication,
    received: Instant,
    span: &ActiveSpan,
) -> Result<Stored, ApiError> {
    intake::check_headers(headers, &gateway.limits)?;
    check_type(&publication.r#type)?;
    let key = idempotency_key(headers, publication)?;
    intake::check_rate(gateway, source).await?;
    let id = gateway.ids.event();
    if span.is_recording() {
        span.set("spillway.event.id", id.to_string());
    }
    let body = payload(publication, id);
    let limit = source.source.max_body_bytes.unwrap_or(gateway.limits.max_body_bytes);
    if body.len() as u64 > limit {
        return Err(IntakeError::TooLarge { limit }.into());
    }
    let event = Event {
        quarantine: None,
        id,
        source: source.source.id,
        event_type: Some(publication.r#type.as_str().into()),
        headers: HeaderBlock::encode([(header::CONTENT_TYPE.as_str(), b"application/json".as_slice())]),
        body,
        trace: span.to_keep(),
    };
    let idempotency = key.map(|key| intake::idempotency_hash(source.source.id, key.as_bytes()));
    let stored = intake::store(gateway, source, event, idempotency, received).await?;
    gateway.metrics.intake_ack.observe_traced(received.elapsed(), span.exemplar());
    Ok(stored)
}

/// The body may be as large as the most generous source allows; which one it is for stands in the body.
fn largest_body(gateway: &Gateway, configuration: &Configuration) -> u64 {
    let own = configuration.sources.iter().filter_map(|source| source.max_body_bytes);
    own.fold(gateway.limits.max_body_bytes, u64::max)
}

fn find<'r>(routing: &'r Routing, wanted: &str) -> Result<&'r Arc<RoutedSource>, ApiError> {
    let unknown = || ApiError::reference(Kind::Source, wanted);
    let source = entry::find::<Source>(&routing.configuration, wanted).map_err(|_| unknown())?;
    routing.source_by_id(source.id).ok_or_else(|| {
        ApiError::invalid("source", format!("the source {} is disabled; enable it, or name another one", source.name))
    })
}

fn check_type(text: &str) -> Result<(), ApiError> {
    if text.is_empty() || text.len() > MAX_TYPE_BYTES || text.chars().any(char::is_control) {
        let reason = format!("it must have 1 to {MAX_TYPE_BYTES} bytes, none of them a control character");
        return Err(ApiError::invalid("type", reason));
    }
    Ok(())
}

fn idempotency_key<'p>(headers: &'p HeaderMap, publication: &'p Publication) -> Result<Option<&'p str>, ApiError> {
    let invalid = |reason: String| Err(ApiError::invalid("idempotency_key", reason));
    let in_header = match headers.get(IDEMPOTENCY_HEADER).map(|value| value.to_str()) {
        Some(Err(_)) => return invalid("the header Idempotency-Key has characters that are not ASCII".to_owned()),
        Some(Ok(key)) => Some(key),
        None => None,
    };
    let key = match (in_header, publication.idempotency_key.as_deref()) {
        (Some(one), Some(other)) if one != other => {
            return invalid("the header Idempotency-Key says something else; send one of them".to_owned());
        }
        (one, other) => one.or(other),
    };
    match key {
        Some("") => invalid("it is empty; leave it out, or send a key of at least one character".to_owned()),
        Some(key) if key.len() > MAX_IDEMPOTENCY_KEY_BYTES => {
            invalid(format!("it has {} bytes, at most {MAX_IDEMPOTENCY_KEY_BYTES} are allowed", key.len()))
        }
        key => Ok(key),
    }
}

/// The payload as Standard Webhooks has it, with `data` byte by byte as it was sent.
fn payload(publication: &Publication, id: EventId) -> Bytes {
    let data = publication.data.get();
    let kind = serde_json::Value::from(publication.r#type.as_str());
    let mut body = Vec::with_capacity(data.len() + publication.r#type.len() + 80);
    // Writing into memory cannot fail.
    let _ = write!(body, "{{\"type\":{kind},\"timestamp\":\"{}\",\"data\":{data}}}", Timestamp(id.timestamp()));
    body.into()
}
