use std::sync::Arc;

use axum::Router;
use axum::body::Bytes;
use axum::extract::State;
use axum::extract::ws::{Message, WebSocket, WebSocketUpgrade};
use axum::http::{HeaderMap, Method, StatusCode, Uri};
use axum::response::{IntoResponse, Response};
use axum::routing::any;
use parking_lot::Mutex;
use url::Url;

/// A server that keeps what it is sent.
pub(super) struct Server {
    pub(super) url: Url,
    seen: Arc<Mutex<Vec<Seen>>>,
    task: tokio::task::JoinHandle<()>,
}

/// One request as it came in.
#[derive(Debug, Clone)]
pub(super) struct Seen {
    pub(super) method: Method,
    pub(super) path: String,
    pub(super) headers: HeaderMap,
    pub(super) body: Bytes,
}

impl Seen {
    pub(super) fn header(&self, name: &str) -> &str {
        self.headers.get(name).map(|value| value.to_str().unwrap()).unwrap_or_default()
    }

    pub(super) fn text(&self) -> &str {
        std::str::from_utf8(&self.body).unwrap()
    }
}

impl Server {
    pub(super) async fn start() -> Self {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap()).parse().unwrap();
        let seen: Arc<Mutex<Vec<Seen>>> = Arc::default();
        let router = Router::new()
            .route("/ws", any(async |upgrade: WebSocketUpgrade| upgrade.on_upgrade(echo)))
            .route("/hang-up", any(async |upgrade: WebSocketUpgrade| upgrade.on_upgrade(hang_up)))
            .fallback(answer)
            .with_state(seen.clone());
        let task = tokio::spawn(async move { axum::serve(listener, router).await.unwrap() });
        Self { url, seen, task }
    }

    pub(super) fn seen(&self) -> Vec<Seen> {
        self.seen.lock().clone()
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.task.abort();
    }
}

async fn answer(
    State(seen): State<Arc<Mutex<Vec<Seen>>>>,
    method: Method,
    uri: Uri,
    headers: HeaderMap,
    body: Bytes,
) -> Response {
    seen.lock().push(Seen { method, path: uri.to_string(), headers, body });
    if let Some(status) = uri.path().strip_prefix("/status/") {
        return StatusCode::from_bytes(status.as_bytes()).unwrap().into_response();
    }
    match uri.path() {
        "/never" => std::future::pending().await,
        _ => {
            let body = r#"{"id":"evt_1","n":2,"tags":["a","b"],"user":{"name":"Ada"},"none":null}"#;
            (StatusCode::CREATED, [("location", "/things/9"), ("content-type", "application/json")], body)
                .into_response()
        }
    }
}

async fn echo(mut socket: WebSocket) {
    while let Some(Ok(message)) = socket.recv().await {
        if matches!(message, Message::Text(_)) && socket.send(message).await.is_err() {
            return;
        }
    }
}

async fn hang_up(mut socket: WebSocket) {
    socket.recv().await;
    let _ = socket.send(Message::Close(None)).await;
}
