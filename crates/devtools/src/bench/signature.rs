//! One signature check, beside the cryptographic library alone.

use std::hint::black_box;
use std::time::Instant;

use ring::hmac;
use ring::signature::{ED25519, Ed25519KeyPair, KeyPair as _, UnparsedPublicKey};
use spillway_signature::{Outgoing, Provider, Request, SchemeOptions, Verifier, sign_as, verification_secret};

use super::BenchArgs;
use super::table::{Bar, Figure, Table};
use crate::Failure;

const CHECKS: u32 = 20_000;
const SEED: &str = "9d61b19deffd5a60ba844af492ec2cc44449c5697b326919703bac031cae7f60";

pub(crate) fn run(arguments: &BenchArgs) -> Result<Table, Failure> {
    let mut table = Table::new("signature check, 1 KiB".to_owned());
    let body = vec![b'x'; 1_024];
    let key = hmac::Key::new(hmac::HMAC_SHA256, b"secret");
    let tag = hmac::sign(&key, &body);
    let rounds = arguments.rounds();
    let alone = figure("ring: HMAC-SHA256", rounds, || hmac::verify(&key, black_box(&body), tag.as_ref()).is_ok());
    let ours = verification(Provider::Github, "secret", &body)?;
    let ours = figure("github: HMAC-SHA256", rounds, ours).against(&alone).bar(Bar::AtMost(3.0));
    table.push(alone);
    table.push(ours);
    let seed: Vec<u8> = (0..32).map(|i| u8::from_str_radix(&SEED[i * 2..i * 2 + 2], 16)).collect::<Result<_, _>>()?;
    let pair = Ed25519KeyPair::from_seed_unchecked(&seed).map_err(|error| error.to_string())?;
    let signature = pair.sign(&body);
    let public = UnparsedPublicKey::new(&ED25519, pair.public_key().as_ref().to_vec());
    let alone = figure("ring: ed25519", rounds, || public.verify(black_box(&body), signature.as_ref()).is_ok());
    let ours = verification(Provider::Discord, SEED, &body)?;
    let ours = figure("discord: ed25519", rounds, ours).against(&alone).bar(Bar::AtMost(60.0));
    table.push(alone);
    table.push(ours);
    Ok(table)
}

fn verification(provider: Provider, secret: &str, body: &[u8]) -> Result<impl Fn() -> bool + use<>, Failure> {
    let options = SchemeOptions::default();
    let now_unix_ms = 1_700_000_000_000;
    let outgoing = Outgoing { id: "1", body, path_and_query: "/in/x", now_unix_ms };
    let mut headers = http::HeaderMap::new();
    for (name, value) in sign_as(provider, secret, &options, &outgoing)? {
        headers.insert(http::HeaderName::from_bytes(name.as_bytes())?, value.parse()?);
    }
    let verifier = Verifier::new(provider, &[verification_secret(provider, secret)?], &options)?;
    let body = body.to_vec();
    Ok(move || {
        let request = Request { headers: &headers, body: black_box(&body), path_and_query: "/in/x", now_unix_ms };
        verifier.verify(&request).is_ok()
    })
}

/// Microseconds of one check.
fn figure(what: &str, rounds: usize, check: impl Fn() -> bool) -> Figure {
    let round = |_| {
        let begun = Instant::now();
        let good = (0..CHECKS).filter(|_| check()).count();
        assert_eq!(good, CHECKS as usize, "{what}: a check failed");
        begun.elapsed().as_secs_f64() * 1e6 / f64::from(CHECKS)
    };
    Figure::new(what, "µs", (0..rounds).map(round).collect())
}
