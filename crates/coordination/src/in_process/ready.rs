use std::sync::Arc;

use async_trait::async_trait;
use spillway_model::Claimed;

use crate::backlog::Backlog;
use crate::ready::Room;
use crate::{CoordinationSettings, ReadyQueue, Reservation};

/// A queue in memory: batches move as a whole, payloads are shared, nothing is copied.
pub(crate) struct InProcessReadyQueue {
    room: Arc<Room>,
    backlog: Backlog,
}

impl InProcessReadyQueue {
    pub(crate) fn new(settings: &CoordinationSettings) -> Self {
        Self { room: Room::new(settings.ready_deliveries, settings.ready_bytes), backlog: Backlog::default() }
    }
}

#[async_trait]
impl ReadyQueue for InProcessReadyQueue {
    fn try_reserve(&self, deliveries: usize, bytes: usize) -> Option<Reservation> {
        self.room.try_reserve(deliveries, bytes)
    }

    fn payload_limit(&self) -> usize {
        usize::MAX
    }

    async fn push(&self, mut reservation: Reservation, batch: Vec<Claimed>) {
        reservation.shrink_to(batch.len());
        self.backlog.push(batch, Some(reservation));
    }

    async fn pop(&self, max: usize) -> Vec<Claimed> {
        self.backlog.pop(max).await
    }

    fn depth(&self) -> usize {
        self.backlog.depth()
    }

    fn is_healthy(&self) -> bool {
        true
    }
}
