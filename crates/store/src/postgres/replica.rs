//! A streaming replica that takes reads off the database.
//!
//! A task looks at the replica each second. While it is up and close behind, lists and single rows are read from it; whatever it cannot answer,
//! or does not know yet, is read from the database itself. What a person has just changed through this process is read there too.

use std::fmt;
use std::str::FromStr;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use spillway_model::{Clock as _, SystemClock, UnixMillis};
use sqlx::Row;
use sqlx::postgres::PgConnectOptions;
use tokio::task::JoinHandle;

use super::sessions::{Session, Sessions};
use super::{PostgresSettings, SESSION};
use crate::{QueryKind, StoreError, StoreErrorKind, StoreObserver};

/// Where the replica is, and when it is good enough.
#[derive(Clone)]
pub struct ReplicaSettings {
    /// `postgres://user:password@host:port/database`, with the parameters of libpq.
    pub url: String,
    /// How far it may be behind.
    pub max_lag: Duration,
}

impl fmt::Debug for ReplicaSettings {
    /// Without the URL, which may hold a password.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ReplicaSettings").field("max_lag", &self.max_lag).finish_non_exhaustive()
    }
}

/// Between two looks.
const LOOK: Duration = Duration::from_secs(1);
/// An answer that takes longer is asked for at the database itself.
const PATIENCE: Duration = Duration::from_secs(5);
/// Wait for one of the replica's connections.
const POOL_TIMEOUT: Duration = Duration::from_millis(500);

/// Everything that was received has been replayed, and something is connected to receive more; or, how old the last replayed transaction is.
/// `NULL` when that is not known. A replica of an idle database replays nothing and is none the older for it.
pub(super) const LAG: &str = "
SELECT pg_is_in_recovery(), CASE
    WHEN pg_last_wal_receive_lsn() = pg_last_wal_replay_lsn() AND EXISTS (SELECT FROM pg_stat_wal_receiver) THEN 0
    ELSE extract(epoch FROM clock_timestamp() - pg_last_xact_replay_timestamp()) * 1000
END::bigint";

pub(super) struct Replica {
    shared: Arc<Shared>,
    watch: JoinHandle<()>,
}

struct Shared {
    sessions: Sessions,
    max_lag: Duration,
    usable: AtomicBool,
    /// When this process last wrote what a person will look at.
    written: Mutex<Option<Instant>>,
}

impl Drop for Replica {
    fn drop(&mut self) {
        self.watch.abort();
    }
}

impl Replica {
    /// Must be called on a tokio runtime. A replica that cannot be reached is no error: it is used when it can be.
    pub(super) fn start(
        settings: &ReplicaSettings,
        store: &PostgresSettings,
        observer: Arc<dyn StoreObserver>,
    ) -> Result<Self, StoreError> {
        let options = PgConnectOptions::from_str(&settings.url).map_err(|_| {
            let text = "the replica's URL cannot be read; it has the form postgres://user:password@host:port/database";
            StoreError::new(StoreErrorKind::Incompatible, text)
        })?;
        let options = options.application_name("spillway").options(SESSION);
        let options = options.options([("client_min_messages", "warning"), ("default_transaction_read_only", "on")]);
        let options = sqlx::ConnectOptions::disable_statement_logging(options);
        // None is kept open for its own sake: the pool would go on connecting to a replica that is gone, and could not be closed meanwhile.
        let pool = PostgresSettings {
            pool_size: 0,
            max_overflow: store.max_connections(),
            pool_timeout: POOL_TIMEOUT,
            ..store.clone()
        };
        let shared = Arc::new(Shared {
            sessions: Sessions::new(&pool, options, observer),
            max_lag: settings.max_lag,
            usable: AtomicBool::new(false),
            written: Mutex::default(),
        });
        let watch = tokio::spawn(watch(shared.clone()));
        Ok(Self { shared, watch })
    }

    /// A connection to the replica, if it is good enough now.
    pub(super) async fn take(&self) -> Option<Session> {
        let written = *self.shared.written.lock().unwrap_or_else(PoisonError::into_inner);
        let is_young = written.is_some_and(|written| written.elapsed() < self.shared.max_lag);
        if is_young || !self.shared.usable.load(Ordering::Acquire) {
            return None;
        }
        match self.shared.sessions.take().await {
            Ok(session) => Some(session),
            Err(error) => {
                self.shared.doubt(&error);
                None
            }
        }
    }

    /// Whether what came into being at this time is on the replica for sure.
    pub(super) fn knows(&self, since: UnixMillis) -> bool {
        let max_lag = i64::try_from(self.shared.max_lag.as_millis()).unwrap_or(i64::MAX);
        since < SystemClock.now().saturating_sub(max_lag).saturating_sub(1_000)
    }

    /// Ends a read. `None` means that the database itself is to be asked.
    pub(super) fn finish<T>(
        &self,
        kind: QueryKind,
        session: Session,
        rows: usize,
        result: Result<T, StoreError>,
    ) -> Option<T> {
        match self.shared.sessions.finish(kind, session, rows, result) {
            Ok(found) => Some(found),
            Err(error) => {
                self.shared.doubt(&error);
                None
            }
        }
    }

    /// A person changed something through this process, and will look at it.
    pub(super) fn wrote(&self) {
        *self.shared.written.lock().unwrap_or_else(PoisonError::into_inner) = Some(Instant::now());
    }

    pub(super) async fn close(&self) {
        self.watch.abort();
        // Nothing is lost with a connection that does not close.
        let _ = tokio::time::timeout(PATIENCE, self.shared.sessions.close()).await;
    }
}

/// The result of a read from the replica, or an error when it takes too long.
pub(super) async fn patient<T>(work: impl Future<Output = Result<T, StoreError>>) -> Result<T, StoreError> {
    let slow =
        |_| Err(StoreError::new(StoreErrorKind::Unavailable, format!("there was no answer within {PATIENCE:?}")));
    tokio::time::timeout(PATIENCE, work).await.unwrap_or_else(slow)
}

async fn watch(shared: Arc<Shared>) {
    let mut told = None;
    let mut looks = tokio::time::interval(LOOK);
    looks.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
    loop {
        looks.tick().await;
        let verdict = shared.look().await;
        let is_usable = verdict.is_ok();
        shared.usable.store(is_usable, Ordering::Release);
        if told == Some(is_usable) {
            continue;
        }
        told = Some(is_usable);
        match verdict {
            Ok(()) => tracing::info!("lists are read from the replica"),
            Err(reason) => tracing::warn!(reason, "the replica is not used: lists are read from the database itself"),
        }
    }
}

impl Shared {
    /// Why the replica must not be read now, if so.
    async fn look(&self) -> Result<(), String> {
        let mut session = self.sessions.take().await.map_err(|error| error.to_string())?;
        let row = patient(async { Ok(sqlx::query(LAG).fetch_one(session.statement()).await?) }).await;
        let row = self.sessions.finish(QueryKind::Lookup, session, 1, row).map_err(|error| error.to_string())?;
        let read = |error: sqlx::Error| error.to_string();
        if !row.try_get::<bool, _>(0).map_err(read)? {
            return Err("it is a database of its own and no replica of another one".to_owned());
        }
        let lag_ms = row.try_get::<Option<i64>, _>(1).map_err(read)?;
        let lag = lag_ms.map(|lag_ms| Duration::from_millis(lag_ms.max(0).cast_unsigned()));
        match lag {
            Some(lag) if lag <= self.max_lag => Ok(()),
            Some(lag) => Err(format!("it is {lag:?} behind, and {:?} are allowed", self.max_lag)),
            None => Err("it has not received anything yet".to_owned()),
        }
    }

    /// A read failed. Unless the replica was only busy, it is not used before the next look.
    fn doubt(&self, error: &StoreError) {
        tracing::debug!(%error, "the replica did not answer; the database itself is asked");
        let is_busy = matches!(error.kind(), StoreErrorKind::PoolExhausted | StoreErrorKind::Contention);
        if !is_busy {
            self.usable.store(false, Ordering::Release);
        }
    }
}
