//! One small HTTP client for everything that is asked: metrics, Prometheus, webhooks, the gateway.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use http::{HeaderMap, Request, StatusCode};
use http_body_util::{BodyExt as _, Full, Limited};
use hyper_rustls::{HttpsConnector, HttpsConnectorBuilder};
use hyper_util::client::legacy;
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::rt::{TokioExecutor, TokioTimer};
use rustls::{ClientConfig, RootCertStore};

/// Larger answers are an error. The metrics of a busy process are some hundred kilobytes.
pub const MAX_ANSWER_BYTES: usize = 16 << 20;

/// A client that keeps connections. Cheap to clone.
#[derive(Debug, Clone)]
pub struct HttpClient(legacy::Client<HttpsConnector<HttpConnector>, Full<Bytes>>);

/// An answer, read to its end.
#[derive(Debug, Clone)]
pub struct HttpAnswer {
    /// Its status.
    pub status: StatusCode,
    /// Its headers.
    pub headers: HeaderMap,
    /// Its body.
    pub body: Bytes,
}

/// Why there is no answer.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum HttpError {
    /// The address or a header is not one.
    #[error("{0} cannot be asked: {1}")]
    Invalid(String, String),
    /// No connection, or it broke.
    #[error("{url} is not reachable: {reason}")]
    Unreachable {
        /// Who was asked, without query.
        url: String,
        /// What the system says.
        reason: String,
    },
    /// It took too long.
    #[error("{url} did not answer within {} ms", .timeout.as_millis())]
    Slow {
        /// Who was asked, without query.
        url: String,
        /// The longest wait.
        timeout: Duration,
    },
    /// The answer is larger than [`MAX_ANSWER_BYTES`].
    #[error("{url} answered with more than {} MiB", MAX_ANSWER_BYTES >> 20)]
    TooLarge {
        /// Who was asked, without query.
        url: String,
    },
}

impl HttpClient {
    /// A client with the system's root certificates.
    #[must_use]
    pub fn new() -> Self {
        let mut roots = RootCertStore::empty();
        roots.add_parsable_certificates(rustls_native_certs::load_native_certs().certs);
        let tls = ClientConfig::builder_with_provider(Arc::new(rustls::crypto::ring::default_provider()))
            .with_safe_default_protocol_versions()
            .expect("ring has the default protocol versions")
            .with_root_certificates(roots)
            .with_no_client_auth();
        let mut http = HttpConnector::new();
        http.enforce_http(false);
        http.set_nodelay(true);
        http.set_connect_timeout(Some(Duration::from_secs(5)));
        let https = HttpsConnectorBuilder::new().with_tls_config(tls).https_or_http().enable_http1();
        let client = legacy::Client::builder(TokioExecutor::new())
            .pool_timer(TokioTimer::new())
            .pool_idle_timeout(Duration::from_secs(20))
            .build(https.wrap_connector(http));
        Self(client)
    }

    /// Sends a request and reads the answer, whatever its status. Redirects are not followed.
    ///
    /// # Errors
    /// When there is no whole answer within `timeout`.
    pub async fn send(&self, request: Request<Full<Bytes>>, timeout: Duration) -> Result<HttpAnswer, HttpError> {
        let uri = request.uri();
        let url = format!(
            "{}://{}{}",
            uri.scheme_str().unwrap_or("http"),
            uri.authority().map_or("", http::uri::Authority::as_str),
            uri.path()
        );
        let unreachable =
            |error: &dyn std::error::Error| HttpError::Unreachable { url: url.clone(), reason: chain(error) };
        let exchange = async {
            let answer = self.0.request(request).await.map_err(|error| unreachable(&error))?;
            let (parts, body) = answer.into_parts();
            let body = Limited::new(body, MAX_ANSWER_BYTES).collect().await.map_err(|error| {
                if error.is::<http_body_util::LengthLimitError>() {
                    HttpError::TooLarge { url: url.clone() }
                } else {
                    unreachable(&*error)
                }
            })?;
            Ok(HttpAnswer { status: parts.status, headers: parts.headers, body: body.to_bytes() })
        };
        tokio::time::timeout(timeout, exchange)
            .await
            .unwrap_or_else(|_| Err(HttpError::Slow { url: url.clone(), timeout }))
    }

    /// `GET`.
    ///
    /// # Errors
    /// When the address is none, or there is no whole answer within `timeout`.
    pub async fn get(&self, url: &str, timeout: Duration) -> Result<HttpAnswer, HttpError> {
        let request = Request::get(url).body(Full::default());
        self.send(request.map_err(|error| HttpError::Invalid(url.to_owned(), error.to_string()))?, timeout).await
    }

    /// `POST` of JSON.
    ///
    /// # Errors
    /// When the address is none, or there is no whole answer within `timeout`.
    pub async fn post_json(
        &self,
        url: &str,
        body: &serde_json::Value,
        timeout: Duration,
    ) -> Result<HttpAnswer, HttpError> {
        let request = Request::post(url).header("content-type", "application/json").body(Full::from(body.to_string()));
        self.send(request.map_err(|error| HttpError::Invalid(url.to_owned(), error.to_string()))?, timeout).await
    }
}

impl Default for HttpClient {
    fn default() -> Self {
        Self::new()
    }
}

/// An error and what is behind it, in one line.
fn chain(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut source = error.source();
    while let Some(error) = source {
        text = format!("{text}: {error}");
        source = error.source();
    }
    text
}
