//! The shard's side of HTTP.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use http::uri::PathAndQuery;
use http::{HeaderMap, HeaderValue, Method, header};
use serde::Serialize;
use tokio::time::Instant;
use url::Url;

use super::message::{Answer, Refusal};
use crate::http::{Client, ClientSettings, Origin, Request, Transport};

/// Pause before a message is sent again.
const PAUSE: Duration = Duration::from_millis(250);

/// Longest time for one exchange; answers are held back for at most five seconds.
const EXCHANGE: Duration = Duration::from_secs(15);

/// Why a message did not arrive.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum LinkError {
    /// The address is none.
    #[error("{0}")]
    Address(String),
    /// The coordinator does not want it.
    #[error("the coordinator at {coordinator} refused: {message}")]
    Refused {
        /// Its address.
        coordinator: String,
        /// Its reason.
        message: String,
    },
    /// No answer in the time there was.
    #[error("no answer from the coordinator at {coordinator} for {waited_s} s: {message}")]
    Silent {
        /// Its address.
        coordinator: String,
        /// For so long.
        waited_s: u64,
        /// What the last attempt ended with.
        message: String,
    },
}

/// The way to a coordinator.
pub(super) struct Link {
    client: Client,
    origin: Arc<Origin>,
    base: String,
    headers: HeaderMap,
}

impl Link {
    pub(super) fn new(coordinator: &Url, token: Option<&str>) -> Result<Self, LinkError> {
        let address = |error: &dyn std::fmt::Display| LinkError::Address(error.to_string());
        let origin = Arc::new(Origin::of(coordinator).map_err(|error| address(&error))?);
        let mut headers = HeaderMap::new();
        headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("application/json"));
        if let Some(token) = token {
            let value = HeaderValue::try_from(format!("Bearer {token}"));
            let mut value = value.map_err(|_| address(&"a token has visible characters only"))?;
            value.set_sensitive(true);
            headers.insert(header::AUTHORIZATION, value);
        }
        let client = Client::new(Transport::new(false), ClientSettings::default());
        Ok(Self { client, origin, base: coordinator.path().trim_end_matches('/').to_owned(), headers })
    }

    /// Sends a message until there is an answer, for as long as `patience` lasts.
    pub(super) async fn say<Message: Serialize>(
        &mut self,
        path: &str,
        message: &Message,
        patience: Duration,
    ) -> Result<Answer, LinkError> {
        let unsendable =
            |error: &dyn std::fmt::Display| LinkError::Address(format!("a message cannot be made: {error}"));
        let body = Bytes::from(serde_json::to_vec(message).map_err(|error| unsendable(&error))?);
        let path: PathAndQuery = format!("{}{path}", self.base).parse().map_err(|error| unsendable(&error))?;
        let deadline = Instant::now() + patience;
        loop {
            let left = deadline.saturating_duration_since(Instant::now());
            let problem = match self.attempt(&path, body.clone(), left.clamp(PAUSE, EXCHANGE)).await? {
                Ok(answer) => return Ok(answer),
                Err(problem) => problem,
            };
            if Instant::now() + PAUSE >= deadline {
                let coordinator = self.origin.authority.to_string();
                return Err(LinkError::Silent { coordinator, waited_s: patience.as_secs(), message: problem });
            }
            tokio::time::sleep(PAUSE).await;
        }
    }

    /// The inner error is worth another attempt.
    async fn attempt(
        &mut self,
        path: &PathAndQuery,
        body: Bytes,
        timeout: Duration,
    ) -> Result<Result<Answer, String>, LinkError> {
        let request = Request {
            origin: self.origin.clone(),
            method: Method::POST,
            path: path.clone(),
            headers: self.headers.clone(),
            body,
            timeout,
            keep_body: true,
        };
        let response = match self.client.send(request).await.outcome {
            Ok(response) => response,
            Err(failure) => return Ok(Err(failure.to_string())),
        };
        let status = response.status;
        if status.is_success() {
            return Ok(
                serde_json::from_slice(&response.body).map_err(|error| format!("an answer nobody can read: {error}"))
            );
        }
        let message = serde_json::from_slice(&response.body)
            .map_or_else(|_| format!("status {status}"), |Refusal { message, .. }| message);
        if status.is_client_error() && status != http::StatusCode::REQUEST_TIMEOUT {
            return Err(LinkError::Refused { coordinator: self.origin.authority.to_string(), message });
        }
        Ok(Err(message))
    }
}
