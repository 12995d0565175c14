//! The only writer: takes what has gathered and does it in one transaction; who asked is answered once it is flushed.

mod append;
mod claims;
mod observed;
mod order;
mod replays;

use std::collections::HashMap;
use std::sync::Arc;
use std::time::{Duration, Instant};

use futures_util::TryStreamExt;
use spillway_model::{Lease, NewEvent, Settlement};
use sqlx::sqlite::{SqliteArguments, SqliteRow};
use sqlx::{Arguments, AssertSqlSafe, Connection, Either, Executor, Row, SqliteConnection};
use tokio::sync::mpsc;

use super::checkpoint::{self, Checkpoints};
use super::flush::{Committed, Flusher};
use super::operation::{Operation, Outcome, appended, refuse, stale_among};
use super::statements::{Kind, LARGEST, Text, Texts};
use super::{SqliteSettings, configuration, rows};
use crate::{StoreError, StoreErrorKind, StoreObserver};
pub(super) use observed::Statements;
pub(super) use order::Ended;

/// Operations that share one transaction at most; the rest waits for the next one.
const OPERATIONS: usize = 256;
/// Idempotency records that one transaction removes at most.
pub(super) const PRUNE_CHUNK: u64 = 2_000;
/// Why a transaction was given up.
enum Failure {
    Store(StoreError),
    /// Some settlement's claim is no longer current; which one must be found out.
    Stale,
}

impl<E: Into<StoreError>> From<E> for Failure {
    fn from(error: E) -> Self {
        Self::Store(error.into())
    }
}

pub(super) struct Writer {
    connection: SqliteConnection,
    texts: Texts,
    /// Small numbers of the identifiers that the hot tables name.
    keys: HashMap<u128, i64>,
    window: Duration,
    observer: Arc<dyn StoreObserver>,
    checkpoints: Checkpoints,
    flusher: Flusher,
    begun: bool,
    /// Statements of the work that is under way, tries that were given up included.
    statements: Statements,
}

impl Writer {
    pub(super) async fn new(
        mut connection: SqliteConnection,
        settings: &SqliteSettings,
        observer: Arc<dyn StoreObserver>,
        checkpoints: Checkpoints,
        flusher: Flusher,
    ) -> Result<Self, StoreError> {
        let mut keys = HashMap::new();
        for row in sqlx::query("SELECT id, key FROM known_ids").fetch_all(&mut connection).await? {
            let id: &[u8] = row.try_get(0)?;
            let id = id.try_into().map_err(|_| rows::damaged("an id"))?;
            keys.insert(u128::from_be_bytes(id), row.try_get(1)?);
        }
        let window = settings.idempotency_window;
        let texts = Texts::default();
        Ok(Self {
            connection,
            texts,
            keys,
            window,
            observer,
            checkpoints,
            flusher,
            begun: false,
            statements: Statements::default(),
        })
    }

    /// Works until the store is closed or dropped.
    pub(super) async fn run(mut self, mut operations: mpsc::Receiver<Operation>) {
        let mut batch = Vec::with_capacity(OPERATIONS);
        let mut closing = Vec::new();
        while closing.is_empty() && operations.recv_many(&mut batch, OPERATIONS).await > 0 {
            let mut work = Vec::with_capacity(batch.len());
            for operation in batch.drain(..) {
                match operation {
                    Operation::Close { answer } => closing.push(answer),
                    other => work.push(other),
                }
            }
            self.work(work).await;
            if self.checkpoints.is_writers_turn()
                && let Err(error) = checkpoint::passive(&mut self.connection).await
            {
                tracing::warn!(%error, "the end of the write-ahead log could not be checkpointed");
            }
        }
        drop(operations);
        self.flusher.finish().await;
        if let Err(error) = checkpoint::passive(&mut self.connection).await {
            tracing::warn!(%error, "the last checkpoint failed; the next start reads the log instead");
        }
        if let Err(error) = self.connection.close().await {
            tracing::warn!(%error, "the writer's connection did not close cleanly");
        }
        for answer in closing {
            let _ = answer.send(());
        }
    }

    /// All in one transaction. If that fails each operation gets one of its own, so that nobody fails for another's sake.
    async fn work(&mut self, operations: Vec<Operation>) {
        if operations.is_empty() {
            return;
        }
        if let Err(error) = self.flusher.failure().check() {
            return refuse(operations, &error);
        }
        match self.commit(operations).await {
            Ok(()) => {}
            Err((operations, error)) if operations.len() == 1 || error.is_transient() => refuse(operations, &error),
            Err((operations, _)) => {
                for operation in operations {
                    if let Err((alone, error)) = self.commit(vec![operation]).await {
                        refuse(alone, &error);
                    }
                }
            }
        }
    }

    /// One transaction. What is committed is flushed and answered beside the writer.
    async fn commit(&mut self, operations: Vec<Operation>) -> Result<(), (Vec<Operation>, StoreError)> {
        let begun = Instant::now();
        self.statements = Statements::default();
        match self.transact(&operations).await {
            Ok(outcomes) => {
                let statements = self.statements;
                self.flusher.flush(Committed { operations, outcomes, statements, begun }).await;
                Ok(())
            }
            Err(error) => {
                self.statements.observe(&*self.observer, &operations, begun.elapsed());
                Err((operations, error))
            }
        }
    }

    async fn transact(&mut self, operations: &[Operation]) -> Result<Vec<Outcome>, StoreError> {
        let failure = match self.attempt(operations, false).await {
            Ok(outcomes) => return Ok(outcomes),
            Err(failure) => failure,
        };
        self.roll_back().await?;
        match failure {
            Failure::Store(error) => Err(error),
            Failure::Stale => match self.attempt(operations, true).await {
                Ok(outcomes) => Ok(outcomes),
                Err(Failure::Store(error)) => {
                    self.roll_back().await?;
                    Err(error)
                }
                Err(Failure::Stale) => {
                    self.roll_back().await?;
                    Err(StoreError::new(StoreErrorKind::Internal, "a settlement did not match after it was checked"))
                }
            },
        }
    }

    /// One try. `careful` finds out which claims are current before it settles them.
    async fn attempt(&mut self, operations: &[Operation], careful: bool) -> Result<Vec<Outcome>, Failure> {
        self.begun = false;
        let hot = |o: &Operation| matches!(o, Operation::Append { .. } | Operation::Settle { .. });
        let (mut outcomes, mut by_tasks) = (Vec::with_capacity(operations.len()), 0);
        // Of many appends and settlements each kind becomes one statement; with nothing else the last one also commits.
        let appends: Vec<&NewEvent> = operations.iter().filter_map(Operation::appended).flatten().collect();
        let settlements: Vec<&Settlement> = operations.iter().filter_map(Operation::settled).flatten().collect();
        let only_hot = operations.iter().all(hot);
        self.learn_routes(operations).await?;
        let duplicates = self.append(&appends, only_hot && settlements.is_empty()).await?;
        let stale = self.settle(&settlements, only_hot && !settlements.is_empty(), careful).await?;
        for operation in operations {
            outcomes.push(match operation {
                Operation::Append { events, .. } => Outcome::Appended(appended(events, &duplicates)),
                Operation::Settle { settlements, .. } => Outcome::Stale(stale_among(settlements, &stale)),
                Operation::Claim { candidates, now, lease_until, .. } => {
                    Outcome::Claimed(self.claim(candidates, *now, *lease_until).await?)
                }
                Operation::Renew { leases, until, .. } => Outcome::Stale(self.renew(leases, *until).await?),
                Operation::Retry { delivery, now, .. } => Outcome::Retried(self.retry(*delivery, *now).await?),
                Operation::Deliver { event, to, now, .. } => Outcome::Delivered(self.deliver(*event, to, *now).await?),
                Operation::Release { ended, .. } => {
                    self.begin().await?;
                    self.advance(ended).await?;
                    Outcome::Written
                }
                Operation::CreateReplay { replay, .. } => {
                    self.create_replay(replay).await?;
                    Outcome::Written
                }
                Operation::CancelReplay { id, now, .. } => Outcome::Replay(self.cancel_replay(*id, *now).await?),
                Operation::HoldReplay { now, lease_until, .. } => {
                    Outcome::Held(self.hold_replay(*now, *lease_until).await?)
                }
                Operation::AdvanceReplay { step, .. } => Outcome::Replay(self.advance_replay(step).await?),
                Operation::Configure { changes, .. } => {
                    self.begin().await?;
                    Outcome::Version(configuration::apply(&mut self.connection, changes).await?)
                }
                Operation::Prune { before, .. } => Outcome::Pruned(self.prune(*before).await?),
                Operation::Task(task) => {
                    self.begin().await?;
                    let done = task.run(&mut self.connection).await?;
                    self.statements.tasks += done.statements;
                    by_tasks += done.written_bytes;
                    Outcome::Done(done.output)
                }
                Operation::Close { .. } => continue,
            });
        }
        if !only_hot {
            self.execute_plain("COMMIT").await?;
        }
        self.checkpoints.wrote(written_bytes(&appends, settlements.len()) + by_tasks);
        Ok(outcomes)
    }
    async fn begin(&mut self) -> Result<(), Failure> {
        if !self.begun {
            self.execute_plain("BEGIN IMMEDIATE").await?;
            self.begun = true;
        }
        Ok(())
    }

    async fn roll_back(&mut self) -> Result<(), StoreError> {
        if self.begun {
            self.begun = false;
            // An error that ended the transaction by itself (a full disk, say) leaves nothing to roll back.
            if let Err(error) = self.execute_plain("ROLLBACK").await {
                tracing::debug!(%error, "nothing was left to roll back");
            }
        }
        Ok(())
    }

    async fn execute_plain(&mut self, sql: &'static str) -> Result<(), StoreError> {
        sqlx::query(sql).execute(&mut self.connection).await?;
        Ok(())
    }

    /// Executes one text, which begins the transaction unless it is begun. Returns the rows changed by each of its statements,
    /// and the rows read.
    async fn execute(&mut self, kind: Kind, commit: bool, values: SqliteArguments) -> Result<Executed, Failure> {
        let begin = !self.begun;
        self.begun = true;
        match kind {
            Kind::Keys(_) | Kind::Owners(_) | Kind::Append { .. } | Kind::Ordered(_) => {
                self.statements.append += kind.statements();
            }
            Kind::Settle { .. } | Kind::Advance(_) => self.statements.settle += kind.statements(),
            // Reported with their operation.
            Kind::Claim(_) | Kind::Renew(_) => {}
        }
        let text = self.texts.get(Text { kind, begin, commit });
        let mut results = self.connection.fetch_many(sqlx::query_with(AssertSqlSafe(text), values));
        let (mut changes, mut found) = (Vec::with_capacity(4), Vec::new());
        while let Some(result) = results.try_next().await? {
            match result {
                Either::Left(done) => changes.push(done.rows_affected()),
                Either::Right(row) => found.push(row),
            }
        }
        Ok((changes, found))
    }
}
type Executed = (Vec<u64>, Vec<SqliteRow>);
/// Sequence, number and generation of a claim.
pub(super) type ClaimKey = (i64, i64, i64);

pub(super) fn key_of(lease: Lease) -> ClaimKey {
    (lease.delivery.event().sequence(), i64::from(lease.delivery.ordinal()), i64::from(lease.generation))
}

fn chunk<T>(rows: &[T], round: usize) -> &[T] {
    rows.chunks(LARGEST).nth(round).unwrap_or_default()
}
/// How many statements so many rows take.
pub(super) fn n_chunks(rows: usize) -> u32 {
    u32::try_from(rows.div_ceil(LARGEST)).unwrap_or(u32::MAX)
}

/// Fills up a statement that is larger than its batch.
fn pad(values: &mut SqliteArguments, n: usize) -> Result<(), Failure> {
    (0..n).try_for_each(|_| add(values, None::<i64>))
}

fn add<'q, T>(values: &mut SqliteArguments, value: T) -> Result<(), Failure>
where
    T: sqlx::Encode<'q, sqlx::Sqlite> + sqlx::Type<sqlx::Sqlite>,
{
    values.add(value).map_err(|error| Failure::Store(sqlx::Error::Encode(error).into()))
}
/// About what a transaction adds to the log, to know when a checkpoint is due.
fn written_bytes(events: &[&NewEvent], settlements: usize) -> usize {
    let event = |new: &&NewEvent| new.event.body.len() + new.event.headers.as_bytes().len() + 200;
    16_384 + events.iter().map(event).sum::<usize>() + settlements * 200
}
