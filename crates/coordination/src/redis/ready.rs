//! The ready queue as a Redis stream that all workers share.
//!
//! While worker slots share the deliveries each slot has a stream of its own beside it.
//!
//! One entry is one delivery. A writer task gathers what is pushed into pipelines of `XADD`; a reader task reads, on a connection of
//! its own, as much as poppers ask for. Entries are read with `NOACK` and trimmed right after: the lease in the store is what
//! protects a delivery, so Redis keeps no list of pending entries that would have to be claimed back from dead consumers.

mod codec;
mod demand;
mod reader;
mod stream;
mod writer;

use std::sync::Arc;

use async_trait::async_trait;
use spillway_model::Claimed;
use tokio::sync::mpsc;
use tokio::task::JoinSet;

use super::SharedTasks;
use super::link::Link;
use crate::backlog::Backlog;
use crate::{ReadyQueue, RedisSettings, Reservation};
use demand::Demand;
use stream::Stream;
use writer::Parcel;

/// Larger payloads would make the stream a copy of the database.
const PAYLOAD_LIMIT_BYTES: usize = 64 << 10;

pub(super) struct RedisReadyQueue {
    stream: Arc<Stream>,
    parcels: mpsc::Sender<Parcel>,
    /// Read from the stream and not popped yet.
    backlog: Arc<Backlog>,
    demand: Arc<Demand>,
    _own_tasks: JoinSet<()>,
    _tasks: SharedTasks,
}

impl RedisReadyQueue {
    /// The queue of this name.
    pub(super) fn start(link: Arc<Link>, settings: &RedisSettings, name: &str, tasks: SharedTasks) -> Self {
        let stream = Arc::new(Stream::new(link, settings, name));
        let backlog = Arc::new(Backlog::default());
        let demand = Arc::new(Demand::default());
        // Never full: each parcel holds room for a delivery at least.
        let (parcels, incoming) = mpsc::channel(settings.common.ready_deliveries.max(1));
        let mut own_tasks = JoinSet::new();
        own_tasks.spawn(writer::write(stream.clone(), incoming));
        own_tasks.spawn(reader::read(stream.clone(), demand.clone(), backlog.clone()));
        own_tasks.spawn(stream.clone().measure());
        Self { stream, parcels, backlog, demand, _own_tasks: own_tasks, _tasks: tasks }
    }
}

#[async_trait]
impl ReadyQueue for RedisReadyQueue {
    fn try_reserve(&self, deliveries: usize, bytes: usize) -> Option<Reservation> {
        if bytes > PAYLOAD_LIMIT_BYTES.saturating_mul(deliveries.max(1)) || !self.stream.is_accepting() {
            return None;
        }
        self.stream.room().try_reserve(deliveries, bytes)
    }

    fn payload_limit(&self) -> usize {
        PAYLOAD_LIMIT_BYTES
    }

    async fn push(&self, mut reservation: Reservation, batch: Vec<Claimed>) {
        if batch.is_empty() {
            return;
        }
        reservation.shrink_to(batch.len());
        // Dropped when the runtime goes down, or when the caller reserved nothing for it: the lease recovers it.
        let _ = self.parcels.try_send(Parcel { reservation, batch });
    }

    async fn pop(&self, max: usize) -> Vec<Claimed> {
        let waiting = self.demand.enter(max);
        let taken = self.backlog.pop(max).await;
        drop(waiting);
        taken
    }

    fn depth(&self) -> usize {
        self.stream.room().stored_deliveries() + self.backlog.depth()
    }

    fn is_healthy(&self) -> bool {
        self.stream.is_accepting()
    }
}
