//! Checking requests of one source.

pub(crate) mod credential;
mod signature;
mod standard;
mod twilio;

use std::borrow::Cow;
use std::fmt;

use ring::hmac;

use self::credential::CredentialScheme;
use self::signature::SignatureScheme;
use self::standard::StandardScheme;
use self::twilio::TwilioScheme;
use crate::encoding::now_in;
use crate::facts::{EventTypeSource, KeySource};
use crate::handshake::HandshakeResponse;
use crate::plan::Plan;
use crate::{
    HeaderSource, HeaderValues, IdempotencyKeyError, Provider, Request, SchemeError, SchemeOptions, TimestampUnit,
    VerifyError, handshake, keys,
};

/// Most secrets that one verifier tries.
pub const MAX_SECRETS: usize = 8;

/// Most entries of one signature header that are looked at; a longer list is malformed.
pub const MAX_SIGNATURES: usize = 16;

/// A source's scheme with its keys prepared. Cheap to share behind an `Arc`; [`Debug`] shows no secret.
#[derive(Clone)]
pub struct Verifier {
    provider: Provider,
    scheme: Scheme,
    idempotency: KeySource,
    event_type: EventTypeSource,
    crc: Option<hmac::Key>,
}

#[derive(Clone)]
enum Scheme {
    Signature(SignatureScheme),
    Standard(StandardScheme),
    Twilio(TwilioScheme),
    Credential(CredentialScheme),
    Open,
}

/// Proof that a request passed [`Verifier::verify`]; only that function makes one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Verified {
    secret_index: Option<usize>,
    timestamp: Option<i64>,
}

impl Verified {
    /// Which secret matched, counted from 0 in the order given to [`Verifier::new`]; none for [`Provider::None`].
    /// When it is never 0 after a rotation the sender still uses an old secret.
    pub fn secret_index(&self) -> Option<usize> {
        self.secret_index
    }

    /// The signed timestamp in the unit of the scheme (seconds, but for Webflow and where configured); none for a
    /// scheme without one.
    pub fn timestamp(&self) -> Option<i64> {
        self.timestamp
    }
}

impl Verifier {
    /// Prepares a provider's scheme with its secrets, the current one first.
    ///
    /// A secret is the text that the provider shows: the signing secret as it is, `whsec_…` or `whpk_…` for Standard
    /// Webhooks, the public key for Discord (hex) and SendGrid (base64), the token for GitLab, bearer and API key, and
    /// password or `user:password` for basic.
    ///
    /// # Errors
    /// No secret, an empty one, one that is not of the provider's form, more than [`MAX_SECRETS`], any secret for
    /// [`Provider::None`], and options that are missing, wrong or without effect.
    pub fn new<S: AsRef<str>>(provider: Provider, secrets: &[S], options: &SchemeOptions) -> Result<Self, SchemeError> {
        options.check(provider)?;
        let secrets: Vec<&str> = secrets.iter().map(AsRef::as_ref).collect();
        check_secrets(provider, &secrets)?;
        let scheme = match (provider, Plan::of(provider, options)?) {
            (_, Some(plan)) => {
                Scheme::Signature(SignatureScheme::new(provider, plan, &secrets, options.tolerance_seconds())?)
            }
            (Provider::StandardWebhooks, None) => {
                Scheme::Standard(StandardScheme::new(&secrets, options.tolerance_seconds())?)
            }
            (Provider::Twilio, None) => Scheme::Twilio(TwilioScheme::new(&secrets, options)?),
            (Provider::None, None) => Scheme::Open,
            (_, None) => Scheme::Credential(CredentialScheme::new(provider, &secrets, options)?),
        };
        let crc = match (&options.hmac, secrets.first()) {
            (Some(hmac), Some(secret)) if hmac.crc => Some(keys::hmac_key(hmac.algorithm, secret.as_bytes())),
            _ => None,
        };
        Ok(Self {
            provider,
            scheme,
            idempotency: KeySource::new(provider, options.idempotency.as_ref())?,
            event_type: EventTypeSource::of(provider),
            crc,
        })
    }

    /// The provider whose scheme this is.
    pub fn provider(&self) -> Provider {
        self.provider
    }

    /// Checks that the request was made by somebody who has one of the secrets, for exactly this body, and (where the
    /// scheme has a timestamp) not long ago. What a scheme covers beyond the body is the provider's decision: see
    /// [`Provider::signs_body`].
    ///
    /// # Errors
    /// See [`VerifyError`]; each has a stable [`code`](VerifyError::code) and all mean that the request is refused.
    pub fn verify<H: HeaderSource + ?Sized>(&self, request: &Request<'_, H>) -> Result<Verified, VerifyError> {
        match &self.scheme {
            Scheme::Signature(scheme) => scheme.verify(request),
            Scheme::Standard(scheme) => scheme.verify(request),
            Scheme::Twilio(scheme) => scheme.verify(request),
            Scheme::Credential(scheme) => scheme.verify(request),
            Scheme::Open => Ok(Verified { secret_index: None, timestamp: None }),
        }
    }

    /// The answer to a request by which the provider tests the endpoint, and which is not an event: Slack's
    /// `url_verification` and Discord's PING. None for everything else, which is to be kept as an event.
    pub fn handshake<H: HeaderSource + ?Sized>(
        &self,
        _proof: &Verified,
        request: &Request<'_, H>,
    ) -> Option<HandshakeResponse> {
        match self.provider {
            Provider::Slack => handshake::slack(request.body),
            Provider::Discord => handshake::discord(request.body),
            _ => None,
        }
    }

    /// The answer to `GET …?crc_token=…` (Twitter's challenge-response check), which carries no signature. None unless
    /// [`crc`](crate::HmacOptions::crc) is set and the token is 1 to 128 letters, digits, `-` and `_`, with `=` at the
    /// end: anything else could be a body, and its answer would be that body's signature.
    pub fn crc_response(&self, path_and_query: &str) -> Option<HandshakeResponse> {
        handshake::crc(self.crc.as_ref()?, path_and_query)
    }

    /// The key that makes two requests the same event: the provider's own, or the configured one. None when the
    /// request has none or an empty one, or the body is not JSON where the key is in the body. In a body strings and
    /// 64-bit integers count; of a name that comes twice the last.
    ///
    /// # Errors
    /// The key is longer than [`MAX_IDEMPOTENCY_KEY_BYTES`](crate::MAX_IDEMPOTENCY_KEY_BYTES).
    pub fn idempotency_key<'r, H: HeaderSource + ?Sized>(
        &self,
        request: &Request<'r, H>,
    ) -> Result<Option<Cow<'r, [u8]>>, IdempotencyKeyError> {
        self.idempotency.read(request)
    }

    /// What kind of event the provider says this is, such as `push` or `invoice.paid`. None when the provider does
    /// not say, or says it in more than 128 bytes or not in UTF-8.
    pub fn event_type<'r, H: HeaderSource + ?Sized>(&self, request: &Request<'r, H>) -> Option<Cow<'r, str>> {
        self.event_type.read(request)
    }
}

impl fmt::Debug for Verifier {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Verifier").field("provider", &self.provider).finish_non_exhaustive()
    }
}

/// Refuses a set of secrets that could accept nothing, or everything.
pub(crate) fn check_secrets(provider: Provider, secrets: &[&str]) -> Result<(), SchemeError> {
    if provider == Provider::None {
        return if secrets.is_empty() { Ok(()) } else { Err(SchemeError::SecretsIgnored) };
    }
    if secrets.is_empty() {
        return Err(SchemeError::NoSecret { provider });
    }
    if secrets.len() > MAX_SECRETS {
        return Err(SchemeError::TooManySecrets { given: secrets.len(), limit: MAX_SECRETS });
    }
    match secrets.iter().position(|secret| secret.trim().is_empty()) {
        Some(index) => Err(SchemeError::EmptySecret { provider, position: index + 1 }),
        None => Ok(()),
    }
}

/// Prepares each secret, and names the one that cannot be used.
fn each_secret<K>(
    provider: Provider,
    secrets: &[&str],
    prepare: impl Fn(&str) -> Result<K, keys::KeyError>,
) -> Result<Vec<K>, SchemeError> {
    let prepared = secrets.iter().enumerate().map(|(index, secret)| {
        prepare(secret).map_err(|reason| SchemeError::InvalidSecret { provider, position: index + 1, reason })
    });
    prepared.collect()
}

/// The value of a header that must be there exactly once.
fn single<'h, H: HeaderSource + ?Sized>(headers: &'h H, name: &str) -> Result<&'h [u8], VerifyError> {
    match headers.lookup(name) {
        HeaderValues::One(value) => Ok(value),
        HeaderValues::Missing => Err(VerifyError::MissingHeader { name: name.to_owned() }),
        HeaderValues::Repeated(_) => Err(VerifyError::RepeatedHeader { name: name.to_owned() }),
    }
}

fn malformed(name: &str, reason: &'static str) -> VerifyError {
    VerifyError::MalformedHeader { name: name.to_owned(), reason }
}

/// Refuses a timestamp that is further from now than the tolerance, in either direction.
fn check_tolerance(
    timestamp: i64,
    unit: TimestampUnit,
    now_unix_ms: i64,
    tolerance_seconds: u64,
) -> Result<(), VerifyError> {
    let units_per_second: i64 = match unit {
        TimestampUnit::Seconds => 1,
        TimestampUnit::Milliseconds => 1000,
    };
    let skew = timestamp.saturating_sub(now_in(unit, now_unix_ms));
    if skew.unsigned_abs() <= tolerance_seconds.saturating_mul(units_per_second.unsigned_abs()) {
        return Ok(());
    }
    Err(VerifyError::TimestampOutOfTolerance { skew_seconds: skew / units_per_second, tolerance_seconds })
}

/// Up to [`MAX_SIGNATURES`] signatures of one header, still encoded.
struct Candidates<'h> {
    texts: [&'h [u8]; MAX_SIGNATURES],
    len: usize,
}

impl<'h> Candidates<'h> {
    fn new() -> Self {
        Self { texts: [&[]; MAX_SIGNATURES], len: 0 }
    }

    /// Adds one; those beyond the limit are left out.
    fn push(&mut self, text: &'h [u8]) {
        if let Some(slot) = self.texts.get_mut(self.len) {
            *slot = text;
            self.len += 1;
        }
    }

    fn as_slice(&self) -> &[&'h [u8]] {
        &self.texts[..self.len]
    }
}
