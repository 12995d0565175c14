//! A worker's way to the store, which can be cut.

use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, OnceLock};

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

#[derive(Debug)]
pub(crate) struct FaultyStore {
    inner: Arc<dyn Store>,
    away: AtomicBool,
    claimed: AtomicUsize,
    released: AtomicUsize,
    refused: OnceLock<DeliveryId>,
    refuses_budgets: AtomicBool,
    budgets_refused: AtomicUsize,
}

impl FaultyStore {
    pub(crate) fn new(inner: Arc<dyn Store>) -> Self {
        let (away, claimed, released) = (AtomicBool::new(false), AtomicUsize::new(0), AtomicUsize::new(0));
        let (refuses_budgets, budgets_refused) = (AtomicBool::new(false), AtomicUsize::new(0));
        Self { inner, away, claimed, released, refused: OnceLock::new(), refuses_budgets, budgets_refused }
    }

    /// Whether questions about budgets fail while everything else works.
    pub(crate) fn refuse_budgets(&self, refuses: bool) {
        self.refuses_budgets.store(refuses, Ordering::SeqCst);
    }

    /// Questions about budgets that failed so far.
    pub(crate) fn budgets_refused(&self) -> usize {
        self.budgets_refused.load(Ordering::SeqCst)
    }

    fn budgets_of(&self) -> Result<&dyn Store, StoreError> {
        if self.refuses_budgets.load(Ordering::SeqCst) {
            self.budgets_refused.fetch_add(1, Ordering::SeqCst);
            return Err(StoreError::new(StoreErrorKind::Unavailable, "budgets cannot be asked for"));
        }
        self.reachable()
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

    fn parallel_appends(&self) -> ParallelAppends {
        self.inner.parallel_appends()
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

    async fn following(
        &self,
        source: Option<SourceId>,
        after: EventId,
        limit: usize,
    ) -> Result<Vec<EventId>, StoreError> {
        self.reachable()?.following(source, after, limit).await
    }

    async fn payloads(&self, ids: Vec<EventId>) -> Result<Vec<Event>, StoreError> {
        self.reachable()?.payloads(ids).await
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

    async fn deliver(
        &self,
        event: EventId,
        to: Vec<NewRoute>,
        now: UnixMillis,
    ) -> Result<Option<Vec<DeliveryId>>, StoreError> {
        self.reachable()?.deliver(event, to, now).await
    }

    async fn select(
        &self,
        selection: Selection,
        after: Option<DeliveryId>,
        limit: usize,
    ) -> Result<Selected, StoreError> {
        self.reachable()?.select(selection, after, limit).await
    }

    async fn dead_letters(&self, limit: usize) -> Result<DeadLetters, StoreError> {
        self.reachable()?.dead_letters(limit).await
    }

    async fn create_replay(&self, replay: Replay) -> Result<(), StoreError> {
        self.reachable()?.create_replay(replay).await
    }

    async fn replay(&self, id: ReplayId) -> Result<Option<Replay>, StoreError> {
        self.reachable()?.replay(id).await
    }

    async fn replays(&self, filter: ReplayFilter) -> Result<Page<Replay>, StoreError> {
        self.reachable()?.replays(filter).await
    }

    async fn cancel_replay(&self, id: ReplayId, now: UnixMillis) -> Result<Option<Replay>, StoreError> {
        self.reachable()?.cancel_replay(id, now).await
    }

    async fn hold_replay(&self, now: UnixMillis, lease_until: UnixMillis) -> Result<Option<HeldReplay>, StoreError> {
        self.reachable()?.hold_replay(now, lease_until).await
    }

    async fn advance_replay(&self, step: ReplayStep) -> Result<Option<Replay>, StoreError> {
        self.reachable()?.advance_replay(step).await
    }

    async fn take_budget(&self, request: BudgetRequest) -> Result<u64, StoreError> {
        self.budgets_of()?.take_budget(request).await
    }

    async fn correct_budget(
        &self,
        destination: DestinationId,
        hour: i64,
        requests: i64,
        cost_micros: i64,
    ) -> Result<(), StoreError> {
        self.budgets_of()?.correct_budget(destination, hour, requests, cost_micros).await
    }

    async fn budgets(&self, hour: i64) -> Result<Vec<(DestinationId, BudgetUse)>, StoreError> {
        self.reachable()?.budgets(hour).await
    }

    async fn hold_places(&self, request: PlacesRequest) -> Result<u32, StoreError> {
        self.budgets_of()?.hold_places(request).await
    }

    async fn expire(&self, policy: RetentionPolicy, limits: ExpireLimits) -> Result<Expired, StoreError> {
        self.reachable()?.expire(policy, limits).await
    }

    async fn put_document(&self, document: Document) -> Result<(), StoreError> {
        self.reachable()?.put_document(document).await
    }

    async fn document(&self, kind: &str, key: &str) -> Result<Option<Document>, StoreError> {
        self.reachable()?.document(kind, key).await
    }

    async fn documents(&self, kind: &str, limit: usize) -> Result<Vec<Document>, StoreError> {
        self.reachable()?.documents(kind, limit).await
    }

    async fn delete_document(&self, kind: &str, key: &str) -> Result<(), StoreError> {
        self.reachable()?.delete_document(kind, key).await
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
