//! Why a client command failed: one sentence each, which says what to do.

use std::error::Error;
use std::fmt;
use std::io;
use std::time::Duration;

use http::StatusCode;
use serde::Deserialize;
use spillway_settings::{HttpUrl, SettingsError, SettingsErrors};

use crate::commands::EXIT_USAGE;

/// Why a client command failed.
#[derive(Debug, thiserror::Error)]
pub(crate) enum ClientError {
    /// The arguments cannot be used.
    #[error("{0}")]
    Usage(String),
    #[error("the file cannot be used")]
    File(#[from] SettingsErrors),
    #[error("there is no API key: set SPILLWAY_API_KEY, or give --api-key (the first start of the gateway prints one)")]
    NoKey,
    #[error("the API key cannot be read")]
    Key(#[source] Box<SettingsError>),
    #[error("{name} cannot be read")]
    Input { name: String, source: io::Error },
    #[error("the output cannot be written")]
    Output(#[from] io::Error),
    /// The gateway said no.
    #[error("{0}")]
    Refused(Problem),
    #[error("{url} answered {status}, but not as a Spillway gateway does: check --url or SPILLWAY_URL")]
    NotSpillway { url: HttpUrl, status: StatusCode },
    #[error("{reason}")]
    Unreachable {
        reason: String,
        #[source]
        source: Option<Box<dyn Error + Send + Sync>>,
    },
    #[error(
        "{url} did not answer within {} s: look whether a change was made, then try again, or allow more time with --timeout",
        limit.as_secs_f64()
    )]
    TooSlow { url: HttpUrl, limit: Duration },
    #[error("{url} cannot take traffic: {failing}")]
    NotReady { url: HttpUrl, failing: String },
    /// The gateway ended a stream, and a new one would end, too.
    #[error("the gateway ended the connection: {reason}")]
    Ended { reason: String },
    #[error("the system has no root certificates; install them (Debian: apt-get install ca-certificates)")]
    NoRootCertificates,
}

impl ClientError {
    /// 64 when the command was called wrongly, else 1.
    pub(crate) fn exit_code(&self) -> u8 {
        match self {
            Self::Usage(_) | Self::File(_) | Self::NoKey | Self::Key(_) | Self::Input { .. } => EXIT_USAGE,
            _ => 1,
        }
    }

    /// Whether the same may succeed a little later.
    pub(crate) fn may_pass(&self) -> bool {
        match self {
            Self::Unreachable { .. } | Self::TooSlow { .. } => true,
            Self::NotSpillway { status, .. } => status.is_server_error(),
            Self::Refused(problem) => {
                let passing = ["streams_full", "rate_limited", "request_timeout", "stopping"];
                problem.code.starts_with("store_") || passing.contains(&problem.code.as_str())
            }
            _ => false,
        }
    }

    /// No answer came from `url`.
    pub(crate) fn unreachable(url: &HttpUrl, error: impl Error + Send + Sync + 'static) -> Self {
        let (reason, told) = match cause::<io::Error>(&error).map(io::Error::kind) {
            Some(io::ErrorKind::ConnectionRefused) => (
                format!(
                    "nothing listens at {url}: start a gateway with \"spillway serve\", or name another one with --url or \
                     SPILLWAY_URL"
                ),
                true,
            ),
            _ if cause::<rustls::Error>(&error).is_some() => (
                format!("{url} cannot be trusted: check --url, or name its authority's certificate in SSL_CERT_FILE"),
                false,
            ),
            _ => (format!("{url} cannot be reached: check --url or SPILLWAY_URL, and the network"), false),
        };
        Self::Unreachable { reason, source: (!told).then(|| Box::new(error) as _) }
    }
}

/// The first error of this type in the chain. An `io::Error` that wraps another error is no cause of its own.
fn cause<'e, E: Error + 'static>(error: &'e (dyn Error + 'static)) -> Option<&'e E> {
    let mut next = Some(error);
    while let Some(error) = next {
        if let Some(found) = error.downcast_ref() {
            return Some(found);
        }
        let wrapped = error.downcast_ref::<io::Error>().and_then(io::Error::get_ref);
        next = wrapped.map(|error| error as &(dyn Error + 'static)).or_else(|| error.source());
    }
    None
}

/// A problem document of the API (RFC 9457), as one sentence.
#[derive(Debug, Deserialize)]
pub(crate) struct Problem {
    code: String,
    detail: String,
    #[serde(skip)]
    pub(crate) retry_after: Option<Duration>,
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} ({})", self.detail, self.code)?;
        match &self.retry_after {
            Some(wait) => write!(f, "; try again in {} s", wait.as_secs()),
            None => Ok(()),
        }
    }
}
