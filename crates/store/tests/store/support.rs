//! A store to test on either engine, and things to put into it.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use spillway_model::{
    Appended, Attempt, AttemptClass, Claimed, Clock, ConnectionId, DeliveryId, DestinationId, Event, EventId,
    HeaderBlock, IdGenerator, IdempotencyHash, Lease, ManualClock, NewDelivery, NewEvent, NextState, Settlement,
    SourceId, SystemClock, UnixMillis,
};
use spillway_store::postgres::{PostgresSettings, PostgresStore};
use spillway_store::sqlite::{SqliteSettings, SqliteStore};
use spillway_store::{ClaimRequest, Store, Unobserved};
use spillway_testkit::{TestDatabase, shared_database};

/// The idempotency window of every test store.
pub(crate) const WINDOW: Duration = Duration::from_secs(3_600);
/// How long test claims hold.
pub(crate) const LEASE: i64 = 60_000;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Engine {
    Sqlite,
    Postgres,
}

enum Data {
    Sqlite(tempfile::TempDir),
    Postgres(TestDatabase),
}

/// A store on an empty database of its own, a clock that stands, and ids made from it.
pub(crate) struct TestStore {
    pub(crate) store: Arc<dyn Store>,
    pub(crate) clock: Arc<ManualClock>,
    pub(crate) ids: IdGenerator,
    pub(crate) source: SourceId,
    data: Data,
}

impl TestStore {
    pub(crate) async fn open(engine: Engine) -> Self {
        let data = match engine {
            Engine::Sqlite => Data::Sqlite(tempfile::tempdir().unwrap()),
            Engine::Postgres => Data::Postgres(shared_database().await),
        };
        let clock = Arc::new(ManualClock::at(SystemClock.now()));
        let ids = IdGenerator::new(clock.clone(), 7);
        let source = ids.source();
        Self { store: data.open().await, clock, ids, source, data }
    }

    /// Closes the store and opens the same database again.
    pub(crate) async fn reopen(self) -> Self {
        self.store.close().await;
        self.crash().await
    }

    /// Drops the store as it is and opens the same database again.
    pub(crate) async fn crash(self) -> Self {
        let Self { store, clock, ids, source, data } = self;
        drop(store);
        Self { store: data.open().await, clock, ids, source, data }
    }

    pub(crate) fn now(&self) -> UnixMillis {
        self.clock.now()
    }

    /// A small event without deliveries and key.
    pub(crate) fn event(&self) -> NewEvent {
        let event = Event {
            quarantine: None,
            id: self.ids.event(),
            source: self.source,
            event_type: Some("push".into()),
            headers: HeaderBlock::encode([("content-type", &b"application/json"[..])]),
            body: Bytes::from_static(b"{\"a\":1}"),
            trace: None,
        };
        NewEvent { event: Arc::new(event), idempotency: None, deliveries: Vec::new() }
    }

    /// An event with one delivery for each destination, all due at `due_at`.
    pub(crate) fn event_to(&self, destinations: &[DestinationId], due_at: UnixMillis) -> NewEvent {
        self.event_born(destinations, due_at, 0)
    }

    pub(crate) fn event_born(&self, destinations: &[DestinationId], due_at: UnixMillis, generation: u32) -> NewEvent {
        let mut event = self.event();
        event.deliveries = (0..)
            .zip(destinations)
            .map(|(ordinal, destination)| NewDelivery {
                order: None,
                id: event.event.id.delivery(ordinal),
                destination: *destination,
                connection: ConnectionId::from_u128(destination.to_u128() + 1),
                due_at,
                generation,
            })
            .collect();
        event
    }

    pub(crate) fn keyed(&self, key: IdempotencyHash, destinations: &[DestinationId]) -> NewEvent {
        NewEvent { idempotency: Some(key), ..self.event_to(destinations, self.now()) }
    }

    /// Another node on the same database. An embedded store has one process, which is then this one.
    pub(crate) async fn other_node(&self) -> Arc<dyn Store> {
        match &self.data {
            Data::Sqlite(_) => self.store.clone(),
            Data::Postgres(_) => self.data.open().await,
        }
    }

    /// Runs SQL beside the store and returns what it prints; PostgreSQL only.
    pub(crate) async fn query(&self, sql: &str) -> String {
        match &self.data {
            Data::Sqlite(_) => panic!("there is no server to ask"),
            Data::Postgres(database) => database.query(sql).await,
        }
    }

    /// Where the database is; PostgreSQL only.
    pub(crate) fn url(&self) -> &str {
        match &self.data {
            Data::Sqlite(_) => panic!("there is no server to connect to"),
            Data::Postgres(database) => database.url(),
        }
    }

    /// The database file; SQLite only.
    pub(crate) fn file(&self) -> std::path::PathBuf {
        match &self.data {
            Data::Sqlite(folder) => folder.path().join("spillway.db"),
            Data::Postgres(_) => panic!("there is no file to look at"),
        }
    }

    /// Bytes of the database file, without its log; SQLite only.
    pub(crate) fn file_bytes(&self) -> u64 {
        std::fs::metadata(self.file()).unwrap().len()
    }

    /// Appends one event that must be accepted.
    pub(crate) async fn accept(&self, event: &NewEvent) -> EventId {
        let answer = self.store.append(vec![event.clone()]).await.unwrap();
        assert_eq!(answer, [Appended::Accepted { id: event.event.id }]);
        event.event.id
    }

    /// A pending delivery to `destination`, due at `due_at`.
    pub(crate) async fn delivery_due(&self, destination: DestinationId, due_at: UnixMillis) -> DeliveryId {
        self.accept(&self.event_to(&[destination], due_at)).await.delivery(0)
    }

    pub(crate) fn request(&self, max: usize) -> ClaimRequest {
        let now = self.now();
        ClaimRequest { now, lease_until: now + LEASE, max, max_per_destination: max, ..ClaimRequest::default() }
    }

    pub(crate) async fn claim(&self, max: usize) -> Vec<Claimed> {
        self.store.claim(self.request(max)).await.unwrap()
    }

    /// Claims the one delivery that is due.
    pub(crate) async fn claim_one(&self) -> Claimed {
        let mut claimed = self.claim(10).await;
        assert_eq!(claimed.len(), 1, "one delivery is due");
        claimed.remove(0)
    }
}

impl Data {
    async fn open(&self) -> Arc<dyn Store> {
        match self {
            Self::Sqlite(folder) => {
                let settings = SqliteSettings {
                    idempotency_window: WINDOW,
                    ..SqliteSettings::new(folder.path().join("spillway.db"))
                };
                Arc::new(SqliteStore::open(settings, Arc::new(Unobserved)).await.unwrap())
            }
            Self::Postgres(database) => {
                Arc::new(PostgresStore::connect(postgres_settings(database.url()), Arc::new(Unobserved)).await.unwrap())
            }
        }
    }
}

pub(crate) fn postgres_settings(url: &str) -> PostgresSettings {
    PostgresSettings { idempotency_window: WINDOW, pool_size: 2, max_overflow: 6, ..PostgresSettings::new(url) }
}

pub(crate) fn lease(claimed: &Claimed) -> Lease {
    Lease { delivery: claimed.id, generation: claimed.generation }
}

pub(crate) fn attempt(claimed: &Claimed, class: AttemptClass) -> Attempt {
    Attempt {
        id: claimed.id.attempt(claimed.attempts + 1),
        started_at: 1_700_000_000_000,
        duration: Duration::from_micros(1_234),
        class,
        status: (class == AttemptClass::Success).then_some(204),
        response: Bytes::from_static(b"\xffok"),
        error: (class != AttemptClass::Success).then(|| "it went wrong".into()),
    }
}

/// The claim ends with an attempt that led to `next`.
pub(crate) fn settlement(claimed: &Claimed, next: NextState) -> Settlement {
    let class =
        if matches!(next, NextState::Delivered { .. }) { AttemptClass::Success } else { AttemptClass::ServerError };
    Settlement { order: None, lease: lease(claimed), next, attempt: Some(attempt(claimed, class)) }
}

/// Instantiates each test function for both engines.
macro_rules! on_every_engine {
    ($($name:ident)+) => {
        mod sqlite {
            use crate::support::{Engine, TestStore};
            $(#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
            async fn $name() {
                super::$name(TestStore::open(Engine::Sqlite).await).await;
            })+
        }
        mod postgres {
            use crate::support::{Engine, TestStore};
            $(#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
            async fn $name() {
                super::$name(TestStore::open(Engine::Postgres).await).await;
            })+
        }
    };
}
pub(crate) use on_every_engine;
