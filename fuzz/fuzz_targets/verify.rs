//! A signed body verifies; with any change to body, signature, secret or time it does not.
//!
//! Input: byte 0 chooses the provider, byte 1 what is changed, bytes 2 and 3 where, byte 4 how; the rest is the body.

#![no_main]

use std::sync::LazyLock;

use libfuzzer_sys::fuzz_target;
use ring::rand::SystemRandom;
use ring::signature::{ECDSA_P256_SHA256_ASN1_SIGNING, EcdsaKeyPair};
use spillway_signature::{
    HmacOptions, Outgoing, Provider, Request, SchemeOptions, Verifier, generate_ed25519_secret, generate_secret,
    sign_as, twilio_body_hash_query, verification_secret,
};

const NOW_MS: i64 = 1_700_000_000_000;

struct Source {
    provider: Provider,
    options: SchemeOptions,
    secret: String,
    verifier: Verifier,
    verifier_of_another: Verifier,
}

static SOURCES: LazyLock<Vec<Source>> = LazyLock::new(|| {
    let mut sources: Vec<Source> = Provider::ALL
        .into_iter()
        .filter(|provider| *provider != Provider::None)
        .map(|provider| source(provider, secrets(provider)))
        .collect();
    let private_keys = [1, 2].map(|byte| generate_ed25519_secret([byte; 32]).expect("private key"));
    sources.push(source(Provider::StandardWebhooks, private_keys));
    sources
});

fn source(provider: Provider, [secret, another]: [String; 2]) -> Source {
    let mut options = SchemeOptions::default();
    match provider {
        Provider::Hmac => options.hmac = Some(HmacOptions::new("x-signature")),
        Provider::Twilio => options.public_url = Some("https://hooks.example.com".to_owned()),
        Provider::Basic => options.username = Some("user".to_owned()),
        _ => {}
    }
    let verifier = |secret: &str| {
        let secret = verification_secret(provider, secret).expect("verification secret");
        Verifier::new(provider, &[secret], &options).expect("verifier")
    };
    let (verifier, verifier_of_another) = (verifier(&secret), verifier(&another));
    Source { provider, options, secret, verifier, verifier_of_another }
}

fn secrets(provider: Provider) -> [String; 2] {
    match provider {
        Provider::StandardWebhooks => [1, 2].map(|byte| generate_secret([byte; 32])),
        Provider::Discord => ["11", "22"].map(|byte| byte.repeat(32)),
        Provider::Sendgrid => [(); 2].map(|()| {
            let pkcs8 = EcdsaKeyPair::generate_pkcs8(&ECDSA_P256_SHA256_ASN1_SIGNING, &SystemRandom::new());
            data_encoding::BASE64.encode(pkcs8.expect("private key").as_ref())
        }),
        _ => ["first secret", "second secret"].map(str::to_owned),
    }
}

fuzz_target!(|input: &[u8]| {
    let Some(([choice, change, high, low, how], body)) = input.split_first_chunk() else { return };
    let source = &SOURCES[usize::from(*choice) % SOURCES.len()];
    let place = usize::from(*high) << 8 | usize::from(*low);
    let provider = source.provider;
    let path_and_query = match provider {
        Provider::Twilio => format!("/in/source?{}", twilio_body_hash_query(body)),
        _ => "/in/source".to_owned(),
    };
    let outgoing = Outgoing { id: "msg_1", body, path_and_query: &path_and_query, now_unix_ms: NOW_MS };
    let headers = sign_as(provider, &source.secret, &source.options, &outgoing).expect("headers");
    let verify = |verifier: &Verifier, headers: &Vec<(String, String)>, body: &[u8], now_unix_ms: i64| {
        verifier.verify(&Request { headers, body, path_and_query: &path_and_query, now_unix_ms })
    };

    let verified = verify(&source.verifier, &headers, body, NOW_MS).expect("a signed request verifies");
    match change % 4 {
        0 => {
            let changed = change_body(body, place, *how);
            let result = verify(&source.verifier, &headers, &changed, NOW_MS);
            assert_eq!(result.is_err(), provider.signs_body() && changed != body, "{provider}");
        }
        1 => {
            // The first header is the signature or credential. Hex and the names of schemes are read in both cases,
            // base64 without its padding, and white space around a value does not count.
            let mut changed = headers.clone();
            let value = &mut changed[0].1;
            let at = place % value.len();
            value.replace_range(at..=at, &char::from(how & 0x7f).to_string());
            let is_padding = |character: char| character == '=' || character.is_ascii_whitespace();
            let read_alike = |text: &str| text.trim_end_matches(is_padding).to_ascii_lowercase();
            if read_alike(value) != read_alike(&headers[0].1) {
                assert!(verify(&source.verifier, &changed, body, NOW_MS).is_err(), "{provider}: {changed:?}");
            }
        }
        2 => assert!(verify(&source.verifier_of_another, &headers, body, NOW_MS).is_err(), "{provider}"),
        _ => {
            let late = NOW_MS + 301_000 + i64::from(*how) * 1000;
            let result = verify(&source.verifier, &headers, body, late);
            assert_eq!(result.is_err(), verified.timestamp().is_some(), "{provider}");
        }
    }
});

/// Flips bits of one byte, cuts the end off or adds a byte.
fn change_body(body: &[u8], place: usize, how: u8) -> Vec<u8> {
    let mut changed = body.to_vec();
    match how % 3 {
        0 if !body.is_empty() => changed[place % body.len()] ^= how,
        1 => changed.truncate(place),
        _ => changed.push(how),
    }
    changed
}
