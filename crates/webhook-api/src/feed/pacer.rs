//! The task that gives out batches. It runs while somebody subscribes.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use bytes::Bytes;
use spillway_model::{Configuration, EventId, EventSummary};
use spillway_store::{EventFilter, StoreError};
use tokio::time::{MissedTickBehavior, interval};

use super::batch::FeedEvent;
use super::channel::BEATS_PER_SECOND;
use super::follower::Follower;
use super::{Shared, State};

/// Beats between two looks into a store that other nodes write to: 250 ms, and a second while much is written.
const LOOK: u64 = 5;
const BUSY_LOOK: u64 = 20;
/// Events of other nodes that one look takes.
const MOST_FOUND: usize = 2_000;
/// Rows read at once.
const PAGE: usize = 1_000;

pub(super) async fn run(shared: Arc<Shared>) {
    let mut beats = interval(Duration::from_secs(1) / BEATS_PER_SECOND);
    beats.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let begin = EventId::first_of(shared.parts.clock.now());
    let mut elsewhere =
        shared.parts.shared.then(|| Elsewhere { follower: Follower::new(None, begin), is_failing: false });
    for beat in 0_u64.. {
        beats.tick().await;
        let (mut fresh, n_lost) = {
            let mut state = shared.state.lock();
            (std::mem::take(&mut state.offered), std::mem::take(&mut state.n_lost))
        };
        if let Some(elsewhere) = &mut elsewhere {
            fresh.retain(|event| elsewhere.follower.mark(event.id));
            let pause = if elsewhere.follower.is_busy() { BUSY_LOOK } else { LOOK };
            if beat.is_multiple_of(pause) {
                fresh.extend(elsewhere.look(&shared).await);
            }
        }
        fresh.sort_unstable_by_key(|event| event.id);
        let fresh: Vec<_> = fresh.into_iter().map(|summary| Arc::new(FeedEvent::new(summary))).collect();
        let n_subscribers = shared.n_subscribers.load(Ordering::Relaxed);
        let configuration = shared.parts.configuration.borrow().clone();
        let mut state = shared.state.lock();
        give_out(&mut state, &fresh, n_lost, n_subscribers, &configuration);
        if state.channels.is_empty() {
            *state = State::default();
            return;
        }
    }
}

fn give_out(
    state: &mut State,
    fresh: &[Arc<FeedEvent>],
    n_lost: u64,
    n_subscribers: usize,
    configuration: &Configuration,
) {
    state.channels.retain(super::channel::Channel::has_clients);
    for channel in &mut state.channels {
        channel.offer(fresh);
        channel.lose(n_lost);
        channel.beat(n_subscribers, |summary| written(summary, configuration));
    }
}

/// The event as lists show it.
fn written(summary: &EventSummary, configuration: &Configuration) -> Bytes {
    let view = crate::api::event_view(summary.clone(), configuration);
    serde_json::to_vec(&view).unwrap_or_default().into()
}

/// Events that other nodes store.
struct Elsewhere {
    follower: Follower,
    is_failing: bool,
}

impl Elsewhere {
    async fn look(&mut self, shared: &Shared) -> Vec<EventSummary> {
        let found = self.find(shared).await;
        match &found {
            Err(error) if !self.is_failing => {
                tracing::warn!(code = error.code(), %error, "live events of other nodes cannot be read; clients see this node's");
            }
            _ => {}
        }
        self.is_failing = found.is_err();
        found.unwrap_or_default()
    }

    async fn find(&mut self, shared: &Shared) -> Result<Vec<EventSummary>, StoreError> {
        let store = shared.parts.store.as_ref();
        let look = self.follower.look(store, shared.parts.clock.now(), MOST_FOUND).await?;
        let Some(first) = look.ids.first() else {
            self.follower.keep(&look);
            return Ok(Vec::new());
        };
        let mut filter =
            EventFilter { source: None, before: None, from: Some(*first), quarantined: false, limit: PAGE };
        let mut found = Vec::with_capacity(look.ids.len());
        // The pages hold what was known already, too.
        for _ in 0..2 * MOST_FOUND / PAGE {
            let page = store.events(filter).await?;
            let is_new = |row: &EventSummary| look.ids.binary_search(&row.id).is_ok();
            let oldest = page.rows.last().map(|row| row.id);
            found.extend(page.rows.into_iter().filter(is_new));
            if page.next.is_none() || found.len() == look.ids.len() {
                break;
            }
            filter.before = oldest;
        }
        self.follower.keep(&look);
        Ok(found)
    }
}
