//! Who looks at live events: how many may, and until when.

use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use spillway_telemetry::{Metrics, StreamKind};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio_util::sync::CancellationToken;

use crate::feed::Feed;

/// Live events, and the clients that look at them.
pub struct Streams {
    feed: Feed,
    room: Arc<Semaphore>,
    most: usize,
    stop: CancellationToken,
    open: Arc<[AtomicUsize; 3]>,
}

impl fmt::Debug for Streams {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Streams").field("feed", &self.feed).field("most", &self.most).finish_non_exhaustive()
    }
}

impl Streams {
    /// At most `most` clients look at the feed at once.
    #[must_use]
    pub fn new(feed: Feed, most: usize, metrics: &Metrics) -> Self {
        let open: Arc<[AtomicUsize; 3]> = Arc::default();
        for kind in [StreamKind::Sse, StreamKind::Tail, StreamKind::Deliver] {
            let open = open.clone();
            let count = move || Some(open[kind as usize].load(Ordering::Relaxed) as f64);
            metrics.stream_clients.get(kind).sample_with(count);
        }
        Self { feed, room: Arc::new(Semaphore::new(most)), most, stop: CancellationToken::new(), open }
    }

    /// Live events.
    #[must_use]
    pub fn feed(&self) -> &Feed {
        &self.feed
    }

    /// Ends every stream, with a goodbye, and lets no further one begin.
    pub fn close(&self) {
        self.stop.cancel();
    }

    /// Ends when streams have to.
    pub(crate) fn stop(&self) -> &CancellationToken {
        &self.stop
    }

    /// Clients that may look at once.
    pub(crate) fn most(&self) -> usize {
        self.most
    }

    /// A place for one more client; `None` when there is none.
    pub(crate) fn enter(&self, kind: StreamKind) -> Option<Place> {
        let permit = self.room.clone().try_acquire_owned().ok()?;
        self.open[kind as usize].fetch_add(1, Ordering::Relaxed);
        Some(Place { open: self.open.clone(), kind, _permit: permit })
    }
}

/// The place of a client, given back when it is dropped.
#[derive(Debug)]
pub(crate) struct Place {
    open: Arc<[AtomicUsize; 3]>,
    kind: StreamKind,
    _permit: OwnedSemaphorePermit,
}

impl Drop for Place {
    fn drop(&mut self) {
        self.open[self.kind as usize].fetch_sub(1, Ordering::Relaxed);
    }
}
