//! What the shared server says of its own health, for `spillway doctor`.

use std::time::Duration;

use async_trait::async_trait;

/// One thing to look at on the server.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum ServerPart {
    /// Round trips and clock.
    RoundTrip,
    /// Memory, clients, hits: what the server counts.
    Counters,
    /// The ready queues.
    Queues,
}

impl ServerPart {
    /// All of them, the most telling first.
    pub const ALL: [Self; 3] = [Self::RoundTrip, Self::Counters, Self::Queues];
}

/// What was found of a [`ServerPart`].
#[derive(Debug, Clone, PartialEq)]
pub enum ServerFacts {
    /// [`ServerPart::RoundTrip`].
    RoundTrip {
        /// Median of a few round trips.
        round_trip: Duration,
        /// The server's clock minus this machine's, as exactly as half a round trip.
        clock_offset_ms: i64,
    },
    /// [`ServerPart::Counters`].
    Counters(ServerCounters),
    /// [`ServerPart::Queues`]: name and number of deliveries of each ready queue.
    Queues(Vec<(String, u64)>),
}

/// What the server counts; since it was started where it is a number of happenings.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct ServerCounters {
    /// Such as `7.0.15`.
    pub version: String,
    /// Whether it takes writes.
    pub is_primary: bool,
    /// Memory in use.
    pub memory_bytes: u64,
    /// The most that it may use; `None` without a limit.
    pub memory_limit: Option<u64>,
    /// What it does at the limit, such as `noeviction`.
    pub policy: String,
    /// Memory taken from the system for each byte in use.
    pub fragmentation: f64,
    /// Keys that were removed for want of memory.
    pub evicted: u64,
    /// Look-ups of keys that were there.
    pub hits: u64,
    /// Look-ups of keys that were not.
    pub misses: u64,
    /// Connections.
    pub clients: u64,
    /// The most there may be.
    pub clients_limit: u64,
    /// Connections that were refused because there were too many.
    pub rejected: u64,
}

/// Why the server could not be looked at. The message says nothing of its URL, which may hold a password.
#[derive(Debug, thiserror::Error)]
pub enum ExaminationError {
    /// Nothing answers there.
    #[error("Redis cannot be reached: {0}")]
    Unreachable(String),
    /// It does not let this user in.
    #[error("Redis refused the login: {0}")]
    Login(String),
    /// It does not let this user use a command.
    #[error("Redis does not let this user use {command}: {reason}")]
    Forbidden {
        /// The command.
        command: &'static str,
        /// What it said.
        reason: String,
    },
    /// It answered with another error.
    #[error("Redis refused {command}: {reason}")]
    Refused {
        /// The command.
        command: &'static str,
        /// What it said.
        reason: String,
    },
}

/// Looks at the server without writing to it.
#[async_trait]
pub trait ServerExaminer: Send {
    /// Looks at one part. When the future is dropped before it is done, the next call begins with a new connection.
    ///
    /// # Errors
    /// When the server cannot be asked or refuses.
    async fn examine(&mut self, part: ServerPart) -> Result<ServerFacts, ExaminationError>;
}
