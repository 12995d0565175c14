//! What a source may set about its provider's scheme.

use std::fmt;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::{Provider, SchemeError};

/// How far a timestamp may be from now when nothing is set.
pub const DEFAULT_TOLERANCE: Duration = Duration::from_secs(300);

/// The largest tolerance. Above it the timestamp would protect against nothing.
pub const MAX_TOLERANCE: Duration = Duration::from_secs(7 * 24 * 60 * 60);

/// Settings of a scheme. All empty is right for most providers; an option that a provider does not use is an error.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct SchemeOptions {
    /// The scheme of [`Provider::Hmac`], and required there.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub hmac: Option<HmacOptions>,
    /// How far a signed timestamp may be from now, in both directions; [`DEFAULT_TOLERANCE`] when absent, at most
    /// [`MAX_TOLERANCE`]. Zero accepts the current second only. Written as a number of seconds or as `"90s"`, `"5m"`,
    /// `"1h"`.
    #[serde(with = "duration_text", skip_serializing_if = "Option::is_none")]
    pub tolerance: Option<Duration>,
    /// The URL that the sender calls, as it is known to the sender. Twilio signs it, and required there. Without a
    /// path the request's own path is used; the query is always the request's own.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub public_url: Option<String>,
    /// The header that carries the credential, for `basic` and `bearer` (else `authorization`) and `api-key` (else
    /// `x-api-key`).
    #[serde(skip_serializing_if = "Option::is_none")]
    pub credential_header: Option<String>,
    /// The user name for `basic`, whose secrets are then passwords. When absent each secret is `user:password`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub username: Option<String>,
    /// Where the idempotency key is; when absent, where the provider puts it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub idempotency: Option<IdempotencySource>,
}

/// An HMAC scheme, for senders that are not known by name.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct HmacOptions {
    /// The header with the signature.
    pub header: String,
    /// What stands before the signature in that header, such as `sha256=`; nothing when absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub prefix: Option<String>,
    /// The hash function.
    #[serde(default)]
    pub algorithm: HmacAlgorithm,
    /// How the signature is written.
    #[serde(default)]
    pub encoding: SignatureEncoding,
    /// What is signed: a text with `{body}` exactly once and `{timestamp}` at most once.
    #[serde(default = "default_signed")]
    pub signed: String,
    /// The header with the timestamp. Needed exactly when `signed` has `{timestamp}`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub timestamp_header: Option<String>,
    /// The unit of the timestamp.
    #[serde(default)]
    pub timestamp_unit: TimestampUnit,
    /// Answers `GET …?crc_token=…` as Twitter's webhooks ask. Needs SHA-256 and `{body}` alone, and tokens are
    /// restricted so that the answer is never the signature of a JSON document or form.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub crc: bool,
}

impl HmacOptions {
    /// HMAC-SHA256 over the body, in hex, in this header.
    pub fn new(header: impl Into<String>) -> Self {
        Self {
            header: header.into(),
            prefix: None,
            algorithm: HmacAlgorithm::default(),
            encoding: SignatureEncoding::default(),
            signed: default_signed(),
            timestamp_header: None,
            timestamp_unit: TimestampUnit::default(),
            crc: false,
        }
    }
}

/// The hash function of an HMAC.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum HmacAlgorithm {
    /// For senders that offer nothing newer.
    Sha1,
    /// The usual choice.
    #[default]
    Sha256,
    /// SHA-512.
    Sha512,
}

/// How signature bytes are written in a header.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum SignatureEncoding {
    /// Hexadecimal; both cases are read, lower case is written.
    #[default]
    Hex,
    /// Base64 with the standard alphabet; padding may be missing when read and is written.
    Base64,
}

/// The unit of a timestamp since the Unix epoch.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum TimestampUnit {
    /// Whole seconds.
    #[default]
    Seconds,
    /// Milliseconds.
    Milliseconds,
}

/// Where the key is that makes two requests the same event.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum IdempotencySource {
    /// The value of this header.
    Header(String),
    /// A string or integer in a JSON body, by JSON pointer (RFC 6901), such as `/data/id`; at most 16 steps.
    JsonPointer(String),
    /// No key: each request is its own event.
    Disabled,
}

impl SchemeOptions {
    /// Refuses options that the provider does not use, and a tolerance over the limit.
    pub(crate) fn check(&self, provider: Provider) -> Result<(), SchemeError> {
        let credential = matches!(provider, Provider::Basic | Provider::Bearer | Provider::ApiKey);
        let uses = [
            ("hmac", self.hmac.is_some(), provider == Provider::Hmac),
            ("tolerance", self.tolerance.is_some(), self.has_timestamp(provider)),
            ("public_url", self.public_url.is_some(), provider == Provider::Twilio),
            ("credential_header", self.credential_header.is_some(), credential),
            ("username", self.username.is_some(), provider == Provider::Basic),
        ];
        if let Some((option, ..)) = uses.into_iter().find(|(_, set, used)| *set && !used) {
            return Err(SchemeError::UnusedOption { provider, option });
        }
        if self.tolerance.is_some_and(|tolerance| tolerance > MAX_TOLERANCE) {
            let reason = format!("it is at most {} s", MAX_TOLERANCE.as_secs());
            return Err(SchemeError::InvalidOption { option: "tolerance", reason });
        }
        Ok(())
    }

    /// The tolerance in whole seconds.
    pub(crate) fn tolerance_seconds(&self) -> u64 {
        self.tolerance.unwrap_or(DEFAULT_TOLERANCE).as_secs()
    }

    fn has_timestamp(&self, provider: Provider) -> bool {
        match provider {
            Provider::StandardWebhooks
            | Provider::Stripe
            | Provider::Slack
            | Provider::Discord
            | Provider::Sendgrid
            | Provider::Paddle
            | Provider::Webflow
            | Provider::Elevenlabs => true,
            Provider::Hmac => self.hmac.as_ref().is_some_and(|hmac| hmac.timestamp_header.is_some()),
            _ => false,
        }
    }
}

/// A header name in the form in which it is looked up, or the reason why it is none.
pub(crate) fn header_name(option: &'static str, name: &str) -> Result<String, SchemeError> {
    match http::HeaderName::from_bytes(name.as_bytes()) {
        Ok(name) => Ok(name.as_str().to_owned()),
        Err(_) => Err(SchemeError::InvalidOption { option, reason: format!("{name:?} is not a header name") }),
    }
}

fn default_signed() -> String {
    "{body}".to_owned()
}

/// Durations as people write them in settings.
mod duration_text {
    use super::*;
    use serde::de::{Error, Visitor};
    use serde::{Deserializer, Serializer};

    pub(super) fn serialize<S: Serializer>(value: &Option<Duration>, serializer: S) -> Result<S::Ok, S::Error> {
        match value {
            Some(duration) => serializer.collect_str(&format_args!("{}s", duration.as_secs())),
            None => serializer.serialize_none(),
        }
    }

    pub(super) fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<Duration>, D::Error> {
        deserializer.deserialize_any(DurationVisitor)
    }

    struct DurationVisitor;

    impl<'de> Visitor<'de> for DurationVisitor {
        type Value = Option<Duration>;

        fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
            f.write_str("a number of seconds, or a text such as \"90s\", \"5m\" or \"1h\"")
        }

        fn visit_u64<E: Error>(self, seconds: u64) -> Result<Self::Value, E> {
            Ok(Some(Duration::from_secs(seconds)))
        }

        fn visit_i64<E: Error>(self, seconds: i64) -> Result<Self::Value, E> {
            let seconds = u64::try_from(seconds).map_err(|_| E::custom("a duration is not negative"))?;
            self.visit_u64(seconds)
        }

        fn visit_str<E: Error>(self, text: &str) -> Result<Self::Value, E> {
            let parsed = text.char_indices().next_back().and_then(|(at, unit)| {
                let seconds_each: u64 = match unit {
                    's' => 1,
                    'm' => 60,
                    'h' => 3600,
                    _ => return None,
                };
                text[..at].parse::<u64>().ok()?.checked_mul(seconds_each)
            });
            match parsed {
                Some(seconds) => self.visit_u64(seconds),
                None => Err(E::invalid_value(serde::de::Unexpected::Str(text), &self)),
            }
        }

        fn visit_none<E: Error>(self) -> Result<Self::Value, E> {
            Ok(None)
        }

        fn visit_unit<E: Error>(self) -> Result<Self::Value, E> {
            Ok(None)
        }

        fn visit_some<D: Deserializer<'de>>(self, deserializer: D) -> Result<Self::Value, D::Error> {
            deserializer.deserialize_any(self)
        }
    }
}
