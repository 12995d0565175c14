//! Requests of one virtual user, one at a time, on connections of its own.

use std::sync::Arc;
use std::time::{Duration, Instant};

use bytes::{Bytes, BytesMut};
use http::uri::PathAndQuery;
use http::{HeaderMap, Method, StatusCode};
use http_body_util::Full;
use hyper::body::Incoming;

use super::connection::{Connection, Outgoing};
use super::failure::Failure;
use super::origin::Origin;
use super::shaping::Network;
use super::trace::{Timings, Trace};
use super::transport::{Protocol, Transport};

/// The most of an answer's body that [`Request::keep_body`] keeps. The rest is read, counted and thrown away.
pub const MAX_KEPT_BODY: usize = 1024 * 1024;

/// The most connections that one user keeps open between requests; the oldest goes first.
const MAX_IDLE: usize = 8;

/// How a client connects.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct ClientSettings {
    /// The version of HTTP.
    pub protocol: Protocol,
    /// Each request gets a connection of its own, and HTTP/1.1 requests say so.
    pub no_connection_reuse: bool,
    /// The link between the client and the network; `None` is the machine's own.
    pub network: Option<Network>,
}

/// One request. A `Host` header is added when there is none; nothing else is.
#[derive(Debug, Clone)]
pub struct Request {
    /// Where it goes.
    pub origin: Arc<Origin>,
    /// Its method.
    pub method: Method,
    /// Its path and query.
    pub path: PathAndQuery,
    /// Its headers.
    pub headers: HeaderMap,
    /// Its body; none if empty.
    pub body: Bytes,
    /// The longest it may take from the look at an idle connection to the end of the answer's body.
    pub timeout: Duration,
    /// Keep the first [`MAX_KEPT_BODY`] bytes of the answer's body.
    pub keep_body: bool,
}

/// A whole answer.
#[derive(Debug, Clone)]
pub struct Response {
    /// Its status.
    pub status: StatusCode,
    /// Its headers.
    pub headers: HeaderMap,
    /// What was kept of its body.
    pub body: Bytes,
    /// The body's length in bytes, kept or not.
    pub length: u64,
}

/// A request with everything that came of it.
#[derive(Debug)]
pub struct Exchange {
    /// The phases, up to where it got.
    pub timings: Timings,
    /// Bytes on the wire to the server, with headers, TLS and the connection's own handshake.
    pub sent: u64,
    /// Bytes on the wire from the server.
    pub received: u64,
    /// The answer, or why there is no whole one.
    pub outcome: Result<Response, Failure>,
}

/// One user's connections.
pub struct Client {
    transport: Arc<Transport>,
    settings: ClientSettings,
    idle: Vec<(Arc<Origin>, Connection)>,
}

impl Client {
    /// A client without connections.
    pub fn new(transport: Arc<Transport>, settings: ClientSettings) -> Self {
        Self { transport, settings, idle: Vec::new() }
    }

    /// Sends `request` and reads the whole answer. Dropping the future closes the connection it used.
    pub async fn send(&mut self, request: Request) -> Exchange {
        let mut trace = Trace::begin();
        let timeout = request.timeout;
        let outcome = tokio::time::timeout(timeout, self.exchange(request, &mut trace)).await;
        let outcome = outcome.unwrap_or_else(|_| Err(Failure::timeout()));
        let timings = trace.timings(Instant::now());
        let (sent, received) = trace.bytes();
        Exchange { timings, sent, received, outcome }
    }

    async fn exchange(&mut self, request: Request, trace: &mut Trace) -> Result<Response, Failure> {
        let Request { origin, method, path, headers, body, keep_body, .. } = request;
        let close = self.settings.no_connection_reuse;
        let mut message = Outgoing::new(Full::new(body));
        *message.method_mut() = method;
        *message.headers_mut() = headers;
        while let Some(mut connection) = self.idle(&origin).await {
            trace.reuse(connection.meter.clone());
            connection.address(&mut message, &origin, &path, close);
            match connection.send(message).await {
                Ok(response) => return self.receive(response, connection, origin, keep_body, trace).await,
                Err(mut unanswered) => match unanswered.take_message() {
                    Some(unsent) => message = unsent,
                    None => return Err(unanswered.into_error().into()),
                },
            }
            trace.retry();
        }
        // A new connection is rare: its state does not belong into every user's future.
        let mut connection = Box::pin(self.connect(&origin, trace)).await?;
        connection.address(&mut message, &origin, &path, close);
        let response = connection.send(message).await.map_err(|unanswered| unanswered.into_error())?;
        self.receive(response, connection, origin, keep_body, trace).await
    }

    /// An open connection to `origin`. Those that the server has closed are dropped.
    async fn idle(&mut self, origin: &Arc<Origin>) -> Option<Connection> {
        while let Some(place) = self.idle.iter().rposition(|(known, _)| known == origin) {
            let (_, mut connection) = self.idle.swap_remove(place);
            if connection.is_usable().await {
                return Some(connection);
            }
        }
        None
    }

    async fn connect(&self, origin: &Origin, trace: &mut Trace) -> Result<Connection, Failure> {
        let ClientSettings { protocol, network, .. } = &self.settings;
        let dialled = self.transport.dial(origin, *protocol, network.as_ref(), trace).await?;
        let http2 = dialled.http2_negotiated || *protocol == Protocol::Http2;
        Connection::open(dialled, http2).await
    }

    async fn receive(
        &mut self,
        response: http::Response<Incoming>,
        mut connection: Connection,
        origin: Arc<Origin>,
        keep_body: bool,
        trace: &mut Trace,
    ) -> Result<Response, Failure> {
        trace.head();
        let (head, mut body) = response.into_parts();
        let mut kept = BytesMut::new();
        let mut length = 0;
        while let Some(frame) = connection.frame(&mut body).await {
            let Ok(data) = frame?.into_data() else { continue };
            length += data.len() as u64;
            if keep_body {
                let room = MAX_KEPT_BODY - kept.len();
                kept.extend_from_slice(&data[..data.len().min(room)]);
            }
        }
        if !self.settings.no_connection_reuse && connection.is_usable().await {
            if self.idle.len() == MAX_IDLE {
                self.idle.remove(0);
            }
            self.idle.push((origin, connection));
        }
        Ok(Response { status: head.status, headers: head.headers, body: kept.freeze(), length })
    }
}
