//! Appends that hang or fail on demand, which no real store does.

use async_trait::async_trait;
use spillway_model::{
    Appended, Attempt, Claimed, Configuration, ConfigurationChange, Delivery, DeliveryId, Event, EventId, EventSummary,
    Lease, NewEvent, Settlement, UnixMillis,
};
use spillway_store::{
    Backlog, ClaimRequest, DeliveryFilter, EventFilter, Page, PoolState, RetryOutcome, Store, StoreError,
    StoreErrorKind,
};

/// What the store of the committer does. The committer only appends; nothing else is ever called.
#[derive(Debug, Clone, Copy)]
pub(crate) enum StoreDouble {
    Hangs,
    IsFull,
}

#[async_trait]
impl Store for StoreDouble {
    fn engine(&self) -> &'static str {
        "double"
    }

    fn append_parallelism(&self) -> usize {
        1
    }

    async fn append(&self, _: Vec<NewEvent>) -> Result<Vec<Appended>, StoreError> {
        match self {
            Self::Hangs => std::future::pending().await,
            Self::IsFull => Err(StoreError::new(StoreErrorKind::DiskFull, "no space is left for the database")),
        }
    }

    async fn claim(&self, _: ClaimRequest) -> Result<Vec<Claimed>, StoreError> {
        unreachable!()
    }
    async fn renew(&self, _: Vec<Lease>, _: UnixMillis) -> Result<Vec<DeliveryId>, StoreError> {
        unreachable!()
    }
    async fn settle(&self, _: Vec<Settlement>) -> Result<Vec<DeliveryId>, StoreError> {
        unreachable!()
    }
    async fn retry(&self, _: DeliveryId, _: UnixMillis) -> Result<RetryOutcome, StoreError> {
        unreachable!()
    }
    async fn configuration(&self) -> Result<Configuration, StoreError> {
        unreachable!()
    }
    async fn configuration_version(&self) -> Result<u64, StoreError> {
        unreachable!()
    }
    async fn change_configuration(&self, _: Vec<ConfigurationChange>) -> Result<u64, StoreError> {
        unreachable!()
    }
    async fn event(&self, _: EventId) -> Result<Option<Event>, StoreError> {
        unreachable!()
    }
    async fn events(&self, _: EventFilter) -> Result<Page<EventSummary>, StoreError> {
        unreachable!()
    }
    async fn latest_event(&self) -> Result<Option<EventId>, StoreError> {
        unreachable!()
    }
    async fn delivery(&self, _: DeliveryId) -> Result<Option<Delivery>, StoreError> {
        unreachable!()
    }
    async fn deliveries(&self, _: DeliveryFilter) -> Result<Page<Delivery>, StoreError> {
        unreachable!()
    }
    async fn attempts(&self, _: DeliveryId) -> Result<Vec<Attempt>, StoreError> {
        unreachable!()
    }
    async fn backlog(&self) -> Result<Backlog, StoreError> {
        unreachable!()
    }
    async fn maintain(&self, _: UnixMillis) -> Result<(), StoreError> {
        unreachable!()
    }
    async fn ping(&self) -> Result<(), StoreError> {
        unreachable!()
    }
    fn pool(&self) -> PoolState {
        unreachable!()
    }
    async fn close(&self) {}
}
