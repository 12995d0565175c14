//! WebSocket connections, with buffers small enough for thousands of them.

use std::sync::Arc;

use bytes::Bytes;
use futures_util::{SinkExt, StreamExt};
use http::header::{CONNECTION, HOST, SEC_WEBSOCKET_KEY, SEC_WEBSOCKET_VERSION, UPGRADE};
use http::uri::PathAndQuery;
use http::{HeaderMap, HeaderValue, Uri};
use tokio_tungstenite::tungstenite::handshake::client::generate_key;
use tokio_tungstenite::tungstenite::protocol::WebSocketConfig;
use tokio_tungstenite::tungstenite::{Error, Message as Frame, Utf8Bytes};
use tokio_tungstenite::{WebSocketStream, client_async_with_config};

use super::failure::{ErrorClass, Failure};
use super::io::Io;
use super::origin::Origin;
use super::shaping::Network;
use super::trace::{Meter, Trace};
use super::transport::{Protocol, Transport};

/// The read buffer of each connection.
const BUFFER: usize = 2 * 1024;

/// The longest message that is taken.
const MAX_MESSAGE: usize = 1024 * 1024;

/// What the other side said.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Message {
    /// A message, text or binary.
    Data(Bytes),
    /// The answer to a ping.
    Pong,
    /// The end; the other side begins or confirms it.
    Close,
}

/// Where and how a connection is opened.
#[derive(Debug)]
pub struct Opening {
    /// Where it goes.
    pub origin: Arc<Origin>,
    /// Path and query.
    pub path: PathAndQuery,
    /// Headers beside those of the handshake.
    pub headers: HeaderMap,
    /// The link between the client and the network.
    pub network: Option<Network>,
}

/// An open connection. Pings of the other side are answered while [`WebSocket::next`] is awaited.
pub struct WebSocket {
    stream: WebSocketStream<Io>,
    meter: Arc<Meter>,
}

impl WebSocket {
    /// Connects and shakes hands. There is no time limit of its own.
    ///
    /// # Errors
    /// No connection, or an answer other than 101.
    pub async fn open(transport: &Transport, opening: Opening) -> Result<Self, Failure> {
        let Opening { origin, path, headers, network } = opening;
        let dialled = transport.dial(&origin, Protocol::Http1, network.as_ref(), &mut Trace::begin()).await?;
        let mut request = http::Request::new(());
        *request.uri_mut() = target(&origin, path);
        *request.headers_mut() = headers;
        let key = HeaderValue::try_from(generate_key());
        let key = key.map_err(|error| Failure::new(ErrorClass::Other, error.to_string()))?;
        let headers = request.headers_mut();
        headers.entry(HOST).or_insert_with(|| origin.host_header.clone());
        headers.insert(CONNECTION, HeaderValue::from_static("Upgrade"));
        headers.insert(UPGRADE, HeaderValue::from_static("websocket"));
        headers.insert(SEC_WEBSOCKET_VERSION, HeaderValue::from_static("13"));
        headers.insert(SEC_WEBSOCKET_KEY, key);
        let config = WebSocketConfig::default()
            .read_buffer_size(BUFFER)
            .write_buffer_size(0)
            .max_write_buffer_size(2 * MAX_MESSAGE)
            .max_message_size(Some(MAX_MESSAGE))
            .max_frame_size(Some(MAX_MESSAGE));
        let (stream, _) = client_async_with_config(request, dialled.io, Some(config)).await?;
        Ok(Self { stream, meter: dialled.meter })
    }

    /// Sends a text message.
    ///
    /// # Errors
    /// The connection is gone.
    pub async fn send(&mut self, text: Bytes) -> Result<(), Failure> {
        let text = Utf8Bytes::try_from(text);
        let text = text.map_err(|error| Failure::new(ErrorClass::Protocol, error.to_string()))?;
        Ok(self.stream.send(Frame::Text(text)).await?)
    }

    /// Sends a ping without payload.
    ///
    /// # Errors
    /// The connection is gone.
    pub async fn ping(&mut self) -> Result<(), Failure> {
        Ok(self.stream.send(Frame::Ping(Bytes::new())).await?)
    }

    /// The next message.
    ///
    /// # Errors
    /// The connection is gone without a close, or a message is too long.
    pub async fn next(&mut self) -> Result<Message, Failure> {
        loop {
            return match self.stream.next().await.transpose() {
                Ok(Some(Frame::Text(text))) => Ok(Message::Data(text.into())),
                Ok(Some(Frame::Binary(data))) => Ok(Message::Data(data)),
                Ok(Some(Frame::Pong(_))) => Ok(Message::Pong),
                Ok(Some(Frame::Ping(_) | Frame::Frame(_))) => continue,
                Ok(None | Some(Frame::Close(_))) | Err(Error::ConnectionClosed) => Ok(Message::Close),
                Err(error) => Err(error.into()),
            };
        }
    }

    /// Says goodbye. The other side's goodbye is for [`WebSocket::next`].
    ///
    /// # Errors
    /// The connection is gone.
    pub async fn close(&mut self) -> Result<(), Failure> {
        Ok(self.stream.close(None).await?)
    }

    /// Bytes sent and received on the wire so far.
    pub fn bytes(&self) -> (u64, u64) {
        self.meter.total()
    }
}

/// The target in the form that the handshake wants it.
fn target(origin: &Origin, path: PathAndQuery) -> Uri {
    let mut parts = http::uri::Parts::default();
    parts.scheme = (if origin.tls { "wss" } else { "ws" }).parse().ok();
    parts.authority = Some(origin.authority.clone());
    parts.path_and_query = Some(path);
    Uri::from_parts(parts).unwrap_or_default()
}
