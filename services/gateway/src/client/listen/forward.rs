//! Sends an event to a local server.

use std::error::Error;
use std::time::{Duration, Instant};

use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use bytes::Bytes;
use http::{HeaderMap, HeaderName, HeaderValue, Method, Request, Uri, header};
use http_body_util::{BodyExt as _, Full, Limited};
use hyper_rustls::HttpsConnector;
use hyper_util::client::legacy;
use hyper_util::client::legacy::connect::HttpConnector;
use serde::Deserialize;
use spillway_model::{Clock as _, EventId, SystemClock};
use spillway_signature::StandardSigner;

use crate::client::api::http_client;
use crate::client::error::ClientError;

/// More of an answer is not read.
const MAX_ANSWER_BYTES: usize = 1 << 20;

/// An event as the gateway hands it over.
#[derive(Debug, Deserialize)]
pub(super) struct ReceivedEvent {
    pub(super) id: EventId,
    pub(super) r#type: Option<String>,
    pub(super) received_at: String,
    pub(super) body_bytes: u64,
    headers: Vec<ReceivedHeader>,
    body_base64: String,
}

#[derive(Debug, Deserialize)]
struct ReceivedHeader {
    name: String,
    value: Option<String>,
    value_base64: Option<String>,
}

impl ReceivedHeader {
    fn bytes(&self) -> Option<Vec<u8>> {
        match (&self.value, &self.value_base64) {
            (Some(text), _) => Some(text.clone().into_bytes()),
            (None, Some(encoded)) => BASE64_STANDARD.decode(encoded).ok(),
            (None, None) => None,
        }
    }
}

/// What became of an event.
#[derive(Debug)]
pub(super) struct Forwarded {
    pub(super) result: Result<u16, String>,
    pub(super) duration: Duration,
}

/// A local server.
pub(super) struct Forwarder {
    client: legacy::Client<HttpsConnector<HttpConnector>, Full<Bytes>>,
    to: Uri,
    signer: Option<StandardSigner>,
    timeout: Duration,
}

impl Forwarder {
    pub(super) fn new(to: Uri, signer: Option<StandardSigner>, timeout: Duration) -> Result<Self, ClientError> {
        let client = http_client(to.scheme_str() == Some("https"))?;
        Ok(Self { client, to, signer, timeout })
    }

    pub(super) fn to(&self) -> &Uri {
        &self.to
    }

    /// Posts the event with body and headers as they came.
    pub(super) async fn forward(&self, event: &ReceivedEvent) -> Forwarded {
        let begun = Instant::now();
        let result = match tokio::time::timeout(self.timeout, self.exchange(event)).await {
            Ok(result) => result,
            Err(_) => Err(format!("no answer within {} s", self.timeout.as_secs_f64())),
        };
        Forwarded { result, duration: begun.elapsed() }
    }

    async fn exchange(&self, event: &ReceivedEvent) -> Result<u16, String> {
        let body = BASE64_STANDARD.decode(&event.body_base64);
        let body = Bytes::from(body.map_err(|_| "the gateway sent a body that is no base64".to_owned())?);
        let mut request = Request::new(Full::new(body.clone()));
        *request.method_mut() = Method::POST;
        *request.uri_mut() = self.to.clone();
        *request.headers_mut() = self.headers(event, &body, SystemClock.now() / 1_000);
        let response = self.client.request(request).await.map_err(|error| reason(&error))?;
        let status = response.status().as_u16();
        // Read to its end, so that the connection serves the next event; what breaks off was an answer all the same.
        let _ = Limited::new(response.into_body(), MAX_ANSWER_BYTES).collect().await;
        Ok(status)
    }

    fn headers(&self, event: &ReceivedEvent, body: &[u8], seconds: i64) -> HeaderMap {
        let mut headers = HeaderMap::with_capacity(event.headers.len() + 4);
        for received in &event.headers {
            if let (Ok(name), Some(value)) = (HeaderName::from_bytes(received.name.as_bytes()), received.bytes())
                && let Ok(value) = HeaderValue::from_bytes(&value)
            {
                headers.append(name, value);
            }
        }
        for name in ["webhook-id", "webhook-timestamp", "webhook-signature"] {
            headers.remove(name);
        }
        let id = event.id.to_string();
        if let Some(signer) = &self.signer
            && let Ok(signature) = HeaderValue::try_from(signer.sign(&id, seconds, body))
        {
            headers.insert("webhook-signature", signature);
        }
        if let Ok(id) = HeaderValue::try_from(id) {
            headers.insert("webhook-id", id);
        }
        headers.insert("webhook-timestamp", HeaderValue::from(seconds));
        headers.insert(header::CONTENT_LENGTH, HeaderValue::from(body.len()));
        headers
    }
}

/// The innermost cause: what a person can do something about.
fn reason(error: &legacy::Error) -> String {
    let mut error: &dyn Error = error;
    while let Some(source) = error.source() {
        error = source;
    }
    match error.downcast_ref::<std::io::Error>().map(std::io::Error::kind) {
        Some(std::io::ErrorKind::ConnectionRefused) => "nothing listens there".to_owned(),
        _ => error.to_string(),
    }
}
