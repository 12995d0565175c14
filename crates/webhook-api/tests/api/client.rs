//! Clients of live events.

use std::time::Duration;

use bytes::Bytes;
use futures_util::{SinkExt, StreamExt};
use http::{HeaderMap, Request, StatusCode};
use http_body_util::{BodyExt, Empty};
use hyper::body::Incoming;
use hyper_util::rt::TokioIo;
use serde_json::Value;
use tokio::net::TcpStream;
use tokio_tungstenite::tungstenite::Message;
use tokio_tungstenite::tungstenite::client::IntoClientRequest;
use tokio_tungstenite::{WebSocketStream, client_async};

use crate::support::TestApp;

/// What takes a quarter of a second on an idle machine.
const SOON: Duration = Duration::from_secs(20);

/// An event of an event stream, or one of its comments.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Frame {
    pub(crate) id: Option<String>,
    pub(crate) name: String,
    pub(crate) data: Value,
}

/// Reads server-sent events.
pub(crate) struct EventStream {
    pub(crate) status: StatusCode,
    pub(crate) headers: HeaderMap,
    body: Incoming,
    read: String,
}

impl EventStream {
    pub(crate) async fn open(app: &TestApp, path: &str, key: &str, headers: &[(&str, &str)]) -> Self {
        let stream = TcpStream::connect(app.address).await.expect("a connection");
        let (mut sender, connection) =
            hyper::client::conn::http1::handshake(TokioIo::new(stream)).await.expect("HTTP/1.1");
        tokio::spawn(connection);
        let mut request = Request::get(path).header("host", "gateway").header("authorization", format!("Bearer {key}"));
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        let request = request.body(Empty::<Bytes>::new()).expect("a request");
        let (head, body) = sender.send_request(request).await.expect("an answer").into_parts();
        let mut stream = Self { status: head.status, headers: head.headers, body, read: String::new() };
        if stream.status == StatusCode::OK {
            assert_eq!(stream.paragraph().await.as_deref(), Some("retry: 2000\n: ready"));
        }
        stream
    }

    /// The next event; `None` at the end.
    pub(crate) async fn next(&mut self) -> Option<Frame> {
        loop {
            let text = self.paragraph().await?;
            if text.starts_with(':') {
                continue;
            }
            let field = |name: &str| text.lines().find_map(|line| line.strip_prefix(name)).map(str::to_owned);
            let data = field("data: ").and_then(|data| serde_json::from_str(&data).ok()).expect("JSON data");
            return Some(Frame { id: field("id: "), name: field("event: ").expect("a name"), data });
        }
    }

    async fn paragraph(&mut self) -> Option<String> {
        loop {
            if let Some((text, rest)) = self.read.split_once("\n\n") {
                let text = text.to_owned();
                self.read = rest.to_owned();
                return Some(text);
            }
            let frame = tokio::time::timeout(SOON, self.body.frame()).await.expect("something in time")?;
            let data = frame.expect("a whole stream").into_data().expect("data");
            self.read.push_str(std::str::from_utf8(&data).expect("UTF-8"));
        }
    }
}

/// Ids of rows, and how many were skipped, until there are `n` of both together.
pub(crate) fn ids(batch: &Value) -> Vec<String> {
    let rows = batch["events"].as_array().expect("rows");
    rows.iter().map(|row| row["id"].as_str().expect("an id").to_owned()).collect()
}

/// A client of the WebSocket.
pub(crate) struct SocketClient(WebSocketStream<TcpStream>);

impl SocketClient {
    /// Connects; the answer's status and body when it is no WebSocket.
    pub(crate) async fn try_open(app: &TestApp, query: &str, key: &str) -> Result<Self, (u16, Value)> {
        let stream = TcpStream::connect(app.address).await.expect("a connection");
        let uri = format!("ws://{}/api/v1/stream{query}", app.address);
        let mut request = uri.into_client_request().expect("a request");
        request.headers_mut().insert("authorization", format!("Bearer {key}").parse().expect("a value"));
        match client_async(request, stream).await {
            Ok((socket, _)) => Ok(Self(socket)),
            Err(tokio_tungstenite::tungstenite::Error::Http(response)) => {
                let status = response.status().as_u16();
                let body = response.into_body().unwrap_or_default();
                Err((status, serde_json::from_slice(&body).unwrap_or_default()))
            }
            Err(error) => panic!("{error}"),
        }
    }

    /// Connects, and reads the greeting.
    pub(crate) async fn open(app: &TestApp, query: &str) -> Self {
        let mut socket = Self::try_open(app, query, app.admin_key()).await.unwrap_or_else(|error| panic!("{error:?}"));
        assert_eq!(socket.next().await.expect("a greeting")["type"], "ready");
        socket
    }

    /// The next message; at the end the code and reason of the close.
    pub(crate) async fn next(&mut self) -> Result<Value, (u16, String)> {
        loop {
            match tokio::time::timeout(SOON, self.0.next()).await.expect("something in time") {
                Some(Ok(Message::Text(text))) => return Ok(serde_json::from_str(text.as_str()).expect("JSON")),
                Some(Ok(Message::Close(Some(frame)))) => {
                    return Err((frame.code.into(), frame.reason.as_str().to_owned()));
                }
                Some(Ok(Message::Ping(_) | Message::Pong(_))) => {}
                other => return Err((0, format!("{other:?}"))),
            }
        }
    }

    pub(crate) async fn say(&mut self, text: &str) {
        self.0.send(Message::text(text.to_owned())).await.expect("a connection");
    }

    pub(crate) async fn acknowledge(&mut self, id: &str) {
        self.say(&format!(r#"{{"type":"ack","id":"{id}"}}"#)).await;
    }

    /// Whether nothing comes within a few batches.
    pub(crate) async fn is_silent(&mut self) -> bool {
        tokio::time::timeout(Duration::from_secs(1), self.0.next()).await.is_err()
    }
}
