//! Appends that hang or fail on demand, which no real store does.

use async_trait::async_trait;
use spillway_model::{
    Appended, Attempt, Claimed, Configuration, ConfigurationChange, Delivery, DeliveryId, DestinationId, Event,
    EventId, EventSummary, Lease, NewEvent, Replay, ReplayId, Selection, Settlement, SourceId, UnixMillis,
};
use spillway_store::{
    Backlog, BudgetRequest, BudgetUse, ClaimRequest, DeadLetters, DeliveryFilter, Document, EventFilter, ExpireLimits,
    Expired, HeldReplay, NewRoute, Page, ParallelAppends, PlacesRequest, PoolState, ReplayFilter, ReplayStep,
    RetentionPolicy, RetryOutcome, Selected, Store, StoreError, StoreErrorKind,
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

    fn parallel_appends(&self) -> ParallelAppends {
        ParallelAppends { lanes: 1, least_events: 1 }
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
    async fn following(&self, _: Option<SourceId>, _: EventId, _: usize) -> Result<Vec<EventId>, StoreError> {
        unreachable!()
    }
    async fn payloads(&self, _: Vec<EventId>) -> Result<Vec<Event>, StoreError> {
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
    async fn deliver(
        &self,
        _: EventId,
        _: Vec<NewRoute>,
        _: UnixMillis,
    ) -> Result<Option<Vec<DeliveryId>>, StoreError> {
        unreachable!()
    }
    async fn select(&self, _: Selection, _: Option<DeliveryId>, _: usize) -> Result<Selected, StoreError> {
        unreachable!()
    }
    async fn dead_letters(&self, _: usize) -> Result<DeadLetters, StoreError> {
        unreachable!()
    }
    async fn create_replay(&self, _: Replay) -> Result<(), StoreError> {
        unreachable!()
    }
    async fn replay(&self, _: ReplayId) -> Result<Option<Replay>, StoreError> {
        unreachable!()
    }
    async fn replays(&self, _: ReplayFilter) -> Result<Page<Replay>, StoreError> {
        unreachable!()
    }
    async fn cancel_replay(&self, _: ReplayId, _: UnixMillis) -> Result<Option<Replay>, StoreError> {
        unreachable!()
    }
    async fn hold_replay(&self, _: UnixMillis, _: UnixMillis) -> Result<Option<HeldReplay>, StoreError> {
        unreachable!()
    }
    async fn advance_replay(&self, _: ReplayStep) -> Result<Option<Replay>, StoreError> {
        unreachable!()
    }
    async fn take_budget(&self, _: BudgetRequest) -> Result<u64, StoreError> {
        unreachable!()
    }
    async fn correct_budget(&self, _: DestinationId, _: i64, _: i64, _: i64) -> Result<(), StoreError> {
        unreachable!()
    }
    async fn budgets(&self, _: i64) -> Result<Vec<(DestinationId, BudgetUse)>, StoreError> {
        unreachable!()
    }
    async fn hold_places(&self, _: PlacesRequest) -> Result<u32, StoreError> {
        unreachable!()
    }
    async fn expire(&self, _: RetentionPolicy, _: ExpireLimits) -> Result<Expired, StoreError> {
        unreachable!()
    }
    async fn put_document(&self, _: Document) -> Result<(), StoreError> {
        unreachable!()
    }
    async fn document(&self, _: &str, _: &str) -> Result<Option<Document>, StoreError> {
        unreachable!()
    }
    async fn documents(&self, _: &str, _: usize) -> Result<Vec<Document>, StoreError> {
        unreachable!()
    }
    async fn delete_document(&self, _: &str, _: &str) -> Result<(), StoreError> {
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
