//! How the time between SIGTERM and the exit is divided.

use std::time::Duration;

use spillway_worker::StopTimes;
use tokio::time::Instant;

/// What giving back, closing and flushing get together, unless a quarter of the time is less.
const LONGEST_TAIL: Duration = Duration::from_secs(4);

/// By when each stage of stopping has ended. A stage that ends early leaves its time to the next ones.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Stopping {
    /// Attempts under way end, or are cut off and given back.
    pub(super) worker: StopTimes,
    /// The committer has answered everybody and the store is closed.
    pub(super) store: Instant,
    /// The last spans are exported.
    pub(super) traces: Instant,
    /// The process ends, with whatever has not ended before.
    pub(super) exit: Instant,
}

impl Stopping {
    /// Everything between `now` and `limit` later, which is `server.drain_timeout`.
    pub(super) fn within(limit: Duration, now: Instant) -> Self {
        let exit = now + limit;
        let tail = (limit / 4).min(LONGEST_TAIL);
        Self {
            worker: StopTimes { attempts: exit - tail, end: exit - tail / 2 },
            store: exit - tail / 4,
            traces: exit - tail / 8,
            exit,
        }
    }

    /// How much of `limit` requests under way get, before their connections are cut: two fifths, so that what they were
    /// acknowledged can still be sent.
    pub(super) fn requests_may_take(limit: Duration) -> Duration {
        limit * 2 / 5
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_stages_follow_each_other_within_the_limit() {
        let now = Instant::now();
        for (limit_s, attempts_ms) in [(25, 21_000), (1, 750), (0, 0)] {
            let limit = Duration::from_secs(limit_s);
            let times = Stopping::within(limit, now);
            assert_eq!(times.worker.attempts, now + Duration::from_millis(attempts_ms), "of {limit_s} s");
            let stages =
                [now + Stopping::requests_may_take(limit), times.worker.attempts, times.worker.end, times.store];
            assert!(stages.is_sorted() && times.store <= times.traces, "of {limit_s} s: {times:?}");
            assert_eq!(times.exit, now + limit);
        }
    }
}
