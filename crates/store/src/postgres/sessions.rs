//! Connections: the pool, and a few that stay at hand beside it.
//!
//! The pool tests each connection that comes back with a round trip. The hot path has few statements and would pay that for
//! each of them, so a connection whose statement succeeded is kept at hand, unless somebody waits for one.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use sqlx::pool::PoolConnection;
use sqlx::postgres::{PgArguments, PgConnectOptions, PgPoolOptions, PgRow};
use sqlx::query::Query;
use sqlx::{Connection, PgConnection, PgPool, Postgres};

use super::PostgresSettings;
use crate::{PoolState, QueryKind, StoreError, StoreErrorKind, StoreObserver};

/// Time after which a caller gives up on a piece of work: the server would have cancelled its statement before.
pub(super) const WORK_TIMEOUT: Duration = Duration::from_secs(40);

pub(super) struct Sessions {
    pool: PgPool,
    at_hand: Mutex<Vec<Kept>>,
    most_at_hand: usize,
    waiting: AtomicUsize,
    max_lifetime: Option<Duration>,
    last_failure: Arc<Mutex<Option<Instant>>>,
    observer: Arc<dyn StoreObserver>,
}

struct Kept {
    connection: PoolConnection<Postgres>,
    opened: Instant,
}

/// A connection in use, and what is done with it.
pub(super) struct Session {
    connection: PoolConnection<Postgres>,
    opened: Instant,
    begun: Instant,
    statements: u32,
}

impl Session {
    /// The connection, for one statement.
    pub(super) fn statement(&mut self) -> &mut PgConnection {
        self.statements += 1;
        &mut self.connection
    }

    /// Further statements of a transaction that began with [`Self::statement`].
    pub(super) fn count(&mut self, statements: u32) {
        self.statements += statements;
    }

    /// The one row a writing statement answers with, after its commit: sqlx's `fetch_one` returns as soon as it has read the row,
    /// and what the server says of the commit comes behind it.
    pub(super) async fn write(&mut self, query: Query<'_, Postgres, PgArguments>) -> Result<PgRow, StoreError> {
        let mut rows = query.fetch_all(self.statement()).await?;
        rows.pop().ok_or_else(|| sqlx::Error::RowNotFound.into())
    }
}

impl Sessions {
    pub(super) fn new(
        settings: &PostgresSettings,
        options: PgConnectOptions,
        observer: Arc<dyn StoreObserver>,
    ) -> Self {
        let last_failure = Arc::new(Mutex::new(None::<Instant>));
        let failure = last_failure.clone();
        let pool = PgPoolOptions::new()
            .max_connections(settings.max_connections())
            .min_connections(settings.pool_size.min(settings.max_connections()))
            .acquire_timeout(settings.pool_timeout)
            .max_lifetime(unless_zero(settings.pool_recycle))
            .idle_timeout(unless_zero(settings.idle_timeout))
            .test_before_acquire(false)
            .before_acquire(move |connection, metadata| {
                let since_failure = failure.lock().unwrap_or_else(PoisonError::into_inner).map(|at| at.elapsed());
                let suspect = since_failure.is_some_and(|since| metadata.idle_for >= since);
                Box::pin(async move {
                    // A connection that broke with the server is dropped without a word; the failure was told already.
                    Ok(!suspect || connection.ping().await.is_ok())
                })
            })
            .connect_lazy_with(options);
        Self {
            pool,
            at_hand: Mutex::default(),
            most_at_hand: (settings.append_parallelism + 4).min(settings.max_connections() as usize),
            waiting: AtomicUsize::new(0),
            max_lifetime: unless_zero(settings.pool_recycle),
            last_failure,
            observer,
        }
    }

    /// A connection, as soon as one is free.
    pub(super) async fn take(&self) -> Result<Session, StoreError> {
        if self.pool.is_closed() {
            return Err(sqlx::Error::PoolClosed.into());
        }
        let begun = Instant::now();
        // Announced before looking: whoever is done after the look sees the announcement and returns its connection to the pool.
        let waiting = Waiting::new(&self.waiting);
        let kept = self.at_hand.lock().unwrap_or_else(PoisonError::into_inner).pop();
        if let Some(Kept { connection, opened }) = kept.filter(|kept| self.is_young(kept)) {
            self.observer.pool_wait(Duration::ZERO);
            return Ok(Session { connection, opened, begun, statements: 0 });
        }
        let connection = self.pool.acquire().await;
        drop(waiting);
        let waited = begun.elapsed();
        self.observer.pool_wait(waited);
        match connection {
            Ok(connection) => Ok(Session { connection, opened: Instant::now(), begun: Instant::now(), statements: 0 }),
            // The pool goes on connecting until the time is over: with room for another connection, it was the server.
            Err(sqlx::Error::PoolTimedOut) if self.pool.size() < self.pool.options().get_max_connections() => {
                Err(StoreError::new(
                    StoreErrorKind::Unavailable,
                    format!("the database did not accept a connection within {waited:?}"),
                ))
            }
            Err(error) => {
                if matches!(error, sqlx::Error::PoolTimedOut) {
                    self.observer.pool_exhausted();
                }
                Err(error.into())
            }
        }
    }

    fn is_young(&self, kept: &Kept) -> bool {
        self.max_lifetime.is_none_or(|longest| kept.opened.elapsed() < longest)
    }

    /// Ends a piece of work on `rows` rows: reports it, and keeps the connection when it is sound.
    pub(super) fn finish<T>(
        &self,
        kind: QueryKind,
        session: Session,
        rows: usize,
        result: Result<T, StoreError>,
    ) -> Result<T, StoreError> {
        self.observer.query(kind, session.begun.elapsed(), session.statements, rows);
        match &result {
            Ok(_) => self.keep(session),
            Err(error) if error.kind() == StoreErrorKind::Unavailable => self.distrust(),
            Err(_) => {}
        }
        result
    }

    fn keep(&self, Session { connection, opened, .. }: Session) {
        let mut at_hand = self.at_hand.lock().unwrap_or_else(PoisonError::into_inner);
        let wanted_elsewhere = self.waiting.load(Ordering::Acquire) > 0 || self.pool.is_closed();
        if !wanted_elsewhere && at_hand.len() < self.most_at_hand {
            at_hand.push(Kept { connection, opened });
        }
    }

    /// Connections older than this moment are tested before they are used again.
    fn distrust(&self) {
        *self.last_failure.lock().unwrap_or_else(PoisonError::into_inner) = Some(Instant::now());
        self.release();
    }

    /// Gives the connections at hand back to the pool.
    fn release(&self) {
        let released = std::mem::take(&mut *self.at_hand.lock().unwrap_or_else(PoisonError::into_inner));
        drop(released);
    }

    pub(super) fn state(&self) -> PoolState {
        let at_hand = self.at_hand.lock().unwrap_or_else(PoisonError::into_inner).len();
        let idle = u32::try_from(self.pool.num_idle() + at_hand).unwrap_or(u32::MAX);
        PoolState { idle, used: self.pool.size().saturating_sub(idle), max: self.pool.options().get_max_connections() }
    }

    pub(super) async fn close(&self) {
        let closed = self.pool.close();
        self.release();
        closed.await;
    }
}

/// A limit, of which zero is none.
fn unless_zero(limit: Duration) -> Option<Duration> {
    Some(limit).filter(|limit| !limit.is_zero())
}

/// Counts a caller that waits for the pool.
struct Waiting<'a>(&'a AtomicUsize);

impl<'a> Waiting<'a> {
    fn new(count: &'a AtomicUsize) -> Self {
        count.fetch_add(1, Ordering::AcqRel);
        Self(count)
    }
}

impl Drop for Waiting<'_> {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::AcqRel);
    }
}

/// Gives up after [`WORK_TIMEOUT`]: a server that hangs must not hold its callers.
pub(super) async fn limited<T>(work: impl Future<Output = Result<T, StoreError>>) -> Result<T, StoreError> {
    tokio::time::timeout(WORK_TIMEOUT, work).await.unwrap_or_else(|_| {
        Err(StoreError::new(
            StoreErrorKind::Unavailable,
            format!("the database did not answer within {WORK_TIMEOUT:?}"),
        ))
    })
}
