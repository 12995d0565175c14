//! The other side of the control: `status`, `scale`, `pause`, `resume` and `stop`.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use http::uri::PathAndQuery;
use http::{HeaderMap, HeaderValue, Method, header};
use serde::{Deserialize, Serialize};
use url::Url;

use super::answer::{Document, Status};
use crate::http::{Client, ClientSettings, Origin, Request, Transport};

/// Longest time for an answer.
const PATIENCE: Duration = Duration::from_secs(10);

/// What shall become of a run; `None` leaves it as it is.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize)]
pub struct Change {
    /// Users of the externally controlled scenarios.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub vus: Option<u32>,
    /// Whether no iteration starts.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub paused: Option<bool>,
    /// Whether it ends.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub stopped: Option<bool>,
}

/// Why a run did not answer as wished.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ControlError {
    /// The address is none.
    #[error("{0:?} is no address: write HOST:PORT, such as 127.0.0.1:6565")]
    Address(String),
    /// Nobody answers there.
    #[error(
        "no run answers at {address}: {message}; a run listens with --address, or with an externally-controlled scenario"
    )]
    Unreachable {
        /// There.
        address: String,
        /// Why.
        message: String,
    },
    /// It said no.
    #[error("{0}")]
    Refused(String),
}

#[derive(Deserialize)]
struct Errors {
    errors: Vec<OneError>,
}

#[derive(Deserialize)]
struct OneError {
    detail: String,
}

/// Talks to the control of a run.
pub struct ControlClient {
    client: Client,
    origin: Arc<Origin>,
    address: String,
}

impl ControlClient {
    /// A client of the run at `address`, which is `HOST:PORT` or a URL.
    ///
    /// # Errors
    /// [`ControlError::Address`].
    pub fn new(address: &str) -> Result<Self, ControlError> {
        let problem = || ControlError::Address(address.to_owned());
        let url = if address.contains("://") { address.to_owned() } else { format!("http://{address}") };
        let origin = Origin::of(&Url::parse(&url).map_err(|_| problem())?).map_err(|_| problem())?;
        let client = Client::new(Transport::new(false), ClientSettings::default());
        Ok(Self { client, origin: Arc::new(origin), address: address.to_owned() })
    }

    /// How the run stands.
    ///
    /// # Errors
    /// Nobody answers there.
    pub async fn status(&mut self) -> Result<Status, ControlError> {
        self.ask(Method::GET, Bytes::new()).await
    }

    /// Changes the run; returns how it stands then.
    ///
    /// # Errors
    /// Nobody answers there, or the change is refused; then nothing of it was done.
    pub async fn change(&mut self, change: Change) -> Result<Status, ControlError> {
        let document = Document::of("status", "default", change);
        let body = serde_json::to_vec(&document).map_err(|error| ControlError::Refused(error.to_string()))?;
        self.ask(Method::PATCH, body.into()).await
    }

    async fn ask(&mut self, method: Method, body: Bytes) -> Result<Status, ControlError> {
        let unreachable = |message| ControlError::Unreachable { address: self.address.clone(), message };
        let headers = HeaderMap::from_iter([(header::CONTENT_TYPE, HeaderValue::from_static("application/json"))]);
        let request = Request {
            origin: self.origin.clone(),
            method,
            path: PathAndQuery::from_static("/v1/status"),
            headers,
            body,
            timeout: PATIENCE,
            keep_body: true,
        };
        let response = self.client.send(request).await.outcome.map_err(|failure| unreachable(failure.to_string()))?;
        if response.status.is_success() {
            let document = serde_json::from_slice::<Document<Status>>(&response.body);
            return document.map(|document| document.data.attributes).map_err(|error| unreachable(error.to_string()));
        }
        Err(match serde_json::from_slice::<Errors>(&response.body) {
            Ok(Errors { errors }) if !errors.is_empty() => {
                ControlError::Refused(errors.into_iter().map(|error| error.detail).collect::<Vec<_>>().join("; "))
            }
            _ => ControlError::Refused(format!("the run answered {}", response.status)),
        })
    }
}
