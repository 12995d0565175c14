//! Errors of a store, by what the caller can do about them.

/// What kind of failure it was.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum StoreErrorKind {
    /// The database cannot be reached, or closed the connection.
    Unavailable,
    /// No pooled connection became free in time.
    PoolExhausted,
    /// No space is left on the device.
    DiskFull,
    /// Another transaction was in the way.
    Contention,
    /// What was asked contradicts what is stored.
    Conflict,
    /// What was to be stored is larger than the store keeps.
    TooLarge,
    /// The database holds something that this version cannot read, or a newer schema.
    Incompatible,
    /// The store was closed.
    Closed,
    /// Anything else: a defect, or a damaged database.
    Internal,
}

/// A failed piece of work. Nothing of it was written.
#[derive(Debug, thiserror::Error)]
#[error("{message}")]
pub struct StoreError {
    kind: StoreErrorKind,
    message: String,
    #[source]
    source: Option<sqlx::Error>,
}

impl StoreError {
    /// An error of Spillway's own making.
    pub fn new(kind: StoreErrorKind, message: impl Into<String>) -> Self {
        Self { kind, message: message.into(), source: None }
    }

    /// What kind of failure it was.
    #[must_use]
    pub const fn kind(&self) -> StoreErrorKind {
        self.kind
    }

    /// Whether the same call may succeed later without anybody changing anything in it.
    #[must_use]
    pub const fn is_transient(&self) -> bool {
        matches!(
            self.kind,
            StoreErrorKind::Unavailable
                | StoreErrorKind::PoolExhausted
                | StoreErrorKind::DiskFull
                | StoreErrorKind::Contention
        )
    }

    /// Whether the database's role lacks a right, which only a grant gives it.
    #[must_use]
    pub fn is_forbidden(&self) -> bool {
        let database = self.source.as_ref().and_then(sqlx::Error::as_database_error);
        database.and_then(sqlx::error::DatabaseError::code).is_some_and(|code| code == "42501")
    }

    /// A stable code with a page in `runbooks/`.
    #[must_use]
    pub const fn code(&self) -> &'static str {
        match self.kind {
            StoreErrorKind::Unavailable => "store_unavailable",
            StoreErrorKind::PoolExhausted => "store_pool_exhausted",
            StoreErrorKind::DiskFull => "store_disk_full",
            StoreErrorKind::Contention => "store_contention",
            StoreErrorKind::Conflict => "store_conflict",
            StoreErrorKind::TooLarge => "store_too_large",
            StoreErrorKind::Incompatible => "store_incompatible",
            StoreErrorKind::Closed => "store_closed",
            StoreErrorKind::Internal => "store_internal",
        }
    }

    /// The same failure for another one who waited for the same transaction.
    #[must_use]
    pub fn share(&self) -> Self {
        let message =
            self.source.as_ref().map_or_else(|| self.message.clone(), |source| format!("{}: {source}", self.message));
        Self { kind: self.kind, message, source: None }
    }
}

impl From<sqlx::Error> for StoreError {
    fn from(error: sqlx::Error) -> Self {
        let (kind, message) = classify(&error);
        Self { kind, message: message.into(), source: Some(error) }
    }
}

fn classify(error: &sqlx::Error) -> (StoreErrorKind, &'static str) {
    match error {
        sqlx::Error::PoolTimedOut => (StoreErrorKind::PoolExhausted, "no database connection became free in time"),
        sqlx::Error::PoolClosed => (StoreErrorKind::Closed, "the store is closed"),
        sqlx::Error::Io(_) | sqlx::Error::Tls(_) | sqlx::Error::WorkerCrashed => {
            (StoreErrorKind::Unavailable, "the database cannot be reached")
        }
        sqlx::Error::Database(database) => classify_code(database.code().as_deref().unwrap_or_default()),
        _ => (StoreErrorKind::Internal, "the database answered with an unexpected error"),
    }
}

/// SQLite's extended result codes and PostgreSQL's SQLSTATE; the two cannot be confused, one is up to four digits long and
/// the other always five characters.
fn classify_code(code: &str) -> (StoreErrorKind, &'static str) {
    if let Ok(extended) = code.parse::<u32>()
        && code.len() < 5
    {
        return match extended & 0xff {
            13 => (StoreErrorKind::DiskFull, "no space is left for the database"),
            5 | 6 => (StoreErrorKind::Contention, "the database is locked by another process"),
            10 | 14 => (StoreErrorKind::Unavailable, "the database file cannot be read or written"),
            19 => (StoreErrorKind::Conflict, "the change contradicts what is stored"),
            11 | 26 => (StoreErrorKind::Incompatible, "the file is damaged or not a database"),
            _ => (StoreErrorKind::Internal, "the database answered with an unexpected error"),
        };
    }
    match code {
        "53100" => (StoreErrorKind::DiskFull, "no space is left for the database"),
        "40001" | "40P01" | "55P03" | "57014" => (StoreErrorKind::Contention, "another transaction was in the way"),
        _ if code.starts_with("23") => (StoreErrorKind::Conflict, "the change contradicts what is stored"),
        _ if code.starts_with("08") || code.starts_with("57P") || code.starts_with("53") => {
            (StoreErrorKind::Unavailable, "the database cannot be reached")
        }
        _ if code.starts_with("28") || code == "3D000" => {
            (StoreErrorKind::Unavailable, "the database refused the login")
        }
        _ => (StoreErrorKind::Internal, "the database answered with an unexpected error"),
    }
}
