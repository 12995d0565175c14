//! Attempts: one request to a destination and how it ended.

use std::time::Duration;

use bytes::Bytes;
use serde::{Deserialize, Serialize};

use crate::{AttemptId, UnixMillis};

macro_rules! classes {
    ($($(#[$meta:meta])* $name:ident = $text:literal,)+) => {
        /// How an attempt ended. All but [`AttemptClass::Success`], [`AttemptClass::Platform`] and [`AttemptClass::Transform`] are the destination's doing.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
        #[serde(rename_all = "snake_case")]
        pub enum AttemptClass {
            $($(#[$meta])* $name,)+
        }

        impl AttemptClass {
            /// Every class, in the order of their codes.
            pub const ALL: &'static [Self] = &[$(Self::$name,)+];

            /// The name used in the API and as a metric label.
            #[must_use]
            pub const fn as_str(self) -> &'static str {
                match self {
                    $(Self::$name => $text,)+
                }
            }
        }
    };
}

classes! {
    /// A 2xx answer.
    Success = "success",
    /// A 3xx answer; redirects are not followed.
    Redirect = "redirect",
    /// A 4xx answer.
    ClientError = "client_error",
    /// A 5xx answer.
    ServerError = "server_error",
    /// No complete answer within the time allowed.
    Timeout = "timeout",
    /// No connection: refused, unreachable, or its name does not resolve.
    Connect = "connect",
    /// The connection's TLS handshake failed.
    Tls = "tls",
    /// The connection broke, or what came back was not HTTP.
    Protocol = "protocol",
    /// The address is not allowed: private, loopback, link-local or metadata.
    Blocked = "blocked",
    /// Spillway itself failed; the destination is not to blame.
    Platform = "platform",
    /// The connection's filter, order key or transform kept this event from being sent: it failed, or the filter lets it through no longer.
    Transform = "transform",
}

impl AttemptClass {
    /// The number that stands for it in the store.
    #[must_use]
    pub const fn code(self) -> i16 {
        self as i16
    }

    /// The class with this number, if there is one.
    #[must_use]
    pub fn from_code(code: i16) -> Option<Self> {
        Self::ALL.get(usize::try_from(code).ok()?).copied()
    }
}

/// One request and how it ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Attempt {
    /// Identifier; names the delivery and carries the attempt's number.
    pub id: AttemptId,
    /// When it began.
    pub started_at: UnixMillis,
    /// From the start until the whole answer was read, or the failure.
    pub duration: Duration,
    /// How it ended.
    pub class: AttemptClass,
    /// The answer's status, if there was one.
    pub status: Option<u16>,
    /// The answer's first bytes, at most 1 KiB; empty when there was none.
    pub response: Bytes,
    /// What went wrong, in one sentence; `None` on success.
    pub error: Option<Box<str>>,
}
