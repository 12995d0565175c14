//! Flushes the write-ahead log beside the writer, and answers.
//!
//! With `synchronous=NORMAL` a commit writes to the log without a flush; it is durable once the log is flushed after it. A thread of its own does that
//! while the writer executes the next transaction.
//!
//! A power failure may keep transactions that nobody was told of, and never one without those before it: SQLite reads the log up to the
//! first frame whose running checksum does not match (<https://www.sqlite.org/fileformat2.html#the_write_ahead_log>).
//!
//! After a flush that failed, the kernel may have dropped what it could not write, and the next flush would succeed without it (Rebello et al.,
//! "Can Applications Recover from fsync Failures?", USENIX ATC 2020). So nothing more is accepted until the store is opened anew, which
//! first copies what the log holds into the database file and flushes that.

use std::io;
use std::sync::{Arc, OnceLock};
use std::time::Instant;

use tokio::sync::mpsc;
use tokio::task::JoinHandle;

use super::operation::{Operation, Outcome, answer, refuse};
use super::writer::Statements;
use crate::{StoreError, StoreErrorKind, StoreObserver};

/// Transactions that wait for a flush at most, beside the one that is being flushed. A writer that is further ahead would make small
/// transactions, which cost more.
const AHEAD: usize = 1;

/// A committed transaction: what was asked and what it came to.
pub(super) struct Committed {
    pub(super) operations: Vec<Operation>,
    pub(super) outcomes: Vec<Outcome>,
    pub(super) statements: Statements,
    pub(super) begun: Instant,
}

/// The writer's side.
pub(super) struct Flusher {
    committed: mpsc::Sender<Committed>,
    failure: FlushFailure,
    thread: JoinHandle<()>,
}

/// Why a flush failed, once one has.
#[derive(Debug, Clone, Default)]
pub(super) struct FlushFailure(Arc<OnceLock<String>>);

impl FlushFailure {
    /// # Errors
    /// When a flush has failed.
    pub(super) fn check(&self) -> Result<(), StoreError> {
        match self.0.get() {
            None => Ok(()),
            Some(message) => Err(StoreError::new(StoreErrorKind::Unavailable, message)),
        }
    }
}

impl Flusher {
    /// Starts the thread. `flush` makes durable what was written to the log before it was called.
    pub(super) fn start(
        flush: impl FnMut() -> io::Result<()> + Send + 'static,
        observer: Arc<dyn StoreObserver>,
    ) -> Self {
        let (sender, committed) = mpsc::channel(AHEAD);
        let failure = FlushFailure::default();
        let thread = tokio::task::spawn_blocking({
            let failure = failure.clone();
            move || run(committed, flush, &failure, &*observer)
        });
        Self { committed: sender, failure, thread }
    }

    pub(super) fn failure(&self) -> FlushFailure {
        self.failure.clone()
    }

    /// Has a committed transaction flushed and answered. Waits while too many are ahead of it.
    pub(super) async fn flush(&self, committed: Committed) {
        if let Err(mpsc::error::SendError(lost)) = self.committed.send(committed).await {
            refuse(lost.operations, &StoreError::new(StoreErrorKind::Internal, "the thread that flushes has ended"));
        }
    }

    /// Waits until everything is answered.
    pub(super) async fn finish(self) {
        drop(self.committed);
        if let Err(error) = self.thread.await {
            tracing::error!(%error, "the thread that flushes the write-ahead log ended badly");
        }
    }
}

fn run(
    mut committed: mpsc::Receiver<Committed>,
    mut flush: impl FnMut() -> io::Result<()>,
    failure: &FlushFailure,
    observer: &dyn StoreObserver,
) {
    while let Some(Committed { operations, outcomes, statements, begun }) = committed.blocking_recv() {
        let flushed = failure.check().and_then(|()| {
            flush().or_else(|error| {
                let message = failure.0.get_or_init(|| {
                    format!("the write-ahead log could not be flushed ({error}); check the disk, then start again")
                });
                tracing::error!(%error, "{message}");
                failure.check()
            })
        });
        statements.observe(observer, &operations, begun.elapsed());
        match flushed {
            Ok(()) => answer(operations, outcomes),
            Err(error) => refuse(operations, &error),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::mpsc as blocking;

    use tokio::sync::oneshot;

    use super::*;
    use crate::sqlite::{SqliteSettings, SqliteStore};
    use crate::{Store, Unobserved};

    fn asked() -> (Committed, oneshot::Receiver<Result<u64, StoreError>>) {
        let (answer, wait) = oneshot::channel();
        let (operations, outcomes) = (vec![Operation::Prune { before: 0, answer }], vec![Outcome::Pruned(7)]);
        (Committed { operations, outcomes, statements: Statements::default(), begun: Instant::now() }, wait)
    }

    #[tokio::test]
    async fn nobody_is_answered_before_the_flush() {
        let (finish, finished) = blocking::channel();
        let flusher = Flusher::start(move || finished.recv().map_err(io::Error::other), Arc::new(Unobserved));
        let (committed, mut wait) = asked();
        flusher.flush(committed).await;
        let early = tokio::time::timeout(std::time::Duration::from_millis(50), &mut wait).await;
        assert!(early.is_err(), "answered before its flush: {early:?}");
        finish.send(()).unwrap();
        assert_eq!(wait.await.unwrap().unwrap(), 7);
        flusher.finish().await;
    }

    #[tokio::test]
    async fn a_store_whose_flush_failed_is_not_ready_until_it_is_opened_anew() {
        let folder = tempfile::tempdir().unwrap();
        let settings = || SqliteSettings::new(folder.path().join("spillway.db"));
        let fails = |_| || Err(io::Error::other("input/output error"));
        let store = SqliteStore::open_with(settings(), Arc::new(Unobserved), fails).await.unwrap();
        store.ping().await.unwrap();
        for _ in 0..2 {
            let error = store.change_configuration(Vec::new()).await.unwrap_err();
            assert_eq!((error.kind(), error.is_transient()), (StoreErrorKind::Unavailable, true));
        }
        assert!(store.ping().await.unwrap_err().to_string().contains("start again"));
        store.close().await;
        drop(store);
        let store = SqliteStore::open(settings(), Arc::new(Unobserved)).await.unwrap();
        store.ping().await.unwrap();
        store.change_configuration(Vec::new()).await.unwrap();
        store.close().await;
    }

    #[tokio::test]
    async fn nothing_is_accepted_after_a_flush_that_failed() {
        let mut results = [Err(io::Error::other("input/output error")), Ok(())].into_iter();
        let flusher = Flusher::start(move || results.next().unwrap_or(Ok(())), Arc::new(Unobserved));
        flusher.failure().check().unwrap();
        for _ in 0..2 {
            let (committed, wait) = asked();
            flusher.flush(committed).await;
            let error = wait.await.unwrap().unwrap_err();
            assert_eq!(error.kind(), StoreErrorKind::Unavailable);
            assert!(error.to_string().contains("input/output error"), "{error}");
        }
        assert!(flusher.failure().check().is_err());
        flusher.finish().await;
    }
}
