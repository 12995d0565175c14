//! At most so many requests per second, over all users.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use tokio::time::Instant;

/// How late an instant may still be taken: timers are exact to a millisecond or two, and what they lose is caught up.
const CATCH_UP: Duration = Duration::from_millis(5);

/// Gives out the instants of requests, one interval after the other. Unused ones are not saved up for longer than [`CATCH_UP`].
#[derive(Debug)]
pub(super) struct Limiter {
    begun: Instant,
    interval: u64,
    /// The next free instant, in nanoseconds after `begun`.
    next: AtomicU64,
}

impl Limiter {
    /// A limiter for `per_second` requests; zero is taken as one.
    pub(super) fn new(per_second: u32) -> Self {
        Self { begun: Instant::now(), interval: 1_000_000_000 / u64::from(per_second.max(1)), next: AtomicU64::new(0) }
    }

    /// Takes the next instant and waits for it.
    pub(super) async fn wait(&self) {
        let nanoseconds = |time: Duration| u64::try_from(time.as_nanos()).unwrap_or(u64::MAX);
        let now = nanoseconds(self.begun.elapsed());
        let earliest = now.saturating_sub(nanoseconds(CATCH_UP));
        let mut instant = now;
        let taken = self.next.fetch_update(Ordering::Relaxed, Ordering::Relaxed, |next| {
            instant = next.max(earliest);
            Some(instant.saturating_add(self.interval))
        });
        if taken.is_ok() && instant > now {
            tokio::time::sleep_until(self.begun + Duration::from_nanos(instant)).await;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn requests_are_spread_and_unused_instants_are_lost() {
        let limiter = Limiter::new(100);
        let begun = Instant::now();
        for _ in 0..11 {
            limiter.wait().await;
        }
        assert_eq!(begun.elapsed().as_millis(), 100);
        tokio::time::advance(Duration::from_secs(5)).await;
        let begun = Instant::now();
        for _ in 0..6 {
            limiter.wait().await;
        }
        assert_eq!(begun.elapsed().as_millis(), 45);
    }
}
