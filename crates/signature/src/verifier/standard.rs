//! Standard Webhooks 1.0.0: `v1` with symmetric secrets, `v1a` with public keys, each only against its own kind of key.

use ring::hmac;
use ring::signature::{ED25519, UnparsedPublicKey};
use subtle::ConstantTimeEq;

use super::{Candidates, MAX_SIGNATURES, Verified, check_tolerance, each_secret, malformed, single};
use crate::encoding::{decode_signature, parse_timestamp};
use crate::keys::{self, Ed25519Public, PRIVATE_KEY_PREFIX, PUBLIC_KEY_PREFIX};
use crate::template::with_joined;
use crate::{
    HeaderSource, HeaderValues, HmacAlgorithm, Provider, Request, SchemeError, SignatureEncoding, TimestampUnit,
    VerifyError,
};

/// Most `v1a` signatures that are looked at; each costs tens of microseconds for each public key.
const MAX_ASYMMETRIC_SIGNATURES: usize = 4;

/// The three headers under the names of the standard, and under those that Svix uses.
static STANDARD: HeaderNames =
    HeaderNames { id: "webhook-id", timestamp: "webhook-timestamp", signature: "webhook-signature" };
static SVIX: HeaderNames = HeaderNames { id: "svix-id", timestamp: "svix-timestamp", signature: "svix-signature" };

#[derive(Clone)]
pub(super) struct StandardScheme {
    keys: Vec<StandardKey>,
    has_hmac: bool,
    has_ed25519: bool,
    tolerance_seconds: u64,
}

#[derive(Clone)]
enum StandardKey {
    Hmac(hmac::Key),
    Ed25519(Ed25519Public),
}

struct HeaderNames {
    id: &'static str,
    timestamp: &'static str,
    signature: &'static str,
}

impl StandardScheme {
    pub(super) fn new(secrets: &[&str], tolerance_seconds: u64) -> Result<Self, SchemeError> {
        let keys = each_secret(Provider::StandardWebhooks, secrets, |secret| {
            if secret.starts_with(PRIVATE_KEY_PREFIX) {
                return Err("a private key belongs to the sender; set the public key, `whpk_` and base64");
            }
            if secret.starts_with(PUBLIC_KEY_PREFIX) {
                return keys::ed25519_public(secret).map(StandardKey::Ed25519);
            }
            let secret = keys::standard_secret(secret)?;
            Ok(StandardKey::Hmac(keys::hmac_key(HmacAlgorithm::Sha256, &secret)))
        })?;
        Ok(Self {
            has_hmac: keys.iter().any(|key| matches!(key, StandardKey::Hmac(_))),
            has_ed25519: keys.iter().any(|key| matches!(key, StandardKey::Ed25519(_))),
            keys,
            tolerance_seconds,
        })
    }

    pub(super) fn verify<H: HeaderSource + ?Sized>(&self, request: &Request<'_, H>) -> Result<Verified, VerifyError> {
        let names = header_names(request.headers);
        let id = single(request.headers, names.id)?;
        if id.is_empty() || id.contains(&b'.') {
            return Err(malformed(names.id, "is empty or has a dot in it"));
        }
        let timestamp_text = single(request.headers, names.timestamp)?;
        let timestamp = parse_timestamp(timestamp_text)
            .ok_or_else(|| malformed(names.timestamp, "has no timestamp in plain decimal digits"))?;
        let (symmetric, asymmetric) = self.read_signatures(request.headers, names)?;
        check_tolerance(timestamp, TimestampUnit::Seconds, request.now_unix_ms, self.tolerance_seconds)?;

        let parts = [id, b".", timestamp_text, b".", request.body];
        let matching = self.keys.iter().position(|key| match key {
            StandardKey::Hmac(key) => {
                let mut context = hmac::Context::with_key(key);
                parts.iter().for_each(|part| context.update(part));
                let expected = context.sign();
                any_decoded(symmetric.as_slice(), |signature| bool::from(expected.as_ref().ct_eq(signature)))
            }
            StandardKey::Ed25519(key) if !asymmetric.as_slice().is_empty() => {
                let key = UnparsedPublicKey::new(&ED25519, key);
                with_joined(parts.into_iter(), |message| {
                    any_decoded(asymmetric.as_slice(), |signature| key.verify(message, signature).is_ok())
                })
            }
            StandardKey::Ed25519(_) => false,
        });
        match matching {
            Some(index) => Ok(Verified { secret_index: Some(index), timestamp: Some(timestamp) }),
            None => Err(VerifyError::Mismatch),
        }
    }

    /// The `v1` and the `v1a` signatures for which there are keys. Other versions are skipped.
    fn read_signatures<'h, H: HeaderSource + ?Sized>(
        &self,
        headers: &'h H,
        names: &HeaderNames,
    ) -> Result<(Candidates<'h>, Candidates<'h>), VerifyError> {
        let list = single(headers, names.signature)?;
        let (mut symmetric, mut asymmetric) = (Candidates::new(), Candidates::new());
        let entries = list.split(|byte| *byte == b' ').filter(|entry| !entry.is_empty());
        for (index, entry) in entries.enumerate() {
            if index == MAX_SIGNATURES {
                return Err(malformed(names.signature, "lists more signatures than are looked at"));
            }
            if let Some(text) = entry.strip_prefix(b"v1,").filter(|_| self.has_hmac) {
                symmetric.push(text);
            } else if let Some(text) = entry.strip_prefix(b"v1a,").filter(|_| self.has_ed25519)
                && asymmetric.as_slice().len() < MAX_ASYMMETRIC_SIGNATURES
            {
                asymmetric.push(text);
            }
        }
        if symmetric.as_slice().is_empty() && asymmetric.as_slice().is_empty() {
            return Err(VerifyError::UnsupportedVersion { name: names.signature.to_owned() });
        }
        Ok((symmetric, asymmetric))
    }
}

/// The names that this request uses. All three are of one family: that of the signature.
fn header_names<H: HeaderSource + ?Sized>(headers: &H) -> &'static HeaderNames {
    let missing = |name: &str| headers.lookup(name) == HeaderValues::Missing;
    if missing(STANDARD.signature) && !missing(SVIX.signature) { &SVIX } else { &STANDARD }
}

fn any_decoded(texts: &[&[u8]], matches: impl Fn(&[u8]) -> bool) -> bool {
    texts.iter().any(|text| {
        decode_signature(SignatureEncoding::Base64, text).is_some_and(|signature| matches(signature.as_slice()))
    })
}
