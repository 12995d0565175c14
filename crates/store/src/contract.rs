//! What every engine promises.

use std::collections::HashMap;
use std::fmt;
use std::ops::Range;
use std::time::Duration;

use async_trait::async_trait;
use spillway_model::{
    Appended, Attempt, Claimed, Configuration, ConfigurationChange, Delivery, DeliveryId, DestinationId, Event,
    EventId, EventSummary, Lease, NewEvent, Settlement, UnixMillis,
};

use crate::{DeliveryFilter, EventFilter, Page, StoreError};

/// What to claim.
#[derive(Debug, Clone, Default)]
pub struct ClaimRequest {
    /// Deliveries due at or before this time may be claimed.
    pub now: UnixMillis,
    /// Until when the claims hold.
    pub lease_until: UnixMillis,
    /// At most this many in all.
    pub max: usize,
    /// At most this many for one destination.
    pub max_per_destination: usize,
    /// Destinations with another limit than `max_per_destination`; zero leaves the destination alone.
    pub limits: HashMap<DestinationId, usize>,
    /// Which of the due deliveries; `None` is all of them.
    pub share: Option<ClaimShare>,
}

/// A part of the deliveries. Its own come first; what others left lying fills the room that is left.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ClaimShare {
    /// Deliveries whose [`DeliveryId::bucket`] is in here are its own. Empty: none is.
    pub buckets: Range<u8>,
    /// Deliveries that were due at or before this time are anybody's: whoever should have claimed them does not.
    pub overdue_before: UnixMillis,
}

/// What waits.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Backlog {
    /// Deliveries that are pending, claimed ones included.
    pub pending: u64,
    /// The earliest due time among them; `None` when nothing is pending.
    pub oldest_due: Option<UnixMillis>,
}

/// Connections of an engine's pool.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct PoolState {
    /// Open and idle.
    pub idle: u32,
    /// Open and in use.
    pub used: u32,
    /// The most there may be.
    pub max: u32,
}

/// What became of the wish to try a delivery again.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum RetryOutcome {
    /// It is due now.
    Due,
    /// There is no such delivery.
    Unknown,
    /// Its event is gone: retention removed it.
    EventGone,
}

/// Kinds of work, for measurements.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum QueryKind {
    /// [`Store::append`].
    Append,
    /// [`Store::claim`].
    Claim,
    /// [`Store::renew`].
    Renew,
    /// [`Store::settle`].
    Settle,
    /// Reads of configuration, and its changes.
    Configuration,
    /// A page of a list.
    List,
    /// One row by its identifier, and whether the database answers.
    Lookup,
    /// [`Store::retry`].
    Retry,
    /// Partitions, pruning, checkpoints, backlog counts.
    Maintenance,
}

impl QueryKind {
    /// Every kind, in the order of its number.
    pub const ALL: [Self; 9] = [
        Self::Append,
        Self::Claim,
        Self::Renew,
        Self::Settle,
        Self::Configuration,
        Self::List,
        Self::Lookup,
        Self::Retry,
        Self::Maintenance,
    ];
}

/// Is told what an engine does. Called on hot paths: it must not block.
pub trait StoreObserver: Send + Sync + 'static {
    /// A piece of work took `elapsed` and executed `statements` statements for `rows` events, deliveries or settlements, with
    /// success or without. `BEGIN` and `COMMIT` do not count; of several statements in one text each one does.
    fn query(&self, kind: QueryKind, elapsed: Duration, statements: u32, rows: usize);

    /// A caller waited this long for a pooled connection.
    fn pool_wait(&self, elapsed: Duration);
}

/// An observer that looks away.
#[derive(Debug, Clone, Copy, Default)]
pub struct Unobserved;

impl StoreObserver for Unobserved {
    fn query(&self, _: QueryKind, _: Duration, _: u32, _: usize) {}
    fn pool_wait(&self, _: Duration) {}
}

/// Durable storage. Every method is atomic: it happens whole or not at all, also across a crash.
///
/// Errors carry whether trying again can help ([`StoreError::is_transient`]). After an error of a write the caller must
/// assume that nothing was written; what nevertheless was is recovered by leases and idempotency.
#[async_trait]
pub trait Store: Send + Sync + fmt::Debug + 'static {
    /// `sqlite` or `postgres`.
    fn engine(&self) -> &'static str;

    /// How many [`Store::append`] calls are worth having under way at once.
    fn append_parallelism(&self) -> usize;

    /// Stores events, their deliveries and their idempotency records in one transaction, flushed to disk when this returns.
    ///
    /// Answers in the order given. Of several events with one idempotency hash, in this batch or earlier within the
    /// idempotency window, only the first is stored; the others are [`Appended::Duplicate`] with its id.
    async fn append(&self, events: Vec<NewEvent>) -> Result<Vec<Appended>, StoreError>;

    /// Takes due deliveries, the longest overdue of each destination first, raises their generation and moves their due time
    /// to the lease's end. Two claimers never get the same delivery while its lease holds. Without [`ClaimRequest::share`] nothing is
    /// looked at but what is due.
    async fn claim(&self, request: ClaimRequest) -> Result<Vec<Claimed>, StoreError>;

    /// Moves the end of these leases. Returns the deliveries whose claim is no longer current: they must not be attempted.
    async fn renew(&self, leases: Vec<Lease>, until: UnixMillis) -> Result<Vec<DeliveryId>, StoreError>;

    /// Ends claims: attempt and next state of each in one transaction. A claim can be ended once: naming it again, even in the
    /// same batch, changes nothing, also when the delivery is pending again. Returns the deliveries whose claim was no longer
    /// current, for which nothing was written.
    async fn settle(&self, settlements: Vec<Settlement>) -> Result<Vec<DeliveryId>, StoreError>;

    /// Makes a delivery due at `now`, whatever its state, and voids a claim on it. Its attempts go on counting.
    async fn retry(&self, delivery: DeliveryId, now: UnixMillis) -> Result<RetryOutcome, StoreError>;

    /// The whole configuration.
    async fn configuration(&self) -> Result<Configuration, StoreError>;

    /// The configuration's version: cheap enough to ask each second.
    async fn configuration_version(&self) -> Result<u64, StoreError>;

    /// Applies changes in their order, all or none, and returns the new version.
    ///
    /// # Errors
    /// A conflict when a name is taken, a connection names an unknown source or destination, or the version is another one than
    /// [`ConfigurationChange::Expect`] names.
    async fn change_configuration(&self, changes: Vec<ConfigurationChange>) -> Result<u64, StoreError>;

    /// One event with its payload.
    async fn event(&self, id: EventId) -> Result<Option<Event>, StoreError>;

    /// Events, newest first.
    async fn events(&self, filter: EventFilter) -> Result<Page<EventSummary>, StoreError>;

    /// The newest event's id, or `None` in an empty store.
    async fn latest_event(&self) -> Result<Option<EventId>, StoreError>;

    /// One delivery.
    async fn delivery(&self, id: DeliveryId) -> Result<Option<Delivery>, StoreError>;

    /// Deliveries, newest first.
    async fn deliveries(&self, filter: DeliveryFilter) -> Result<Page<Delivery>, StoreError>;

    /// A delivery's attempts, the first one first. There are at most 65 535.
    async fn attempts(&self, delivery: DeliveryId) -> Result<Vec<Attempt>, StoreError>;

    /// What waits.
    async fn backlog(&self) -> Result<Backlog, StoreError>;

    /// Housekeeping that may be called at any time and should be called every minute: partitions ahead of time, pruning of
    /// idempotency records that are older than their window.
    async fn maintain(&self, now: UnixMillis) -> Result<(), StoreError>;

    /// Whether the database answers.
    async fn ping(&self) -> Result<(), StoreError>;

    /// The pool as it is now.
    fn pool(&self) -> PoolState;

    /// Finishes what is under way and closes every connection.
    async fn close(&self);
}

/// Refuses changes that were decided on another version of the configuration than the one in force.
#[cfg(any(feature = "postgres", feature = "sqlite"))]
pub(crate) fn check_expected(changes: &[ConfigurationChange], in_force: u64) -> Result<(), StoreError> {
    for change in changes {
        if let ConfigurationChange::Expect { version } = change
            && *version != in_force
        {
            let text = format!("the configuration is at version {in_force} and no longer at {version}");
            return Err(StoreError::new(crate::StoreErrorKind::Conflict, text));
        }
    }
    Ok(())
}
