//! Asks a running gateway.

use std::error::Error;

use async_trait::async_trait;
use bytes::Bytes;
use http::{Request, header};
use http_body_util::{BodyExt as _, Full, Limited};
use hyper_rustls::HttpsConnector;
use hyper_util::client::legacy::Client;
use hyper_util::client::legacy::connect::HttpConnector;
use spillway_doctor::Probe;

use crate::client::http_client;

/// Larger answers are not read: `/metrics` has some hundred kilobytes.
const MAX_ANSWER_BYTES: usize = 16 << 20;

/// A gateway at a URL, asked without a key. Times are bounded by whoever asks.
pub(super) struct HttpProbe {
    client: Client<HttpsConnector<HttpConnector>, Full<Bytes>>,
    url: String,
}

impl HttpProbe {
    pub(super) fn new(url: &str) -> Result<Self, String> {
        let client = http_client(url.starts_with("https://")).map_err(|error| error.to_string())?;
        Ok(Self { client, url: url.to_owned() })
    }
}

#[async_trait]
impl Probe for HttpProbe {
    async fn get(&self, path: &str) -> Result<(u16, String), String> {
        let agent = concat!("spillway/", env!("CARGO_PKG_VERSION"), " doctor");
        let request = Request::get(format!("{}{path}", self.url)).header(header::USER_AGENT, agent);
        let request = request.body(Full::default()).map_err(|error| error.to_string())?;
        let response = self.client.request(request).await.map_err(|error| reason(&error))?;
        let status = response.status().as_u16();
        let body = Limited::new(response.into_body(), MAX_ANSWER_BYTES).collect().await;
        let body = body.map_err(|error| format!("the answer broke off or is too large: {error}"))?;
        Ok((status, String::from_utf8_lossy(&body.to_bytes()).into_owned()))
    }
}

/// Why there is no answer, for people.
fn reason(error: &(dyn Error + 'static)) -> String {
    let mut last = error;
    while let Some(cause) = last.source() {
        last = cause;
    }
    match last.downcast_ref::<std::io::Error>().map(std::io::Error::kind) {
        Some(std::io::ErrorKind::ConnectionRefused) => "nothing listens there".to_owned(),
        _ => format!("it cannot be asked: {last}"),
    }
}
