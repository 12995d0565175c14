//! The schemes of [`Plan`]: signatures in one header, and maybe a timestamp.

use ring::hmac;
use ring::signature::{ECDSA_P256_SHA256_ASN1, ED25519, UnparsedPublicKey};
use subtle::ConstantTimeEq;

use super::{Candidates, MAX_SIGNATURES, Verified, check_tolerance, each_secret, malformed, single};
use crate::encoding::{SignatureBytes, decode_signature, parse_timestamp};
use crate::keys::{self, Ed25519Public, P256Public};
use crate::plan::{Algorithm, Layout, Plan, TimestampSource};
use crate::{HeaderSource, Provider, Request, SchemeError, VerifyError};

#[derive(Clone)]
pub(super) struct SignatureScheme {
    plan: Plan,
    keys: Keys,
    tolerance_seconds: u64,
}

#[derive(Clone)]
enum Keys {
    Hmac(Vec<hmac::Key>),
    Ed25519(Vec<Ed25519Public>),
    EcdsaP256(Vec<P256Public>),
}

impl SignatureScheme {
    pub(super) fn new(
        provider: Provider,
        plan: Plan,
        secrets: &[&str],
        tolerance_seconds: u64,
    ) -> Result<Self, SchemeError> {
        let keys = match plan.algorithm {
            Algorithm::Hmac(algorithm) => {
                Keys::Hmac(secrets.iter().map(|secret| keys::hmac_key(algorithm, secret.as_bytes())).collect())
            }
            Algorithm::Ed25519 => Keys::Ed25519(each_secret(provider, secrets, keys::ed25519_public)?),
            Algorithm::EcdsaP256 => Keys::EcdsaP256(each_secret(provider, secrets, keys::p256_public)?),
        };
        Ok(Self { plan, keys, tolerance_seconds })
    }

    pub(super) fn verify<H: HeaderSource + ?Sized>(&self, request: &Request<'_, H>) -> Result<Verified, VerifyError> {
        let header = single(request.headers, &self.plan.header)?;
        let (candidates, timestamp_field) = self.read_header(header)?;
        let (timestamp_text, timestamp) = self.read_timestamp(request, timestamp_field)?;
        match self.matching_secret(&candidates, timestamp_text, request.body) {
            Some(index) => Ok(Verified { secret_index: Some(index), timestamp }),
            None if candidates.as_slice().iter().all(|text| self.decode(text).is_none()) => {
                Err(malformed(&self.plan.header, "has no signature in the encoding of this scheme"))
            }
            None => Err(VerifyError::Mismatch),
        }
    }

    /// The signatures of the header, and its timestamp field where it has one.
    fn read_header<'h>(&self, header: &'h [u8]) -> Result<(Candidates<'h>, &'h [u8]), VerifyError> {
        let name = &self.plan.header;
        let mut candidates = Candidates::new();
        let mut timestamp_field: &[u8] = &[];
        match &self.plan.layout {
            Layout::Bare { prefix } => match header.strip_prefix(prefix.as_bytes()) {
                Some(text) => candidates.push(text),
                None => return Err(malformed(name, "does not start as this scheme's signatures do")),
            },
            Layout::Fields { separator, timestamp, signature } => {
                for (index, field) in header.split(|byte| byte == separator).enumerate() {
                    if index > MAX_SIGNATURES {
                        return Err(malformed(name, "lists more signatures than are looked at"));
                    }
                    let field = field.trim_ascii();
                    let Some(equals) = field.iter().position(|byte| *byte == b'=') else { continue };
                    let (key, value) = (&field[..equals], &field[equals + 1..]);
                    if key == signature.as_bytes() {
                        candidates.push(value);
                    } else if key == timestamp.as_bytes() {
                        if !timestamp_field.is_empty() {
                            return Err(malformed(name, "has more than one timestamp"));
                        }
                        timestamp_field = value;
                    }
                }
                if candidates.as_slice().is_empty() {
                    return Err(malformed(name, "has no signature of the version that this scheme uses"));
                }
            }
        }
        Ok((candidates, timestamp_field))
    }

    /// The timestamp as it was signed and as a number; empty and none for a scheme without one.
    fn read_timestamp<'h, H: HeaderSource + ?Sized>(
        &self,
        request: &Request<'h, H>,
        field: &'h [u8],
    ) -> Result<(&'h [u8], Option<i64>), VerifyError> {
        let Some(rule) = &self.plan.timestamp else { return Ok((&[], None)) };
        let (name, text) = match &rule.source {
            TimestampSource::Field => (&self.plan.header, field),
            TimestampSource::Header(name) => (name, single(request.headers, name)?),
        };
        let timestamp =
            parse_timestamp(text).ok_or_else(|| malformed(name, "has no timestamp in plain decimal digits"))?;
        check_tolerance(timestamp, rule.unit, request.now_unix_ms, self.tolerance_seconds)?;
        Ok((text, Some(timestamp)))
    }

    fn matching_secret(&self, candidates: &Candidates<'_>, timestamp: &[u8], body: &[u8]) -> Option<usize> {
        let signed = &self.plan.signed;
        match &self.keys {
            Keys::Hmac(keys) => keys.iter().position(|key| {
                let expected = signed.mac(key, timestamp, body);
                self.any(candidates, |signature| bool::from(expected.as_ref().ct_eq(signature)))
            }),
            Keys::Ed25519(keys) => signed.with_message(timestamp, body, |message| {
                keys.iter().position(|key| {
                    let key = UnparsedPublicKey::new(&ED25519, key);
                    self.any(candidates, |signature| key.verify(message, signature).is_ok())
                })
            }),
            Keys::EcdsaP256(keys) => signed.with_message(timestamp, body, |message| {
                keys.iter().position(|key| {
                    let key = UnparsedPublicKey::new(&ECDSA_P256_SHA256_ASN1, key);
                    self.any(candidates, |signature| key.verify(message, signature).is_ok())
                })
            }),
        }
    }

    fn any(&self, candidates: &Candidates<'_>, matches: impl Fn(&[u8]) -> bool) -> bool {
        let mut texts = candidates.as_slice().iter();
        texts.any(|text| self.decode(text).is_some_and(|signature| matches(signature.as_slice())))
    }

    fn decode(&self, text: &[u8]) -> Option<SignatureBytes> {
        decode_signature(self.plan.encoding, text)
    }
}
