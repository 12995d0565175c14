//! WebSockets to the gateway.

use http::{HeaderValue, Method, StatusCode, header};
use http_body_util::{BodyExt as _, Limited};
use hyper::upgrade::Upgraded;
use hyper_util::rt::TokioIo;
use tokio_tungstenite::WebSocketStream;
use tokio_tungstenite::tungstenite::handshake::client::generate_key;
use tokio_tungstenite::tungstenite::handshake::derive_accept_key;
use tokio_tungstenite::tungstenite::protocol::{Role, WebSocketConfig};

use super::{Api, MAX_ANSWER_BYTES, target};
use crate::client::answer::Answer;
use crate::client::error::ClientError;

/// A connection that messages go over in both directions.
pub(crate) type Socket = WebSocketStream<TokioIo<Upgraded>>;

impl Api {
    /// Opens a WebSocket at a path under `/api/v1`.
    pub(crate) async fn open(&self, path: &[&str], query: &[(&str, String)]) -> Result<Socket, ClientError> {
        let key = generate_key();
        let mut request = self.request(Method::GET, &target(path, query), None)?;
        let headers = request.headers_mut();
        headers.insert(header::CONNECTION, HeaderValue::from_static("Upgrade"));
        headers.insert(header::UPGRADE, HeaderValue::from_static("websocket"));
        headers.insert(header::SEC_WEBSOCKET_VERSION, HeaderValue::from_static("13"));
        if let Ok(key) = HeaderValue::try_from(&key) {
            headers.insert(header::SEC_WEBSOCKET_KEY, key);
        }
        let unreachable = |error| ClientError::unreachable(&self.url, error);
        let handshake = async {
            let response = self.client.request(request).await.map_err(unreachable)?;
            if response.status() != StatusCode::SWITCHING_PROTOCOLS {
                let (head, body) = response.into_parts();
                let body = Limited::new(body, MAX_ANSWER_BYTES).collect().await;
                let body = body.map(|body| body.to_bytes()).unwrap_or_default();
                let status = Answer { head, body }.success(&self.url)?.status();
                return Err(ClientError::NotSpillway { url: self.url.clone(), status });
            }
            let accepted = response.headers().get(header::SEC_WEBSOCKET_ACCEPT).map(HeaderValue::as_bytes);
            if accepted != Some(derive_accept_key(key.as_bytes()).as_bytes()) {
                return Err(ClientError::NotSpillway { url: self.url.clone(), status: response.status() });
            }
            let upgraded = hyper::upgrade::on(response).await.map_err(|e| ClientError::unreachable(&self.url, e))?;
            let config = WebSocketConfig::default()
                .max_message_size(Some(MAX_ANSWER_BYTES))
                .max_frame_size(Some(MAX_ANSWER_BYTES));
            Ok(WebSocketStream::from_raw_socket(TokioIo::new(upgraded), Role::Client, Some(config)).await)
        };
        let in_time = tokio::time::timeout(self.timeout, handshake).await;
        in_time.unwrap_or_else(|_| Err(ClientError::TooSlow { url: self.url.clone(), limit: self.timeout }))
    }
}
