//! `/api/v1/workers/shares` of a gateway.

use std::time::Duration;

use http::{Method, StatusCode, header};
use serde::{Deserialize, Serialize};
use spillway_model::Secret;
use spillway_rollout::ports::PortError;
use spillway_rollout::slot::Slots;

use crate::gateway::{self, Call};
use crate::http::{HttpAnswer, HttpClient};

/// Longest wait for the gateway. It answers when its own node has the shares in force.
const TIMEOUT: Duration = Duration::from_secs(10);

/// The shares at one gateway.
pub(super) struct SharesApi<'h> {
    http: &'h HttpClient,
    url: String,
    key: Secret,
}

/// The shares as they were read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Read {
    /// `None`: any worker takes any delivery.
    pub(super) shares: Option<Slots<u8>>,
    /// Names what was read.
    pub(super) tag: Option<String>,
}

#[derive(Serialize, Deserialize)]
struct Document {
    shares: Option<Slots<u8>>,
}

impl<'h> SharesApi<'h> {
    pub(super) fn new(http: &'h HttpClient, gateway: &str, key: Secret) -> Self {
        Self { http, url: format!("{}/api/v1/workers/shares", gateway.trim_end_matches('/')), key }
    }

    pub(super) async fn get(&self) -> Result<Read, PortError> {
        let answer = self.send(Method::GET, None, None).await?;
        let document: Document = serde_json::from_slice(&answer.body)
            .map_err(|_| PortError::Permanent(format!("{} answered, but not as a Spillway gateway does", self.url)))?;
        let tag = answer.headers.get(header::ETAG).and_then(|tag| tag.to_str().ok()).map(str::to_owned);
        Ok(Read { shares: document.shares, tag })
    }

    /// Sets the shares, unless they are no longer those with this tag.
    pub(super) async fn put(&self, shares: Slots<u8>, tag: Option<&str>) -> Result<(), PortError> {
        let body = serde_json::to_vec(&Document { shares: Some(shares) })
            .map_err(|error| PortError::Permanent(format!("the shares cannot be written: {error}")))?;
        self.send(Method::PUT, Some(body), tag).await.map(drop)
    }

    async fn send(&self, method: Method, body: Option<Vec<u8>>, tag: Option<&str>) -> Result<HttpAnswer, PortError> {
        let call = Call { method, url: &self.url, key: &self.key, body, tag, timeout: TIMEOUT };
        let answer = gateway::send(self.http, call).await?;
        if answer.status.is_success() { Ok(answer) } else { Err(refusal(&self.url, &answer)) }
    }
}

/// What to do about an answer that is none.
fn refusal(url: &str, answer: &HttpAnswer) -> PortError {
    let said = gateway::said(answer);
    let status = answer.status.as_u16();
    match answer.status {
        StatusCode::UNAUTHORIZED | StatusCode::FORBIDDEN => PortError::Permanent(format!(
            "{url} answered {status}{said} target.workers.apiKey must be a key with scope admin"
        )),
        StatusCode::NOT_FOUND | StatusCode::METHOD_NOT_ALLOWED => PortError::Permanent(format!(
            "{url} answered {status}: target.workers.gateway must be a gateway that serves the API and knows worker shares"
        )),
        StatusCode::PRECONDITION_FAILED
        | StatusCode::CONFLICT
        | StatusCode::REQUEST_TIMEOUT
        | StatusCode::TOO_MANY_REQUESTS => PortError::Temporary(format!("{url} answered {status}{said}")),
        other if other.is_server_error() => PortError::Temporary(format!("{url} answered {status}{said}")),
        _ => PortError::Permanent(format!("{url} answered {status}{said}")),
    }
}
