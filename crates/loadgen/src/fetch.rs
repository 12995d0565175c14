//! Single requests to servers beside the target: its metrics, Prometheus, the Pushgateway, Slack.

use std::sync::Arc;
use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use http::header::{ACCEPT, AUTHORIZATION, CONTENT_TYPE, HeaderValue};
use http::uri::PathAndQuery;
use http::{HeaderMap, Method, StatusCode};
use percent_encoding::percent_decode_str;
use url::Url;

use crate::http::{Client, ClientSettings, InvalidOrigin, Origin, Request, Transport};

/// The most of an answer that an error repeats, in characters.
const MOST_QUOTED: usize = 200;

/// A client of one server. A user and a password in the URL become `Authorization: Basic`.
pub(crate) struct Server {
    client: Client,
    origin: Arc<Origin>,
    authorization: Option<HeaderValue>,
    timeout: Duration,
}

/// An answer that says success.
#[derive(Debug)]
pub(crate) struct Answer {
    pub(crate) text: String,
    /// The answer was longer than [`MAX_KEPT_BODY`](crate::http::MAX_KEPT_BODY), and `text` is its begin.
    pub(crate) cut_off: bool,
}

/// Why there is no such answer. No text of it holds the URL, which may be a secret.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub(crate) enum FetchError {
    #[error("{0}")]
    Exchange(#[from] crate::http::Failure),
    #[error("it answered {status}{said}", said = quoted(text))]
    Status { status: StatusCode, text: String },
}

impl Server {
    /// A client of the server of `url`, whose requests may take `timeout` each.
    ///
    /// # Errors
    /// When `url` is not http or https.
    pub(crate) fn new(url: &Url, timeout: Duration) -> Result<Self, InvalidOrigin> {
        let origin = Arc::new(Origin::of(url)?);
        let client = Client::new(Transport::new(false), ClientSettings::default());
        Ok(Self { client, origin, authorization: basic(url), timeout })
    }

    /// The same with this header `Authorization`.
    pub(crate) fn authorized(mut self, authorization: HeaderValue) -> Self {
        self.authorization = Some(authorization);
        if let Some(authorization) = &mut self.authorization {
            authorization.set_sensitive(true);
        }
        self
    }

    /// Gets the path and query of `url`. `accept` is the header of that name.
    pub(crate) async fn get(&mut self, url: &Url, accept: &'static str) -> Result<Answer, FetchError> {
        let headers = HeaderMap::from_iter([(ACCEPT, HeaderValue::from_static(accept))]);
        self.send(Method::GET, url, headers, Bytes::new()).await
    }

    /// Sends `body` to the path and query of `url`.
    pub(crate) async fn put(
        &mut self,
        method: Method,
        url: &Url,
        content_type: &'static str,
        body: String,
    ) -> Result<Answer, FetchError> {
        let headers = HeaderMap::from_iter([(CONTENT_TYPE, HeaderValue::from_static(content_type))]);
        self.send(method, url, headers, body.into()).await
    }

    async fn send(
        &mut self,
        method: Method,
        url: &Url,
        mut headers: HeaderMap,
        body: Bytes,
    ) -> Result<Answer, FetchError> {
        if let Some(authorization) = &self.authorization {
            headers.insert(AUTHORIZATION, authorization.clone());
        }
        let (origin, timeout) = (self.origin.clone(), self.timeout);
        let path = path(url);
        let request = Request { origin, method, path, headers, body, timeout, keep_body: true };
        let response = self.client.send(request).await.outcome?;
        let text = String::from_utf8_lossy(&response.body).into_owned();
        if !response.status.is_success() {
            return Err(FetchError::Status { status: response.status, text });
        }
        Ok(Answer { text, cut_off: response.length > response.body.len() as u64 })
    }
}

/// `url` for people: without user, password, query and fragment.
pub(crate) fn shown(url: &Url) -> String {
    let mut url = url.clone();
    // Refused for URLs that can hold neither.
    let _ = url.set_username("");
    let _ = url.set_password(None);
    url.set_query(None);
    url.set_fragment(None);
    url.as_str().trim_end_matches('/').to_owned()
}

fn path(url: &Url) -> PathAndQuery {
    let text = match url.query() {
        Some(query) => format!("{}?{query}", url.path()),
        None => url.path().to_owned(),
    };
    // What the URL standard lets through, a request line takes too.
    text.parse().unwrap_or_else(|_| PathAndQuery::from_static("/"))
}

fn basic(url: &Url) -> Option<HeaderValue> {
    let decoded = |text: &str| percent_decode_str(text).decode_utf8_lossy().into_owned();
    let (user, password) = (decoded(url.username()), url.password().map(decoded));
    if user.is_empty() && password.is_none() {
        return None;
    }
    let pair = format!("{user}:{}", password.unwrap_or_default());
    let mut value = HeaderValue::try_from(format!("Basic {}", STANDARD.encode(pair))).ok()?;
    value.set_sensitive(true);
    Some(value)
}

fn quoted(text: &str) -> String {
    let line = text.trim().lines().next().unwrap_or_default();
    match line.chars().count() {
        0 => String::new(),
        n if n <= MOST_QUOTED => format!(": {line}"),
        _ => format!(": {}…", line.chars().take(MOST_QUOTED).collect::<String>()),
    }
}
