use std::sync::atomic::{AtomicUsize, Ordering};

use tokio::sync::Notify;

use crate::backlog::Backlog;

/// Most deliveries of one read, whatever poppers ask for.
const READ_LIMIT: usize = 512;

/// Who waits for deliveries, and for how many: a process that does not pop reads nothing, and one that does reads little ahead.
#[derive(Default)]
pub(super) struct Demand {
    waiting: AtomicUsize,
    max: AtomicUsize,
    changed: Notify,
}

/// A popper that waits, until dropped.
pub(super) struct Waiting<'a>(&'a Demand);

impl Demand {
    pub(super) fn enter(&self, max: usize) -> Waiting<'_> {
        self.max.store(max.clamp(1, READ_LIMIT), Ordering::Relaxed);
        self.waiting.fetch_add(1, Ordering::Release);
        self.changed.notify_one();
        Waiting(self)
    }

    /// Waits until somebody wants deliveries and there are none left here; returns how many to read. For one reader.
    pub(super) async fn wait(&self, backlog: &Backlog) -> usize {
        loop {
            if self.waiting.load(Ordering::Acquire) > 0 && backlog.depth() == 0 {
                return self.max.load(Ordering::Relaxed);
            }
            self.changed.notified().await;
        }
    }
}

impl Drop for Waiting<'_> {
    fn drop(&mut self) {
        self.0.waiting.fetch_sub(1, Ordering::Release);
        // What this popper took may leave another one waiting for more.
        self.0.changed.notify_one();
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Duration;

    #[tokio::test(start_paused = true)]
    async fn nobody_waiting_means_nothing_is_read() {
        let (demand, backlog) = (Demand::default(), Backlog::default());
        drop(demand.enter(10));
        assert!(tokio::time::timeout(Duration::from_secs(60), demand.wait(&backlog)).await.is_err());
        let _waiting = demand.enter(usize::MAX);
        assert_eq!(demand.wait(&backlog).await, READ_LIMIT);
    }
}
