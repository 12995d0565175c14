//! A worker's way to the store, which can be cut.

use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, OnceLock};

use async_trait::async_trait;
use spillway_model::{
    Appended, Attempt, Claimed, Configuration, ConfigurationChange, Delivery, DeliveryId, Event, EventId, EventSummary,
    Lease, NewEvent, Settlement, UnixMillis,
};
use spillway_store::{
    Backlog, ClaimRequest, DeliveryFilter, EventFilter, Page, PoolState, RetryOutcome, Store, StoreError,
    StoreErrorKind,
};

#[derive(Debug)]
pub(crate) struct FaultyStore {
    inner: Arc<dyn Store>,
    away: AtomicBool,
    claimed: AtomicUsize,
    released: AtomicUsize,
    refused: OnceLock<DeliveryId>,
}

impl FaultyStore {
    pub(crate) fn new(inner: Arc<dyn Store>) -> Self {
        let (away, claimed, released) = (AtomicBool::new(false), AtomicUsize::new(0), AtomicUsize::new(0));
        Self { inner, away, claimed, released, refused: OnceLock::new() }
    }

    /// While away, nothing that a worker asks for succeeds.
    pub(crate) fn set_away(&self, away: bool) {
        self.away.store(away, Ordering::SeqCst);
    }

    /// From now on no attempt of this delivery can be recorded, nor anything that is to be written with one.
    pub(crate) fn refuse(&self, delivery: DeliveryId) {
        self.refused.set(delivery).expect("one delivery at most");
    }

    /// Deliveries that were claimed so far.
    pub(crate) fn claimed(&self) -> usize {
        self.claimed.load(Ordering::SeqCst)
    }

    /// Claims that were ended without an attempt so far.
    pub(crate) fn released(&self) -> usize {
        self.released.load(Ordering::SeqCst)
    }

    fn reachable(&self) -> Result<&dyn Store, StoreError> {
        if self.away.load(Ordering::SeqCst) {
            return Err(StoreError::new(StoreErrorKind::Unavailable, "the way to the store is cut"));
        }
        Ok(self.inner.as_ref())
    }
}

#[async_trait]
impl Store for FaultyStore {
    fn engine(&self) -> &'static str {
        self.inner.engine()
    }

    fn append_parallelism(&self) -> usize {
        self.inner.append_parallelism()
    }

    async fn append(&self, events: Vec<NewEvent>) -> Result<Vec<Appended>, StoreError> {
        self.reachable()?.append(events).await
    }

    async fn claim(&self, request: ClaimRequest) -> Result<Vec<Claimed>, StoreError> {
        let claimed = self.reachable()?.claim(request).await?;
        self.claimed.fetch_add(claimed.len(), Ordering::SeqCst);
        Ok(claimed)
    }

    async fn renew(&self, leases: Vec<Lease>, until: UnixMillis) -> Result<Vec<DeliveryId>, StoreError> {
        self.reachable()?.renew(leases, until).await
    }

    async fn settle(&self, settlements: Vec<Settlement>) -> Result<Vec<DeliveryId>, StoreError> {
        let store = self.reachable()?;
        if settlements.iter().any(|settlement| Some(&settlement.lease.delivery) == self.refused.get()) {
            return Err(StoreError::new(StoreErrorKind::Internal, "one of the settlements cannot be written"));
        }
        let released = settlements.iter().filter(|settlement| settlement.attempt.is_none()).count();
        self.released.fetch_add(released, Ordering::SeqCst);
        store.settle(settlements).await
    }

    async fn retry(&self, delivery: DeliveryId, now: UnixMillis) -> Result<RetryOutcome, StoreError> {
        self.reachable()?.retry(delivery, now).await
    }

    async fn configuration(&self) -> Result<Configuration, StoreError> {
        self.reachable()?.configuration().await
    }

    async fn configuration_version(&self) -> Result<u64, StoreError> {
        self.reachable()?.configuration_version().await
    }

    async fn change_configuration(&self, changes: Vec<ConfigurationChange>) -> Result<u64, StoreError> {
        self.reachable()?.change_configuration(changes).await
    }

    async fn event(&self, id: EventId) -> Result<Option<Event>, StoreError> {
        self.reachable()?.event(id).await
    }

    async fn events(&self, filter: EventFilter) -> Result<Page<EventSummary>, StoreError> {
        self.reachable()?.events(filter).await
    }

    async fn latest_event(&self) -> Result<Option<EventId>, StoreError> {
        self.reachable()?.latest_event().await
    }

    async fn delivery(&self, id: DeliveryId) -> Result<Option<Delivery>, StoreError> {
        self.reachable()?.delivery(id).await
    }

    async fn deliveries(&self, filter: DeliveryFilter) -> Result<Page<Delivery>, StoreError> {
        self.reachable()?.deliveries(filter).await
    }

    async fn attempts(&self, delivery: DeliveryId) -> Result<Vec<Attempt>, StoreError> {
        self.reachable()?.attempts(delivery).await
    }

    async fn backlog(&self) -> Result<Backlog, StoreError> {
        self.reachable()?.backlog().await
    }

    async fn maintain(&self, now: UnixMillis) -> Result<(), StoreError> {
        self.reachable()?.maintain(now).await
    }

    async fn ping(&self) -> Result<(), StoreError> {
        self.reachable()?.ping().await
    }

    fn pool(&self) -> PoolState {
        self.inner.pool()
    }

    async fn close(&self) {
        self.inner.close().await;
    }
}
