//! A Spillway gateway, whose console shows the result beside earlier ones.

use http::Method;
use http::header::HeaderValue;
use url::Url;

use super::{PublishError, Secret, TIMEOUT};
use crate::fetch::{FetchError, Server};
use crate::results::Published;

/// A gateway to tell of results.
pub struct Gateway {
    server: Server,
    url: Url,
}

impl Gateway {
    /// The gateway at this URL, with a key of its API that has scope `write`. Nothing is sent.
    ///
    /// # Errors
    /// When the URL is none to send to, or the key is missing.
    pub fn new(url: &Url, key: Option<&Secret>) -> Result<Self, PublishError> {
        let server = Server::new(url, TIMEOUT).map_err(|_| PublishError::Gateway)?;
        let key = key.filter(|key| !key.is_empty()).ok_or(PublishError::GatewayKey)?;
        let bearer = HeaderValue::try_from(format!("Bearer {}", key.0)).map_err(|_| PublishError::GatewayKey)?;
        Ok(Self { server: server.authorized(bearer), url: url.clone() })
    }

    /// Tells it. Returns what went wrong, for people.
    pub async fn publish(mut self, result: &Published) -> Option<String> {
        let told = self.put(result).await;
        told.err().map(|error| format!("the result is not in the gateway: {error}"))
    }

    async fn put(&mut self, result: &Published) -> Result<(), FetchError> {
        let mut url = self.url.clone();
        url.set_path(&format!("{}/api/v1/load-tests/{}", self.url.path().trim_end_matches('/'), result.id));
        url.set_query(None);
        self.server.put(Method::PUT, &url, "application/json", result.body.to_string()).await.map(drop)
    }
}
