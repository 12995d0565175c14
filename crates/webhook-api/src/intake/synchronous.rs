//! The synchronous mode, which is kept to be compared with: a request is answered when its event's deliveries have been attempted.
//!
//! The event is committed before, as in the usual mode, so whatever is answered nothing is lost.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::{Duration, Instant};

use parking_lot::Mutex;
use spillway_model::{Appended, DeliveryId, DeliveryState, Event, EventId, IdempotencyHash, Settlement};
use spillway_store::{DeliveryFilter, Store};
use tokio::sync::Notify;
use tokio::time::{Instant as Timer, MissedTickBehavior, interval_at, timeout_at};

use super::{IntakeError, Stored};
use crate::gateway::Gateway;
use crate::routing::RoutedSource;

/// How often a request looks in the store: a worker of another process may have attempted its deliveries.
const LOOK: Duration = Duration::from_secs(2);

/// Requests that wait until the deliveries of their event have been attempted. It has an entry for each, so no more than there are requests.
#[derive(Debug, Default)]
pub struct AttemptWaiters(Mutex<HashMap<EventId, Arc<Waiter>>>);

/// What one request waits for.
#[derive(Debug, Default)]
struct Waiter {
    /// Deliveries that were attempted, and whether the first attempt delivered them.
    attempted: Mutex<HashMap<DeliveryId, bool>>,
    changed: Notify,
}

impl AttemptWaiters {
    /// Tells who waits that a claim has ended. Does not block.
    pub fn settled(&self, settlement: &Settlement) {
        let (delivery, state) = (settlement.lease.delivery, settlement.next.state());
        let was_given_back = settlement.attempt.is_none() && state == DeliveryState::Pending;
        if was_given_back {
            return;
        }
        let waiter = self.0.lock().get(&delivery.event()).cloned();
        if let Some(waiter) = waiter {
            waiter.note(delivery, state);
        }
    }

    fn place(&self, event: EventId) -> Place<'_> {
        let waiter = Arc::<Waiter>::default();
        self.0.lock().insert(event, waiter.clone());
        Place { waiters: self, event, waiter }
    }
}

impl Waiter {
    fn note(&self, delivery: DeliveryId, state: DeliveryState) {
        self.attempted.lock().entry(delivery).or_insert(state == DeliveryState::Delivered);
        self.changed.notify_one();
    }

    /// How many were attempted, and how many of them failed.
    fn so_far(&self) -> (usize, usize) {
        let attempted = self.attempted.lock();
        (attempted.len(), attempted.values().filter(|delivered| !**delivered).count())
    }

    /// Notes what the store knows. When it cannot be read the next look finds it.
    async fn look(&self, store: &dyn Store, event: EventId, n_deliveries: usize) {
        let filter =
            DeliveryFilter { event: Some(event), destination: None, state: None, cursor: None, limit: n_deliveries };
        let Ok(page) = store.deliveries(filter).await else { return };
        for delivery in page.rows {
            let is_open = matches!(delivery.state, DeliveryState::Pending | DeliveryState::Queued);
            if delivery.attempts > 0 || !is_open {
                self.note(delivery.id, delivery.state);
            }
        }
    }
}

/// The place of one request among those that wait. Dropping it, as when the sender hangs up, gives it up.
struct Place<'a> {
    waiters: &'a AttemptWaiters,
    event: EventId,
    waiter: Arc<Waiter>,
}

impl Drop for Place<'_> {
    fn drop(&mut self) {
        self.waiters.0.lock().remove(&self.event);
    }
}

impl Place<'_> {
    /// Returns when so many deliveries have been attempted, with how many of them failed.
    async fn all(&self, store: &dyn Store, n_deliveries: usize) -> usize {
        let mut look = interval_at(Timer::now() + LOOK, LOOK);
        look.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            let (attempted, failed) = self.waiter.so_far();
            if attempted >= n_deliveries {
                return failed;
            }
            tokio::select! {
                () = self.waiter.changed.notified() => {}
                _ = look.tick() => self.waiter.look(store, self.event, n_deliveries).await,
            }
        }
    }
}

/// Commits an event, then waits until each of its deliveries has been attempted once, within the time that a commit may take.
pub(super) async fn store(
    gateway: &Gateway,
    waiters: &AttemptWaiters,
    source: &Arc<RoutedSource>,
    event: Event,
    idempotency: Option<IdempotencyHash>,
    received: Instant,
) -> Result<Stored, IntakeError> {
    let event_id = event.id;
    // Before the commit: an attempt may have ended before the commit's answer is here.
    let place = waiters.place(event_id);
    let stored = super::store(gateway, source, event, idempotency, received).await?;
    if matches!(stored.appended, Appended::Duplicate { .. }) {
        return Ok(stored);
    }
    let deliveries = stored.n_deliveries;
    let deadline = Timer::from_std(received + gateway.limits.commit_timeout);
    match timeout_at(deadline, place.all(gateway.store.as_ref(), deliveries)).await {
        Ok(0) => Ok(stored),
        Ok(failed) => Err(IntakeError::DeliveryFailed { event: event_id, failed, deliveries }),
        Err(_) => Err(IntakeError::DeliveryLate { event: event_id }),
    }
}
