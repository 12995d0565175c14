//! The ready queue: deliveries that were born claimed, on their way to a worker.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use async_trait::async_trait;
use spillway_model::Claimed;

/// Hands deliveries that were committed as claimed to a worker, with their payload, so that the usual way of an event reads
/// nothing back from the store.
///
/// Whatever is lost here is claimed again by any worker when its lease ends. A delivery may come out late, after its lease has
/// ended and another worker has taken it: compare [`Claimed::lease_until`] with the clock before using it.
#[async_trait]
pub trait ReadyQueue: Send + Sync + 'static {
    /// Room for this many deliveries with this many bytes of payload together, or `None` when they do not fit or the queue is not
    /// healthy; the caller then stores them as due now. Never waits.
    ///
    /// Also `None` when the payloads are larger than [`ReadyQueue::payload_limit`] on average.
    fn try_reserve(&self, deliveries: usize, bytes: usize) -> Option<Reservation>;

    /// Bytes above which an event's payload does not belong here: its deliveries are better stored as due now. The limit is for
    /// the caller to keep, event by event; a larger one in a batch still passes.
    fn payload_limit(&self) -> usize;

    /// Hands over one batch for which room was reserved; fewer deliveries than reserved are fine. Does not wait for a server and
    /// cannot fail: what is lost is recovered by the lease.
    async fn push(&self, reservation: Reservation, batch: Vec<Claimed>);

    /// The next deliveries, oldest first, at most `max` (0 counts as 1) and at least one: waits until there is one, also while the
    /// queue is not healthy. Dropping the future loses nothing. Any number of tasks may wait.
    async fn pop(&self, max: usize) -> Vec<Claimed>;

    /// Deliveries that wait to be popped, as far as this process knows.
    fn depth(&self) -> usize;

    /// False while nothing can be handed over, because Redis is lost or refuses.
    fn is_healthy(&self) -> bool;
}

/// Room in a ready queue, for as long as it lives. Dropped, or as its deliveries are popped, the room is free again.
#[derive(Debug)]
pub struct Reservation {
    room: Arc<Room>,
    deliveries: usize,
    bytes: usize,
}

impl Reservation {
    /// Deliveries there is room for.
    #[must_use]
    pub fn deliveries(&self) -> usize {
        self.deliveries
    }

    /// Bytes of payload there is room for.
    #[must_use]
    pub fn bytes(&self) -> usize {
        self.bytes
    }

    /// Gives back the room for `deliveries`, with their share of the bytes.
    pub(crate) fn release(&mut self, deliveries: usize) {
        let deliveries = deliveries.min(self.deliveries);
        let share = self.bytes as u128 * deliveries as u128 / self.deliveries.max(1) as u128;
        let bytes = usize::try_from(share).unwrap_or(self.bytes);
        self.room.give_back(deliveries, bytes);
        self.deliveries -= deliveries;
        self.bytes -= bytes;
    }

    /// Gives back what was reserved beyond `deliveries`.
    pub(crate) fn shrink_to(&mut self, deliveries: usize) {
        self.release(self.deliveries.saturating_sub(deliveries));
    }
}

impl Drop for Reservation {
    fn drop(&mut self) {
        self.room.give_back(self.deliveries, self.bytes);
    }
}

/// The bound of a queue, in deliveries and in bytes.
#[derive(Debug)]
pub(crate) struct Room {
    max_deliveries: usize,
    max_bytes: usize,
    deliveries: AtomicUsize,
    bytes: AtomicUsize,
    /// What lies on the server, when last looked.
    stored_deliveries: AtomicUsize,
    stored_bytes: AtomicUsize,
}

impl Room {
    pub(crate) fn new(max_deliveries: usize, max_bytes: usize) -> Arc<Self> {
        let zero = || AtomicUsize::new(0);
        let (deliveries, bytes, stored_deliveries, stored_bytes) = (zero(), zero(), zero(), zero());
        Arc::new(Self { max_deliveries, max_bytes, deliveries, bytes, stored_deliveries, stored_bytes })
    }

    pub(crate) fn try_reserve(self: &Arc<Self>, deliveries: usize, bytes: usize) -> Option<Reservation> {
        let free_deliveries = self.max_deliveries.saturating_sub(self.stored_deliveries());
        let free_bytes = self.max_bytes.saturating_sub(self.stored_bytes.load(Ordering::Relaxed));
        if !take(&self.deliveries, deliveries, free_deliveries) {
            return None;
        }
        if !take(&self.bytes, bytes, free_bytes) {
            self.deliveries.fetch_sub(deliveries, Ordering::Relaxed);
            return None;
        }
        Some(Reservation { room: self.clone(), deliveries, bytes })
    }

    fn give_back(&self, deliveries: usize, bytes: usize) {
        self.deliveries.fetch_sub(deliveries, Ordering::Relaxed);
        self.bytes.fetch_sub(bytes, Ordering::Relaxed);
    }
}

/// What only an engine with a server needs.
#[cfg_attr(not(feature = "redis"), expect(dead_code, reason = "used by the Redis engine"))]
impl Room {
    pub(crate) fn max_deliveries(&self) -> usize {
        self.max_deliveries
    }

    pub(crate) fn set_stored(&self, deliveries: usize, bytes: usize) {
        self.stored_deliveries.store(deliveries, Ordering::Relaxed);
        self.stored_bytes.store(bytes, Ordering::Relaxed);
    }

    /// As [`Room::set_stored`], when the number is known after adding `added_bytes`.
    pub(crate) fn add_stored(&self, deliveries: usize, added_bytes: usize) {
        self.stored_deliveries.store(deliveries, Ordering::Relaxed);
        self.stored_bytes.fetch_add(added_bytes, Ordering::Relaxed);
    }
}

impl Room {
    pub(crate) fn stored_deliveries(&self) -> usize {
        self.stored_deliveries.load(Ordering::Relaxed)
    }
}

fn take(counter: &AtomicUsize, n: usize, limit: usize) -> bool {
    let add = |used: usize| used.checked_add(n).filter(|total| *total <= limit);
    counter.fetch_update(Ordering::Relaxed, Ordering::Relaxed, add).is_ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn either_bound_refuses_and_leaves_nothing_behind() {
        let room = Room::new(10, 1000);
        assert!(room.try_reserve(11, 0).is_none());
        assert!(room.try_reserve(1, 1001).is_none());
        assert!(room.try_reserve(usize::MAX, usize::MAX).is_none());
        let all = room.try_reserve(10, 1000);
        assert!(all.is_some() && room.try_reserve(1, 0).is_none());
        drop(all);
        assert!(room.try_reserve(10, 1000).is_some());
    }

    #[test]
    fn room_comes_back_in_parts_and_to_the_last_byte() {
        let room = Room::new(10, 1000);
        let mut part = room.try_reserve(3, 1000).expect("it fits");
        part.release(1);
        assert_eq!((part.deliveries(), part.bytes()), (2, 667));
        part.shrink_to(1);
        part.release(5);
        assert_eq!((part.deliveries(), part.bytes()), (0, 0));
        drop(part);
        assert!(room.try_reserve(10, 1000).is_some());
    }

    #[test]
    fn what_lies_on_the_server_takes_room() {
        let room = Room::new(10, 1000);
        room.set_stored(8, 100);
        assert!(room.try_reserve(3, 0).is_none() && room.try_reserve(2, 901).is_none());
        assert!(room.try_reserve(2, 900).is_some());
        room.add_stored(20, 2000);
        assert!(room.try_reserve(1, 0).is_none());
    }
}
