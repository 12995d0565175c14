//! Reads from a streaming replica, and from the database itself whenever the replica is no good.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use spillway_model::{DeliveryId, NextState};
use spillway_store::postgres::{PostgresSettings, PostgresStore, ReplicaSettings};
use spillway_store::{DeliveryFilter, Document, EventFilter, QueryKind, Store, StoreErrorKind, StoreObserver};
use spillway_testkit::{Postgres, PostgresOptions, wait_until};

use crate::support::{Engine, TestStore, postgres_settings, settlement};

const SOON: Duration = Duration::from_secs(30);
const MAX_LAG: Duration = Duration::from_secs(3);

const EVENTS: EventFilter = EventFilter { source: None, before: None, from: None, quarantined: false, limit: 10 };
const DELIVERIES: DeliveryFilter =
    DeliveryFilter { event: None, destination: None, state: None, cursor: None, limit: 10 };

/// Looks at the server that answered: statements on `events` that each of them has seen are counted there.
struct Servers {
    primary: Postgres,
    replica: Postgres,
}

impl Servers {
    async fn start() -> Self {
        let primary = Postgres::start_with(PostgresOptions { fsync: false, ..PostgresOptions::default() }).await;
        // The schema is there before the copy is made.
        let store = PostgresStore::connect(postgres_settings(&primary.url()), Arc::new(Nothing)).await.unwrap();
        store.close().await;
        let replica = primary.start_replica().await;
        Self { primary, replica }
    }

    async fn store(&self) -> TestStore {
        let mut test = TestStore::open(Engine::Postgres).await;
        let replica = ReplicaSettings { url: self.replica.url(), max_lag: MAX_LAG };
        let settings = PostgresSettings { replica: Some(replica), ..postgres_settings(&self.primary.url()) };
        test.store = Arc::new(PostgresStore::connect(settings, Arc::new(Nothing)).await.unwrap());
        test
    }

    /// Sessions of the store on the replica that have read a list.
    async fn lists_read_on_replica(&self) -> bool {
        let sql =
            "SELECT count(*) FROM pg_stat_activity WHERE application_name = 'spillway' AND query LIKE '%FROM events%'";
        self.replica.query(sql).await != "0"
    }
}

struct Nothing;

impl StoreObserver for Nothing {
    fn query(&self, _: QueryKind, _: Duration, _: u32, _: usize) {}
    fn pool_wait(&self, _: Duration) {}
}

async fn delivered(test: &TestStore) -> DeliveryId {
    test.delivery_due(test.ids.destination(), test.now()).await;
    let claimed = test.claim_one().await;
    test.store.settle(vec![settlement(&claimed, NextState::Delivered { at: test.now() })]).await.unwrap();
    claimed.id
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn lists_come_from_the_replica_and_what_it_does_not_know_yet_from_the_database() {
    let servers = Servers::start().await;
    let test = servers.store().await;
    let id = delivered(&test).await;
    assert_eq!(test.store.delivery(id).await.unwrap().map(|delivery| delivery.id), Some(id), "at once");
    assert_eq!(test.store.attempts(id).await.unwrap().len(), 1, "at once");
    assert!(test.store.event(id.event()).await.unwrap().is_some(), "at once");
    let listed = async || {
        let rows = test.store.events(EVENTS).await.unwrap().rows;
        rows.len() == 1 && servers.lists_read_on_replica().await
    };
    wait_until("a list from the replica", SOON, listed).await;
    // What the replica must not take over: it would be refused there.
    delivered(&test).await;
    test.store.retry(id, test.now()).await.unwrap();
    assert_eq!(test.store.delivery(id).await.unwrap().unwrap().at, test.now(), "what was changed here is seen here");
    let document = Document { kind: "trend".into(), key: "a".into(), at: 1, body: "x".into() };
    test.store.put_document(document.clone()).await.unwrap();
    assert_eq!(test.store.document("trend", "a").await.unwrap(), Some(document.clone()));
    assert_eq!(test.store.documents("trend", 5).await.unwrap(), [document]);
    test.store.close().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_replica_that_lags_or_goes_away_is_not_read_and_nobody_notices() {
    let mut servers = Servers::start().await;
    let test = servers.store().await;
    delivered(&test).await;
    let usable = async || {
        test.store.events(EVENTS).await.unwrap();
        servers.lists_read_on_replica().await
    };
    wait_until("the replica to be used", SOON, usable).await;

    servers.replica.query("SELECT pg_wal_replay_pause()").await;
    delivered(&test).await;
    let seen = async || test.store.deliveries(DELIVERIES).await.unwrap().rows.len() == 2;
    wait_until("what the replica does not have yet", SOON, seen).await;
    delivered(&test).await;
    assert_eq!(test.store.deliveries(DELIVERIES).await.unwrap().rows.len(), 3, "it is not used while it is behind");

    servers.replica.query("SELECT pg_wal_replay_resume()").await;
    let back = async || {
        test.store.events(EVENTS).await.unwrap();
        servers.lists_read_on_replica().await
    };
    wait_until("the replica to be used again", SOON, back).await;
    servers.replica.kill().await;
    let failures = AtomicUsize::new(0);
    for _ in 0..20 {
        let page = test.store.events(EVENTS).await;
        failures.fetch_add(usize::from(page.is_err()), Ordering::Relaxed);
        assert_eq!(page.map(|page| page.rows.len()).unwrap_or_default(), 3);
    }
    assert_eq!(failures.into_inner(), 0);
    test.store.close().await;
}

#[tokio::test]
async fn a_database_of_its_own_is_no_replica() {
    let servers = Servers::start().await;
    let other = Postgres::start_with(PostgresOptions { fsync: false, ..PostgresOptions::default() }).await;
    let mut test = TestStore::open(Engine::Postgres).await;
    let settings = |url: String| PostgresSettings {
        replica: Some(ReplicaSettings { url, max_lag: MAX_LAG }),
        ..postgres_settings(&servers.primary.url())
    };
    test.store = Arc::new(PostgresStore::connect(settings(other.url()), Arc::new(Nothing)).await.unwrap());
    delivered(&test).await;
    let looked = async || {
        let sql = "SELECT count(*) FROM pg_stat_activity WHERE application_name = 'spillway' AND query LIKE '%pg_is_in_recovery%'";
        other.query(sql).await != "0"
    };
    wait_until("a look at it", SOON, looked).await;
    for _ in 0..5 {
        assert_eq!(test.store.events(EVENTS).await.unwrap().rows.len(), 1);
    }
    let error = PostgresStore::connect(settings("postgres//nowhere".into()), Arc::new(Nothing)).await.unwrap_err();
    assert_eq!(error.kind(), StoreErrorKind::Incompatible);
    assert!(error.to_string().contains("replica"), "{error}");
}
