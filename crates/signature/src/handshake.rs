//! Requests by which a provider tests an endpoint, and their answers.

use std::borrow::Cow;

use base64::Engine;
use ring::hmac;
use serde::Deserialize;
use serde::de::IgnoredAny;

use crate::encoding::{BASE64, query_parameter};

/// Longest challenge that is sent back.
const MAX_CHALLENGE_BYTES: usize = 1024;
const MAX_CRC_TOKEN_BYTES: usize = 128;

/// What to answer instead of keeping the request as an event.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HandshakeResponse {
    /// HTTP status code.
    pub status: u16,
    /// The `content-type` header; none when there is no body.
    pub content_type: Option<&'static str>,
    /// The body, at most 1 KiB.
    pub body: Vec<u8>,
}

impl HandshakeResponse {
    fn json(body: Vec<u8>) -> Self {
        Self { status: 200, content_type: Some("application/json"), body }
    }
}

/// Slack's `url_verification`: its challenge, as plain text.
pub(crate) fn slack(body: &[u8]) -> Option<HandshakeResponse> {
    #[derive(Deserialize)]
    struct UrlVerification<'a> {
        #[serde(borrow, rename = "type")]
        kind: Cow<'a, str>,
        #[serde(borrow)]
        challenge: Cow<'a, str>,
    }
    let request: UrlVerification<'_> = serde_json::from_slice(body).ok()?;
    let answered = request.kind == "url_verification" && request.challenge.len() <= MAX_CHALLENGE_BYTES;
    answered.then(|| HandshakeResponse {
        status: 200,
        content_type: Some("text/plain; charset=utf-8"),
        body: request.challenge.into_owned().into_bytes(),
    })
}

/// Discord's PING: type 0 of a webhook event, or type 1 of an interaction. A webhook event of type 1 is a real event
/// and is told apart by its `event`.
pub(crate) fn discord(body: &[u8]) -> Option<HandshakeResponse> {
    #[derive(Deserialize)]
    struct Ping {
        #[serde(rename = "type")]
        kind: u64,
        event: Option<IgnoredAny>,
    }
    let ping: Ping = serde_json::from_slice(body).ok()?;
    match (ping.kind, ping.event) {
        (0, _) => Some(HandshakeResponse { status: 204, content_type: None, body: Vec::new() }),
        (1, None) => Some(HandshakeResponse::json(br#"{"type":1}"#.to_vec())),
        _ => None,
    }
}

/// The challenge-response check that Twitter's webhooks use.
pub(crate) fn crc(key: &hmac::Key, path_and_query: &str) -> Option<HandshakeResponse> {
    let token = query_parameter(path_and_query, "crc_token")?;
    let stem = &token[..token.iter().rposition(|byte| *byte != b'=')? + 1];
    let harmless = stem.iter().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_'));
    if !harmless || token.len() > MAX_CRC_TOKEN_BYTES {
        return None;
    }
    let signature = BASE64.encode(hmac::sign(key, &token));
    Some(HandshakeResponse::json(format!(r#"{{"response_token":"sha256={signature}"}}"#).into_bytes()))
}
