//! The stop, and how long it may take.

use std::sync::{Arc, OnceLock};

use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

/// By when a worker that was told to stop has done what.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct StopTimes {
    /// Attempts under way may end until then. Those that take longer are cut off, and their deliveries given back.
    pub attempts: Instant,
    /// Everything is settled and given back by then. What the store did not take waits for the end of its lease.
    pub end: Instant,
}

/// Tells a worker to stop, and by when. Clones are the same signal.
#[derive(Debug, Clone, Default)]
pub struct StopSignal {
    token: CancellationToken,
    times: Arc<OnceLock<StopTimes>>,
}

impl StopSignal {
    /// Tells the worker to stop. The first call counts.
    pub fn stop(&self, times: StopTimes) {
        let _ = self.times.set(times);
        self.token.cancel();
    }

    /// Returns once the stop was told.
    pub(crate) async fn stopped(&self) -> StopTimes {
        self.token.cancelled().await;
        let now = Instant::now();
        *self.times.get_or_init(|| StopTimes { attempts: now, end: now })
    }
}
