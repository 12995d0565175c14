//! Signing as Standard Webhooks asks: with every secret that a receiver may still hold.

use std::fmt;

use base64::Engine;
use ring::hmac;
use ring::signature::{Ed25519KeyPair, KeyPair};

use crate::encoding::BASE64;
use crate::keys::{self, KeyError, PRIVATE_KEY_PREFIX, PUBLIC_KEY_PREFIX, SECRET_PREFIX};
use crate::verifier::check_secrets;
use crate::{HmacAlgorithm, Provider, SchemeError};

/// The secrets of a destination, prepared for signing. [`Debug`] shows none of them.
pub struct StandardSigner {
    keys: Vec<SigningKey>,
}

enum SigningKey {
    Hmac(hmac::Key),
    Ed25519(Ed25519KeyPair),
}

impl StandardSigner {
    /// Prepares secrets, the current one first and then those that are still in the grace period of a rotation:
    /// `whsec_<base64>` of 24 to 64 bytes signs as `v1`, `whsk_<base64>` (a seed, or seed and public key) as `v1a`.
    ///
    /// # Errors
    /// No secret, more than [`MAX_SECRETS`](crate::MAX_SECRETS), or one that is empty or of another form.
    pub fn new<S: AsRef<str>>(secrets: &[S]) -> Result<Self, SchemeError> {
        let provider = Provider::StandardWebhooks;
        let secrets: Vec<&str> = secrets.iter().map(AsRef::as_ref).collect();
        check_secrets(provider, &secrets)?;
        let keys = secrets.iter().enumerate().map(|(index, secret)| {
            signing_key(secret).map_err(|reason| SchemeError::InvalidSecret { provider, position: index + 1, reason })
        });
        Ok(Self { keys: keys.collect::<Result<_, _>>()? })
    }

    /// The value of `webhook-signature` for one attempt: a signature for each secret, in their order, with spaces
    /// between. The id is the same for every attempt and has no dot; the timestamp is the attempt's own.
    pub fn sign(&self, id: &str, timestamp_unix_s: i64, body: &[u8]) -> String {
        let head = format!("{id}.{timestamp_unix_s}.");
        let mut list = String::with_capacity(self.keys.len() * 96);
        for key in &self.keys {
            if !list.is_empty() {
                list.push(' ');
            }
            match key {
                SigningKey::Hmac(key) => {
                    let mut context = hmac::Context::with_key(key);
                    context.update(head.as_bytes());
                    context.update(body);
                    list.push_str("v1,");
                    BASE64.encode_string(context.sign(), &mut list);
                }
                SigningKey::Ed25519(pair) => {
                    let message = [head.as_bytes(), body].concat();
                    list.push_str("v1a,");
                    BASE64.encode_string(pair.sign(&message), &mut list);
                }
            }
        }
        list
    }
}

impl fmt::Debug for StandardSigner {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("StandardSigner").field("n_keys", &self.keys.len()).finish_non_exhaustive()
    }
}

/// A new symmetric secret, `whsec_…`, from 32 random bytes.
pub fn generate_secret(random: [u8; 32]) -> String {
    format!("{SECRET_PREFIX}{}", BASE64.encode(random))
}

/// A new private key, `whsk_…` (seed and public key), from 32 random bytes. Its public key is
/// [`verification_secret`](crate::verification_secret).
///
/// # Errors
/// The cryptographic library did not accept the seed, which it does for any 32 bytes.
pub fn generate_ed25519_secret(random: [u8; 32]) -> Result<String, SchemeError> {
    let pair = Ed25519KeyPair::from_seed_unchecked(&random)
        .map_err(|_| SchemeError::SigningFailed { provider: Provider::StandardWebhooks })?;
    let both = [random.as_slice(), pair.public_key().as_ref()].concat();
    Ok(format!("{PRIVATE_KEY_PREFIX}{}", BASE64.encode(both)))
}

/// The public key that belongs to a private one, as `whpk_…`.
pub(crate) fn public_key_text(private_key: &str) -> Result<String, KeyError> {
    let pair = keys::ed25519_private(private_key)?;
    Ok(format!("{PUBLIC_KEY_PREFIX}{}", BASE64.encode(pair.public_key())))
}

fn signing_key(secret: &str) -> Result<SigningKey, KeyError> {
    if secret.starts_with(PRIVATE_KEY_PREFIX) {
        return keys::ed25519_private(secret).map(SigningKey::Ed25519);
    }
    if secret.starts_with(PUBLIC_KEY_PREFIX) {
        return Err("a public key cannot sign; set the private key, `whsk_` and base64");
    }
    let secret = keys::standard_secret(secret)?;
    if !(24..=64).contains(&secret.len()) {
        return Err("it has 24 to 64 bytes after `whsec_`, in base64");
    }
    Ok(SigningKey::Hmac(keys::hmac_key(HmacAlgorithm::Sha256, &secret)))
}
