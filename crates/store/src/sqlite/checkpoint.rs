//! Keeps the write-ahead log short without making the writer wait.
//!
//! A checkpoint that the writer runs copies and flushes megabytes while acknowledgements wait. Here another connection copies
//! most of the log and flushes the database file while the writer goes on; the writer then only has to copy what came
//! meanwhile, after which its next transaction begins the log anew.

use std::fs::File;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use sqlx::{Connection, Row, SqliteConnection};
use tokio::sync::Notify;
use tokio::task::JoinHandle;

use crate::{StoreError, StoreErrorKind};

/// Written bytes after which the log is checkpointed. The log grows to about twice this under full load.
const THRESHOLD_BYTES: usize = 4 << 20;

/// The writer's side: it reports what it wrote and learns when it is its turn.
#[derive(Debug)]
pub(super) struct Checkpoints {
    shared: Arc<Shared>,
    written: usize,
}

#[derive(Debug, Default)]
struct Shared {
    wanted: Notify,
    writers_turn: AtomicBool,
    closed: AtomicBool,
}

impl Checkpoints {
    /// A transaction of about `bytes` was committed.
    pub(super) fn wrote(&mut self, bytes: usize) {
        self.written += bytes;
        if self.written >= THRESHOLD_BYTES {
            self.written = 0;
            self.shared.wanted.notify_one();
        }
    }

    /// Whether the log is copied but for its end, which the writer should copy now.
    pub(super) fn is_writers_turn(&self) -> bool {
        self.shared.writers_turn.swap(false, Ordering::Acquire)
    }
}

impl Drop for Checkpoints {
    fn drop(&mut self) {
        self.shared.closed.store(true, Ordering::Release);
        self.shared.wanted.notify_one();
    }
}

/// Starts the checkpointer on a connection of its own. It ends when the writer's side is dropped.
///
/// `database` is the database file, opened for its flushes.
pub(super) fn start(database: Arc<File>, mut connection: SqliteConnection) -> (JoinHandle<()>, Checkpoints) {
    let shared = Arc::new(Shared::default());
    let checkpoints = Checkpoints { shared: shared.clone(), written: 0 };
    let task = tokio::spawn(async move {
        loop {
            shared.wanted.notified().await;
            if shared.closed.load(Ordering::Acquire) {
                break;
            }
            match copy(&mut connection, &database).await {
                Ok(()) => shared.writers_turn.store(true, Ordering::Release),
                Err(error) => {
                    tracing::warn!(%error, "the write-ahead log could not be checkpointed; it grows until it can")
                }
            }
        }
        if let Err(error) = connection.close().await {
            tracing::warn!(%error, "the checkpointer's connection did not close cleanly");
        }
    });
    (task, checkpoints)
}

async fn copy(connection: &mut SqliteConnection, database: &Arc<File>) -> Result<(), StoreError> {
    passive(connection).await?;
    let database = database.clone();
    let flushed = tokio::task::spawn_blocking(move || database.sync_data()).await;
    match flushed {
        Ok(Ok(())) => Ok(()),
        Ok(Err(error)) => Err(sqlx::Error::Io(error).into()),
        Err(_) => Err(StoreError::new(StoreErrorKind::Internal, "the flush of the database file was interrupted")),
    }
}

/// Copies what the readers allow, without waiting for anybody. Returns the frames that are left in the log.
pub(super) async fn passive(connection: &mut SqliteConnection) -> Result<i64, StoreError> {
    let row = sqlx::query("PRAGMA wal_checkpoint(PASSIVE)").fetch_one(connection).await?;
    Ok(row.try_get::<i64, _>(1)? - row.try_get::<i64, _>(2)?)
}
