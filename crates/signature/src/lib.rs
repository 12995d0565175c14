//! Webhook signatures: check those of the providers that send to Spillway, and make those that Spillway sends.
//!
//! Everything here is a pure function of its arguments: the caller brings the raw body, the headers and the time.
//! A [`Verifier`] is built once for a source, with all parsing and key preparation done, and then checks each request
//! on the raw bytes, in constant time, without allocating in the normal case (bodies over 4 KiB under an asymmetric
//! scheme and Twilio's form parameters need a buffer).
//!
//! Rules that hold for every scheme:
//!
//! - a source without a secret cannot be built, so it cannot accept anything (only [`Provider::None`] goes without);
//! - every secret of the source is tried, so secrets can be rotated;
//! - the scheme fixes the algorithm of a key, the request never chooses it;
//! - a timestamp further away than the tolerance is refused, in the past and in the future;
//! - a header that takes part in the check and comes more than once is refused;
//! - at most [`MAX_SIGNATURES`] signatures of one header are looked at.

mod encoding;
mod error;
mod facts;
mod handshake;
mod json;
mod keys;
mod options;
mod plan;
mod provider;
mod request;
mod sender;
mod standard;
mod template;
mod twilio;
mod verifier;

pub use error::{IdempotencyKeyError, SchemeError, VerifyError};
pub use facts::MAX_IDEMPOTENCY_KEY_BYTES;
pub use handshake::HandshakeResponse;
pub use options::{
    DEFAULT_TOLERANCE, HmacAlgorithm, HmacOptions, IdempotencySource, MAX_TOLERANCE, SchemeOptions, SignatureEncoding,
    TimestampUnit,
};
pub use provider::{Provider, UnknownProvider};
pub use request::{HeaderSource, HeaderValues, Request};
pub use sender::{Outgoing, sign_as, verification_secret};
pub use standard::{StandardSigner, generate_ed25519_secret, generate_secret};
pub use twilio::body_hash_query as twilio_body_hash_query;
pub use verifier::{MAX_SECRETS, MAX_SIGNATURES, Verified, Verifier};
