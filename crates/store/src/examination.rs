//! What a database says of its own health, part by part, for `spillway doctor`.
//!
//! An examiner only reads: it has one connection of its own, changes nothing, and neither migrates nor locks. Each part is bounded in
//! time and rows, and a part that fails or hangs leaves the next ones possible.

use std::time::Duration;

use async_trait::async_trait;

use crate::{Backlog, Document, StoreError};

/// Longest time that the database may spend on one part.
pub const EXAMINE_TIMEOUT: Duration = Duration::from_secs(2);
/// Rows that a part lists at most.
pub const EXAMINE_ROWS: usize = 10;
/// Dead letters that are counted at most.
pub const DEAD_COUNTED: u64 = 10_000;
/// Statements that take longer than this on average are slow.
pub const SLOW_STATEMENT_MS: f64 = 100.0;

/// One thing to look at. [`Examiner::parts`] says which of them an engine has.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Part {
    /// Version, schema, round trips and clock.
    Server,
    /// Pending deliveries.
    Queue,
    /// Deliveries that were given up.
    DeadLetters,
    /// Rollouts that controllers published last.
    Rollouts,
    /// Sessions that wait for others.
    Locks,
    /// Transactions that stay open.
    Transactions,
    /// Connections of all clients.
    Connections,
    /// Statements that are slow on average.
    Statements,
    /// Indexes that are missing, broken or never used.
    Indexes,
    /// Space that holds nothing.
    Bloat,
    /// Size, and how often pages were in memory.
    Storage,
    /// Standbys and replication slots.
    Replication,
    /// How far a standby is behind.
    ReplicaLag,
    /// The database file and its log.
    Files,
    /// Whether the file is sound.
    Integrity,
}

/// What was found of a [`Part`].
#[derive(Debug, Clone)]
#[expect(missing_docs, reason = "each is what the part of its name comes to")]
pub enum Facts {
    Server(ServerFacts),
    Queue(Backlog),
    DeadLetters(DeadLetterFacts),
    Rollouts(Vec<Document>),
    Locks(LockFacts),
    Transactions(TransactionFacts),
    Connections(ConnectionFacts),
    Statements(StatementFacts),
    Indexes(IndexFacts),
    Bloat(BloatFacts),
    Storage(StorageFacts),
    Replication(ReplicationFacts),
    ReplicaLag(ReplicaFacts),
    Files(FileFacts),
    Integrity(IntegrityFacts),
}

/// [`Part::Server`].
#[derive(Debug, Clone, Default, PartialEq)]
pub struct ServerFacts {
    /// As `15.9`, or of the library.
    pub version: String,
    /// Whether this program can work with the server's version.
    pub supported: bool,
    /// The newest migration that was applied; `None` when there is no schema.
    pub schema: Option<i64>,
    /// The newest migration that this program knows.
    pub known_schema: i64,
    /// Median of a few round trips; `None` without a network between.
    pub round_trip: Option<Duration>,
    /// The server's clock minus this machine's, as exactly as half a round trip.
    pub clock_offset_ms: Option<i64>,
    /// Whether it is a standby, which takes no writes.
    pub is_standby: bool,
    /// Transactions since the oldest row that was not frozen; the server stops taking writes at two thousand million.
    pub transaction_age: Option<u64>,
}

/// [`Part::DeadLetters`].
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct DeadLetterFacts {
    /// How many, counted up to [`DEAD_COUNTED`], the newest ones.
    pub total: u64,
    /// How many of these ended within the last day.
    pub last_day: u64,
    /// Name of the destination and how many, the most first.
    pub destinations: Vec<(String, u64)>,
}

/// [`Part::Locks`].
#[derive(Debug, Clone, Default, PartialEq)]
pub struct LockFacts {
    /// All sessions that wait for a lock.
    pub blocked: u64,
    /// Those that have waited longest.
    pub waits: Vec<Wait>,
}

/// A session that waits, and one that it waits for.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Wait {
    /// Process id of the session that waits.
    pub pid: i32,
    /// For how long.
    pub waited: Duration,
    /// Its statement, as far as the role may see it.
    pub query: String,
    /// What it waits for.
    pub holder: Session,
}

/// A session of the server.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Session {
    /// Process id.
    pub pid: i32,
    /// Role and application, as far as the role may see them.
    pub who: String,
    /// Such as `idle in transaction`.
    pub state: String,
    /// Age of its transaction.
    pub age: Duration,
    /// Its last statement, as far as the role may see it.
    pub query: String,
}

/// [`Part::Transactions`].
#[derive(Debug, Clone, Default, PartialEq)]
pub struct TransactionFacts {
    /// Transactions that have been open for more than half a minute, the oldest first.
    pub open: Vec<Session>,
    /// Name and age of transactions that were prepared and neither committed nor rolled back for more than five minutes.
    pub prepared: Vec<(String, Duration)>,
    /// Sessions of other roles, whose transactions this role may not see.
    pub hidden: u64,
    /// The role that looked.
    pub role: String,
}

/// [`Part::Connections`].
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct ConnectionFacts {
    /// Of all clients.
    pub total: u64,
    /// Of nodes of Spillway.
    pub spillway: u64,
    /// In a transaction and idle.
    pub idle_in_transaction: u64,
    /// The most that ordinary clients may have.
    pub limit: u64,
}

/// [`Part::Statements`].
#[derive(Debug, Clone, PartialEq)]
pub enum StatementFacts {
    /// They are recorded.
    Recorded {
        /// Those that take longer than [`SLOW_STATEMENT_MS`] on average, by the time that they took together.
        slow: Vec<Statement>,
        /// Slow statements of other roles, whose text this role may not see.
        hidden: u64,
        /// The role that looked.
        role: String,
    },
    /// The extension is not in this database.
    NotInstalled {
        /// Whether the server has loaded its library.
        loaded: bool,
    },
    /// The extension is here, but the server has not loaded its library.
    NotLoaded,
    /// The role may not read it.
    Forbidden {
        /// The role that looked.
        role: String,
        /// Its schema.
        schema: String,
    },
}

/// A statement that is slow on average.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Statement {
    /// Its text without values, at most 500 characters.
    pub text: String,
    /// How often it ran.
    pub calls: u64,
    /// Mean time.
    pub mean_ms: f64,
    /// Longest time.
    pub max_ms: f64,
    /// All times together.
    pub total_ms: f64,
}

/// [`Part::Indexes`].
#[derive(Debug, Clone, Default, PartialEq)]
pub struct IndexFacts {
    /// Indexes of Spillway's schema that are not there: name, and the statement that makes it.
    pub missing: Vec<(String, String)>,
    /// Indexes that are there and not used because they were not made to the end: name and table.
    pub invalid: Vec<(String, String)>,
    /// Indexes that are not of Spillway's schema and were never used, the largest first.
    pub unused: Vec<UnusedIndex>,
    /// Tables that are often read from end to end.
    pub scanned: Vec<ScannedTable>,
    /// Whether the engine counts uses.
    pub counts_uses: bool,
    /// For how long uses have been counted; `None` for as long as the database is there.
    pub counted_for: Option<Duration>,
}

/// An index that nothing has read.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct UnusedIndex {
    /// Its name.
    pub name: String,
    /// Its table.
    pub table: String,
    /// Its size; `None` where the engine does not say.
    pub bytes: Option<u64>,
}

/// A table that is read from end to end.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct ScannedTable {
    /// Its name.
    pub table: String,
    /// How often.
    pub scans: u64,
    /// Rows that these read.
    pub rows: u64,
    /// Reads through an index.
    pub index_scans: u64,
}

/// [`Part::Bloat`].
#[derive(Debug, Clone, Default, PartialEq)]
pub struct BloatFacts {
    /// Tables with many dead rows, the most first.
    pub dead_rows: Vec<DeadRows>,
    /// Tables and indexes that are more than 10 MiB and more than twice as large as what they hold, the most wasteful first.
    pub loose: Vec<Loose>,
}

/// A table with rows that vacuum has not removed.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct DeadRows {
    /// Its name.
    pub table: String,
    /// Rows that are seen.
    pub live: u64,
    /// Rows that nobody sees any more.
    pub dead: u64,
    /// Since the last vacuum; `None` when there was none.
    pub vacuumed: Option<Duration>,
}

/// A table or an index that is larger than what it holds, as the planner's statistics estimate it.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Loose {
    /// Its name.
    pub name: String,
    /// Whether it is an index.
    pub is_index: bool,
    /// Its size.
    pub bytes: u64,
    /// What its rows take.
    pub needed: u64,
}

/// [`Part::Storage`].
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub struct StorageFacts {
    /// Size of the database.
    pub bytes: u64,
    /// Pages that were in the server's memory.
    pub hits: u64,
    /// Pages that had to be read.
    pub reads: u64,
    /// Transactions that waited for each other.
    pub deadlocks: u64,
    /// Written to temporary files.
    pub temporary_bytes: u64,
}

/// [`Part::Replication`].
#[derive(Debug, Clone, Default, PartialEq)]
pub struct ReplicationFacts {
    /// Name of each standby, how far it is behind in bytes and in time, where the role may see it.
    pub standbys: Vec<(String, Option<u64>, Option<Duration>)>,
    /// Name of each slot, whether somebody reads from it, and the log that is kept for it.
    pub slots: Vec<(String, bool, u64)>,
}

/// [`Part::ReplicaLag`].
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct ReplicaFacts {
    /// Whether it is a standby at all.
    pub is_standby: bool,
    /// How far it is behind; `None` when that is not known.
    pub lag: Option<Duration>,
}

/// [`Part::Files`].
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct FileFacts {
    /// Size of its log.
    pub wal_bytes: u64,
    /// Size of a page.
    pub page_bytes: u64,
    /// Pages of the file.
    pub pages: u64,
    /// Pages that hold nothing and will be used again.
    pub free_pages: u64,
}

/// [`Part::Integrity`].
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct IntegrityFacts {
    /// What is wrong, at most [`EXAMINE_ROWS`].
    pub problems: Vec<String>,
    /// Whether all of the file was looked at in the time there was.
    pub finished: bool,
    /// How long it took.
    pub took: Duration,
}

/// Looks at a database without changing anything.
#[async_trait]
pub trait Examiner: Send {
    /// What can be looked at, the most telling first.
    fn parts(&self) -> &'static [Part];

    /// Looks at one part. When the future is dropped before it is done, the next call begins with a new connection.
    ///
    /// # Errors
    /// When the database cannot be asked, refuses, or takes longer than [`EXAMINE_TIMEOUT`].
    async fn examine(&mut self, part: Part) -> Result<Facts, StoreError>;

    /// Ends the connection.
    async fn close(&mut self);
}

/// The indexes that migrations make, by name, each with its statement.
#[cfg(any(feature = "postgres", feature = "sqlite"))]
pub(crate) fn indexes_of(migrations: &[(i64, &'static str, &'static str)]) -> Vec<(&'static str, String)> {
    let statements = migrations.iter().flat_map(|(.., text)| text.split(';'));
    let made = statements.filter_map(|statement| {
        let statement = &statement[statement.find("CREATE INDEX ")?..];
        let name = statement.split_whitespace().nth(2)?;
        Some((name, format!("{};", statement.split_whitespace().collect::<Vec<_>>().join(" "))))
    });
    made.collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn indexes_are_read_from_migrations() {
        let text = "CREATE TABLE a (b int);\n-- why\nCREATE INDEX a_by_b ON a (b)\n    WHERE b > 0;\nINSERT INTO a VALUES (1);";
        let expected = ("a_by_b", "CREATE INDEX a_by_b ON a (b) WHERE b > 0;".to_owned());
        assert_eq!(indexes_of(&[(1, "first", text)]), [expected]);
    }
}
