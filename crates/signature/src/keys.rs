//! Keys from the texts in which people keep them. Reasons never repeat the text.

use data_encoding::HEXLOWER_PERMISSIVE;
use ring::hmac;
use ring::rand::SystemRandom;
use ring::signature::{ECDSA_P256_SHA256_ASN1_SIGNING, EcdsaKeyPair, Ed25519KeyPair};

use base64::Engine;

use crate::HmacAlgorithm;
use crate::encoding::BASE64;

pub(crate) const SECRET_PREFIX: &str = "whsec_";
pub(crate) const PRIVATE_KEY_PREFIX: &str = "whsk_";
pub(crate) const PUBLIC_KEY_PREFIX: &str = "whpk_";

/// An ed25519 public key.
pub(crate) type Ed25519Public = [u8; 32];

/// A P-256 public key as an uncompressed point.
pub(crate) type P256Public = [u8; 65];

/// What is wrong with a key, as a hint to the person who set it.
pub(crate) type KeyError = &'static str;

/// The fixed start of a SubjectPublicKeyInfo that holds an uncompressed P-256 point (RFC 5480).
const P256_PUBLIC_HEADER: [u8; 26] = [
    0x30, 0x59, 0x30, 0x13, 0x06, 0x07, 0x2a, 0x86, 0x48, 0xce, 0x3d, 0x02, 0x01, 0x06, 0x08, 0x2a, 0x86, 0x48, 0xce,
    0x3d, 0x03, 0x01, 0x07, 0x03, 0x42, 0x00,
];

/// An HMAC key with its hash states prepared.
pub(crate) fn hmac_key(algorithm: HmacAlgorithm, secret: &[u8]) -> hmac::Key {
    let algorithm = match algorithm {
        HmacAlgorithm::Sha1 => hmac::HMAC_SHA1_FOR_LEGACY_USE_ONLY,
        HmacAlgorithm::Sha256 => hmac::HMAC_SHA256,
        HmacAlgorithm::Sha512 => hmac::HMAC_SHA512,
    };
    hmac::Key::new(algorithm, secret)
}

/// The bytes of a Standard Webhooks secret: `whsec_<base64>`, or the base64 alone. Never empty.
pub(crate) fn standard_secret(text: &str) -> Result<Vec<u8>, KeyError> {
    let encoded = text.strip_prefix(SECRET_PREFIX).unwrap_or(text);
    match BASE64.decode(encoded) {
        Ok(secret) if !secret.is_empty() => Ok(secret),
        Ok(_) => Err("there is nothing after `whsec_`"),
        Err(_) => Err("it is `whsec_` and base64 (symmetric) or `whpk_` and base64 (public key)"),
    }
}

/// A public key in hex, or `whpk_<base64>`.
pub(crate) fn ed25519_public(text: &str) -> Result<Ed25519Public, KeyError> {
    let bytes = match text.strip_prefix(PUBLIC_KEY_PREFIX) {
        Some(encoded) => BASE64.decode(encoded).ok(),
        None => HEXLOWER_PERMISSIVE.decode(text.as_bytes()).ok(),
    };
    bytes
        .and_then(|bytes| bytes.try_into().ok())
        .ok_or("it is an ed25519 public key of 32 bytes, in hex or as `whpk_` and base64")
}

/// A public key in base64, as SubjectPublicKeyInfo (what SendGrid shows, with or without PEM lines) or as a point.
pub(crate) fn p256_public(text: &str) -> Result<P256Public, KeyError> {
    const WRONG: KeyError = "it is a P-256 public key in base64 (DER), as the sender shows it";
    let bytes = decode_der(text).ok_or(WRONG)?;
    let point = bytes.strip_prefix(P256_PUBLIC_HEADER.as_slice()).unwrap_or(&bytes);
    match P256Public::try_from(point) {
        Ok(point) if point[0] == 4 => Ok(point),
        _ => Err(WRONG),
    }
}

/// The base64 SubjectPublicKeyInfo of a point.
pub(crate) fn p256_public_text(point: &[u8]) -> String {
    BASE64.encode([P256_PUBLIC_HEADER.as_slice(), point].concat())
}

/// A private key: `whsk_<base64>`, a seed of 32 bytes in hex or base64, seed and public key (64 bytes) in base64, or
/// PKCS#8 in base64 with or without PEM lines.
pub(crate) fn ed25519_private(text: &str) -> Result<Ed25519KeyPair, KeyError> {
    const WRONG: KeyError = "it is an ed25519 private key: a seed in hex, `whsk_` and base64, or PKCS#8 in base64";
    let text = text.strip_prefix(PRIVATE_KEY_PREFIX).unwrap_or(text);
    let bytes = match HEXLOWER_PERMISSIVE.decode(text.as_bytes()) {
        Ok(seed) if seed.len() == 32 => seed,
        _ => decode_der(text).ok_or(WRONG)?,
    };
    match bytes.len() {
        32 => Ed25519KeyPair::from_seed_unchecked(&bytes),
        64 => Ed25519KeyPair::from_seed_and_public_key(&bytes[..32], &bytes[32..]),
        _ => Ed25519KeyPair::from_pkcs8_maybe_unchecked(&bytes),
    }
    .map_err(|_| WRONG)
}

/// A private key as PKCS#8 in base64, with or without PEM lines.
pub(crate) fn p256_private(text: &str) -> Result<EcdsaKeyPair, KeyError> {
    const WRONG: KeyError = "it is a P-256 private key as PKCS#8 in base64";
    let der = decode_der(text).ok_or(WRONG)?;
    EcdsaKeyPair::from_pkcs8(&ECDSA_P256_SHA256_ASN1_SIGNING, &der, &SystemRandom::new()).map_err(|_| WRONG)
}

/// Base64 over any number of lines, without the `-----` lines of PEM.
fn decode_der(text: &str) -> Option<Vec<u8>> {
    let encoded: String = text.lines().map(str::trim).filter(|line| !line.starts_with("-----")).collect();
    BASE64.decode(encoded).ok().filter(|bytes| !bytes.is_empty())
}
