//! Replays: sends again what a replay selects, at its rate, until all of it is due.
//!
//! Every node runs this, and takes one replay at a time by lease. How far a replay has come is written with what became due, so that another
//! node goes on exactly there when this one dies.

use std::sync::Arc;
use std::time::Duration;

use spillway_model::{Clock, DeliveryId, Replay, ReplayState};
use spillway_store::{HeldReplay, ReplayStep, Store, StoreError};
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use crate::lease::milliseconds;

/// Deliveries of one step, at most: a step is one transaction, which must not hold up intake.
const STEP: u32 = 250;
/// A step's deliveries become due in this time, unless the rate is below one in it: then a step has one.
const STEPS_PER_SECOND: u32 = 4;

/// How replays are worked on.
#[derive(Debug, Clone)]
pub struct ReplaySettings {
    /// How often to look for a replay that nobody works on.
    pub poll: Duration,
    /// How long a replay belongs to its node after each step; another one goes on when it has ended.
    pub lease: Duration,
}

impl Default for ReplaySettings {
    fn default() -> Self {
        Self { poll: Duration::from_secs(1), lease: Duration::from_secs(15) }
    }
}

/// Works on replays, one at a time.
pub struct ReplayRunner {
    settings: ReplaySettings,
    store: Arc<dyn Store>,
    clock: Arc<dyn Clock>,
    stop: CancellationToken,
    store_is_away: bool,
}

/// Why a replay is put down.
enum Put {
    /// It has ended, was cancelled, or is another node's.
    Down,
    /// This node stops.
    Stopped,
}

impl ReplayRunner {
    /// A runner. It does nothing until it is run.
    #[must_use]
    pub fn new(
        settings: ReplaySettings,
        store: Arc<dyn Store>,
        clock: Arc<dyn Clock>,
        stop: CancellationToken,
    ) -> Self {
        Self { settings, store, clock, stop, store_is_away: false }
    }

    /// Works until it is told to stop, and gives back what it works on.
    pub async fn run(mut self) {
        while !self.stop.is_cancelled() {
            let now = self.clock.now();
            let held = self.store.hold_replay(now, now + milliseconds(self.settings.lease)).await;
            match self.noted(held) {
                Some(Some(held)) => {
                    if let Put::Stopped = self.work(held).await {
                        return;
                    }
                }
                Some(None) | None => self.pause(self.settings.poll).await,
            }
        }
    }

    /// What the store answered; `None` when it could not, which is logged once.
    fn noted<T>(&mut self, result: Result<T, StoreError>) -> Option<T> {
        match result {
            Ok(answer) => {
                if std::mem::replace(&mut self.store_is_away, false) {
                    tracing::info!("replays go on");
                }
                Some(answer)
            }
            Err(error) => {
                if !std::mem::replace(&mut self.store_is_away, true) {
                    tracing::warn!(code = error.code(), %error, "replays cannot go on");
                }
                None
            }
        }
    }

    async fn pause(&self, time: Duration) {
        let _ = self.stop.run_until_cancelled(tokio::time::sleep(time)).await;
    }

    async fn work(&mut self, held: HeldReplay) -> Put {
        let HeldReplay { mut replay, generation } = held;
        let (size, time) = pace(replay.per_second);
        tracing::info!(replay.id = %replay.id, replay.per_second, retried = replay.retried, "a replay begins or goes on");
        loop {
            let begun = Instant::now();
            let step = self.step(&replay, generation, size, time).await;
            let n_due = step.as_ref().map_or(0, |step| step.due.len());
            let result = match step {
                Ok(step) => self.store.advance_replay(step).await,
                Err(error) => Err(error),
            };
            match self.noted(result) {
                Some(Some(now)) if now.state == ReplayState::Running => replay = now,
                Some(Some(now)) => {
                    tracing::info!(replay.id = %now.id, now.retried, now.skipped, "the replay is done");
                    return Put::Down;
                }
                // Cancelled, or taken over after this node was away for longer than the lease.
                Some(None) => return Put::Down,
                // Whether the step was written is not known: it goes on from where the replay is by then.
                None => {
                    self.pause(self.settings.poll).await;
                    let stored = self.store.replay(replay.id).await;
                    match self.noted(stored) {
                        Some(Some(stored)) if stored.state == ReplayState::Running => replay = stored,
                        Some(_) => return Put::Down,
                        None => {}
                    }
                }
            }
            let rest = time * u32::try_from(n_due).unwrap_or(u32::MAX) / size;
            self.pause(rest.saturating_sub(begun.elapsed())).await;
            if self.stop.is_cancelled() {
                self.give_back(&replay, generation).await;
                return Put::Stopped;
            }
        }
    }

    /// The next step: what it makes due is spread over its time.
    async fn step(
        &self,
        replay: &Replay,
        generation: u32,
        size: u32,
        time: Duration,
    ) -> Result<ReplayStep, StoreError> {
        let selected = self.store.select(replay.selection, replay.cursor, size as usize).await?;
        let now = self.clock.now();
        let after = |n: usize| milliseconds(time * u32::try_from(n).unwrap_or(u32::MAX) / size);
        let cursor: Option<DeliveryId> = selected.next.or(selected.deliveries.last().copied());
        let due = selected.deliveries.into_iter().enumerate().map(|(n, delivery)| (delivery, now + after(n)));
        Ok(ReplayStep {
            id: replay.id,
            generation,
            lease_until: now + milliseconds(self.settings.lease),
            now,
            due: due.collect(),
            cursor,
            state: if selected.next.is_some() { ReplayState::Running } else { ReplayState::Done },
        })
    }

    /// Another node may go on at once.
    async fn give_back(&self, replay: &Replay, generation: u32) {
        let now = self.clock.now();
        let step = ReplayStep {
            id: replay.id,
            generation,
            lease_until: now,
            now,
            due: Vec::new(),
            cursor: None,
            state: ReplayState::Running,
        };
        if let Err(error) = self.store.advance_replay(step).await {
            tracing::warn!(replay.id = %replay.id, code = error.code(), %error, "the replay goes on elsewhere when its lease ends");
        }
    }
}

/// How many deliveries a step has, and how long it takes.
fn pace(per_second: u32) -> (u32, Duration) {
    let per_second = per_second.max(1);
    let size = (per_second / STEPS_PER_SECOND).clamp(1, STEP);
    (size, Duration::from_secs(1) * size / per_second)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_step_is_small_and_at_most_a_second_long_and_its_rate_is_the_replays() {
        for (per_second, size, millis) in [
            (0, 1, 1_000),
            (1, 1, 1_000),
            (3, 1, 333),
            (10, 2, 200),
            (100, 25, 250),
            (1_000, 250, 250),
            (10_000, 250, 25),
        ] {
            let (n, time) = pace(per_second);
            assert_eq!((n, time.as_millis()), (size, millis), "{per_second}");
        }
    }
}
