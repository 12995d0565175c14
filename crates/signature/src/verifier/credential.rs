//! Credentials in a header: GitLab's token, basic, bearer and API key.

use std::borrow::Cow;

use base64::Engine;
use ring::digest;
use subtle::ConstantTimeEq;

use super::{Verified, each_secret, malformed, single};
use crate::encoding::BASE64;
use crate::options::header_name;
use crate::{HeaderSource, Provider, Request, SchemeError, SchemeOptions, VerifyError};

/// Longest decoded `user:password`.
const MAX_BASIC_BYTES: usize = 768;

/// Compares the SHA-256 of credentials, so that neither content nor length of a secret shows in the time it takes.
#[derive(Clone)]
pub(super) struct CredentialScheme {
    header: Cow<'static, str>,
    form: CredentialForm,
    digests: Vec<digest::Digest>,
}

/// How the credential stands in its header.
#[derive(Clone, Copy)]
enum CredentialForm {
    Plain,
    Bearer,
    Basic,
}

impl CredentialScheme {
    pub(super) fn new(provider: Provider, secrets: &[&str], options: &SchemeOptions) -> Result<Self, SchemeError> {
        let form = match provider {
            Provider::Basic => CredentialForm::Basic,
            Provider::Bearer => CredentialForm::Bearer,
            _ => CredentialForm::Plain,
        };
        let digests = each_secret(provider, secrets, |secret| {
            let credential = match form {
                CredentialForm::Basic => basic_credential(options.username.as_deref(), secret)?,
                CredentialForm::Plain | CredentialForm::Bearer => Cow::Borrowed(secret),
            };
            Ok(digest::digest(&digest::SHA256, credential.as_bytes()))
        })?;
        Ok(Self { header: credential_header(provider, options)?, form, digests })
    }

    pub(super) fn verify<H: HeaderSource + ?Sized>(&self, request: &Request<'_, H>) -> Result<Verified, VerifyError> {
        let value = single(request.headers, &self.header)?;
        let mut decoded = [0; MAX_BASIC_BYTES];
        let credential = match self.form {
            CredentialForm::Plain => value,
            CredentialForm::Bearer => after_scheme(value, b"bearer")
                .ok_or_else(|| malformed(&self.header, "does not start with `Bearer `"))?,
            CredentialForm::Basic => {
                let encoded = after_scheme(value, b"basic")
                    .ok_or_else(|| malformed(&self.header, "does not start with `Basic `"))?;
                let len = BASE64
                    .decode_slice(encoded, &mut decoded)
                    .map_err(|_| malformed(&self.header, "has no `user:password` in base64"))?;
                &decoded[..len]
            }
        };
        let given = digest::digest(&digest::SHA256, credential);
        let mut matching = None;
        for (index, digest) in self.digests.iter().enumerate() {
            if bool::from(digest.as_ref().ct_eq(given.as_ref())) && matching.is_none() {
                matching = Some(index);
            }
        }
        match matching {
            Some(index) => Ok(Verified { secret_index: Some(index), timestamp: None }),
            None => Err(VerifyError::Mismatch),
        }
    }
}

/// The header in which a provider's credential comes, in lower case.
pub(crate) fn credential_header(provider: Provider, options: &SchemeOptions) -> Result<Cow<'static, str>, SchemeError> {
    match (&options.credential_header, provider) {
        (Some(header), _) => Ok(header_name("credential_header", header)?.into()),
        (None, Provider::Gitlab) => Ok("x-gitlab-token".into()),
        (None, Provider::ApiKey) => Ok("x-api-key".into()),
        (None, _) => Ok("authorization".into()),
    }
}

/// The text that basic authentication encodes.
pub(crate) fn basic_credential<'s>(username: Option<&str>, secret: &'s str) -> Result<Cow<'s, str>, &'static str> {
    match username {
        Some(username) if username.contains(':') => Err("a user name has no colon"),
        Some(username) => Ok(Cow::Owned(format!("{username}:{secret}"))),
        None if secret.contains(':') => Ok(Cow::Borrowed(secret)),
        None => Err("it is `user:password`; or set the option `username`, and the password as the secret"),
    }
}

/// What follows the authentication scheme's name, which is written in any case (RFC 9110).
fn after_scheme<'h>(value: &'h [u8], scheme: &[u8]) -> Option<&'h [u8]> {
    let (name, rest) = value.split_at_checked(scheme.len())?;
    let rest = rest.strip_prefix(b" ").filter(|_| name.eq_ignore_ascii_case(scheme))?;
    Some(rest.trim_ascii())
}
