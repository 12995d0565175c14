//! Requests to the gateway.

mod socket;

use std::sync::Arc;
use std::time::{Duration, Instant};

use bytes::Bytes;
use http::{HeaderName, HeaderValue, Method, Request, StatusCode, Uri, header};
use http_body_util::{BodyExt as _, Full, Limited};
use hyper_rustls::{HttpsConnector, HttpsConnectorBuilder};
use hyper_util::client::legacy;
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::rt::{TokioExecutor, TokioTimer};
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};
use rustls::{ClientConfig, RootCertStore};
use serde::Deserialize;
use serde::de::DeserializeOwned;
use serde_json::Value;
use serde_json::value::RawValue;
use spillway_model::Secret;
use spillway_settings::HttpUrl;

use super::answer::Answer;
use super::error::ClientError;
use super::options::ClientOptions;

pub(crate) use socket::Socket;

/// Larger answers are not read. The largest honest one is an event of 64 MiB, in base64.
const MAX_ANSWER_BYTES: usize = 128 << 20;
/// How often a request that the gateway's rate limit turned away is sent again, and how long to wait at most each time.
const MAX_TURNED_AWAY: u32 = 5;
const MAX_WAIT: Duration = Duration::from_secs(10);
/// Entries that are asked for at once, the most that the API gives.
pub(crate) const PAGE: usize = 200;

const IN_PATH: &AsciiSet = &NON_ALPHANUMERIC.remove(b'.').remove(b'_').remove(b'-');

/// One page of a list, each entry as it was answered.
#[derive(Debug, Deserialize)]
pub(crate) struct Page {
    pub(crate) data: Vec<Box<RawValue>>,
    pub(crate) next: Option<String>,
}

/// The gateway's API.
pub(crate) struct Api {
    client: legacy::Client<HttpsConnector<HttpConnector>, Full<Bytes>>,
    url: HttpUrl,
    key: Option<Secret>,
    timeout: Duration,
}

impl Api {
    /// A client of the gateway at the URL of the options. Root certificates are read only where TLS is used.
    pub(crate) fn new(options: &ClientOptions) -> Result<Self, ClientError> {
        Ok(Self { key: options.api_key()?, ..Self::without_key(options)? })
    }

    /// The same for what needs no key.
    pub(crate) fn without_key(options: &ClientOptions) -> Result<Self, ClientError> {
        let url = options.url().clone();
        let client = http_client(url.as_str().starts_with("https://"))?;
        Ok(Self { client, url, key: None, timeout: options.timeout() })
    }

    /// Longest time to wait for an answer.
    pub(crate) fn timeout(&self) -> Duration {
        self.timeout
    }

    pub(crate) fn has_key(&self) -> bool {
        self.key.is_some()
    }

    /// `GET` of a path under `/api/v1`, one segment each.
    pub(crate) async fn get(&self, path: &[&str]) -> Result<Box<RawValue>, ClientError> {
        self.call(Method::GET, &target(path, &[]), None).await
    }

    /// The same with parameters.
    pub(crate) async fn get_with(&self, path: &[&str], query: &[(&str, String)]) -> Result<Box<RawValue>, ClientError> {
        self.call(Method::GET, &target(path, query), None).await
    }

    /// `GET` with the answer as a value.
    pub(crate) async fn get_value(&self, path: &[&str]) -> Result<Value, ClientError> {
        self.call(Method::GET, &target(path, &[]), None).await
    }

    /// Another method, with a JSON body where there is one.
    pub(crate) async fn change(
        &self,
        method: Method,
        path: &[&str],
        body: Option<Vec<u8>>,
    ) -> Result<Box<RawValue>, ClientError> {
        self.call(method, &target(path, &[]), body).await
    }

    pub(crate) async fn delete(&self, path: &[&str]) -> Result<(), ClientError> {
        self.admitted(&self.request(Method::DELETE, &target(path, &[]), None)?).await?.success(&self.url).map(drop)
    }

    /// One page of a list.
    pub(crate) async fn page(&self, path: &[&str], query: &[(&str, String)]) -> Result<Page, ClientError> {
        self.call(Method::GET, &target(path, query), None).await
    }

    /// All entries of a list that the gateway bounds itself, such as the sources.
    pub(crate) async fn all(&self, path: &[&str]) -> Result<Vec<Value>, ClientError> {
        let mut query = vec![("limit", PAGE.to_string())];
        let mut entries = Vec::new();
        loop {
            let page = self.page(path, &query).await?;
            entries.extend(page.data.iter().filter_map(|entry| serde_json::from_str::<Value>(entry.get()).ok()));
            let Some(next) = page.next else { return Ok(entries) };
            query.truncate(1);
            query.push(("cursor", next));
        }
    }

    /// Posts a webhook to intake, and says how long the answer took.
    pub(crate) async fn webhook(
        &self,
        path_and_query: &str,
        headers: &[(String, String)],
        body: Bytes,
    ) -> Result<(Answer, Duration), ClientError> {
        let mut request = Request::post(self.uri(path_and_query)?);
        for (name, value) in headers {
            let invalid = || ClientError::Usage(format!("the header {name} cannot be sent with this value"));
            let value = HeaderValue::from_str(value).map_err(|_| invalid())?;
            let name = HeaderName::from_bytes(name.as_bytes()).map_err(|_| invalid())?;
            request = request.header(name, value);
        }
        let request = request.body(Full::new(body)).map_err(|error| ClientError::unreachable(&self.url, error))?;
        let begun = Instant::now();
        let answer = self.exchange(request).await?;
        let elapsed = begun.elapsed();
        Ok((answer.success(&self.url)?, elapsed))
    }

    /// `GET` of a path that needs no key, whatever is answered.
    pub(crate) async fn probe(&self, path: &str) -> Result<Answer, ClientError> {
        let request = Request::get(self.uri(path)?).body(Full::default());
        self.exchange(request.map_err(|error| ClientError::unreachable(&self.url, error))?).await
    }

    async fn call<T: DeserializeOwned>(
        &self,
        method: Method,
        target: &str,
        body: Option<Vec<u8>>,
    ) -> Result<T, ClientError> {
        let answer = self.admitted(&self.request(method, target, body)?).await?;
        answer.success(&self.url)?.json(&self.url)
    }

    /// The answer, after waiting for the rate limit of the key where a long list runs into it. Nothing was done for a request
    /// that was turned away, so sending it again is safe.
    async fn admitted(&self, request: &Request<Full<Bytes>>) -> Result<Answer, ClientError> {
        let mut n_turned_away = 0;
        loop {
            let answer = self.exchange(request.clone()).await?;
            match answer.retry_after() {
                Some(wait)
                    if answer.status() == StatusCode::TOO_MANY_REQUESTS
                        && wait <= MAX_WAIT
                        && n_turned_away < MAX_TURNED_AWAY =>
                {
                    n_turned_away += 1;
                    tokio::time::sleep(wait).await;
                }
                _ => return Ok(answer),
            }
        }
    }

    fn request(
        &self,
        method: Method,
        target: &str,
        body: Option<Vec<u8>>,
    ) -> Result<Request<Full<Bytes>>, ClientError> {
        let key = self.key.as_ref().ok_or(ClientError::NoKey)?;
        let mut bearer = HeaderValue::from_str(&format!("Bearer {}", key.expose()))
            .map_err(|_| ClientError::Usage("the API key has characters that no key has".to_owned()))?;
        bearer.set_sensitive(true);
        let mut request =
            Request::builder().method(method).uri(self.uri(target)?).header(header::AUTHORIZATION, bearer);
        if body.is_some() {
            request = request.header(header::CONTENT_TYPE, "application/json");
        }
        let body = Full::new(Bytes::from(body.unwrap_or_default()));
        request.body(body).map_err(|error| ClientError::unreachable(&self.url, error))
    }

    async fn exchange(&self, mut request: Request<Full<Bytes>>) -> Result<Answer, ClientError> {
        let agent = HeaderValue::from_static(concat!("spillway/", env!("CARGO_PKG_VERSION")));
        request.headers_mut().entry(header::USER_AGENT).or_insert(agent);
        let exchange = async {
            let response = self.client.request(request).await.map_err(|e| ClientError::unreachable(&self.url, e))?;
            let (head, body) = response.into_parts();
            let body = Limited::new(body, MAX_ANSWER_BYTES).collect().await.map_err(|source| {
                let reason = format!("the answer of {} broke off or is larger than {MAX_ANSWER_BYTES} bytes", self.url);
                ClientError::Unreachable { reason, source: Some(source) }
            })?;
            Ok(Answer { head, body: body.to_bytes() })
        };
        let in_time = tokio::time::timeout(self.timeout, exchange).await;
        in_time.unwrap_or_else(|_| Err(ClientError::TooSlow { url: self.url.clone(), limit: self.timeout }))
    }

    fn uri(&self, target: &str) -> Result<Uri, ClientError> {
        let uri = format!("{}{target}", self.url).parse();
        uri.map_err(|error| ClientError::Usage(format!("{} cannot be used as a URL: {error}", self.url)))
    }
}

/// One segment of a path, encoded.
pub(crate) fn segment(text: &str) -> impl std::fmt::Display {
    utf8_percent_encode(text, IN_PATH)
}

fn target(path: &[&str], query: &[(&str, String)]) -> String {
    let mut target = "/api/v1".to_owned();
    for part in path {
        target += &format!("/{}", segment(part));
    }
    for (position, (name, value)) in query.iter().enumerate() {
        target += &format!("{}{name}={}", if position == 0 { '?' } else { '&' }, segment(value));
    }
    target
}

/// A client for HTTP/1.1. Root certificates are read only where TLS is used.
pub(crate) fn http_client(
    uses_tls: bool,
) -> Result<legacy::Client<HttpsConnector<HttpConnector>, Full<Bytes>>, ClientError> {
    let mut http = HttpConnector::new();
    http.enforce_http(false);
    http.set_nodelay(true);
    let https = HttpsConnectorBuilder::new().with_tls_config(tls(uses_tls)?).https_or_http().enable_http1();
    let mut client = legacy::Client::builder(TokioExecutor::new());
    Ok(client.pool_timer(TokioTimer::new()).build(https.wrap_connector(http)))
}

fn tls(is_used: bool) -> Result<ClientConfig, ClientError> {
    let mut roots = RootCertStore::empty();
    if is_used {
        roots.add_parsable_certificates(rustls_native_certs::load_native_certs().certs);
        if roots.is_empty() {
            return Err(ClientError::NoRootCertificates);
        }
    }
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let versions = ClientConfig::builder_with_provider(provider).with_safe_default_protocol_versions();
    let versions = versions.map_err(|_| ClientError::NoRootCertificates)?;
    Ok(versions.with_root_certificates(roots).with_no_client_auth())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_and_cursors_are_encoded() {
        assert_eq!(target(&["keys", "first admin/key"], &[]), "/api/v1/keys/first%20admin%2Fkey");
        let query = [("limit", "2".to_owned()), ("cursor", "a+b=".to_owned())];
        assert_eq!(target(&["events"], &query), "/api/v1/events?limit=2&cursor=a%2Bb%3D");
    }
}
