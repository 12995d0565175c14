//! `GET /api/v1/events/stream`: rows as server-sent events.

use std::convert::Infallible;
use std::sync::Arc;

use axum::body::Body;
use axum::extract::State;
use axum::response::{IntoResponse, Response};
use bytes::Bytes;
use futures_util::stream;
use http::{HeaderMap, HeaderName, HeaderValue, header};
use serde::Deserialize;
use spillway_telemetry::StreamKind;
use utoipa::IntoParams;

use super::super::access::Caller;
use super::super::error::ApiError;
use super::super::query::Parameters;
use super::session::Session;
use super::tail::{Next, Tail};
use super::{event_id, filter};
use crate::gateway::Gateway;

const LAST_EVENT_ID: HeaderName = HeaderName::from_static("last-event-id");
/// Proxies that keep answers back until they have some of it let this one through.
const UNBUFFERED: HeaderName = HeaderName::from_static("x-accel-buffering");

/// Which live events to send.
#[derive(Debug, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(crate) struct StreamQuery {
    /// Only those of this source, by id or name.
    source: Option<String>,
    /// Only those of this type; with `*` at its end those whose type begins so.
    r#type: Option<String>,
    /// Only those that were `accepted`, or `quarantined`.
    status: Option<String>,
    /// Send first what was missed after this event: the latest 100 of at most 1,000 events. As the header `Last-Event-ID`, which goes before
    /// it.
    after: Option<String>,
}

/// Follow events as they are stored, as server-sent events: batches of rows, named `events`, with `skipped` for those that are left out. A client
/// gets 20 rows a second, and up to 100 at once after a quiet time.
#[utoipa::path(get, path = "/api/v1/events/stream", tag = "events", operation_id = "stream_events",
    params(StreamQuery, ("last-event-id" = Option<String>, Header, description = "The last event that the client has")),
    responses((status = 200, description = "Events of an event stream", content_type = "text/event-stream", body = String)))]
pub(crate) async fn stream(
    State(gateway): State<Arc<Gateway>>,
    caller: Caller,
    headers: HeaderMap,
    Parameters(query): Parameters<StreamQuery>,
) -> Result<Response, ApiError> {
    let configuration = gateway.routing.load().configuration.clone();
    let filter = filter(&configuration, query.source.as_deref(), query.r#type.as_deref(), query.status.as_deref())?;
    let last = headers.get(LAST_EVENT_ID).map(|value| value.to_str().unwrap_or_default());
    let after = match (last, query.after.as_deref()) {
        (Some(last), _) => Some(event_id("Last-Event-ID", last)?),
        (None, after) => after.map(|after| event_id("after", after)).transpose()?,
    };
    let session = Session::open(&gateway, caller, StreamKind::Sse)?;
    let tail = Tail::begin(session, filter, after).await?;
    let headers = [
        (header::CONTENT_TYPE, HeaderValue::from_static("text/event-stream")),
        (header::CACHE_CONTROL, HeaderValue::from_static("no-store")),
        (UNBUFFERED, HeaderValue::from_static("no")),
    ];
    Ok((headers, Body::from_stream(frames(tail))).into_response())
}

/// Where a stream is.
enum Place {
    Begin(Tail),
    Under(Tail),
    End,
}

fn frames(tail: Tail) -> impl stream::Stream<Item = Result<Bytes, Infallible>> {
    stream::unfold(Place::Begin(tail), |place| async move {
        let (frame, place) = match place {
            Place::Begin(tail) => (Bytes::from_static(b"retry: 2000\n: ready\n\n"), Place::Under(tail)),
            Place::Under(mut tail) => match tail.next().await {
                Next::Batch(batch) => (batch.frame(), Place::Under(tail)),
                Next::Alive => (Bytes::from_static(b": alive\n\n"), Place::Under(tail)),
                Next::End(ending) => {
                    let end = format!("event: end\ndata: {{\"type\":\"end\",\"reason\":\"{}\"}}\n\n", ending.code());
                    (Bytes::from(end), Place::End)
                }
            },
            Place::End => return None,
        };
        Some((Ok(frame), place))
    })
}
