//! Any headers and any body, through every provider: no panic, and nothing without the secret is accepted.
//!
//! Input is a request as text: the target on the first line, `name: value` lines, an empty line, the body. The seeds
//! are signed with the secrets below at the fixed time, so that the fuzzer starts behind the checks.

#![no_main]

use std::sync::LazyLock;

use libfuzzer_sys::fuzz_target;
use spillway_signature::{
    HmacAlgorithm, HmacOptions, IdempotencySource, Provider, Request, SchemeOptions, SignatureEncoding, Verifier,
};

const NOW_MS: i64 = 1_700_000_000_000;

static VERIFIERS: LazyLock<Vec<Verifier>> = LazyLock::new(|| {
    let mut verifiers: Vec<Verifier> =
        Provider::ALL.into_iter().map(|provider| build(provider, SchemeOptions::default())).collect();
    verifiers.push(build(
        Provider::Hmac,
        SchemeOptions {
            hmac: Some(HmacOptions {
                prefix: Some("v=".to_owned()),
                algorithm: HmacAlgorithm::Sha512,
                encoding: SignatureEncoding::Base64,
                signed: "{timestamp}.{body}".to_owned(),
                timestamp_header: Some("x-timestamp".to_owned()),
                ..HmacOptions::new("x-signature")
            }),
            idempotency: Some(IdempotencySource::JsonPointer("/data/0/id".to_owned())),
            ..SchemeOptions::default()
        },
    ));
    verifiers
});

fn build(provider: Provider, mut options: SchemeOptions) -> Verifier {
    let secrets: &[&str] = match provider {
        Provider::StandardWebhooks => {
            &["whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw", "whpk_11qYAYKxCrfVS/7TyWQHOg7hcvPapiMlrwIaaPcHURo="]
        }
        Provider::Discord => &["d75a980182b10ab7d54bfed3c964073a0ee172f3daa62325af021a68f707511a"],
        Provider::Sendgrid => &[
            "MFkwEwYHKoZIzj0CAQYIKoZIzj0DAQcDQgAEQnQxs+KnM0wfwHO+FBcHGOrB4gJOWgKcC0aMRQ74GN2cch67did7+rBZED8aE5oY5HnbzPLMC+Y/RnzMBnblkQ==",
        ],
        Provider::None => &[],
        _ => &["secret", "user:password"],
    };
    match provider {
        Provider::Hmac if options.hmac.is_none() => {
            options.hmac = Some(HmacOptions { crc: true, ..HmacOptions::new("x-signature") });
        }
        Provider::Twilio => options.public_url = Some("https://hooks.example.com".to_owned()),
        Provider::Basic => options.username = Some("user".to_owned()),
        _ => {}
    }
    Verifier::new(provider, secrets, &options).expect("verifier")
}

fuzz_target!(|input: &[u8]| {
    let (target, mut rest) = split_at_newline(input);
    let mut headers: Vec<(String, &[u8])> = Vec::new();
    while !rest.is_empty() {
        let (line, tail) = split_at_newline(rest);
        rest = tail;
        if line.is_empty() {
            break;
        }
        let colon = line.iter().position(|byte| *byte == b':').unwrap_or(line.len());
        let name = String::from_utf8_lossy(&line[..colon]).into_owned();
        headers.push((name, line.get(colon + 1..).unwrap_or_default().trim_ascii()));
    }
    let path_and_query = String::from_utf8_lossy(target);
    let request = Request { headers: &headers, body: rest, path_and_query: &path_and_query, now_unix_ms: NOW_MS };
    for verifier in VERIFIERS.iter() {
        match verifier.verify(&request) {
            Ok(verified) => drop(verifier.handshake(&verified, &request)),
            Err(refusal) => assert!(!refusal.to_string().is_empty() && !refusal.code().is_empty()),
        }
        drop(verifier.idempotency_key(&request));
        drop(verifier.event_type(&request));
        drop(verifier.crc_response(&path_and_query));
    }
});

fn split_at_newline(text: &[u8]) -> (&[u8], &[u8]) {
    match text.iter().position(|byte| *byte == b'\n') {
        Some(at) => (&text[..at], &text[at + 1..]),
        None => (text, &[]),
    }
}
