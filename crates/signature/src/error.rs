//! Why a scheme cannot be set up, and why a request is refused.

use crate::Provider;

/// The settings of a source do not make a scheme. Never holds any part of a secret.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum SchemeError {
    /// Nothing to verify with.
    #[error("provider {provider} needs at least one secret; without one every request would have to be refused")]
    NoSecret {
        /// The provider that was asked for.
        provider: Provider,
    },
    /// A secret with nothing in it.
    #[error("secret {position} for provider {provider} is empty; set it or remove it")]
    EmptySecret {
        /// The provider that was asked for.
        provider: Provider,
        /// Which of the secrets, from 1.
        position: usize,
    },
    /// A secret that this provider's scheme cannot use.
    #[error("secret {position} for provider {provider} cannot be used: {reason}")]
    InvalidSecret {
        /// The provider that was asked for.
        provider: Provider,
        /// Which of the secrets, from 1.
        position: usize,
        /// What it should be.
        reason: &'static str,
    },
    /// More secrets than are tried for one request.
    #[error("{given} secrets are too many, at most {limit} are tried; remove the ones that are no longer in use")]
    TooManySecrets {
        /// How many were given.
        given: usize,
        /// How many are allowed.
        limit: usize,
    },
    /// Provider `none` with a secret, which would look checked and is not.
    #[error("provider none checks nothing, so its secrets would be ignored; choose a provider or remove the secrets")]
    SecretsIgnored,
    /// An option without which this provider's scheme is not complete.
    #[error("provider {provider} needs the option `{option}`")]
    MissingOption {
        /// The provider that was asked for.
        provider: Provider,
        /// The option's name.
        option: &'static str,
    },
    /// An option that would have no effect, and so would look like a protection that is not there.
    #[error("the option `{option}` has no effect with provider {provider}; remove it or choose another provider")]
    UnusedOption {
        /// The provider that was asked for.
        provider: Provider,
        /// The option's name.
        option: &'static str,
    },
    /// An option whose value cannot be used.
    #[error("the option `{option}` is wrong: {reason}")]
    InvalidOption {
        /// The option's name.
        option: &'static str,
        /// What it should be.
        reason: String,
    },
    /// The key was accepted but the cryptographic library would not sign with it.
    #[error("the key for provider {provider} could not sign")]
    SigningFailed {
        /// The provider that was asked for.
        provider: Provider,
    },
}

/// A request that did not prove where it comes from.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum VerifyError {
    /// A header that the scheme needs is not there.
    #[error("the header `{name}` is missing; set the same secret at the sender, and check the source's provider")]
    MissingHeader {
        /// The header's name in lower case.
        name: String,
    },
    /// A header of the scheme that cannot be read.
    #[error("the header `{name}` {reason}; check that the source's provider is the one that sends")]
    MalformedHeader {
        /// The header's name in lower case.
        name: String,
        /// What is wrong, as the end of a sentence that starts with the header.
        reason: &'static str,
    },
    /// A header of the scheme that came more than once, so that two readers could see two things.
    #[error("the header `{name}` came more than once; send it once, and check proxies that add headers")]
    RepeatedHeader {
        /// The header's name in lower case.
        name: String,
    },
    /// A signature list that holds only versions that are unknown, or for which the source has no key.
    #[error("the header `{name}` has no signature of a version that this source has a key for; check its secrets")]
    UnsupportedVersion {
        /// The header's name in lower case.
        name: String,
    },
    /// A timestamp that is too far from now: an old request sent again, or a clock that is wrong.
    #[error(
        "the timestamp is {skew_seconds} s from now and {tolerance_seconds} s are tolerated; check both clocks, \
         and send again with a new signature"
    )]
    TimestampOutOfTolerance {
        /// Timestamp minus now, in whole seconds; negative in the past.
        skew_seconds: i64,
        /// The tolerance in whole seconds.
        tolerance_seconds: u64,
    },
    /// A body that cannot be brought into the form that is signed.
    #[error("the body {reason}; check that the source's provider is the one that sends")]
    MalformedBody {
        /// What is wrong, as the end of a sentence that starts with the body.
        reason: &'static str,
    },
    /// No secret of the source matches.
    #[error("no secret of this source matches; set the same secret at the sender, and let no proxy change the body")]
    Mismatch,
}

impl VerifyError {
    /// A stable name of the case, for problem documents, metrics and runbooks.
    pub const fn code(&self) -> &'static str {
        match self {
            Self::MissingHeader { .. } => "signature_header_missing",
            Self::MalformedHeader { .. } => "signature_header_malformed",
            Self::RepeatedHeader { .. } => "signature_header_repeated",
            Self::UnsupportedVersion { .. } => "signature_version_unsupported",
            Self::TimestampOutOfTolerance { .. } => "signature_timestamp_out_of_tolerance",
            Self::MalformedBody { .. } => "signature_body_malformed",
            Self::Mismatch => "signature_mismatch",
        }
    }
}

/// The request names an idempotency key that cannot be stored.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the idempotency key has {bytes} bytes and at most {limit} are kept; send a shorter one")]
pub struct IdempotencyKeyError {
    /// Length of the key that was sent.
    pub bytes: usize,
    /// The longest that is kept.
    pub limit: usize,
}

impl IdempotencyKeyError {
    /// A stable name of the case, for problem documents, metrics and runbooks.
    pub const fn code(&self) -> &'static str {
        "idempotency_key_too_long"
    }
}
