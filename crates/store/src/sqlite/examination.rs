//! What an embedded database says of its health.

use std::fmt;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use async_trait::async_trait;
use log::LevelFilter;
use spillway_model::{Clock as _, SystemClock};
use sqlx::sqlite::{SqliteConnectOptions, SqliteRow};
use sqlx::{ConnectOptions, Connection, Row, SqliteConnection};

use super::migrations::MIGRATIONS;
use super::{documents, reads};
use crate::examination::{
    DeadLetterFacts, Examiner, Facts, FileFacts, IndexFacts, IntegrityFacts, Part, ServerFacts, UnusedIndex, indexes_of,
};
use crate::{DEAD_COUNTED, EXAMINE_ROWS, EXAMINE_TIMEOUT, StoreError, StoreErrorKind};

const ROLLOUTS: usize = 5;
/// Steps of SQLite's machine between two looks at the clock.
const STEPS: i32 = 1_000;
const DAY_MS: i64 = 86_400_000;

const PARTS: [Part; 7] =
    [Part::Server, Part::Queue, Part::DeadLetters, Part::Rollouts, Part::Indexes, Part::Files, Part::Integrity];

const DEAD: &str = "
SELECT count(*), coalesce(sum(at >= ?), 0)
FROM (SELECT at FROM deliveries WHERE state = 2 ORDER BY seq DESC, ordinal DESC LIMIT ?)";

const DEAD_BY_DESTINATION: &str = "
SELECT coalesce(d.name, 'a removed destination'), count(*) AS n
FROM (SELECT destination FROM deliveries WHERE state = 2 ORDER BY seq DESC, ordinal DESC LIMIT ?) dead
LEFT JOIN known_ids k ON k.key = dead.destination
LEFT JOIN destinations d ON d.id = k.id
GROUP BY dead.destination ORDER BY n DESC, 1 LIMIT ?";

const INDEXES: &str = "SELECT name, tbl_name FROM sqlite_master WHERE type = 'index' AND sql IS NOT NULL ORDER BY name";

/// Looks at an embedded database, which a gateway may have open meanwhile.
pub struct SqliteExaminer {
    path: PathBuf,
    options: SqliteConnectOptions,
    /// Taken while a part is looked at.
    connection: Option<SqliteConnection>,
}

impl fmt::Debug for SqliteExaminer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SqliteExaminer").field("path", &self.path).finish_non_exhaustive()
    }
}

impl SqliteExaminer {
    /// Opens the file for reading.
    ///
    /// # Errors
    /// When there is no such file, or it cannot be read or is not a database.
    pub async fn open(path: &Path) -> Result<Self, StoreError> {
        if let Err(error) = std::fs::metadata(path) {
            let text = format!("there is no database at {} that can be read ({error})", path.display());
            return Err(StoreError::new(StoreErrorKind::Unavailable, text));
        }
        // Opening a log that is not there would make it. Without it nobody has the file open, and it stays as it is.
        let is_at_rest = !is_open(path) && size(&beside(path, "-wal")) == 0;
        let options = SqliteConnectOptions::new()
            .filename(path)
            .create_if_missing(false)
            .read_only(true)
            .immutable(is_at_rest)
            .busy_timeout(Duration::from_millis(500))
            .pragma("query_only", "on")
            .pragma("temp_store", "MEMORY")
            .pragma("cache_size", "-2048")
            .log_statements(LevelFilter::Trace)
            .log_slow_statements(LevelFilter::Off, Duration::MAX);
        let connection = Some(options.connect().await?);
        Ok(Self { path: path.to_owned(), options, connection })
    }
}

#[async_trait]
impl Examiner for SqliteExaminer {
    fn parts(&self) -> &'static [Part] {
        &PARTS
    }

    async fn examine(&mut self, part: Part) -> Result<Facts, StoreError> {
        let mut connection = match self.connection.take() {
            Some(connection) => connection,
            None => self.options.connect().await?,
        };
        let deadline = Instant::now() + EXAMINE_TIMEOUT;
        let mut handle = connection.lock_handle().await?;
        handle.set_progress_handler(STEPS, move || Instant::now() < deadline);
        drop(handle);
        let facts = look(&mut connection, &self.path, part, deadline).await;
        self.connection = Some(connection);
        facts.map_err(|error| match Instant::now() < deadline {
            true => error,
            false => StoreError::new(
                StoreErrorKind::Contention,
                format!("the database did not answer within {EXAMINE_TIMEOUT:?}"),
            ),
        })
    }

    async fn close(&mut self) {
        if let Some(connection) = self.connection.take() {
            // It is over either way.
            drop(connection.close().await);
        }
    }
}

async fn look(
    connection: &mut SqliteConnection,
    path: &Path,
    part: Part,
    deadline: Instant,
) -> Result<Facts, StoreError> {
    Ok(match part {
        Part::Server => Facts::Server(server(connection).await?),
        Part::Queue => Facts::Queue(reads::backlog(connection).await?),
        Part::DeadLetters => Facts::DeadLetters(dead_letters(connection).await?),
        Part::Rollouts => Facts::Rollouts(documents::of_kind(connection, "rollout", ROLLOUTS).await?),
        Part::Indexes => Facts::Indexes(indexes(connection).await?),
        Part::Files => Facts::Files(files(connection, path).await?),
        Part::Integrity => Facts::Integrity(integrity(connection, deadline).await?),
        _ => return Err(StoreError::new(StoreErrorKind::Internal, "SQLite has no such part")),
    })
}

async fn server(connection: &mut SqliteConnection) -> Result<ServerFacts, StoreError> {
    let version = sqlx::query("SELECT sqlite_version()").fetch_one(&mut *connection).await?.try_get(0)?;
    let known = "SELECT count(*) FROM sqlite_master WHERE name = '_sqlx_migrations'";
    let schema = match integer(connection, known).await? {
        0 => None,
        _ => Some(integer(connection, "SELECT max(version) FROM _sqlx_migrations").await?),
    };
    Ok(ServerFacts {
        version,
        supported: true,
        schema,
        known_schema: MIGRATIONS.iter().map(|(version, ..)| *version).max().unwrap_or_default(),
        ..ServerFacts::default()
    })
}

async fn dead_letters(connection: &mut SqliteConnection) -> Result<DeadLetterFacts, StoreError> {
    let most = i64::try_from(DEAD_COUNTED).unwrap_or(i64::MAX);
    let counted = sqlx::query(DEAD).bind(SystemClock.now() - DAY_MS).bind(most);
    let row = counted.fetch_one(&mut *connection).await?;
    let grouped = sqlx::query(DEAD_BY_DESTINATION).bind(most).bind(i64::try_from(EXAMINE_ROWS).unwrap_or(i64::MAX));
    let groups = grouped.fetch_all(connection).await?;
    let destinations = groups.iter().map(|row| Ok((row.try_get(0)?, number(row, 1)?)));
    Ok(DeadLetterFacts {
        total: number(&row, 0)?,
        last_day: number(&row, 1)?,
        destinations: destinations.collect::<Result<_, StoreError>>()?,
    })
}

/// SQLite does not count uses: an index that is not of the schema costs each write all the same.
async fn indexes(connection: &mut SqliteConnection) -> Result<IndexFacts, StoreError> {
    let rows = sqlx::query(INDEXES).fetch_all(connection).await?;
    let there = rows.iter().map(|row| Ok((row.try_get(0)?, row.try_get(1)?)));
    let there = there.collect::<Result<Vec<(String, String)>, StoreError>>()?;
    let own = indexes_of(&MIGRATIONS);
    let missing = own.iter().filter(|(name, _)| !there.iter().any(|(known, _)| known == name));
    let others = there.iter().filter(|(name, _)| !own.iter().any(|(known, _)| known == name));
    Ok(IndexFacts {
        missing: missing.map(|(name, statement)| ((*name).to_owned(), statement.clone())).collect(),
        unused: others
            .take(EXAMINE_ROWS)
            .map(|(name, table)| UnusedIndex { name: name.clone(), table: table.clone(), bytes: None })
            .collect(),
        ..IndexFacts::default()
    })
}

async fn files(connection: &mut SqliteConnection, path: &Path) -> Result<FileFacts, StoreError> {
    let pragma = async |connection: &mut SqliteConnection, text: &'static str| {
        integer(connection, text).await.map(|number| u64::try_from(number).unwrap_or_default())
    };
    Ok(FileFacts {
        wal_bytes: size(&beside(path, "-wal")),
        page_bytes: pragma(connection, "PRAGMA page_size").await?,
        pages: pragma(connection, "PRAGMA page_count").await?,
        free_pages: pragma(connection, "PRAGMA freelist_count").await?,
    })
}

async fn integrity(connection: &mut SqliteConnection, deadline: Instant) -> Result<IntegrityFacts, StoreError> {
    let begun = Instant::now();
    // As many problems as rows are listed.
    let checked = sqlx::query("PRAGMA quick_check(10)").fetch_all(connection).await;
    let took = begun.elapsed();
    match checked {
        Ok(rows) => {
            let lines = rows.iter().map(|row| row.try_get::<String, _>(0)).collect::<Result<Vec<_>, _>>()?;
            let problems = lines.into_iter().filter(|line| line != "ok").collect();
            Ok(IntegrityFacts { problems, finished: true, took })
        }
        Err(_) if Instant::now() >= deadline => Ok(IntegrityFacts { problems: Vec::new(), finished: false, took }),
        Err(error) => Err(error.into()),
    }
}

async fn integer(connection: &mut SqliteConnection, text: &'static str) -> Result<i64, StoreError> {
    Ok(sqlx::query(text).fetch_one(connection).await?.try_get(0)?)
}

fn number(row: &SqliteRow, column: usize) -> Result<u64, StoreError> {
    Ok(u64::try_from(row.try_get::<i64, _>(column)?).unwrap_or_default())
}

/// The index of the log is there while a process has the database open, and after one that was killed.
fn is_open(path: &Path) -> bool {
    beside(path, "-shm").exists()
}

fn beside(path: &Path, suffix: &str) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(suffix);
    name.into()
}

fn size(path: &Path) -> u64 {
    std::fs::metadata(path).map_or(0, |file| file.len())
}
