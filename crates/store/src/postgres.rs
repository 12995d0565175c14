//! PostgreSQL, version 15 or newer: several nodes on one database.
//!
//! A batch is one statement and one round trip, whatever its size: rows go in as arrays. The planner is bound to index
//! lookups, so that a plan made while a table was empty is still right when it has millions of rows.

mod append;
mod budgets;
mod claim;
mod configuration;
mod deliver;
mod documents;
mod examination;
mod follow;
mod maintenance;
mod migrations;
mod order;
mod reads;
mod replays;
mod replica;
mod retention;
mod rows;
mod selection;
mod sessions;
mod settings;
mod settle;

use std::fmt;
use std::str::FromStr;
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};

use async_trait::async_trait;
use futures_util::TryFutureExt;
use futures_util::future::BoxFuture;
use spillway_model::{
    Appended, Attempt, Claimed, Configuration, ConfigurationChange, Delivery, DeliveryId, DestinationId, Event,
    EventId, EventSummary, Lease, NewEvent, Replay, ReplayId, Selection, Settlement, SourceId, UnixMillis,
};
use sqlx::postgres::PgConnectOptions;
use sqlx::{ConnectOptions, Connection, Row};

use crate::retention::Sweep;
use crate::{
    Backlog, BudgetRequest, BudgetUse, ClaimRequest, DeadLetters, DeliveryFilter, Document, EventFilter, ExpireLimits,
    Expired, HeldReplay, NewRoute, Page, ParallelAppends, PlacesRequest, PoolState, QueryKind, ReplayFilter,
    ReplayStep, RetentionPolicy, RetryOutcome, Selected, Store, StoreError, StoreErrorKind, StoreObserver,
};
use claim::Memory;
pub use examination::PostgresExaminer;
use migrations::{check_server, migrate};
pub use replica::ReplicaSettings;
use replica::{Replica, patient};
use sessions::{Session, Sessions, limited};
pub use settings::PostgresSettings;

/// Order keys that one call of housekeeping looks at.
const ORDER_CHECKED: i64 = 10_000;

/// What every session is set to. Statements are texts of ours, each with one index that serves it: left to its estimates,
/// the planner would sometimes read whole tables instead, above all right after a table was made.
const SESSION: [(&str, &str); 10] = [
    ("synchronous_commit", "on"),
    ("statement_timeout", "30s"),
    ("idle_in_transaction_session_timeout", "30s"),
    ("plan_cache_mode", "force_generic_plan"),
    ("enable_seqscan", "off"),
    ("enable_bitmapscan", "off"),
    ("enable_hashjoin", "off"),
    ("enable_mergejoin", "off"),
    ("enable_material", "off"),
    ("jit", "off"),
];

/// A store in a PostgreSQL database that several processes share.
pub struct PostgresStore {
    sessions: Sessions,
    replica: Option<Replica>,
    memory: Memory,
    sweep: Sweep,
    settings: PostgresSettings,
    /// The order key up to which the last call of housekeeping looked.
    order_checked: AtomicI64,
}

impl fmt::Debug for PostgresStore {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("PostgresStore").field("settings", &self.settings).finish_non_exhaustive()
    }
}

impl PostgresStore {
    /// Connects, brings the schema up to date and makes the partitions of the next days. Several nodes may do so at once.
    ///
    /// # Errors
    /// When the database cannot be reached, is older than version 15, does not use UTF-8, or has a newer schema.
    pub async fn connect(settings: PostgresSettings, observer: Arc<dyn StoreObserver>) -> Result<Self, StoreError> {
        let options = PgConnectOptions::from_str(&settings.url).map_err(|_| {
            let text = "the database URL cannot be read; it has the form postgres://user:password@host:port/database";
            StoreError::new(StoreErrorKind::Incompatible, text)
        })?;
        let options = options.application_name("spillway").disable_statement_logging();
        // Notices such as "relation already exists" say nothing to the reader of a log.
        let options = options.options([("client_min_messages", "warning")]);
        // Boxed, because otherwise the compiler cannot see that this function may run on any thread.
        let connecting: BoxFuture<'_, _> = Box::pin(options.connect());
        let mut connection = limited(connecting.map_err(StoreError::from)).await?;
        check_server(&mut connection).await?;
        migrate(&mut connection).await?;
        let now = sqlx::query("SELECT (extract(epoch FROM now()) * 1000)::bigint").fetch_one(&mut connection).await?;
        let now = now.try_get(0)?;
        connection.close().await?;

        let replica = settings.replica.as_ref().map(|replica| Replica::start(replica, &settings, observer.clone()));
        let replica = replica.transpose()?;
        let sessions = Sessions::new(&settings, options.options(SESSION), observer);
        let order_checked = AtomicI64::new(i64::MIN);
        let store =
            Self { sessions, replica, memory: Memory::default(), sweep: Sweep::default(), settings, order_checked };
        match store.maintain(now).await {
            // Another node is at it; until it is done, the default partition takes what comes.
            Err(error) if error.kind() == StoreErrorKind::Contention => {}
            result => result?,
        }
        Ok(store)
    }

    /// A person changed something and will look at it: the replica may not have it yet.
    fn wrote(&self) {
        if let Some(replica) = &self.replica {
            replica.wrote();
        }
    }

    /// Ends a read of one row.
    fn found<T>(&self, session: Session, result: Result<T, StoreError>) -> Result<T, StoreError> {
        self.sessions.finish(QueryKind::Lookup, session, 1, result)
    }

    /// Ends a read of a page of this many rows.
    fn listed<T>(
        &self,
        session: Session,
        result: Result<T, StoreError>,
        rows: impl FnOnce(&T) -> usize,
    ) -> Result<T, StoreError> {
        let rows = result.as_ref().map_or(0, rows);
        self.sessions.finish(QueryKind::List, session, rows, result)
    }
}

/// Reads from the replica when there is one that is good enough, and from the database itself when there is none or it does not have the answer.
///
/// `$since` is when what is looked for came into being: what is too young is not looked for on the replica. A macro, because the work is
/// written once and done on one session or the other.
macro_rules! read {
    ($store:ident, $kind:expr, since $since:expr, |$session:ident| $work:expr, rows $rows:expr, found $found:expr) => {{
        let replica = $store.replica.as_ref().filter(|replica| $since.is_none_or(|since| replica.knows(since)));
        if let Some(replica) = replica
            && let Some(mut taken) = replica.take().await
        {
            let $session = &mut taken;
            let result = patient($work).await;
            let rows = result.as_ref().map_or(0, $rows);
            if let Some(answer) = replica.finish($kind, taken, rows, result)
                && $found(&answer)
            {
                return Ok(answer);
            }
        }
        let mut taken = $store.sessions.take().await?;
        let $session = &mut taken;
        let result = limited($work).await;
        let rows = result.as_ref().map_or(0, $rows);
        $store.sessions.finish($kind, taken, rows, result)
    }};
}

/// Whatever the replica has is the answer.
fn always<T>(_: &T) -> bool {
    true
}

/// One row, or nothing, which only the database itself can say.
macro_rules! read_one {
    ($store:ident, |$session:ident| $work:expr) => {
        read!($store, QueryKind::Lookup, since None::<UnixMillis>, |$session| $work, rows |_| 1, found Option::is_some)
    };
}

#[async_trait]
impl Store for PostgresStore {
    fn engine(&self) -> &'static str {
        "postgres"
    }

    fn parallel_appends(&self) -> ParallelAppends {
        ParallelAppends { lanes: self.settings.append_parallelism.max(1), least_events: 48 }
    }

    async fn append(&self, events: Vec<NewEvent>) -> Result<Vec<Appended>, StoreError> {
        if events.is_empty() {
            return Ok(Vec::new());
        }
        let mut session = self.sessions.take().await?;
        let result = limited(append::append(&mut session, &events, self.settings.idempotency_window)).await;
        self.sessions.finish(QueryKind::Append, session, events.len(), result)
    }

    async fn claim(&self, request: ClaimRequest) -> Result<Vec<Claimed>, StoreError> {
        let mut session = self.sessions.take().await?;
        let result = limited(claim::claim(&mut session, &self.memory, &request)).await;
        let rows = result.as_ref().map_or(0, Vec::len);
        self.sessions.finish(QueryKind::Claim, session, rows, result)
    }

    async fn renew(&self, leases: Vec<Lease>, until: UnixMillis) -> Result<Vec<DeliveryId>, StoreError> {
        if leases.is_empty() {
            return Ok(Vec::new());
        }
        let mut session = self.sessions.take().await?;
        let rows = leases.len();
        let result = limited(settle::renew(&mut session, leases, until)).await;
        self.sessions.finish(QueryKind::Renew, session, rows, result)
    }

    async fn settle(&self, settlements: Vec<Settlement>) -> Result<Vec<DeliveryId>, StoreError> {
        if settlements.is_empty() {
            return Ok(Vec::new());
        }
        let mut session = self.sessions.take().await?;
        let rows = settlements.len();
        let is_ordered = settlements.iter().any(|settlement| settlement.order.is_some());
        let result = limited(settle::settle(&mut session, settlements)).await;
        if is_ordered {
            // The next ones may be due before the place where the last claim ended.
            self.memory.forget();
        }
        self.sessions.finish(QueryKind::Settle, session, rows, result)
    }

    async fn retry(&self, delivery: DeliveryId, now: UnixMillis) -> Result<RetryOutcome, StoreError> {
        let mut session = self.sessions.take().await?;
        let result = limited(settle::retry(&mut session, delivery, now)).await;
        self.memory.forget();
        self.wrote();
        self.sessions.finish(QueryKind::Retry, session, 1, result)
    }

    async fn configuration(&self) -> Result<Configuration, StoreError> {
        let mut session = self.sessions.take().await?;
        let result = limited(configuration::load(&mut session)).await;
        self.sessions.finish(QueryKind::Configuration, session, 1, result)
    }

    async fn configuration_version(&self) -> Result<u64, StoreError> {
        let mut session = self.sessions.take().await?;
        let result = limited(configuration::version(&mut session)).await;
        self.sessions.finish(QueryKind::Configuration, session, 1, result)
    }

    async fn change_configuration(&self, changes: Vec<ConfigurationChange>) -> Result<u64, StoreError> {
        let mut session = self.sessions.take().await?;
        let result = limited(configuration::change(&mut session, &changes)).await;
        self.sessions.finish(QueryKind::Configuration, session, changes.len(), result)
    }

    async fn event(&self, id: EventId) -> Result<Option<Event>, StoreError> {
        read_one!(self, |session| reads::event(session, id))
    }

    async fn events(&self, filter: EventFilter) -> Result<Page<EventSummary>, StoreError> {
        let since = None::<UnixMillis>;
        read!(
            self, QueryKind::List, since since,
            |session| reads::events(session, filter), rows |page| page.rows.len(), found always
        )
    }

    async fn following(
        &self,
        source: Option<SourceId>,
        after: EventId,
        limit: usize,
    ) -> Result<Vec<EventId>, StoreError> {
        let mut session = self.sessions.take().await?;
        let result = limited(follow::following(&mut session, source, after, limit)).await;
        self.listed(session, result, Vec::len)
    }

    async fn payloads(&self, ids: Vec<EventId>) -> Result<Vec<Event>, StoreError> {
        let mut session = self.sessions.take().await?;
        let result = limited(follow::payloads(&mut session, &ids)).await;
        self.listed(session, result, Vec::len)
    }

    async fn latest_event(&self) -> Result<Option<EventId>, StoreError> {
        let mut session = self.sessions.take().await?;
        let result = limited(reads::latest_event(&mut session)).await;
        self.found(session, result)
    }

    async fn delivery(&self, id: DeliveryId) -> Result<Option<Delivery>, StoreError> {
        read_one!(self, |session| reads::delivery(session, id))
    }

    async fn deliveries(&self, filter: DeliveryFilter) -> Result<Page<Delivery>, StoreError> {
        let since = filter.event.map(EventId::timestamp);
        read!(
            self, QueryKind::List, since since,
            |session| reads::deliveries(session, filter), rows |page| page.rows.len(), found always
        )
    }

    async fn attempts(&self, delivery: DeliveryId) -> Result<Vec<Attempt>, StoreError> {
        let since = Some(delivery.timestamp());
        read!(
            self, QueryKind::List, since since,
            |session| reads::attempts(session, delivery), rows Vec::len, found always
        )
    }

    async fn deliver(
        &self,
        event: EventId,
        to: Vec<NewRoute>,
        now: UnixMillis,
    ) -> Result<Option<Vec<DeliveryId>>, StoreError> {
        let mut session = self.sessions.take().await?;
        let result = limited(deliver::deliver(&mut session, event, &to, now)).await;
        self.wrote();
        self.memory.forget();
        self.sessions.finish(QueryKind::Retry, session, to.len(), result)
    }

    async fn select(
        &self,
        selection: Selection,
        after: Option<DeliveryId>,
        limit: usize,
    ) -> Result<Selected, StoreError> {
        let mut session = self.sessions.take().await?;
        let result = limited(selection::select(&mut session, selection, after, limit)).await;
        self.listed(session, result, |selected| selected.deliveries.len())
    }

    async fn dead_letters(&self, limit: usize) -> Result<DeadLetters, StoreError> {
        let since = None::<UnixMillis>;
        read!(
            self, QueryKind::List, since since,
            |session| replays::dead_letters(session, limit), rows |dead| dead.groups.len(), found always
        )
    }

    async fn create_replay(&self, replay: Replay) -> Result<(), StoreError> {
        let mut session = self.sessions.take().await?;
        let result = limited(replays::create(&mut session, &replay)).await;
        self.wrote();
        self.sessions.finish(QueryKind::Retry, session, 1, result)
    }

    async fn replay(&self, id: ReplayId) -> Result<Option<Replay>, StoreError> {
        let mut session = self.sessions.take().await?;
        let result = limited(replays::one(&mut session, id)).await;
        self.found(session, result)
    }

    async fn replays(&self, filter: ReplayFilter) -> Result<Page<Replay>, StoreError> {
        let mut session = self.sessions.take().await?;
        let result = limited(replays::page(&mut session, filter)).await;
        self.listed(session, result, |page| page.rows.len())
    }

    async fn cancel_replay(&self, id: ReplayId, now: UnixMillis) -> Result<Option<Replay>, StoreError> {
        let mut session = self.sessions.take().await?;
        let result = limited(replays::cancel(&mut session, id, now)).await;
        self.wrote();
        self.sessions.finish(QueryKind::Retry, session, 1, result)
    }

    async fn hold_replay(&self, now: UnixMillis, lease_until: UnixMillis) -> Result<Option<HeldReplay>, StoreError> {
        let mut session = self.sessions.take().await?;
        let result = limited(replays::hold(&mut session, now, lease_until)).await;
        self.sessions.finish(QueryKind::Maintenance, session, 1, result)
    }

    async fn advance_replay(&self, step: ReplayStep) -> Result<Option<Replay>, StoreError> {
        let mut session = self.sessions.take().await?;
        let rows = step.due.len();
        let result = limited(replays::advance(&mut session, step)).await;
        self.memory.forget();
        self.sessions.finish(QueryKind::Retry, session, rows, result)
    }

    async fn take_budget(&self, request: BudgetRequest) -> Result<u64, StoreError> {
        let mut session = self.sessions.take().await?;
        let result = limited(budgets::take(&mut session, &request)).await;
        self.sessions.finish(QueryKind::Maintenance, session, 1, result)
    }

    async fn correct_budget(
        &self,
        destination: DestinationId,
        hour: i64,
        requests: i64,
        cost_micros: i64,
    ) -> Result<(), StoreError> {
        let mut session = self.sessions.take().await?;
        let result = limited(budgets::correct(&mut session, destination, hour, requests, cost_micros)).await;
        self.sessions.finish(QueryKind::Maintenance, session, 1, result)
    }

    async fn budgets(&self, hour: i64) -> Result<Vec<(DestinationId, BudgetUse)>, StoreError> {
        let mut session = self.sessions.take().await?;
        let result = limited(budgets::of_hour(&mut session, hour)).await;
        self.listed(session, result, Vec::len)
    }

    async fn hold_places(&self, request: PlacesRequest) -> Result<u32, StoreError> {
        let mut session = self.sessions.take().await?;
        let result = limited(budgets::hold(&mut session, &request)).await;
        self.sessions.finish(QueryKind::Maintenance, session, 1, result)
    }

    async fn expire(&self, policy: RetentionPolicy, limits: ExpireLimits) -> Result<Expired, StoreError> {
        let mut session = self.sessions.take().await?;
        let result = limited(retention::expire(&mut session, &self.sweep, &policy, limits)).await;
        self.sessions.finish(QueryKind::Maintenance, session, 1, result)
    }

    async fn put_document(&self, document: Document) -> Result<(), StoreError> {
        document.check()?;
        let mut session = self.sessions.take().await?;
        let result = limited(documents::put(&mut session, &document)).await;
        self.wrote();
        self.sessions.finish(QueryKind::Maintenance, session, 1, result)
    }

    async fn document(&self, kind: &str, key: &str) -> Result<Option<Document>, StoreError> {
        read_one!(self, |session| documents::one(session, kind, key))
    }

    async fn documents(&self, kind: &str, limit: usize) -> Result<Vec<Document>, StoreError> {
        let since = None::<UnixMillis>;
        read!(
            self, QueryKind::List, since since,
            |session| documents::of_kind(session, kind, limit), rows Vec::len, found always
        )
    }

    async fn delete_document(&self, kind: &str, key: &str) -> Result<(), StoreError> {
        let mut session = self.sessions.take().await?;
        let result = limited(documents::delete(&mut session, kind, key)).await;
        self.wrote();
        self.sessions.finish(QueryKind::Maintenance, session, 1, result)
    }

    /// Exact up to 10,000 pending deliveries; beyond that an estimate from a sample of the table, within some tenths.
    async fn backlog(&self) -> Result<Backlog, StoreError> {
        let mut session = self.sessions.take().await?;
        let result = limited(reads::backlog(&mut session)).await;
        self.sessions.finish(QueryKind::Maintenance, session, 1, result)
    }

    async fn maintain(&self, now: UnixMillis) -> Result<(), StoreError> {
        let mut session = self.sessions.take().await?;
        let result = limited(async {
            maintenance::maintain(&mut session, &self.settings, now).await?;
            let after = self.order_checked.load(Ordering::Relaxed);
            let last = order::release_stuck(&mut session, after, ORDER_CHECKED, now).await?;
            self.order_checked.store(last.unwrap_or(i64::MIN), Ordering::Relaxed);
            Ok(())
        })
        .await;
        self.sessions.finish(QueryKind::Maintenance, session, 1, result)
    }

    async fn ping(&self) -> Result<(), StoreError> {
        let mut session = self.sessions.take().await?;
        let result = limited(async { Ok(session.statement().ping().await?) }).await;
        self.found(session, result)
    }

    fn pool(&self) -> PoolState {
        self.sessions.state()
    }

    async fn close(&self) {
        if let Some(replica) = &self.replica {
            replica.close().await;
        }
        self.sessions.close().await;
    }
}
