//! `GET /api/v1/stream`: live events over a WebSocket.

use std::sync::Arc;
use std::time::Duration;

use axum::extract::State;
use axum::extract::ws::rejection::WebSocketUpgradeRejection;
use axum::extract::ws::{CloseFrame, Message, Utf8Bytes, WebSocket, WebSocketUpgrade, close_code};
use axum::response::{IntoResponse, Response};
use bytes::Bytes;
use http::{HeaderValue, header};
use serde::Deserialize;
use spillway_telemetry::StreamKind;
use tokio_util::sync::CancellationToken;
use utoipa::IntoParams;

use super::super::access::Caller;
use super::super::error::ApiError;
use super::super::query::Parameters;
use super::deliver::Deliver;
use super::session::{Ending, Session};
use super::tail::{Next, Tail};
use super::{event_id, filter, query as invalid, source_id};
use crate::gateway::Gateway;

/// A client that takes nothing for so long is gone.
const PATIENCE: Duration = Duration::from_secs(20);
/// How long the goodbye of a client is waited for.
const GOODBYE: Duration = Duration::from_secs(1);
/// Read buffer of each connection: clients say little.
const BUFFER_BYTES: usize = 4 * 1_024;
/// Longest message of a client.
const MESSAGE_BYTES: usize = 4 * 1_024;
/// Events under way to a client that did not say how many.
const WINDOW: u64 = 32;
const MOST_WINDOW: u64 = 256;

/// Which live events to send, and how.
#[derive(Debug, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(crate) struct SocketQuery {
    /// `tail`: rows, as many as a person can follow; the default. `deliver`: whole events of one source, none left out; the client answers each
    /// with `{"type":"ack","id":"evt_…"}`.
    mode: Option<String>,
    /// Only those of this source, by id or name. `deliver` needs it.
    source: Option<String>,
    /// `tail`: only those of this type; with `*` at its end those whose type begins so.
    r#type: Option<String>,
    /// `tail`: only those that were `accepted`, or `quarantined`.
    status: Option<String>,
    /// `tail`: send first what was missed after this event.
    after: Option<String>,
    /// `deliver`: begin with this event instead of now.
    from: Option<String>,
    /// `deliver`: events that may be under way without an answer, 1 to 256; 32 when absent.
    #[param(minimum = 1, maximum = 256)]
    window: Option<u64>,
}

/// What a client asked for.
enum Wanted {
    Tail(Box<Tail>),
    Deliver(Box<Deliver>),
}

/// Follow events over a WebSocket: rows of all events, or whole events of one source.
#[utoipa::path(get, path = "/api/v1/stream", tag = "events", operation_id = "open_stream", params(SocketQuery),
    responses((status = 101, description = "A WebSocket with messages in JSON"),
        (status = 426, description = "The request asks for no WebSocket over HTTP/1.1")))]
pub(crate) async fn stream(
    State(gateway): State<Arc<Gateway>>,
    caller: Caller,
    Parameters(query): Parameters<SocketQuery>,
    upgrade: Result<WebSocketUpgrade, WebSocketUpgradeRejection>,
) -> Result<Response, ApiError> {
    let upgrade = upgrade.map_err(|rejection| ApiError::UpgradeRequired { reason: rejection.body_text() })?;
    let upgrade = upgrade
        .read_buffer_size(BUFFER_BYTES)
        .write_buffer_size(0)
        .max_message_size(MESSAGE_BYTES)
        .max_frame_size(MESSAGE_BYTES);
    let wanted = wanted(&gateway, caller, &query).await?;
    let stop = gateway.streams.stop().clone();
    let mut response = upgrade.on_upgrade(async move |socket| match wanted {
        Wanted::Tail(rows) => tail(Socket { socket, stop }, rows).await,
        Wanted::Deliver(deliver) => deliver.run(Socket { socket, stop }).await,
    });
    response.headers_mut().insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
    Ok(response.into_response())
}

async fn wanted(gateway: &Arc<Gateway>, caller: Caller, query: &SocketQuery) -> Result<Wanted, ApiError> {
    let configuration = gateway.routing.load().configuration.clone();
    let source = query.source.as_deref();
    match query.mode.as_deref() {
        None | Some("tail") => {
            refuse(query.from.is_some() || query.window.is_some(), "from and window are for mode=deliver")?;
            let filter = filter(&configuration, source, query.r#type.as_deref(), query.status.as_deref())?;
            let after = query.after.as_deref().map(|after| event_id("after", after)).transpose()?;
            let session = Session::open(gateway, caller, StreamKind::Tail)?;
            Ok(Wanted::Tail(Box::new(Tail::begin(session, filter, after).await?)))
        }
        Some("deliver") => {
            let is_tail = query.r#type.is_some() || query.status.is_some() || query.after.is_some();
            refuse(is_tail, "type, status and after are for mode=tail")?;
            let source =
                source.ok_or_else(|| invalid("mode=deliver needs the source whose events to send".to_owned()))?;
            let source = source_id(&configuration, source)?;
            let from = query.from.as_deref().map(|from| event_id("from", from)).transpose()?;
            let window = query.window.unwrap_or(WINDOW);
            refuse(!(1..=MOST_WINDOW).contains(&window), "window is from 1 to 256")?;
            let session = Session::open(gateway, caller, StreamKind::Deliver)?;
            let window = usize::try_from(window).unwrap_or(usize::MAX);
            Ok(Wanted::Deliver(Box::new(Deliver::new(session, source, from, window))))
        }
        Some(_) => Err(invalid("mode is tail or deliver".to_owned())),
    }
}

fn refuse(is_wrong: bool, reason: &str) -> Result<(), ApiError> {
    if is_wrong { Err(invalid(reason.to_owned())) } else { Ok(()) }
}

async fn tail(mut socket: Socket, mut rows: Box<Tail>) {
    if socket.say(Utf8Bytes::from_static("{\"type\":\"ready\",\"mode\":\"tail\"}")).await.is_err() {
        return;
    }
    loop {
        let sent = tokio::select! {
            said = socket.socket.recv() => match said {
                Some(Ok(Message::Close(_)) | Err(_)) | None => return,
                // A tail has nothing to be told.
                Some(Ok(_)) => Ok(()),
            },
            next = rows.next() => match next {
                Next::Batch(batch) => socket.say(batch.message()).await,
                Next::Alive => socket.ping().await,
                Next::End(ending) => return socket.end(ending).await,
            },
        };
        if sent.is_err() {
            return;
        }
    }
}

/// The connection is of no use any more.
pub(super) struct Gone;

/// A WebSocket whose writes have an end.
pub(super) struct Socket {
    socket: WebSocket,
    stop: CancellationToken,
}

impl Socket {
    /// What the client says next; `None` at the end. Cancel safe.
    pub(super) async fn hear(&mut self) -> Option<Message> {
        self.socket.recv().await?.ok()
    }

    pub(super) async fn say(&mut self, text: Utf8Bytes) -> Result<(), Gone> {
        self.send(Message::Text(text)).await
    }

    pub(super) async fn ping(&mut self) -> Result<(), Gone> {
        self.send(Message::Ping(Bytes::new())).await
    }

    /// Says goodbye, and why.
    pub(super) async fn end(self, ending: Ending) {
        let code = match ending {
            Ending::Stopping => close_code::AWAY,
            Ending::KeyDeleted => close_code::POLICY,
        };
        self.close(code, ending.text()).await;
    }

    pub(super) async fn close(mut self, code: u16, reason: &'static str) {
        let frame = CloseFrame { code, reason: Utf8Bytes::from_static(reason) };
        if self.send(Message::Close(Some(frame))).await.is_ok() {
            let _ = tokio::time::timeout(GOODBYE, async { while self.hear().await.is_some() {} }).await;
        }
    }

    async fn send(&mut self, message: Message) -> Result<(), Gone> {
        let Self { socket, stop } = self;
        tokio::select! {
            biased;
            sent = socket.send(message) => sent.map_err(|_| Gone),
            () = tokio::time::sleep(PATIENCE) => Err(Gone),
            () = async {
                stop.cancelled().await;
                tokio::time::sleep(GOODBYE).await;
            } => Err(Gone),
        }
    }
}
