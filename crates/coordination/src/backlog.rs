//! Deliveries in this process that wait for a worker.

use std::collections::VecDeque;
use std::vec;

use parking_lot::Mutex;
use spillway_model::Claimed;
use tokio::sync::Notify;

use crate::Reservation;

/// An unbounded queue of batches, first in first out; what bounds it is the reservation that each batch holds. A batch costs one
/// short lock on its way in and, usually, one on its way out.
#[derive(Default)]
pub(crate) struct Backlog {
    state: Mutex<State>,
    filled: Notify,
}

#[derive(Default)]
struct State {
    batches: VecDeque<Batch>,
    deliveries: usize,
}

struct Batch {
    items: vec::IntoIter<Claimed>,
    reservation: Option<Reservation>,
}

impl Backlog {
    pub(crate) fn push(&self, items: Vec<Claimed>, reservation: Option<Reservation>) {
        if items.is_empty() {
            return;
        }
        {
            let mut state = self.state.lock();
            state.deliveries += items.len();
            state.batches.push_back(Batch { items: items.into_iter(), reservation });
        }
        self.filled.notify_one();
    }

    /// Waits until there is something. Cancel safe: nothing is taken before the moment of return.
    pub(crate) async fn pop(&self, max: usize) -> Vec<Claimed> {
        loop {
            let taken = self.try_pop(max.max(1));
            if !taken.is_empty() {
                return taken;
            }
            // A push between the look and this line has left a permit.
            self.filled.notified().await;
        }
    }

    pub(crate) fn depth(&self) -> usize {
        self.state.lock().deliveries
    }

    fn try_pop(&self, max: usize) -> Vec<Claimed> {
        let mut taken = Vec::new();
        let more = {
            let mut state = self.state.lock();
            while taken.len() < max
                && let Some(mut batch) = state.batches.pop_front()
            {
                let wanted = max - taken.len();
                if batch.items.len() > wanted {
                    taken.extend(batch.items.by_ref().take(wanted));
                    if let Some(reservation) = &mut batch.reservation {
                        reservation.release(wanted);
                    }
                    state.batches.push_front(batch);
                } else if taken.is_empty() {
                    // Takes over the batch's memory.
                    taken = batch.items.collect();
                } else {
                    taken.extend(batch.items);
                }
            }
            state.deliveries -= taken.len();
            state.deliveries > 0
        };
        if more {
            self.filled.notify_one();
        }
        taken
    }
}
