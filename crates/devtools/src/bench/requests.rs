//! What is sent to a gateway under measurement.

use std::sync::Arc;

use spillway_signature::{HmacOptions, Outgoing, Provider, SchemeOptions, sign_as};

use super::client::{NUMBER, Requests};
use crate::Failure;

/// The source's secret.
pub(super) const SECRET: &str = "a secret for measurements";
/// Bodies that differ, so that no part of the way can remember one.
const BODIES: usize = 256;
const BODY_BYTES: usize = 1_024;

/// Signed requests with 1 KiB bodies, each with its number; as its idempotency key too, if `keys`.
pub(crate) fn requests(keys: bool) -> Result<Arc<Requests>, Failure> {
    let options = SchemeOptions { hmac: Some(HmacOptions::new("x-signature")), ..SchemeOptions::default() };
    let key = if keys { format!("x-key: {NUMBER}\r\n") } else { format!("x-number: {NUMBER}\r\n") };
    let request = |n: usize| {
        let mut body = format!("{{\"n\":{n},\"data\":\"").into_bytes();
        body.extend((0..BODY_BYTES - body.len() - 2).map(|i| b'a' + ((i * 7 + n) % 26) as u8));
        body.extend_from_slice(b"\"}");
        let outgoing = Outgoing { id: "", body: &body, path_and_query: "/in/bench", now_unix_ms: 0 };
        let signed = sign_as(Provider::Hmac, SECRET, &options, &outgoing)?;
        let headers: String = signed.iter().map(|(name, value)| format!("{name}: {value}\r\n")).collect();
        let mut request = format!(
            "POST /in/bench HTTP/1.1\r\nhost: 127.0.0.1\r\nuser-agent: bench\r\ncontent-type: application/json\r\n\
             {headers}{key}content-length: {}\r\n\r\n",
            body.len()
        )
        .into_bytes();
        request.extend_from_slice(&body);
        Ok(request)
    };
    Ok(Requests::new((0..BODIES).map(request).collect::<Result<_, Failure>>()?))
}
