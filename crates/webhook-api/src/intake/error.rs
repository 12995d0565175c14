//! Why intake refuses a request: the outcome that is counted, and the answer.

use std::time::Duration;

use http::{Method, StatusCode};
use spillway_model::EventId;
use spillway_signature::VerifyError;
use spillway_store::StoreError;
use spillway_telemetry::IntakeOutcome;

use crate::committer::CommitError;
use crate::limits::RateRefusal;
use crate::problem::Problem;

/// Why a request to intake was refused.
#[derive(Debug, thiserror::Error)]
pub enum IntakeError {
    /// There is no enabled source of this name.
    #[error("there is no source named {name:?}")]
    UnknownSource {
        /// The name in the path.
        name: String,
    },
    /// Another method than POST.
    #[error("the method {method} is not for webhooks")]
    Method {
        /// The request's method.
        method: Method,
    },
    /// Too many headers, or too large.
    #[error("the headers are too many or too large")]
    HeadersTooLarge,
    /// The body is larger than allowed.
    #[error("the body is larger than {limit} bytes")]
    TooLarge {
        /// The limit in bytes.
        limit: u64,
    },
    /// The body stopped short of its announced length, or its framing is broken.
    #[error("the body ended early")]
    Truncated,
    /// The body did not arrive in time.
    #[error("the body did not arrive in time")]
    TooSlow,
    /// The signature is missing, wrong or too old.
    #[error("the signature does not verify")]
    BadSignature(#[from] VerifyError),
    /// The source cannot verify anything.
    #[error("the source is not set up right")]
    Misconfigured,
    /// More requests than the source's limit.
    #[error("too many requests")]
    RateLimited(RateRefusal),
    /// The idempotency key cannot be used.
    #[error("the idempotency key is too long")]
    IdempotencyKey(#[from] spillway_signature::IdempotencyKeyError),
    /// The event is not what its source says its events are.
    #[error("the event is not valid: {reason}")]
    Event {
        /// What is wrong with it.
        reason: String,
    },
    /// The commit queue is full.
    #[error("the commit queue is full")]
    Full,
    /// The gateway is stopping.
    #[error("the gateway is stopping")]
    Stopping,
    /// The store failed.
    #[error("the event could not be stored")]
    Store(#[source] StoreError),
    /// The store did not answer in time.
    #[error("the event could not be stored in time")]
    StoreTooSlow,
    /// In the synchronous mode: the event is stored, and deliveries of it failed.
    #[error("{failed} of {deliveries} deliveries failed")]
    DeliveryFailed {
        /// The event.
        event: EventId,
        /// Deliveries whose first attempt failed.
        failed: usize,
        /// All of them.
        deliveries: usize,
    },
    /// In the synchronous mode: the event is stored, and not all deliveries of it were attempted in time.
    #[error("the event could not be delivered in time")]
    DeliveryLate {
        /// The event.
        event: EventId,
    },
}

impl From<CommitError> for IntakeError {
    fn from(error: CommitError) -> Self {
        match error {
            CommitError::Full => Self::Full,
            CommitError::Stopped => Self::Stopping,
            CommitError::Store(error) => Self::Store(error),
        }
    }
}

impl IntakeError {
    pub(crate) fn outcome(&self) -> IntakeOutcome {
        match self {
            Self::UnknownSource { .. } => IntakeOutcome::UnknownSource,
            Self::Method { .. } | Self::Truncated | Self::TooSlow | Self::IdempotencyKey(_) => IntakeOutcome::Invalid,
            Self::HeadersTooLarge | Self::TooLarge { .. } => IntakeOutcome::TooLarge,
            Self::BadSignature(_) | Self::Misconfigured => IntakeOutcome::BadSignature,
            Self::RateLimited(_) => IntakeOutcome::RateLimited,
            Self::Event { .. } => IntakeOutcome::EventInvalid,
            Self::Full | Self::Stopping => IntakeOutcome::QueueFull,
            Self::Store(_) | Self::StoreTooSlow => IntakeOutcome::StoreError,
            // It is stored, which is what the outcome tells of.
            Self::DeliveryFailed { .. } | Self::DeliveryLate { .. } => IntakeOutcome::Accepted,
        }
    }
}

impl From<IntakeError> for Problem {
    fn from(error: IntakeError) -> Self {
        const SOON: Duration = Duration::from_secs(1);
        match error {
            IntakeError::UnknownSource { name } => Self::new(
                StatusCode::NOT_FOUND,
                "source_unknown",
                "No such source",
                format!("There is no enabled source named {name:?}. Check the last part of the URL, or create the source."),
            ),
            IntakeError::Method { method } => Self::new(
                StatusCode::METHOD_NOT_ALLOWED,
                "method_not_allowed",
                "Method not allowed",
                format!("Webhooks are sent with POST, not {method}."),
            )
            .allow("POST"),
            IntakeError::HeadersTooLarge => Self::new(
                StatusCode::REQUEST_HEADER_FIELDS_TOO_LARGE,
                "headers_too_large",
                "Headers too large",
                "The request has more or larger headers than server.max_headers and server.max_header_bytes allow.",
            ),
            IntakeError::TooLarge { limit } => Self::new(
                StatusCode::PAYLOAD_TOO_LARGE,
                "body_too_large",
                "Body too large",
                format!("The body is larger than {limit} bytes. Send less, or raise max_body of the source or the server."),
            ),
            IntakeError::Truncated => Self::new(
                StatusCode::BAD_REQUEST,
                "body_truncated",
                "Body truncated",
                "The body ended before its announced length. Nothing was stored; send the request again.",
            ),
            IntakeError::TooSlow => Self::new(
                StatusCode::REQUEST_TIMEOUT,
                "body_timeout",
                "Body too slow",
                "The body did not arrive within server.body_timeout. Nothing was stored; send the request again.",
            ),
            IntakeError::BadSignature(error) => {
                Self::new(StatusCode::UNAUTHORIZED, error.code(), "Signature refused", sentence(&error.to_string()))
            }
            IntakeError::Misconfigured => Self::new(
                StatusCode::SERVICE_UNAVAILABLE,
                "source_misconfigured",
                "Source not set up",
                "The source's provider, options or secrets cannot be used, so every request is refused. The gateway's log says why.",
            ),
            IntakeError::RateLimited(refusal) => Self::new(
                StatusCode::TOO_MANY_REQUESTS,
                "rate_limited",
                "Too many requests",
                format!("The limit of this source is {}. Send again after the time in Retry-After.", refusal.rate),
            )
            .retry_after(refusal.retry_after),
            IntakeError::IdempotencyKey(error) => {
                Self::new(StatusCode::BAD_REQUEST, error.code(), "Idempotency key too long", sentence(&error.to_string()))
            }
            IntakeError::Event { reason } => Self::new(
                StatusCode::UNPROCESSABLE_ENTITY,
                "event_invalid",
                "Event refused",
                format!("The event is not one that this source takes: {reason}. Nothing was stored; mend the event, or the source's event types."),
            ),
            IntakeError::Full => Self::new(
                StatusCode::SERVICE_UNAVAILABLE,
                "intake_full",
                "Intake is full",
                "More events wait to be stored than intake.queue allows. Nothing was stored; send the request again.",
            )
            .retry_after(SOON),
            IntakeError::Stopping => Self::new(
                StatusCode::SERVICE_UNAVAILABLE,
                "stopping",
                "Gateway is stopping",
                "This node is shutting down. Nothing was stored; send the request again.",
            )
            .retry_after(SOON),
            IntakeError::Store(error) => Self::new(
                StatusCode::SERVICE_UNAVAILABLE,
                error.code(),
                "Store failed",
                "The event could not be stored. Send the request again; the gateway's log says more.",
            )
            .retry_after(SOON),
            IntakeError::StoreTooSlow => Self::new(
                StatusCode::SERVICE_UNAVAILABLE,
                "store_timeout",
                "Store too slow",
                "The event could not be stored in time. It may be stored still; send the request again with the same key.",
            )
            .retry_after(SOON),
            IntakeError::DeliveryFailed { event, failed, deliveries } => Self::new(
                StatusCode::BAD_GATEWAY,
                "delivery_failed",
                "Delivery failed",
                format!(
                    "The event {event} is stored, and {failed} of its {deliveries} deliveries failed. They are attempted again by the retry schedule; do not send it again."
                ),
            ),
            IntakeError::DeliveryLate { event } => Self::new(
                StatusCode::GATEWAY_TIMEOUT,
                "delivery_late",
                "Delivery not in time",
                format!(
                    "The event {event} is stored, and was not delivered within server.request_timeout. Its deliveries go on; do not send it again."
                ),
            ),
        }
    }
}

/// An error text as a sentence of its own.
fn sentence(text: &str) -> String {
    let mut letters = text.chars();
    let first = letters.next().map(|letter| letter.to_uppercase().to_string()).unwrap_or_default();
    format!("{first}{}.", letters.as_str())
}
