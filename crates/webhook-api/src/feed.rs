//! Live events: what was just stored, for whoever looks.
//!
//! The committer offers what it committed; with nobody looking that is one atomic load. While somebody looks, one task gives out batches: each
//! event is written as JSON once for all clients, and clients with the same filter share their batches whole. A client gets some rows a second
//! and the rest as a number, so that a thousand events a second cost what twenty do. What other nodes commit is found in the store.

mod batch;
mod channel;
mod filter;
mod follower;
mod pacer;

use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use parking_lot::Mutex;
use spillway_model::{Clock, Configuration, Event, EventSummary};
use spillway_store::Store;
use tokio::sync::{broadcast, watch};

pub use batch::{FeedBatch, FeedEvent};
pub use filter::{FeedFilter, FeedStatus, TypePattern};

use crate::api::event_summary;
use batch::Published;
use channel::Channel;
pub(crate) use follower::Follower;

/// Events that may wait for the next batch; further ones are only counted.
const MOST_OFFERED: usize = 8_192;

/// What the feed reads from.
pub struct FeedParts {
    /// Where events are stored.
    pub store: Arc<dyn Store>,
    /// Names of the sources.
    pub configuration: watch::Receiver<Arc<Configuration>>,
    /// Wall clock.
    pub clock: Arc<dyn Clock>,
    /// Whether other processes store events in the same store: they are looked for there while somebody subscribes.
    pub shared: bool,
}

/// Gives out live events. A clone is another handle to the same feed.
#[derive(Clone)]
pub struct Feed(Arc<Shared>);

struct Shared {
    parts: FeedParts,
    n_subscribers: AtomicUsize,
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    offered: Vec<EventSummary>,
    /// Events that had no place in `offered`.
    n_lost: u64,
    channels: Vec<Channel>,
    /// Whether the task runs that gives out batches.
    is_running: bool,
}

impl fmt::Debug for Feed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Feed")
            .field("subscribers", &self.0.n_subscribers.load(Ordering::Relaxed))
            .finish_non_exhaustive()
    }
}

impl Feed {
    /// A feed that nobody looks at yet.
    #[must_use]
    pub fn new(parts: FeedParts) -> Self {
        Self(Arc::new(Shared { parts, n_subscribers: AtomicUsize::new(0), state: Mutex::default() }))
    }

    /// Live events from now on that the filter lets through. Must be called on a Tokio runtime.
    #[must_use]
    pub fn subscribe(&self, filter: FeedFilter) -> FeedSubscription {
        let n_subscribers = self.0.n_subscribers.fetch_add(1, Ordering::SeqCst) + 1;
        let mut state = self.0.state.lock();
        let (receiver, total) = channel::join(&mut state.channels, filter, n_subscribers);
        if !state.is_running {
            state.is_running = true;
            tokio::spawn(pacer::run(self.0.clone()));
        }
        drop(state);
        FeedSubscription { receiver, total, shared: self.0.clone() }
    }

    /// Whether anybody looks: one atomic load.
    pub(crate) fn is_watched(&self) -> bool {
        self.0.n_subscribers.load(Ordering::Relaxed) > 0
    }

    /// Offers events that were just committed.
    pub(crate) fn offer(&self, events: impl IntoIterator<Item = Arc<Event>>) {
        let mut state = self.0.state.lock();
        for event in events {
            if state.offered.len() < MOST_OFFERED {
                state.offered.push(event_summary(&event));
            } else {
                state.n_lost += 1;
            }
        }
    }
}

/// A client's view of the feed.
pub struct FeedSubscription {
    receiver: broadcast::Receiver<Arc<Published>>,
    /// Matching events up to the last batch, shown or not.
    total: u64,
    shared: Arc<Shared>,
}

impl fmt::Debug for FeedSubscription {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("FeedSubscription").field("total", &self.total).finish_non_exhaustive()
    }
}

impl FeedSubscription {
    /// The next batch. Whoever asks late misses batches, and learns from [`FeedBatch::skipped`] how many events they had. `None` when the feed
    /// has ended. Cancel safe.
    pub async fn next(&mut self) -> Option<FeedBatch> {
        loop {
            match self.receiver.recv().await {
                Ok(published) => {
                    let shown = published.events.len() as u64;
                    let skipped = published.total.saturating_sub(self.total).saturating_sub(shown);
                    self.total = published.total;
                    return Some(FeedBatch::new(published, skipped));
                }
                Err(broadcast::error::RecvError::Lagged(_)) => {}
                Err(broadcast::error::RecvError::Closed) => return None,
            }
        }
    }
}

impl Drop for FeedSubscription {
    fn drop(&mut self) {
        self.shared.n_subscribers.fetch_sub(1, Ordering::SeqCst);
    }
}
