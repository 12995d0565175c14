//! How a PostgreSQL store is opened.

use std::fmt;
use std::time::Duration;

use super::ReplicaSettings;

/// How a PostgreSQL store is opened.
#[derive(Clone)]
pub struct PostgresSettings {
    /// `postgres://user:password@host:port/database`, with the parameters of libpq.
    pub url: String,
    /// Connections kept open; at least one.
    pub pool_size: u32,
    /// Further connections that may be opened when all of these are in use.
    pub max_overflow: u32,
    /// How long a caller waits for a connection before it gets an error.
    pub pool_timeout: Duration,
    /// Age at which a connection is replaced. Zero: never.
    pub pool_recycle: Duration,
    /// How long a connection beyond `pool_size` may be idle before it is closed. Zero: never.
    pub idle_timeout: Duration,
    /// How long an idempotency key is remembered, counted between the ids of the events.
    pub idempotency_window: Duration,
    /// Appends that are worth having under way at once: while one is flushed, the next one is executed.
    pub append_parallelism: usize,
    /// For how many days after today there are partitions ahead of time.
    pub partition_days_ahead: u16,
    /// A streaming replica for lists and single rows. `None`: everything is read from the database itself.
    pub replica: Option<ReplicaSettings>,
}

impl PostgresSettings {
    /// Defaults for the database at `url`: 10 connections and 10 more, 5 s wait, replaced after 30 minutes, idle for 10
    /// minutes, one day of idempotency, 2 appends at once, partitions for 3 days ahead, no replica.
    pub fn new(url: impl Into<String>) -> Self {
        Self {
            url: url.into(),
            pool_size: 10,
            max_overflow: 10,
            pool_timeout: Duration::from_secs(5),
            pool_recycle: Duration::from_secs(30 * 60),
            idle_timeout: Duration::from_secs(10 * 60),
            idempotency_window: Duration::from_secs(86_400),
            append_parallelism: 2,
            partition_days_ahead: 3,
            replica: None,
        }
    }

    pub(super) fn max_connections(&self) -> u32 {
        self.pool_size.saturating_add(self.max_overflow).max(1)
    }
}

impl fmt::Debug for PostgresSettings {
    /// Without the URL, which may hold a password.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("PostgresSettings")
            .field("pool_size", &self.pool_size)
            .field("max_overflow", &self.max_overflow)
            .finish_non_exhaustive()
    }
}
