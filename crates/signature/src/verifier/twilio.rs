//! Twilio: HMAC-SHA1 over the public URL and the form parameters.

use ring::{digest, hmac};
use subtle::ConstantTimeEq;

use super::{Verified, malformed, single};
use crate::encoding::decode_signature;
use crate::keys::hmac_key;
use crate::twilio::{self, PublicUrl, SIGNATURE_HEADER};
use crate::{HeaderSource, HmacAlgorithm, Request, SchemeError, SchemeOptions, SignatureEncoding, VerifyError};

#[derive(Clone)]
pub(super) struct TwilioScheme {
    url: PublicUrl,
    keys: Vec<hmac::Key>,
}

impl TwilioScheme {
    pub(super) fn new(secrets: &[&str], options: &SchemeOptions) -> Result<Self, SchemeError> {
        let keys = secrets.iter().map(|secret| hmac_key(HmacAlgorithm::Sha1, secret.as_bytes())).collect();
        Ok(Self { url: PublicUrl::of(options)?, keys })
    }

    pub(super) fn verify<H: HeaderSource + ?Sized>(&self, request: &Request<'_, H>) -> Result<Verified, VerifyError> {
        let text = single(request.headers, SIGNATURE_HEADER)?;
        let Some(signature) = decode_signature(SignatureEncoding::Base64, text) else {
            return Err(malformed(SIGNATURE_HEADER, "has no signature in base64"));
        };
        let parameters = match twilio::body_hash(request.path_and_query) {
            Some(expected) => {
                let actual = digest::digest(&digest::SHA256, request.body);
                if !bool::from(actual.as_ref().ct_eq(&expected?)) {
                    return Err(VerifyError::Mismatch);
                }
                Vec::new()
            }
            None => twilio::sorted_parameters(request.body)?,
        };
        let matching = self.keys.iter().position(|key| {
            self.url.spellings(request.path_and_query).into_iter().any(|url| {
                let expected = twilio::mac(key, url, &parameters);
                bool::from(expected.as_ref().ct_eq(signature.as_slice()))
            })
        });
        match matching {
            Some(index) => Ok(Verified { secret_index: Some(index), timestamp: None }),
            None => Err(VerifyError::Mismatch),
        }
    }
}
