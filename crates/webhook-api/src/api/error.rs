//! Why a request to the API failed, and the one place that turns it into a problem document.

use std::time::Duration;

use axum::response::{IntoResponse, Response};
use http::{HeaderValue, StatusCode, header};
use spillway_model::{InvalidWorkerShares, Scope};
use spillway_store::{InvalidCursor, StoreError, StoreErrorKind};
use spillway_transform::ProgramError;

use crate::intake::IntakeError;
use crate::limits::RateRefusal;
use crate::problem::Problem;

/// Things that a request can name.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    Source,
    Destination,
    Connection,
    Event,
    Delivery,
    Key,
    Secret,
    Rollout,
    LoadTest,
    Replay,
}

impl Kind {
    pub(crate) const fn word(self) -> &'static str {
        match self {
            Self::Source => "source",
            Self::Destination => "destination",
            Self::Connection => "connection",
            Self::Event => "event",
            Self::Delivery => "delivery",
            Self::Key => "key",
            Self::Secret => "secret",
            Self::Rollout => "rollout",
            Self::LoadTest => "load test",
            Self::Replay => "replay",
        }
    }

    const fn unknown_code(self) -> &'static str {
        match self {
            Self::Source => "source_unknown",
            Self::Destination => "destination_unknown",
            Self::Connection => "connection_unknown",
            Self::Event => "event_unknown",
            Self::Delivery => "delivery_unknown",
            Self::Key => "key_not_found",
            Self::Secret => "secret_unknown",
            Self::Rollout => "rollout_unknown",
            Self::LoadTest => "load_test_unknown",
            Self::Replay => "replay_unknown",
        }
    }
}

/// Why a request to the API failed.
#[derive(Debug, thiserror::Error)]
pub(crate) enum ApiError {
    #[error("the request has no key")]
    KeyMissing,
    #[error("the key is not known")]
    KeyUnknown,
    #[error("{why} needs scope {}, the key has {}", needed.as_str(), has.as_str())]
    Scope { needed: Scope, has: Scope, why: &'static str },
    #[error("too many requests")]
    RateLimited(RateRefusal),
    #[error("too many requests without a known key")]
    TurnedAway(RateRefusal),
    #[error("the content type {given:?} is not JSON")]
    MediaType { given: String },
    #[error("the body is larger than {limit} bytes")]
    BodyTooLarge { limit: u64 },
    /// The body could not be read, or the event could not be taken in.
    #[error(transparent)]
    Intake(#[from] IntakeError),
    #[error("the body is not JSON")]
    JsonMalformed { line: usize, column: usize, reason: String },
    #[error("the body does not have the right form")]
    JsonInvalid { path: String, reason: String },
    #[error("the path cannot be read")]
    Path,
    #[error("the query cannot be read")]
    Query { reason: String },
    #[error(transparent)]
    Cursor(#[from] InvalidCursor),
    #[error("the list has no field {unknown:?}")]
    Field { unknown: String, hint: String },
    /// What the path or the query names does not exist.
    #[error("there is no {} {name:?}", kind.word())]
    NotFound { kind: Kind, name: String },
    /// No series has this name.
    #[error("there is no metric {name:?}")]
    Metric { name: String, nearest: Option<String> },
    /// What the body names does not exist.
    #[error("there is no {} {name:?}", kind.word())]
    Reference { kind: Kind, name: String },
    #[error("{field} is not valid")]
    Invalid { field: &'static str, reason: String },
    /// A program cannot be used.
    #[error("the program in {field} cannot be used")]
    Program { field: &'static str, error: ProgramError },
    /// The entry is no longer what `If-Match` says.
    #[error("the {} {name:?} is not what the request expects", kind.word())]
    Precondition { kind: Kind, name: String },
    /// The shares are no longer what `If-Match` says.
    #[error("the shares of the worker slots are not what the request expects")]
    SharesChanged,
    #[error(transparent)]
    Shares(#[from] InvalidWorkerShares),
    #[error("{reason}")]
    Conflict { code: &'static str, reason: String },
    #[error(transparent)]
    Store(#[from] StoreError),
    #[error("the answer took too long")]
    TimedOut { limit: Duration },
    #[error("{most} streams are open")]
    StreamsFull { most: usize },
    #[error("no WebSocket was asked for")]
    UpgradeRequired { reason: String },
}

impl ApiError {
    pub(crate) fn not_found(kind: Kind, name: &str) -> Self {
        Self::NotFound { kind, name: shortened(name) }
    }

    pub(crate) fn metric(name: &str, nearest: Option<String>) -> Self {
        Self::Metric { name: shortened(name), nearest }
    }

    pub(crate) fn reference(kind: Kind, name: &str) -> Self {
        Self::Reference { kind, name: shortened(name) }
    }

    pub(crate) fn precondition(kind: Kind, name: &str) -> Self {
        Self::Precondition { kind, name: shortened(name) }
    }

    pub(crate) fn invalid(field: &'static str, reason: impl Into<String>) -> Self {
        Self::Invalid { field, reason: reason.into() }
    }

    pub(crate) fn name_taken(kind: Kind, name: &str) -> Self {
        let kind = kind.word();
        let reason = format!("A {kind} named {name} exists already. Choose another name, or change that {kind}.");
        Self::Conflict { code: "name_taken", reason }
    }
}

/// Enough of a client's text to recognise it.
fn shortened(text: &str) -> String {
    text.chars().take(100).collect()
}

impl From<ApiError> for Problem {
    fn from(error: ApiError) -> Self {
        match error {
            ApiError::KeyMissing => Self::new(
                StatusCode::UNAUTHORIZED,
                "key_missing",
                "Key missing",
                "Send a key of the API in the header \"Authorization: Bearer spk_…\".",
            ),
            ApiError::KeyUnknown => Self::new(
                StatusCode::UNAUTHORIZED,
                "key_unknown",
                "Key unknown",
                "The key is not known here: it was mistyped or deleted. Ask an administrator for a new one.",
            ),
            ApiError::Scope { needed, has, why } => Self::new(
                StatusCode::FORBIDDEN,
                "scope_insufficient",
                "Scope too low",
                format!(
                    "The key has scope {}, but {why} needs scope {}. Use a key with that scope.",
                    has.as_str(),
                    needed.as_str()
                ),
            ),
            ApiError::RateLimited(refusal) => Self::new(
                StatusCode::TOO_MANY_REQUESTS,
                "rate_limited",
                "Too many requests",
                format!("The limit of this key is {}. Send again after the time in Retry-After.", refusal.rate),
            )
            .retry_after(refusal.retry_after),
            ApiError::TurnedAway(refusal) => Self::new(
                StatusCode::TOO_MANY_REQUESTS,
                "rate_limited",
                "Too many requests",
                format!(
                    "The limit of requests without a known key is {} for each client address. Send a key that is known; without \
                     one, wait for the time in Retry-After.",
                    refusal.rate
                ),
            )
            .retry_after(refusal.retry_after),
            ApiError::MediaType { given } => Self::new(
                StatusCode::UNSUPPORTED_MEDIA_TYPE,
                "media_type_unsupported",
                "Not JSON",
                format!("The content type is {given:?}. Send JSON, with \"Content-Type: application/json\"."),
            ),
            ApiError::BodyTooLarge { limit } => Self::new(
                StatusCode::PAYLOAD_TOO_LARGE,
                "body_too_large",
                "Body too large",
                format!("The body is larger than the {limit} bytes that a management request may have. Send less."),
            ),
            ApiError::Intake(error) => error.into(),
            ApiError::JsonMalformed { line, column, reason } => Self::new(
                StatusCode::BAD_REQUEST,
                "json_malformed",
                "Malformed JSON",
                format!("The body is not JSON: {reason}. Mend it at line {line}, column {column}."),
            ),
            ApiError::JsonInvalid { path, reason } => {
                let place = if path.is_empty() { String::new() } else { format!(" at {path}") };
                Self::new(
                    StatusCode::UNPROCESSABLE_ENTITY,
                    "json_invalid",
                    "Body not understood",
                    format!("The body cannot be used{place}: {reason}. Its form is described at /openapi.json."),
                )
            }
            ApiError::Path => Self::new(
                StatusCode::BAD_REQUEST,
                "path_invalid",
                "Path not understood",
                "A part of the path is not valid percent-encoded UTF-8. Encode it, and send the request again.",
            ),
            ApiError::Query { reason } => Self::new(
                StatusCode::BAD_REQUEST,
                "query_invalid",
                "Query not understood",
                format!("The query cannot be used: {reason}. Its parameters are described at /openapi.json."),
            ),
            ApiError::Cursor(error) => Self::new(
                StatusCode::BAD_REQUEST,
                "cursor_invalid",
                "Cursor damaged",
                format!("This is not a cursor: {error}."),
            ),
            ApiError::Field { unknown, hint } => Self::new(
                StatusCode::BAD_REQUEST,
                "field_unknown",
                "No such field",
                format!("The entries of this list have no field {unknown:?}. {hint}"),
            ),
            ApiError::NotFound { kind, name } => Self::new(
                StatusCode::NOT_FOUND,
                kind.unknown_code(),
                "Not found",
                format!("There is no {} {name:?}. Check its id or name.", kind.word()),
            ),
            ApiError::Metric { name, nearest } => {
                let hint = nearest.map_or_else(String::new, |nearest| format!(" Did you mean {nearest}?"));
                Self::new(
                    StatusCode::NOT_FOUND,
                    "metric_unknown",
                    "Not found",
                    format!("There is no metric {name:?}.{hint} /api/v1/performance/trends lists them."),
                )
            }
            ApiError::Reference { kind, name } => Self::new(
                StatusCode::UNPROCESSABLE_ENTITY,
                kind.unknown_code(),
                "Unknown reference",
                format!("There is no {0} {name:?}. Create the {0} first, or name another one.", kind.word()),
            ),
            ApiError::Invalid { field, reason } => Self::new(
                StatusCode::UNPROCESSABLE_ENTITY,
                "value_invalid",
                "Value not allowed",
                format!("The value of {field} cannot be used: {reason}."),
            ),
            ApiError::Program { field, error } => Self::new(
                StatusCode::UNPROCESSABLE_ENTITY,
                "program_invalid",
                "Program not usable",
                format!("The jq program in {field} cannot be used: {error}. Nothing was changed."),
            ),
            ApiError::Precondition { kind, name } => Self::new(
                StatusCode::PRECONDITION_FAILED,
                "precondition_failed",
                "Changed meanwhile",
                format!(
                    "The {} {name:?} was changed since it had the ETag in If-Match. Nothing was changed now: read it again, and send \
                     your change with its new ETag.",
                    kind.word()
                ),
            ),
            ApiError::SharesChanged => Self::new(
                StatusCode::PRECONDITION_FAILED,
                "precondition_failed",
                "Changed meanwhile",
                "The shares of the worker slots were changed since they had the ETag in If-Match. Nothing was changed now: read them \
                 again, and send your change with their new ETag.",
            ),
            ApiError::Shares(InvalidWorkerShares { blue, green }) => Self::new(
                StatusCode::UNPROCESSABLE_ENTITY,
                "worker_shares_invalid",
                "Shares not whole",
                format!(
                    "The shares are percentages of all deliveries and must be 100 together; blue {blue} and green {green} are {}.",
                    u16::from(blue) + u16::from(green)
                ),
            ),
            ApiError::Conflict { code, reason } => Self::new(StatusCode::CONFLICT, code, "Conflict", reason),
            ApiError::Store(error) => from_store(&error),
            ApiError::TimedOut { limit } => Self::new(
                StatusCode::SERVICE_UNAVAILABLE,
                "request_timeout",
                "Took too long",
                format!(
                    "There was no answer within {} s. Look whether a change was made, then try again.",
                    limit.as_secs()
                ),
            )
            .retry_after(Duration::from_secs(1)),
            ApiError::StreamsFull { most } => Self::new(
                StatusCode::SERVICE_UNAVAILABLE,
                "streams_full",
                "Too many streams",
                format!(
                    "{most} clients look at live events here, and no more may. Close one, try again after the time in Retry-After, or raise \
                     server.max_streams."
                ),
            )
            .retry_after(Duration::from_secs(10)),
            ApiError::UpgradeRequired { reason } => Self::new(
                StatusCode::UPGRADE_REQUIRED,
                "upgrade_required",
                "WebSocket wanted",
                format!("This is a WebSocket over HTTP/1.1: {reason}. For plain HTTP use /api/v1/events/stream."),
            ),
        }
    }
}

fn from_store(error: &StoreError) -> Problem {
    match error.kind() {
        StoreErrorKind::Conflict => Problem::new(
            StatusCode::CONFLICT,
            error.code(),
            "Conflict",
            format!("Nothing was changed: {error}. Read the current state, then try again."),
        ),
        StoreErrorKind::TooLarge => Problem::new(
            StatusCode::PAYLOAD_TOO_LARGE,
            error.code(),
            "Too large",
            format!("Nothing was stored: {error}."),
        ),
        StoreErrorKind::Unavailable
        | StoreErrorKind::PoolExhausted
        | StoreErrorKind::DiskFull
        | StoreErrorKind::Contention
        | StoreErrorKind::Closed => Problem::new(
            StatusCode::SERVICE_UNAVAILABLE,
            error.code(),
            "Store failed",
            format!("The store could not do it: {error}. Try again; the gateway's log says more."),
        )
        .retry_after(Duration::from_secs(1)),
        StoreErrorKind::Incompatible | StoreErrorKind::Internal => Problem::new(
            StatusCode::INTERNAL_SERVER_ERROR,
            error.code(),
            "Store failed",
            "The store holds something unexpected. Trying again will not help; the gateway's log says more.",
        ),
    }
}

impl IntoResponse for ApiError {
    fn into_response(self) -> Response {
        if let Self::Store(error) = &self
            && !matches!(error.kind(), StoreErrorKind::Conflict | StoreErrorKind::TooLarge)
        {
            tracing::warn!(
                code = error.code(),
                error = error as &dyn std::error::Error,
                "the API could not use the store"
            );
        }
        let problem = Problem::from(self);
        let needs_key = problem.status() == StatusCode::UNAUTHORIZED;
        let needs_upgrade = problem.status() == StatusCode::UPGRADE_REQUIRED;
        let mut response = problem.into_response();
        if needs_key {
            response.headers_mut().insert(header::WWW_AUTHENTICATE, HeaderValue::from_static("Bearer"));
        }
        if needs_upgrade {
            response.headers_mut().insert(header::UPGRADE, HeaderValue::from_static("websocket"));
            response.headers_mut().insert(header::CONNECTION, HeaderValue::from_static("upgrade"));
        }
        response
    }
}
