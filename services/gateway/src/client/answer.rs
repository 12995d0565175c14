//! What the gateway answered.

use std::time::Duration;

use bytes::Bytes;
use http::{StatusCode, header, response};
use serde::de::DeserializeOwned;
use spillway_settings::HttpUrl;

use super::error::{ClientError, Problem};

/// An answer, read to its end.
#[derive(Debug)]
pub(crate) struct Answer {
    pub(crate) head: response::Parts,
    pub(crate) body: Bytes,
}

impl Answer {
    pub(crate) fn status(&self) -> StatusCode {
        self.head.status
    }

    /// How long the gateway asks to wait, if it does.
    pub(crate) fn retry_after(&self) -> Option<Duration> {
        let seconds = self.head.headers.get(header::RETRY_AFTER)?.to_str().ok()?;
        seconds.parse().ok().map(Duration::from_secs)
    }

    /// The answer when it is a success, else the problem that it describes.
    pub(crate) fn success(self, url: &HttpUrl) -> Result<Self, ClientError> {
        if self.status().is_success() {
            return Ok(self);
        }
        let Ok(mut problem) = serde_json::from_slice::<Problem>(&self.body) else {
            return Err(ClientError::NotSpillway { url: url.clone(), status: self.status() });
        };
        problem.retry_after = self.retry_after();
        Err(ClientError::Refused(problem))
    }

    pub(crate) fn json<T: DeserializeOwned>(&self, url: &HttpUrl) -> Result<T, ClientError> {
        let unknown = |_| ClientError::NotSpillway { url: url.clone(), status: self.status() };
        serde_json::from_slice(&self.body).map_err(unknown)
    }
}
