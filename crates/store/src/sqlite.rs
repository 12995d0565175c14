//! The embedded engine: one SQLite file, one writer connection, a pool of readers, a checkpointer beside them.
//!
//! Everything that is asked of the writer while a transaction is being executed shares the next one, whatever it is: one flush
//! serves appends, settlements and claims together.

mod budgets;
mod checkpoint;
mod claimable;
mod configuration;
mod documents;
mod examination;
mod flush;
mod follow;
mod migrations;
mod operation;
mod reads;
mod replays;
mod retention;
mod rows;
mod selection;
mod statements;
mod task;
mod writer;

use std::fs::File;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};
use std::time::{Duration, Instant};

use async_trait::async_trait;
use log::LevelFilter;
use spillway_model::{
    Appended, Attempt, Claimed, Configuration, ConfigurationChange, Delivery, DeliveryId, DestinationId, Event,
    EventId, EventSummary, Lease, NewEvent, Replay, ReplayId, Selection, Settlement, SourceId, UnixMillis,
};
use sqlx::ConnectOptions;
use sqlx::sqlite::{SqliteConnectOptions, SqliteJournalMode, SqlitePool, SqlitePoolOptions, SqliteSynchronous};
use tokio::sync::{mpsc, oneshot};
use tokio::task::JoinHandle;

use crate::retention::Sweep;
use crate::{
    Backlog, BudgetRequest, BudgetUse, ClaimRequest, DeadLetters, DeliveryFilter, Document, EventFilter, ExpireLimits,
    Expired, HeldReplay, NewRoute, Page, ParallelAppends, PlacesRequest, PoolState, QueryKind, ReplayFilter,
    ReplayStep, RetentionPolicy, RetryOutcome, Selected, Store, StoreError, StoreErrorKind, StoreObserver,
};
pub use examination::SqliteExaminer;
use flush::{FlushFailure, Flusher};
use operation::Operation;
use task::{Work, ask};
use writer::Writer;

/// How an embedded store is opened.
#[derive(Debug, Clone)]
pub struct SqliteSettings {
    /// The database file. Its folder is made when it is missing.
    pub path: PathBuf,
    /// Connections for lists and payloads; at least one.
    pub read_connections: u32,
    /// How long a read may wait for one of them.
    pub read_timeout: Duration,
    /// How long an idempotency key is remembered at least; up to a quarter longer.
    pub idempotency_window: Duration,
}

impl SqliteSettings {
    /// Defaults for the file at `path`: 4 readers, 5 s, one day.
    pub fn new(path: impl Into<PathBuf>) -> Self {
        Self {
            path: path.into(),
            read_connections: 4,
            read_timeout: Duration::from_secs(5),
            idempotency_window: Duration::from_secs(86_400),
        }
    }
}

/// Operations that may wait for the writer. When there are more, callers wait for room.
const WRITER_QUEUE: usize = 1_024;
/// Order keys that one call of housekeeping looks at.
const ORDER_CHECKED: usize = 10_000;

/// A store in one SQLite file. One process at a time may open it.
#[derive(Debug)]
pub struct SqliteStore {
    writer: mpsc::Sender<Operation>,
    readers: SqlitePool,
    settings: SqliteSettings,
    observer: Arc<dyn StoreObserver>,
    sweep: Arc<Sweep>,
    tasks: tokio::sync::Mutex<Vec<JoinHandle<()>>>,
    /// The order key up to which the last call of housekeeping looked.
    order_checked: AtomicI64,
    flush_failure: FlushFailure,
    /// The database file, for flushes beside SQLite. Dropped after all connections: closing any descriptor of the file
    /// drops SQLite's locks on it.
    _database: Arc<File>,
    /// Held until the store is dropped, so that no second process writes.
    _lock: File,
}

impl std::fmt::Debug for dyn StoreObserver {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("StoreObserver")
    }
}

impl SqliteStore {
    /// Opens the file, makes it when it is missing, and brings its schema up to date.
    ///
    /// # Errors
    /// When another process has the file open, when it cannot be read or written, or when a newer version made it.
    pub async fn open(settings: SqliteSettings, observer: Arc<dyn StoreObserver>) -> Result<Self, StoreError> {
        Self::open_with(settings, observer, |log| move || log.sync_data()).await
    }

    /// `flush` is given the write-ahead log and makes what flushes it.
    async fn open_with<F: FnMut() -> io::Result<()> + Send + 'static>(
        settings: SqliteSettings,
        observer: Arc<dyn StoreObserver>,
        flush: impl FnOnce(File) -> F,
    ) -> Result<Self, StoreError> {
        let lock = lock(&settings.path)?;
        let options = SqliteConnectOptions::new()
            .filename(&settings.path)
            .create_if_missing(true)
            .journal_mode(SqliteJournalMode::Wal)
            .synchronous(SqliteSynchronous::Full)
            .foreign_keys(true)
            .busy_timeout(Duration::from_secs(5))
            .statement_cache_capacity(256)
            .pragma("temp_store", "MEMORY")
            .pragma("wal_autocheckpoint", "0")
            .pragma("cache_size", "-8192")
            .log_statements(LevelFilter::Trace)
            .log_slow_statements(LevelFilter::Off, Duration::MAX);
        // Its commits are flushed beside it, before they are answered.
        let mut connection = options.clone().synchronous(SqliteSynchronous::Normal).connect().await?;
        migrations::migrate(&mut connection).await?;
        // Whatever the log still holds is in the database file, flushed, before anything is written behind it: an earlier flush may have failed.
        checkpoint::passive(&mut connection).await?;

        let readers = SqlitePoolOptions::new()
            .max_connections(settings.read_connections.max(1))
            .acquire_timeout(settings.read_timeout)
            .test_before_acquire(false)
            .connect_lazy_with(
                options.clone().read_only(true).statement_cache_capacity(64).pragma("cache_size", "-2048"),
            );
        let database = File::open(&settings.path).map(Arc::new).map_err(sqlx::Error::Io)?;
        let (checkpointer, checkpoints) = checkpoint::start(database.clone(), options.connect().await?);
        let (sender, operations) = mpsc::channel(WRITER_QUEUE);
        let flusher = Flusher::start(flush(open_log(&settings.path)?), observer.clone());
        let flush_failure = flusher.failure();
        let writer = Writer::new(connection, &settings, observer.clone(), checkpoints, flusher).await?;
        let tasks = tokio::sync::Mutex::new(vec![tokio::spawn(writer.run(operations)), checkpointer]);
        Ok(Self {
            writer: sender,
            readers,
            settings,
            observer,
            sweep: Arc::default(),
            tasks,
            order_checked: AtomicI64::new(i64::MIN),
            flush_failure,
            _database: database,
            _lock: lock,
        })
    }

    async fn write<T>(
        &self,
        operation: impl FnOnce(oneshot::Sender<Result<T, StoreError>>) -> Operation,
    ) -> Result<T, StoreError> {
        let (answer, wait) = oneshot::channel();
        let closed = || StoreError::new(StoreErrorKind::Closed, "the store is closed");
        self.writer.send(operation(answer)).await.map_err(|_| closed())?;
        wait.await.map_err(|_| closed())?
    }

    /// Has the writer do some work in its next transaction.
    async fn have_done<W: Work>(&self, work: W) -> Result<W::Output, StoreError> {
        self.write(|answer| ask(work, answer)).await
    }

    /// One statement of this kind.
    async fn read<T>(
        &self,
        kind: QueryKind,
        work: impl Future<Output = Result<T, StoreError>>,
    ) -> Result<T, StoreError> {
        self.observed(kind, 1, work).await
    }

    async fn observed<T>(
        &self,
        kind: QueryKind,
        statements: u32,
        work: impl Future<Output = Result<T, StoreError>>,
    ) -> Result<T, StoreError> {
        let start = Instant::now();
        let result = work.await;
        self.observer.query(kind, start.elapsed(), statements, 1);
        if result.as_ref().is_err_and(|error| error.kind() == StoreErrorKind::PoolExhausted) {
            self.observer.pool_exhausted();
        }
        result
    }
}

/// The write-ahead log, which is there while a connection is open.
fn open_log(database: &Path) -> Result<File, StoreError> {
    let mut path = database.as_os_str().to_owned();
    path.push("-wal");
    File::options().write(true).open(path).map_err(|error| sqlx::Error::Io(error).into())
}

fn lock(path: &Path) -> Result<File, StoreError> {
    let refused = |kind, text: String| StoreError::new(kind, text);
    if let Some(folder) = path.parent().filter(|folder| !folder.as_os_str().is_empty()) {
        std::fs::create_dir_all(folder).map_err(|error| {
            refused(StoreErrorKind::Unavailable, format!("the folder {} cannot be made: {error}", folder.display()))
        })?;
    }
    let mut name = path.as_os_str().to_owned();
    name.push(".lock");
    let file = File::options().create(true).truncate(false).write(true).open(&name).map_err(|error| {
        refused(StoreErrorKind::Unavailable, format!("{} cannot be written: {error}", Path::new(&name).display()))
    })?;
    match file.try_lock() {
        Ok(()) => Ok(file),
        Err(_) => Err(refused(
            StoreErrorKind::Contention,
            format!(
                "{} is in use by another process; stop that one, or give this one another --data-dir",
                path.display()
            ),
        )),
    }
}

#[async_trait]
impl Store for SqliteStore {
    fn engine(&self) -> &'static str {
        "sqlite"
    }

    /// One is executed while the one before is flushed.
    fn parallel_appends(&self) -> ParallelAppends {
        ParallelAppends { lanes: 2, least_events: 32 }
    }

    async fn append(&self, events: Vec<NewEvent>) -> Result<Vec<Appended>, StoreError> {
        if events.is_empty() {
            return Ok(Vec::new());
        }
        self.write(|answer| Operation::Append { events, answer }).await
    }

    async fn claim(&self, request: ClaimRequest) -> Result<Vec<Claimed>, StoreError> {
        let start = Instant::now();
        let candidates = match &request.share {
            None => claimable::all(&self.readers, &request).await?,
            Some(share) => claimable::of_share(&self.readers, &request, share).await?,
        };
        if candidates.is_empty() {
            self.observer.query(QueryKind::Claim, start.elapsed(), 1, 0);
            return Ok(Vec::new());
        }
        // Candidates, their claims, their payload.
        let statements = 2 + writer::n_chunks(candidates.len());
        let (now, lease_until) = (request.now, request.lease_until);
        let claims = self.write(|answer| Operation::Claim { candidates, now, lease_until, answer }).await?;
        let (claimed, gone) = reads::with_payload(&self.readers, claims, now, lease_until).await?;
        if !gone.is_empty() {
            self.settle(gone).await?;
        }
        self.observer.query(QueryKind::Claim, start.elapsed(), statements, claimed.len());
        Ok(claimed)
    }

    async fn renew(&self, leases: Vec<Lease>, until: UnixMillis) -> Result<Vec<DeliveryId>, StoreError> {
        if leases.is_empty() {
            return Ok(Vec::new());
        }
        self.write(|answer| Operation::Renew { leases, until, answer }).await
    }

    async fn settle(&self, settlements: Vec<Settlement>) -> Result<Vec<DeliveryId>, StoreError> {
        if settlements.is_empty() {
            return Ok(Vec::new());
        }
        self.write(|answer| Operation::Settle { settlements, answer }).await
    }

    async fn retry(&self, delivery: DeliveryId, now: UnixMillis) -> Result<RetryOutcome, StoreError> {
        self.write(|answer| Operation::Retry { delivery, now, answer }).await
    }

    async fn configuration(&self) -> Result<Configuration, StoreError> {
        self.observed(QueryKind::Configuration, configuration::LOAD_STATEMENTS, configuration::load(&self.readers))
            .await
    }

    async fn configuration_version(&self) -> Result<u64, StoreError> {
        self.read(QueryKind::Configuration, configuration::version(&self.readers)).await
    }

    async fn change_configuration(&self, changes: Vec<ConfigurationChange>) -> Result<u64, StoreError> {
        self.write(|answer| Operation::Configure { changes, answer }).await
    }

    async fn event(&self, id: EventId) -> Result<Option<Event>, StoreError> {
        self.read(QueryKind::Lookup, reads::event(&self.readers, id)).await
    }

    async fn events(&self, filter: EventFilter) -> Result<Page<EventSummary>, StoreError> {
        self.read(QueryKind::List, reads::events(&self.readers, filter)).await
    }

    async fn following(
        &self,
        source: Option<SourceId>,
        after: EventId,
        limit: usize,
    ) -> Result<Vec<EventId>, StoreError> {
        self.read(QueryKind::List, follow::following(&self.readers, source, after, limit)).await
    }

    async fn payloads(&self, ids: Vec<EventId>) -> Result<Vec<Event>, StoreError> {
        self.read(QueryKind::List, follow::payloads(&self.readers, ids)).await
    }

    async fn latest_event(&self) -> Result<Option<EventId>, StoreError> {
        self.read(QueryKind::Lookup, reads::latest_event(&self.readers)).await
    }

    async fn delivery(&self, id: DeliveryId) -> Result<Option<Delivery>, StoreError> {
        self.read(QueryKind::Lookup, reads::delivery(&self.readers, id)).await
    }

    async fn deliveries(&self, filter: DeliveryFilter) -> Result<Page<Delivery>, StoreError> {
        self.read(QueryKind::List, reads::deliveries(&self.readers, filter)).await
    }

    async fn attempts(&self, delivery: DeliveryId) -> Result<Vec<Attempt>, StoreError> {
        self.read(QueryKind::List, reads::attempts(&self.readers, delivery)).await
    }

    async fn deliver(
        &self,
        event: EventId,
        to: Vec<NewRoute>,
        now: UnixMillis,
    ) -> Result<Option<Vec<DeliveryId>>, StoreError> {
        self.write(|answer| Operation::Deliver { event, to, now, answer }).await
    }

    async fn select(
        &self,
        selection: Selection,
        after: Option<DeliveryId>,
        limit: usize,
    ) -> Result<Selected, StoreError> {
        self.read(QueryKind::List, selection::select(&self.readers, selection, after, limit)).await
    }

    async fn count_part(
        &self,
        selection: Selection,
        after: Option<DeliveryId>,
    ) -> Result<(u64, Option<DeliveryId>), StoreError> {
        self.read(QueryKind::List, selection::count(&self.readers, selection, after)).await
    }

    async fn dead_letters(&self, limit: usize) -> Result<DeadLetters, StoreError> {
        self.read(QueryKind::List, replays::dead_letters(&self.readers, limit)).await
    }

    async fn create_replay(&self, replay: Replay) -> Result<(), StoreError> {
        let replay = Box::new(replay);
        self.write(|answer| Operation::CreateReplay { replay, answer }).await
    }

    async fn replay(&self, id: ReplayId) -> Result<Option<Replay>, StoreError> {
        self.read(QueryKind::Lookup, replays::one(&self.readers, id)).await
    }

    async fn replays(&self, filter: ReplayFilter) -> Result<Page<Replay>, StoreError> {
        self.read(QueryKind::List, replays::page(&self.readers, filter)).await
    }

    async fn cancel_replay(&self, id: ReplayId, now: UnixMillis) -> Result<Option<Replay>, StoreError> {
        self.write(|answer| Operation::CancelReplay { id, now, answer }).await
    }

    async fn hold_replay(&self, now: UnixMillis, lease_until: UnixMillis) -> Result<Option<HeldReplay>, StoreError> {
        self.write(|answer| Operation::HoldReplay { now, lease_until, answer }).await
    }

    async fn advance_replay(&self, step: ReplayStep) -> Result<Option<Replay>, StoreError> {
        self.write(|answer| Operation::AdvanceReplay { step, answer }).await
    }

    async fn take_budget(&self, request: BudgetRequest) -> Result<u64, StoreError> {
        self.have_done(request).await
    }

    async fn correct_budget(
        &self,
        destination: DestinationId,
        hour: i64,
        requests: i64,
        cost_micros: i64,
    ) -> Result<(), StoreError> {
        self.have_done(budgets::Correction { destination, hour, requests, cost_micros }).await
    }

    async fn budgets(&self, hour: i64) -> Result<Vec<(DestinationId, BudgetUse)>, StoreError> {
        self.read(QueryKind::List, budgets::of_hour(&self.readers, hour)).await
    }

    async fn hold_places(&self, request: PlacesRequest) -> Result<u32, StoreError> {
        self.have_done(request).await
    }

    async fn expire(&self, policy: RetentionPolicy, limits: ExpireLimits) -> Result<Expired, StoreError> {
        self.have_done(retention::Expiry { policy, limits, sweep: self.sweep.clone() }).await
    }

    async fn put_document(&self, document: Document) -> Result<(), StoreError> {
        document.check()?;
        self.have_done(document).await
    }

    async fn document(&self, kind: &str, key: &str) -> Result<Option<Document>, StoreError> {
        self.read(QueryKind::Lookup, documents::one(&self.readers, kind, key)).await
    }

    async fn documents(&self, kind: &str, limit: usize) -> Result<Vec<Document>, StoreError> {
        self.read(QueryKind::List, documents::of_kind(&self.readers, kind, limit)).await
    }

    async fn delete_document(&self, kind: &str, key: &str) -> Result<(), StoreError> {
        self.have_done(documents::Removal { kind: kind.to_owned(), key: key.to_owned() }).await
    }

    async fn backlog(&self) -> Result<Backlog, StoreError> {
        self.read(QueryKind::Maintenance, reads::backlog(&self.readers)).await
    }

    async fn maintain(&self, now: UnixMillis) -> Result<(), StoreError> {
        self.have_done(budgets::Prune { now }).await?;
        let before = statements::idempotency_part(now, self.settings.idempotency_window) - statements::WINDOW_PARTS;
        loop {
            let pruned = self.write(|answer| Operation::Prune { before, answer }).await?;
            if pruned < writer::PRUNE_CHUNK {
                break;
            }
        }
        let after = self.order_checked.load(Ordering::Relaxed);
        let (ended, last) = replays::stuck_keys(&self.readers, after, ORDER_CHECKED, now).await?;
        self.order_checked.store(last.unwrap_or(i64::MIN), Ordering::Relaxed);
        if ended.is_empty() {
            return Ok(());
        }
        tracing::warn!(keys = ended.len(), "order keys were held by deliveries that have ended; the next ones go out");
        self.write(|answer| Operation::Release { ended, answer }).await
    }

    async fn ping(&self) -> Result<(), StoreError> {
        self.flush_failure.check()?;
        self.read(QueryKind::Lookup, async { Ok(sqlx::query("SELECT 1").execute(&self.readers).await.map(|_| ())?) })
            .await
    }

    fn pool(&self) -> PoolState {
        let idle = u32::try_from(self.readers.num_idle()).unwrap_or(u32::MAX);
        PoolState { idle, used: self.readers.size().saturating_sub(idle), max: self.settings.read_connections.max(1) }
    }

    async fn close(&self) {
        // Before the writer: whoever closes last moves the log into the database file and removes it, which a reader cannot.
        self.readers.close().await;
        let (answer, wait) = oneshot::channel();
        if self.writer.send(Operation::Close { answer }).await.is_ok() {
            // The writer answers after its last transaction; a dropped answer means that it is already gone.
            let _ = wait.await;
        }
        for task in self.tasks.lock().await.drain(..) {
            if let Err(error) = task.await {
                tracing::error!(%error, "a task of the embedded store ended badly");
            }
        }
    }
}
