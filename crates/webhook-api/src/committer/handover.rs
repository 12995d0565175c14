//! Deliveries that are born claimed, and the ready queues that take them to a worker.

use std::sync::Arc;
use std::time::Instant;

use spillway_coordination::{Coordination, ReadyQueue, Reservation};
use spillway_model::{Claimed, Configuration, EventId, NewEvent, Slot, UnixMillis, WorkerShares};
use tokio::sync::{Notify, watch};

/// Where deliveries go that are born claimed: to the queue that every worker reads, or, while worker slots share the deliveries, to the
/// queue of the slot that each belongs to.
///
/// A delivery that must stay in order is not born claimed, because another one may be on its way; the worker of this process is told that
/// something is due.
#[derive(Clone)]
pub struct Handover(Option<Arc<Queues>>);

struct Queues {
    coordination: Coordination,
    configuration: watch::Receiver<Arc<Configuration>>,
}

impl Handover {
    /// No worker reads a queue of this process: every delivery is stored as due now.
    #[must_use]
    pub fn none() -> Self {
        Self(None)
    }

    /// Through the queues of `coordination`, by the shares of the configuration in force.
    #[must_use]
    pub fn through(coordination: Coordination, configuration: watch::Receiver<Arc<Configuration>>) -> Self {
        Self(Some(Arc::new(Queues { coordination, configuration })))
    }

    /// Room for what of these events may be handed over.
    pub(super) fn reserve(&self, events: &[NewEvent]) -> Reserved {
        let Some(Queues { coordination, configuration }) = self.0.as_deref() else { return Reserved::default() };
        let has_ordered = events.iter().flat_map(|new| &new.deliveries).any(|delivery| delivery.order.is_some());
        let due = has_ordered.then(|| coordination.due.clone());
        let shares = configuration.borrow().worker_shares;
        let queues = match shares {
            None => [Some(coordination.ready.clone()), None],
            Some(_) => Slot::BOTH.map(|slot| coordination.ready_of(slot)),
        };
        let mut places = [None, None];
        for (number, queue) in queues.into_iter().enumerate() {
            places[number] = queue.and_then(|queue| Place::reserve(queue, events, |new| n_of(new, shares, number)));
        }
        Reserved { shares, places, due }
    }
}

/// Room in the queues for one commit, and what goes there when it is made.
#[derive(Default)]
pub(super) struct Reserved {
    shares: Option<WorkerShares>,
    /// Of both slots; while the deliveries are not shared the first one is everybody's.
    places: [Option<Place>; 2],
    /// Who is to be told that ordered deliveries are stored, if there are any.
    due: Option<Arc<Notify>>,
}

struct Place {
    queue: Arc<dyn ReadyQueue>,
    reservation: Reservation,
    claimed: Vec<Claimed>,
}

impl Reserved {
    /// Makes those deliveries of the event claimed that there is room for, and that wait for no other.
    pub(super) fn claim(&mut self, new: &mut NewEvent, lease_until: UnixMillis, received: Instant) {
        let payload = payload(new);
        for delivery in new.deliveries.iter_mut().filter(|delivery| delivery.order.is_none()) {
            let place = &mut self.places[place_of(delivery.id, self.shares)];
            let Some(place) = place.as_mut().filter(|place| payload <= place.queue.payload_limit()) else { continue };
            delivery.due_at = lease_until;
            delivery.generation = 1;
            place.claimed.push(Claimed {
                order: None,
                id: delivery.id,
                destination: delivery.destination,
                connection: delivery.connection,
                generation: 1,
                attempts: 0,
                lease_until,
                event: new.event.clone(),
                received: Some(received),
            });
        }
    }

    /// Leaves out the deliveries of events that were not stored.
    pub(super) fn retain(&mut self, is_stored: impl Fn(EventId) -> bool) {
        for place in self.places.iter_mut().flatten() {
            place.claimed.retain(|claimed| is_stored(claimed.event.id));
        }
    }

    /// Hands over what is committed.
    pub(super) async fn push(self) {
        if let Some(due) = self.due {
            due.notify_one();
        }
        for Place { queue, reservation, claimed } in self.places.into_iter().flatten() {
            if !claimed.is_empty() {
                queue.push(reservation, claimed).await;
            }
        }
    }
}

impl Place {
    /// Room in the queue for those events that may be handed over with their payload; `n_of` says how many deliveries of each go there.
    fn reserve(queue: Arc<dyn ReadyQueue>, events: &[NewEvent], n_of: impl Fn(&NewEvent) -> usize) -> Option<Self> {
        let limit = queue.payload_limit();
        let (mut deliveries, mut bytes) = (0, 0);
        for new in events.iter().filter(|new| payload(new) <= limit) {
            let n = n_of(new);
            deliveries += n;
            bytes += n * payload(new);
        }
        if deliveries == 0 {
            return None;
        }
        let reservation = queue.try_reserve(deliveries, bytes)?;
        Some(Self { queue, reservation, claimed: Vec::with_capacity(deliveries) })
    }
}

/// The place of a delivery.
fn place_of(delivery: spillway_model::DeliveryId, shares: Option<WorkerShares>) -> usize {
    shares.map_or(0, |shares| shares.owner(delivery) as usize)
}

/// Deliveries of the event that belong to a place and may be born claimed: those with an order may have to wait for others.
fn n_of(new: &NewEvent, shares: Option<WorkerShares>, place: usize) -> usize {
    let unordered = new.deliveries.iter().filter(|delivery| delivery.order.is_none());
    match shares {
        None => unordered.count(),
        Some(_) => unordered.filter(|delivery| place_of(delivery.id, shares) == place).count(),
    }
}

fn payload(new: &NewEvent) -> usize {
    new.event.body.len() + new.event.headers.as_bytes().len()
}
