//! Signing as a provider does: for test webhooks, load tests and the tests of verification.

use data_encoding::HEXLOWER;
use ring::rand::SystemRandom;
use ring::signature::KeyPair;

use base64::Engine;

use crate::encoding::{BASE64, encode_signature, now_in};
use crate::facts::KeySource;
use crate::keys::{self, KeyError, PRIVATE_KEY_PREFIX};
use crate::plan::{Algorithm, Layout, Plan, TimestampSource};
use crate::standard::{StandardSigner, public_key_text};
use crate::twilio::{self, PublicUrl};
use crate::verifier::check_secrets;
use crate::verifier::credential::{basic_credential, credential_header};
use crate::{HmacAlgorithm, Provider, SchemeError, SchemeOptions, SignatureEncoding};

/// A request that is about to be sent.
#[derive(Clone, Copy, Debug)]
pub struct Outgoing<'a> {
    /// The delivery's id. It goes into the header in which the provider sends one; a provider whose id is in the body
    /// has it there already.
    pub id: &'a str,
    /// The body's exact bytes.
    pub body: &'a [u8],
    /// Path and query that the request will have. Only Twilio's scheme reads it; for a body that is not a form the
    /// query has [`twilio_body_hash_query`](crate::twilio_body_hash_query).
    pub path_and_query: &'a str,
    /// Now, in milliseconds since the Unix epoch.
    pub now_unix_ms: i64,
}

/// The headers that a provider sends with a request: first the signature or credential, then the timestamp, then the
/// delivery's id, each where the scheme has it. Names are in lower case. [`Provider::None`] takes an empty secret and
/// sends no signature.
///
/// The secret is what the sender holds. Where that is a private key it is, for Discord, a seed of 32 bytes in hex or
/// PKCS#8 in base64; for SendGrid PKCS#8 in base64; for Standard Webhooks `whsk_…` (or `whsec_…` for the symmetric
/// form). SendGrid's signatures draw on the operating system's randomness and differ each time.
///
/// # Errors
/// Options or a secret with which a verifier could not be built either, or a private key that cannot be used.
pub fn sign_as(
    provider: Provider,
    secret: &str,
    options: &SchemeOptions,
    request: &Outgoing<'_>,
) -> Result<Vec<(String, String)>, SchemeError> {
    options.check(provider)?;
    if provider != Provider::None {
        check_secrets(provider, &[secret])?;
    }
    let mut headers = match (provider, Plan::of(provider, options)?) {
        (_, Some(plan)) => sign_with_plan(provider, &plan, secret, request)?,
        (Provider::StandardWebhooks, None) => {
            let timestamp = request.now_unix_ms.div_euclid(1000);
            let signature = StandardSigner::new(&[secret])?.sign(request.id, timestamp, request.body);
            vec![header("webhook-signature", signature), header("webhook-timestamp", timestamp.to_string())]
        }
        (Provider::Twilio, None) => vec![header(twilio::SIGNATURE_HEADER, sign_twilio(secret, options, request)?)],
        (Provider::None, None) => Vec::new(),
        (_, None) => vec![header(&credential_header(provider, options)?, credential(provider, secret, options)?)],
    };
    if let Some(name) = KeySource::new(provider, options.idempotency.as_ref())?.header() {
        headers.push(header(name, request.id.to_owned()));
    }
    if provider == Provider::StandardWebhooks && !headers.iter().any(|(name, _)| name == "webhook-id") {
        headers.push(header("webhook-id", request.id.to_owned()));
    }
    Ok(headers)
}

/// The secret for [`Verifier::new`](crate::Verifier::new) that belongs to a sender's secret: the public key where the
/// sender signs with a private one, else the same text.
///
/// # Errors
/// The private key cannot be read.
pub fn verification_secret(provider: Provider, secret: &str) -> Result<String, SchemeError> {
    match provider {
        Provider::Discord => keys::ed25519_private(secret).map(|pair| HEXLOWER.encode(pair.public_key().as_ref())),
        Provider::Sendgrid => keys::p256_private(secret).map(|pair| keys::p256_public_text(pair.public_key().as_ref())),
        Provider::StandardWebhooks if secret.starts_with(PRIVATE_KEY_PREFIX) => public_key_text(secret),
        _ => Ok(secret.to_owned()),
    }
    .map_err(|reason| invalid_secret(provider, reason))
}

fn sign_with_plan(
    provider: Provider,
    plan: &Plan,
    secret: &str,
    request: &Outgoing<'_>,
) -> Result<Vec<(String, String)>, SchemeError> {
    let timestamp = match &plan.timestamp {
        Some(rule) => now_in(rule.unit, request.now_unix_ms).to_string(),
        None => String::new(),
    };
    let signature = sign_bytes(provider, plan, secret, timestamp.as_bytes(), request.body)?;
    let signature = encode_signature(plan.encoding, &signature);
    let value = match &plan.layout {
        Layout::Bare { prefix } => format!("{prefix}{signature}"),
        Layout::Fields { separator, timestamp: timestamp_name, signature: signature_name } => {
            let separator = char::from(*separator);
            format!("{timestamp_name}={timestamp}{separator}{signature_name}={signature}")
        }
    };
    let mut headers = vec![header(&plan.header, value)];
    if let Some(TimestampSource::Header(name)) = plan.timestamp.as_ref().map(|rule| &rule.source) {
        headers.push(header(name, timestamp));
    }
    Ok(headers)
}

fn sign_bytes(
    provider: Provider,
    plan: &Plan,
    secret: &str,
    timestamp: &[u8],
    body: &[u8],
) -> Result<Vec<u8>, SchemeError> {
    match plan.algorithm {
        Algorithm::Hmac(algorithm) => {
            let key = keys::hmac_key(algorithm, secret.as_bytes());
            Ok(plan.signed.mac(&key, timestamp, body).as_ref().to_vec())
        }
        Algorithm::Ed25519 => {
            let pair = keys::ed25519_private(secret).map_err(|reason| invalid_secret(provider, reason))?;
            Ok(plan.signed.with_message(timestamp, body, |message| pair.sign(message)).as_ref().to_vec())
        }
        Algorithm::EcdsaP256 => {
            let pair = keys::p256_private(secret).map_err(|reason| invalid_secret(provider, reason))?;
            let signature =
                plan.signed.with_message(timestamp, body, |message| pair.sign(&SystemRandom::new(), message));
            let signature = signature.map_err(|_| SchemeError::SigningFailed { provider })?;
            Ok(signature.as_ref().to_vec())
        }
    }
}

fn sign_twilio(secret: &str, options: &SchemeOptions, request: &Outgoing<'_>) -> Result<String, SchemeError> {
    let url = PublicUrl::of(options)?;
    let parameters = match twilio::body_hash(request.path_and_query) {
        Some(_) => Vec::new(),
        None => twilio::sorted_parameters(request.body)
            .map_err(|refusal| SchemeError::InvalidOption { option: "body", reason: refusal.to_string() })?,
    };
    let key = keys::hmac_key(HmacAlgorithm::Sha1, secret.as_bytes());
    let [configured, _] = url.spellings(request.path_and_query);
    Ok(encode_signature(SignatureEncoding::Base64, twilio::mac(&key, configured, &parameters).as_ref()))
}

fn credential(provider: Provider, secret: &str, options: &SchemeOptions) -> Result<String, SchemeError> {
    match provider {
        Provider::Bearer => Ok(format!("Bearer {secret}")),
        Provider::Basic => {
            let credential = basic_credential(options.username.as_deref(), secret)
                .map_err(|reason| invalid_secret(provider, reason))?;
            Ok(format!("Basic {}", BASE64.encode(credential.as_bytes())))
        }
        _ => Ok(secret.to_owned()),
    }
}

fn header(name: &str, value: String) -> (String, String) {
    (name.to_owned(), value)
}

fn invalid_secret(provider: Provider, reason: KeyError) -> SchemeError {
    SchemeError::InvalidSecret { provider, position: 1, reason }
}
