//! What every engine promises.

use std::collections::HashMap;
use std::fmt;
use std::ops::Range;
use std::time::{Duration, Instant};

use async_trait::async_trait;
use spillway_model::{
    Appended, Attempt, Claimed, Configuration, ConfigurationChange, ConnectionId, Delivery, DeliveryId, DestinationId,
    Event, EventId, EventSummary, Lease, NewEvent, OrderKey, Replay, ReplayId, Selection, Settlement, SourceId,
    UnixMillis,
};

use crate::{
    BudgetRequest, BudgetUse, Counted, DeadLetters, DeliveryFilter, Document, EventFilter, ExpireLimits, Expired,
    HeldReplay, Page, PlacesRequest, ReplayFilter, ReplayStep, RetentionPolicy, Selected, StoreError,
};

/// How long one [`Store::count`] looks, with the part of the work that it has begun.
pub const COUNT_TIME: Duration = Duration::from_secs(1);

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

/// A delivery to add to a stored event.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct NewRoute {
    /// Which connection asks for it.
    pub connection: ConnectionId,
    /// Where it goes.
    pub destination: DestinationId,
    /// What it must stay in order with.
    pub order: Option<OrderKey>,
}

/// What became of the wish to try a delivery again.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum RetryOutcome {
    /// It is due now.
    Due,
    /// There is no such delivery.
    Unknown,
    /// Its event or its payload is gone: retention removed it.
    EventGone,
    /// It waits for an earlier delivery with its order key, and goes on waiting.
    Queued,
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
    /// [`Store::retry`], [`Store::deliver`], and changes of replays.
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

    /// A caller got none in time, because all of them were in use.
    fn pool_exhausted(&self) {}
}

/// An observer that looks away.
#[derive(Debug, Clone, Copy, Default)]
pub struct Unobserved;

impl StoreObserver for Unobserved {
    fn query(&self, _: QueryKind, _: Duration, _: u32, _: usize) {}
    fn pool_wait(&self, _: Duration) {}
}

/// Calls of [`Store::append`] that are worth having under way at once.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ParallelAppends {
    /// Calls; at least one.
    pub lanes: usize,
    /// Events with which another call begins beside one that is under way: smaller ones had better wait and share. Found by
    /// `cargo xtask bench intake`.
    pub least_events: usize,
}

/// Durable storage. Every method is atomic: it happens whole or not at all, also across a crash.
///
/// Errors carry whether trying again can help ([`StoreError::is_transient`]). After an error of a write the caller must
/// assume that nothing was written; what nevertheless was is recovered by leases and idempotency.
#[async_trait]
pub trait Store: Send + Sync + fmt::Debug + 'static {
    /// `sqlite` or `postgres`.
    fn engine(&self) -> &'static str;

    /// How many [`Store::append`] calls are worth having under way at once, and with how many events.
    fn parallel_appends(&self) -> ParallelAppends;

    /// Stores events, their deliveries and their idempotency records in one transaction, flushed to disk when this returns.
    ///
    /// Answers in the order given. Of several events with one idempotency hash, in this batch or earlier within the
    /// idempotency window, only the first is stored; the others are [`Appended::Duplicate`] with its id.
    ///
    /// A delivery with an order key is pending when no other one with this key is pending or queued, else queued. Of several in one batch
    /// the one with the lowest id comes first, and queued ones leave in the order of their ids.
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
    ///
    /// When a delivery ends that was the one of its [`Settlement::order`] on its way, the next one that is queued becomes pending, due at
    /// the time of that end.
    async fn settle(&self, settlements: Vec<Settlement>) -> Result<Vec<DeliveryId>, StoreError>;

    /// Makes a delivery due at `now`, whatever its state, and voids a claim on it. Its attempts go on counting. Only one that is queued
    /// stays where it is: its order is kept.
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

    /// One event with its payload. After retention removed that, [`Event::payload_is_removed`] says so, and headers and body are empty.
    async fn event(&self, id: EventId) -> Result<Option<Event>, StoreError>;

    /// Events, newest first.
    async fn events(&self, filter: EventFilter) -> Result<Page<EventSummary>, StoreError>;

    /// Ids of events after this one, the oldest first: of one source, or of all. At most `limit`.
    async fn following(
        &self,
        source: Option<SourceId>,
        after: EventId,
        limit: usize,
    ) -> Result<Vec<EventId>, StoreError>;

    /// These events with their payload, in the order of their ids. Events that are gone are left out. The caller bounds their number and size.
    async fn payloads(&self, ids: Vec<EventId>) -> Result<Vec<Event>, StoreError>;

    /// The newest event's id, or `None` in an empty store.
    async fn latest_event(&self) -> Result<Option<EventId>, StoreError>;

    /// One delivery.
    async fn delivery(&self, id: DeliveryId) -> Result<Option<Delivery>, StoreError>;

    /// Deliveries, newest first.
    async fn deliveries(&self, filter: DeliveryFilter) -> Result<Page<Delivery>, StoreError>;

    /// A delivery's attempts, the first one first. There are at most 65 535.
    async fn attempts(&self, delivery: DeliveryId) -> Result<Vec<Attempt>, StoreError>;

    /// Adds deliveries to a stored event, due now: it leaves quarantine, or goes to a connection that came later. A connection that has a
    /// delivery of this event already gets none. Returns what was added, or `None` when the event is gone or has no payload any more.
    ///
    /// # Errors
    /// A conflict when the event would have more than 65 536 deliveries.
    async fn deliver(
        &self,
        event: EventId,
        to: Vec<NewRoute>,
        now: UnixMillis,
    ) -> Result<Option<Vec<DeliveryId>>, StoreError>;

    /// Deliveries that the selection matches, in the order of their ids, behind `after`: at most `limit`, out of at most
    /// [`SELECT_LOOKED_AT`](crate::SELECT_LOOKED_AT) that are looked at, and of fewer when the limit is small.
    async fn select(
        &self,
        selection: Selection,
        after: Option<DeliveryId>,
        limit: usize,
    ) -> Result<Selected, StoreError>;

    /// How many deliveries match of the next part behind `after`, and behind which one the part after it begins.
    async fn count_part(
        &self,
        selection: Selection,
        after: Option<DeliveryId>,
    ) -> Result<(u64, Option<DeliveryId>), StoreError> {
        let part = self.select(selection, after, crate::SELECT_LOOKED_AT).await?;
        Ok((part.deliveries.len() as u64, part.next))
    }

    /// How many deliveries the selection matches. Stops, with what was found so far, when there are more than `limit` or
    /// [`COUNT_TIME`] is over.
    async fn count(&self, selection: Selection, limit: u64) -> Result<Counted, StoreError> {
        let begun = Instant::now();
        let (mut deliveries, mut after) = (0, None);
        loop {
            let (matching, next) = self.count_part(selection, after).await?;
            deliveries += matching;
            match next {
                _ if deliveries > limit => return Ok(Counted { deliveries: limit, is_complete: false }),
                None => return Ok(Counted { deliveries, is_complete: true }),
                Some(_) if begun.elapsed() >= COUNT_TIME => return Ok(Counted { deliveries, is_complete: false }),
                next => after = next,
            }
        }
    }

    /// Dead deliveries by destination and the end of their last attempt: the newest `limit` of them.
    async fn dead_letters(&self, limit: usize) -> Result<DeadLetters, StoreError>;

    /// Stores a new replay.
    async fn create_replay(&self, replay: Replay) -> Result<(), StoreError>;

    /// One replay.
    async fn replay(&self, id: ReplayId) -> Result<Option<Replay>, StoreError>;

    /// Replays, newest first.
    async fn replays(&self, filter: ReplayFilter) -> Result<Page<Replay>, StoreError>;

    /// Stops a running replay. Returns it as it is now; one that has ended stays as it was.
    async fn cancel_replay(&self, id: ReplayId, now: UnixMillis) -> Result<Option<Replay>, StoreError>;

    /// Takes the oldest running replay that no node holds, until the lease ends.
    async fn hold_replay(&self, now: UnixMillis, lease_until: UnixMillis) -> Result<Option<HeldReplay>, StoreError>;

    /// One step of a replay. `None` when the node no longer holds it, it was cancelled, or the step was taken before: then nothing was
    /// written.
    async fn advance_replay(&self, step: ReplayStep) -> Result<Option<Replay>, StoreError>;

    /// Takes a part of a destination's budget: as many requests as are left, up to what is wanted. Zero when nothing is left this hour.
    /// Over all nodes never more than the limits is granted.
    async fn take_budget(&self, request: BudgetRequest) -> Result<u64, StoreError>;

    /// Corrects the use of a budget. Both numbers are added to it: requests that were not made are given back as a negative number, and what
    /// answers cost beyond what was expected is booked as a positive one. Use never falls below zero.
    async fn correct_budget(
        &self,
        destination: DestinationId,
        hour: i64,
        requests: i64,
        cost_micros: i64,
    ) -> Result<(), StoreError>;

    /// Use of all budgets in this hour.
    async fn budgets(&self, hour: i64) -> Result<Vec<(DestinationId, BudgetUse)>, StoreError>;

    /// Occupies places at a destination. Returns how many the holder has now: at most what it wanted, and all holders together never more
    /// than there are.
    async fn hold_places(&self, request: PlacesRequest) -> Result<u32, StoreError>;

    /// Removes some of what is older than the policy says. Called again while it says that there is more.
    ///
    /// An event with a delivery that is pending or queued is left alone, with its payload and attempts. Several nodes may call it at once:
    /// one works, and the others are told that there is nothing to do. On PostgreSQL events that are kept for a day or longer go with the
    /// last of their day (UTC), so that a whole partition can go.
    async fn expire(&self, policy: RetentionPolicy, limits: ExpireLimits) -> Result<Expired, StoreError>;

    /// Writes a document, in place of the one with its kind and key.
    ///
    /// # Errors
    /// [`StoreErrorKind::TooLarge`](crate::StoreErrorKind::TooLarge) when it is larger than [`crate::DOCUMENT_LIMIT_BYTES`], or its names are
    /// longer than [`crate::DOCUMENT_NAME_LIMIT_BYTES`].
    async fn put_document(&self, document: Document) -> Result<(), StoreError>;

    /// One document.
    async fn document(&self, kind: &str, key: &str) -> Result<Option<Document>, StoreError>;

    /// The newest documents of a kind, the last written first: at most `limit`, and at most [`crate::DOCUMENT_LIST_LIMIT`].
    async fn documents(&self, kind: &str, limit: usize) -> Result<Vec<Document>, StoreError>;

    /// Removes a document, if it is there.
    async fn delete_document(&self, kind: &str, key: &str) -> Result<(), StoreError>;

    /// What waits.
    async fn backlog(&self) -> Result<Backlog, StoreError>;

    /// Housekeeping that may be called at any time and should be called every minute: partitions ahead of time, pruning of
    /// idempotency records that are older than their window, of the use of budgets two days ago, of places whose lease has ended, of replays
    /// that ended 90 days ago, and order keys whose pending delivery ended without a word to them.
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
