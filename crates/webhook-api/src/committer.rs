//! The group committer: one flush serves every acknowledgement that waits for it.

mod handover;

use std::collections::HashSet;
use std::sync::Arc;
use std::time::{Duration, Instant};

use futures_util::StreamExt;
use futures_util::stream::FuturesUnordered;
use spillway_model::{Appended, Clock, NewEvent};
use spillway_store::{Store, StoreError};
use spillway_telemetry::Metrics;
use tokio::sync::{mpsc, oneshot};

use crate::feed::Feed;

pub use handover::Handover;

/// How events are gathered and committed.
#[derive(Debug, Clone)]
pub struct CommitterSettings {
    /// Events that may wait; above it intake answers 503 at once.
    pub queue: usize,
    /// Events in one transaction at most.
    pub batch: usize,
    /// Longest time a batch that could be larger may wait for more. Zero commits what has gathered at once; under load
    /// batches form by themselves while the one before is flushed.
    pub wait: Duration,
    /// How long a delivery that is born claimed belongs to the worker it is handed to.
    pub lease: Duration,
}

/// Longest that a commit is put off for events that are on their way.
const LONGEST_PATIENCE: Duration = Duration::from_micros(400);

/// Why an event was not committed.
#[derive(Debug, thiserror::Error)]
pub enum CommitError {
    /// The queue is full.
    #[error("the commit queue is full")]
    Full,
    /// The committer has ended.
    #[error("the committer has stopped")]
    Stopped,
    /// The store could not commit.
    #[error("the event could not be stored")]
    Store(#[source] StoreError),
}

struct Waiting {
    new: NewEvent,
    received: Instant,
    answer: oneshot::Sender<Result<Appended, CommitError>>,
}

/// Hands events to the committer.
#[derive(Debug, Clone)]
pub struct CommitterHandle {
    queue: mpsc::Sender<Waiting>,
}

impl std::fmt::Debug for Waiting {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Waiting").field("event", &self.new.event.id).finish_non_exhaustive()
    }
}

impl CommitterHandle {
    /// Commits the event: it is on disk when this returns. `received` is when its request had been read.
    ///
    /// Dropping the future does not withdraw the event.
    ///
    /// # Errors
    /// At once when the queue is full; otherwise when the store fails.
    pub async fn commit(&self, new: NewEvent, received: Instant) -> Result<Appended, CommitError> {
        let (answer, wait) = oneshot::channel();
        self.queue.try_send(Waiting { new, received, answer }).map_err(|error| match error {
            mpsc::error::TrySendError::Full(_) => CommitError::Full,
            mpsc::error::TrySendError::Closed(_) => CommitError::Stopped,
        })?;
        wait.await.map_err(|_| CommitError::Stopped)?
    }

    /// Events that wait now.
    #[must_use]
    pub fn depth(&self) -> usize {
        self.capacity() - self.queue.capacity()
    }

    /// Events that may wait; above it intake answers 503 at once.
    #[must_use]
    pub fn capacity(&self) -> usize {
        self.queue.max_capacity()
    }

    /// Tells how many events wait, for as long as the committer runs. It does not keep the committer running.
    pub fn watch_depth(&self) -> impl Fn() -> Option<usize> + Send + Sync + 'static {
        let queue = self.queue.downgrade();
        move || queue.upgrade().map(|queue| queue.max_capacity() - queue.capacity())
    }
}

/// Gathers events, commits them, hands their deliveries over and answers.
pub struct Committer {
    settings: CommitterSettings,
    store: Arc<dyn Store>,
    handover: Handover,
    clock: Arc<dyn Clock>,
    metrics: Metrics,
    feed: Option<Feed>,
    queue: mpsc::Receiver<Waiting>,
}

impl Committer {
    /// A committer and its handle. It ends when the last handle is dropped and everything is answered.
    pub fn new(
        settings: CommitterSettings,
        store: Arc<dyn Store>,
        handover: Handover,
        clock: Arc<dyn Clock>,
        metrics: Metrics,
    ) -> (Self, CommitterHandle) {
        let (sender, queue) = mpsc::channel(settings.queue.max(1));
        (Self { settings, store, handover, clock, metrics, feed: None, queue }, CommitterHandle { queue: sender })
    }

    /// Offers what is committed to `feed`, too.
    #[must_use]
    pub fn with_feed(mut self, feed: Feed) -> Self {
        self.feed = Some(feed);
        self
    }

    /// Works until the last handle is dropped.
    pub async fn run(mut self) {
        let parallel = self.store.parallel_appends();
        let mut commits = FuturesUnordered::new();
        let mut gathered = Vec::with_capacity(self.settings.batch);
        let mut pace = Pace::default();
        let mut open = true;
        while open || !commits.is_empty() || !gathered.is_empty() {
            let enough = if commits.is_empty() { 1 } else { parallel.least_events.min(self.settings.batch) };
            if commits.len() < parallel.lanes && gathered.len() >= enough {
                self.gather_more(&mut gathered, pace).await;
                let batch = std::mem::replace(&mut gathered, Vec::with_capacity(self.settings.batch));
                commits.push(commit(self.parts(), batch));
                continue;
            }
            let room = self.settings.batch - gathered.len();
            tokio::select! {
                received = self.queue.recv_many(&mut gathered, room), if open && room > 0 => open = received > 0,
                Some(done) = commits.next() => pace = done,
            }
        }
    }

    /// Waits for the events that are on their way. Senders that were answered by the last commit send again while it is being
    /// answered: committing the first of them alone would make all others wait for a flush of its own. When commits are
    /// small, which is when the gateway is not busy, nothing waits.
    async fn gather_more(&mut self, gathered: &mut Vec<Waiting>, pace: Pace) {
        let begun = Instant::now();
        let patience = (pace.took / 2).min(LONGEST_PATIENCE);
        let enough = (pace.events / 2).min(self.settings.batch);
        while gathered.len() < enough && begun.elapsed() < patience {
            // The runtime's timers are coarser than this wait.
            tokio::task::yield_now().await;
            while gathered.len() < self.settings.batch
                && let Ok(waiting) = self.queue.try_recv()
            {
                gathered.push(waiting);
            }
        }
        let deadline = tokio::time::Instant::from_std(begun + self.settings.wait);
        while !self.settings.wait.is_zero() && gathered.len() < self.settings.batch {
            let room = self.settings.batch - gathered.len();
            match tokio::time::timeout_at(deadline, self.queue.recv_many(gathered, room)).await {
                Ok(1..) => {}
                Ok(0) | Err(_) => break,
            }
        }
    }

    fn parts(&self) -> Parts {
        Parts {
            store: self.store.clone(),
            handover: self.handover.clone(),
            metrics: self.metrics.clone(),
            feed: self.feed.clone(),
            now: self.clock.now(),
            lease: self.settings.lease,
        }
    }
}

/// How large the last commit was and how long it took: what the next one is likely to be.
#[derive(Debug, Clone, Copy, Default)]
struct Pace {
    events: usize,
    took: Duration,
}

/// What one commit needs; it runs beside the gathering of the next.
struct Parts {
    store: Arc<dyn Store>,
    handover: Handover,
    metrics: Metrics,
    feed: Option<Feed>,
    now: i64,
    lease: Duration,
}

async fn commit(parts: Parts, waiting: Vec<Waiting>) -> Pace {
    let mut events = Vec::with_capacity(waiting.len());
    let mut waiters = Vec::with_capacity(waiting.len());
    for Waiting { new, received, answer } in waiting {
        events.push(new);
        waiters.push((received, answer));
    }
    let lease_until = parts.now + i64::try_from(parts.lease.as_millis()).unwrap_or(i64::MAX);
    let mut reserved = parts.handover.reserve(&events);
    for (new, (received, _)) in events.iter_mut().zip(&waiters) {
        reserved.claim(new, lease_until, *received);
    }
    let feed = parts.feed.filter(Feed::is_watched);
    let watched: Vec<_> = feed.iter().flat_map(|_| events.iter().map(|new| new.event.clone())).collect();
    let count = events.len();
    let start = Instant::now();
    let result = parts.store.append(events).await;
    let pace = Pace { events: count, took: start.elapsed() };
    parts.metrics.commit.observe(pace.took);
    parts.metrics.commit_batch_events.observe(count);
    match result {
        Ok(appended) => {
            let duplicates = appended.iter().any(|one| matches!(one, Appended::Duplicate { .. }));
            if duplicates {
                let stored: HashSet<_> = appended
                    .iter()
                    .filter_map(|one| match one {
                        Appended::Accepted { id } => Some(*id),
                        Appended::Duplicate { .. } => None,
                    })
                    .collect();
                reserved.retain(|event| stored.contains(&event));
            }
            let is_new = |one: &Appended| matches!(one, Appended::Accepted { .. });
            let fresh: Vec<_> =
                watched.into_iter().zip(&appended).filter(|(_, one)| is_new(one)).map(|(event, _)| event).collect();
            for ((_, answer), appended) in waiters.into_iter().zip(appended) {
                // A sender that hung up needs no answer; its event is stored.
                let _ = answer.send(Ok(appended));
            }
            if let Some(feed) = feed {
                feed.offer(fresh);
            }
            reserved.push().await;
        }
        Err(error) => {
            tracing::error!(code = error.code(), %error, events = count, "a batch of events could not be stored");
            for (_, answer) in waiters {
                let _ = answer.send(Err(CommitError::Store(error.share())));
            }
        }
    }
    pace
}
