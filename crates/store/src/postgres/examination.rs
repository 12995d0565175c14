//! What a PostgreSQL server says of its health.

mod indexes;
mod sessions;
mod space;
mod statements;

use std::fmt;
use std::str::FromStr;
use std::time::{Duration, Instant};

use async_trait::async_trait;
use futures_util::future::BoxFuture;
use spillway_model::{Clock as _, SystemClock};
use sqlx::postgres::{PgConnectOptions, PgRow};
use sqlx::{ConnectOptions, Connection, PgConnection, Row};

use super::migrations::MIGRATIONS;
use super::reads::{BACKLOG, COUNTED, ESTIMATE};
use super::{documents, replica};
use crate::examination::{DeadLetterFacts, Examiner, Facts, Part, ReplicaFacts, ServerFacts};
use crate::{Backlog, DEAD_COUNTED, EXAMINE_ROWS, StoreError, StoreErrorKind};

const CONNECT_TIMEOUT: Duration = Duration::from_secs(3);
const ROUND_TRIPS: usize = 5;
const ROLLOUTS: usize = 5;

const PARTS: [Part; 12] = [
    Part::Server,
    Part::Queue,
    Part::DeadLetters,
    Part::Rollouts,
    Part::Locks,
    Part::Transactions,
    Part::Connections,
    Part::Statements,
    Part::Indexes,
    Part::Bloat,
    Part::Storage,
    Part::Replication,
];

/// The session reads, for no longer than [`crate::EXAMINE_TIMEOUT`], and waits for no lock.
const SESSION: [(&str, &str); 6] = [
    ("client_min_messages", "warning"),
    ("default_transaction_read_only", "on"),
    ("statement_timeout", "2s"),
    ("lock_timeout", "500ms"),
    ("idle_in_transaction_session_timeout", "5s"),
    ("jit", "off"),
];

/// Statements on Spillway's own tables are bound to their indexes, as the store's are.
const BIND_TO_INDEXES: &str = "SET enable_seqscan = off; SET enable_bitmapscan = off; SET enable_hashjoin = off;
    SET enable_mergejoin = off; SET enable_material = off";

const SERVER: &str = "
SELECT current_setting('server_version'), current_setting('server_version_num')::integer, pg_is_in_recovery(),
    to_regclass('_sqlx_migrations') IS NOT NULL,
    (SELECT age(datfrozenxid)::bigint FROM pg_database WHERE datname = current_database())";

const CLOCK: &str = "SELECT (extract(epoch FROM clock_timestamp()) * 1000)::bigint";

const DEAD: &str = "
SELECT count(*), count(*) FILTER (WHERE at >= $2)
FROM (SELECT at FROM deliveries WHERE state = 2 ORDER BY id DESC LIMIT $1) dead";

const DEAD_BY_DESTINATION: &str = "
SELECT coalesce(min(d.name), 'a removed destination'), count(*)
FROM (SELECT destination_id FROM deliveries WHERE state = 2 ORDER BY id DESC LIMIT $1) dead
LEFT JOIN destinations d ON d.id = dead.destination_id
GROUP BY dead.destination_id ORDER BY 2 DESC, 1 LIMIT $2";

const DAY_MS: i64 = 86_400_000;

/// Looks at a PostgreSQL server, over one connection.
pub struct PostgresExaminer {
    options: PgConnectOptions,
    /// Taken while a part is looked at, so that a connection on which something hangs is not used again.
    connection: Option<PgConnection>,
    parts: &'static [Part],
}

impl fmt::Debug for PostgresExaminer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("PostgresExaminer").field("parts", &self.parts).finish_non_exhaustive()
    }
}

impl PostgresExaminer {
    /// Connects to the database that events are kept in.
    ///
    /// # Errors
    /// When the URL cannot be read, or the server cannot be reached within three seconds or refuses the login.
    pub async fn connect(url: &str) -> Result<Self, StoreError> {
        Self::open(url, &PARTS).await
    }

    /// Connects to a standby of it.
    ///
    /// # Errors
    /// As [`PostgresExaminer::connect`].
    pub async fn connect_to_replica(url: &str) -> Result<Self, StoreError> {
        Self::open(url, &[Part::ReplicaLag]).await
    }

    async fn open(url: &str, parts: &'static [Part]) -> Result<Self, StoreError> {
        let options = PgConnectOptions::from_str(url).map_err(|_| {
            let text = "the database URL cannot be read; it has the form postgres://user:password@host:port/database";
            StoreError::new(StoreErrorKind::Incompatible, text)
        })?;
        let options = options.application_name("spillway doctor").options(SESSION).disable_statement_logging();
        let connection = Some(connect(&options).await?);
        Ok(Self { options, connection, parts })
    }
}

#[async_trait]
impl Examiner for PostgresExaminer {
    fn parts(&self) -> &'static [Part] {
        self.parts
    }

    async fn examine(&mut self, part: Part) -> Result<Facts, StoreError> {
        let mut connection = match self.connection.take() {
            Some(connection) => connection,
            None => connect(&self.options).await?,
        };
        let facts = look(&mut connection, part).await;
        // A refused statement leaves the connection as it was.
        if facts.as_ref().err().is_none_or(|error| error.kind() != StoreErrorKind::Unavailable) {
            self.connection = Some(connection);
        }
        facts
    }

    async fn close(&mut self) {
        if let Some(connection) = self.connection.take() {
            // It is over either way.
            drop(connection.close().await);
        }
    }
}

async fn connect(options: &PgConnectOptions) -> Result<PgConnection, StoreError> {
    // Boxed, because otherwise the compiler cannot see that this function may run on any thread.
    let connecting: BoxFuture<'_, _> = Box::pin(options.connect());
    match tokio::time::timeout(CONNECT_TIMEOUT, connecting).await {
        Ok(connected) => Ok(connected?),
        Err(_) => Err(StoreError::new(
            StoreErrorKind::Unavailable,
            format!("the database did not accept a connection within {CONNECT_TIMEOUT:?}"),
        )),
    }
}

async fn look(connection: &mut PgConnection, part: Part) -> Result<Facts, StoreError> {
    Ok(match part {
        Part::Server => Facts::Server(server(connection).await?),
        Part::Queue => Facts::Queue(bound_to_indexes(connection, Own::Queue).await?.0),
        Part::DeadLetters => Facts::DeadLetters(bound_to_indexes(connection, Own::DeadLetters).await?.1),
        Part::Rollouts => Facts::Rollouts(documents::latest(connection, "rollout", ROLLOUTS).await?),
        Part::Locks => Facts::Locks(sessions::locks(connection).await?),
        Part::Transactions => Facts::Transactions(sessions::transactions(connection).await?),
        Part::Connections => Facts::Connections(sessions::connections(connection).await?),
        Part::Statements => Facts::Statements(statements::slow(connection).await?),
        Part::Indexes => Facts::Indexes(indexes::indexes(connection).await?),
        Part::Bloat => Facts::Bloat(space::bloat(connection).await?),
        Part::Storage => Facts::Storage(space::storage(connection).await?),
        Part::Replication => Facts::Replication(space::replication(connection).await?),
        Part::ReplicaLag => Facts::ReplicaLag(replica_lag(connection).await?),
        Part::Files | Part::Integrity => {
            return Err(StoreError::new(StoreErrorKind::Internal, "PostgreSQL has no such part"));
        }
    })
}

async fn server(connection: &mut PgConnection) -> Result<ServerFacts, StoreError> {
    let row = sqlx::query(SERVER).fetch_one(&mut *connection).await?;
    let has_schema: bool = row.try_get(3)?;
    let mut trips = Vec::with_capacity(ROUND_TRIPS);
    let mut clock_offset_ms = None;
    // The first one also prepares the statement.
    for _ in 0..=ROUND_TRIPS {
        let (sent, begun) = (SystemClock.now(), Instant::now());
        let theirs: i64 = sqlx::query(CLOCK).fetch_one(&mut *connection).await?.try_get(0)?;
        let took = begun.elapsed();
        if trips.iter().all(|known| took < *known) {
            let half = i64::try_from(took.as_millis() / 2).unwrap_or_default();
            clock_offset_ms = Some(theirs - (sent + half));
        }
        trips.push(took);
    }
    trips.remove(0);
    trips.sort_unstable();
    let schema = if has_schema {
        sqlx::query("SELECT max(version) FROM _sqlx_migrations").fetch_one(&mut *connection).await?.try_get(0)?
    } else {
        None
    };
    Ok(ServerFacts {
        version: row.try_get(0)?,
        supported: row.try_get::<i32, _>(1)? >= 150_000,
        schema,
        known_schema: MIGRATIONS.iter().map(|(version, ..)| *version).max().unwrap_or_default(),
        round_trip: trips.get(ROUND_TRIPS / 2).copied(),
        clock_offset_ms,
        is_standby: row.try_get(2)?,
        transaction_age: unsigned(&row, 4)?,
    })
}

/// What is read from Spillway's own tables.
#[derive(Debug, Clone, Copy, PartialEq)]
enum Own {
    Queue,
    DeadLetters,
}

async fn bound_to_indexes(connection: &mut PgConnection, what: Own) -> Result<(Backlog, DeadLetterFacts), StoreError> {
    sqlx::raw_sql(BIND_TO_INDEXES).execute(&mut *connection).await?;
    let read = match what {
        Own::Queue => queue(connection).await.map(|backlog| (backlog, DeadLetterFacts::default())),
        Own::DeadLetters => dead_letters(connection).await.map(|dead| (Backlog::default(), dead)),
    };
    sqlx::raw_sql("RESET ALL").execute(&mut *connection).await?;
    read
}

async fn queue(connection: &mut PgConnection) -> Result<Backlog, StoreError> {
    let row = sqlx::query(BACKLOG).bind(COUNTED).fetch_one(&mut *connection).await?;
    let (mut pending, oldest_due) = (row.try_get::<i64, _>(0)?, row.try_get(1)?);
    if pending >= COUNTED {
        let row = sqlx::query(ESTIMATE).fetch_one(&mut *connection).await?;
        pending = pending.max(row.try_get(0)?);
    }
    Ok(Backlog { pending: u64::try_from(pending).unwrap_or_default(), oldest_due })
}

async fn dead_letters(connection: &mut PgConnection) -> Result<DeadLetterFacts, StoreError> {
    let most = i64::try_from(DEAD_COUNTED).unwrap_or(i64::MAX);
    let counted = sqlx::query(DEAD).bind(most).bind(SystemClock.now() - DAY_MS);
    let row = counted.fetch_one(&mut *connection).await?;
    let grouped = sqlx::query(DEAD_BY_DESTINATION).bind(most).bind(rows());
    let groups = grouped.fetch_all(&mut *connection).await?;
    let destinations = groups.iter().map(|row| Ok((row.try_get(0)?, unsigned(row, 1)?.unwrap_or_default())));
    Ok(DeadLetterFacts {
        total: unsigned(&row, 0)?.unwrap_or_default(),
        last_day: unsigned(&row, 1)?.unwrap_or_default(),
        destinations: destinations.collect::<Result<_, StoreError>>()?,
    })
}

async fn replica_lag(connection: &mut PgConnection) -> Result<ReplicaFacts, StoreError> {
    let row = sqlx::query(replica::LAG).fetch_one(connection).await?;
    let lag = unsigned(&row, 1)?.map(Duration::from_millis);
    Ok(ReplicaFacts { is_standby: row.try_get(0)?, lag })
}

/// [`EXAMINE_ROWS`] as a parameter.
fn rows() -> i64 {
    i64::try_from(EXAMINE_ROWS).unwrap_or(i64::MAX)
}

/// A `bigint` that is not negative, or nothing.
fn unsigned(row: &PgRow, column: usize) -> Result<Option<u64>, StoreError> {
    Ok(row.try_get::<Option<i64>, _>(column)?.map(|number| u64::try_from(number).unwrap_or_default()))
}

/// A `bigint` that is not negative; nothing counts as none.
fn number(row: &PgRow, column: usize) -> Result<u64, StoreError> {
    Ok(unsigned(row, column)?.unwrap_or_default())
}

/// Seconds in `double precision`, or nothing. What the clocks make negative is none.
fn seconds(row: &PgRow, column: usize) -> Result<Option<Duration>, StoreError> {
    let seconds = row.try_get::<Option<f64>, _>(column)?;
    Ok(seconds.map(|seconds| Duration::try_from_secs_f64(seconds).unwrap_or_default()))
}
