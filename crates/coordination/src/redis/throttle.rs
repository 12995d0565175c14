use std::time::Duration;

use parking_lot::Mutex;
use tokio::time::Instant;

const PERIOD: Duration = Duration::from_secs(60);

/// Lets one log line through each minute and counts what the others would have said.
#[derive(Default)]
pub(super) struct Throttle(Mutex<State>);

#[derive(Default)]
struct State {
    last: Option<Instant>,
    held_back: usize,
}

impl Throttle {
    /// Counts `n` more. `Some` with everything counted since the last line when it is time for the next one.
    pub(super) fn count(&self, n: usize) -> Option<usize> {
        let mut state = self.0.lock();
        state.held_back += n;
        if state.last.is_some_and(|last| last.elapsed() < PERIOD) {
            return None;
        }
        state.last = Some(Instant::now());
        Some(std::mem::take(&mut state.held_back))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn one_line_each_minute_carries_the_count() {
        let throttle = Throttle::default();
        assert_eq!((throttle.count(2), throttle.count(3), throttle.count(1)), (Some(2), None, None));
        tokio::time::advance(PERIOD).await;
        assert_eq!(throttle.count(1), Some(5));
    }
}
