//! What only PostgreSQL promises: partitions, several nodes, a server that goes away and comes back.

use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use spillway_model::{Appended, DeliveryState, EventId, NextState, OrderKey, Settlement};
use spillway_store::postgres::{PostgresSettings, PostgresStore};
use spillway_store::{QueryKind, RetryOutcome, Store, StoreErrorKind, StoreObserver, Unobserved};
use spillway_testkit::{Postgres, TestDatabase, free_port, shared_database, wait_until};
use sqlx::{Connection, Executor, PgConnection};

use crate::order::ordered;
use crate::support::{Engine, TestStore, postgres_settings, settlement};

const DAY: i64 = 86_400_000;

async fn connect(url: &str) -> PostgresStore {
    PostgresStore::connect(postgres_settings(url), Arc::new(Unobserved)).await.unwrap()
}

/// A node on a database of its own.
async fn node() -> (TestDatabase, TestStore) {
    let database = shared_database().await;
    let mut test = TestStore::open(Engine::Postgres).await;
    test.store = Arc::new(connect(database.url()).await);
    (database, test)
}

async fn partitions(database: &TestDatabase, table: &str) -> usize {
    let sql = format!("SELECT count(*) FROM pg_inherits WHERE inhparent = '{table}'::regclass");
    database.query(&sql).await.parse().unwrap()
}

#[tokio::test]
async fn partitions_are_there_ahead_of_time() {
    let (database, test) = node().await;
    // Yesterday, today, three days ahead, and the default.
    assert_eq!((partitions(&database, "events").await, partitions(&database, "attempts").await), (6, 6));
    test.store.maintain(test.now() + DAY).await.unwrap();
    assert_eq!(partitions(&database, "events").await, 7);
    test.delivery_due(test.ids.destination(), test.now()).await;
    assert_eq!(database.query("SELECT count(*) FROM events_default").await, "0");
}

#[tokio::test]
async fn an_event_without_a_partition_is_kept_and_gets_one_when_its_day_is_over() {
    let (database, test) = node().await;
    test.clock.advance(30 * DAY);
    let id = test.delivery_due(test.ids.destination(), test.now()).await;
    let claimed = test.claim_one().await;
    test.store.settle(vec![settlement(&claimed, NextState::Pending { due_at: test.now() })]).await.unwrap();
    let in_default = "SELECT (SELECT count(*) FROM events_default), (SELECT count(*) FROM attempts_default)";
    assert_eq!(database.query(in_default).await, "1|1");

    test.store.maintain(test.now()).await.unwrap();
    assert_eq!(database.query(in_default).await, "1|1", "the day is not over");
    test.clock.advance(2 * DAY);
    test.store.maintain(test.now()).await.unwrap();
    assert_eq!(database.query(in_default).await, "0|0");
    assert_eq!(test.store.attempts(id).await.unwrap().len(), 1);
    assert_eq!(test.claim_one().await.event, claimed.event);
}

#[tokio::test]
async fn making_partitions_does_not_wait_for_readers_and_intake_goes_on() {
    let (database, test) = node().await;
    let mut reader = PgConnection::connect(database.url()).await.unwrap();
    reader.execute("BEGIN; SELECT count(*) FROM events_default").await.unwrap();
    let later = test.now() + 20 * DAY;
    let event = test.event();
    let (maintained, _) = tokio::join!(test.store.maintain(later), test.accept(&event));
    let error = maintained.unwrap_err();
    assert_eq!((error.kind(), error.is_transient()), (StoreErrorKind::Contention, true));
    reader.execute("COMMIT").await.unwrap();
    test.store.maintain(later).await.unwrap();
}

#[tokio::test]
async fn several_nodes_start_on_an_empty_database_at_once() {
    let database = shared_database().await;
    let mut tasks = tokio::task::JoinSet::new();
    for _ in 0..5 {
        let url = database.url().to_owned();
        tasks.spawn(async move { connect(&url).await.ping().await.unwrap() });
    }
    tasks.join_all().await;
    assert_eq!(database.query("SELECT count(*) FROM _sqlx_migrations").await, "4");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn two_nodes_never_claim_the_same_delivery() {
    let (database, test) = node().await;
    let destinations = [(); 5].map(|()| test.ids.destination());
    let events = (0..200).map(|_| test.event_to(&destinations, test.now())).collect();
    test.store.append(events).await.unwrap();
    let mut tasks = tokio::task::JoinSet::new();
    for _ in 0..2 {
        let (node, request) = (connect(database.url()).await, test.request(40));
        tasks.spawn(async move {
            let mut mine = Vec::new();
            loop {
                let claimed = node.claim(request.clone()).await.unwrap();
                if claimed.is_empty() {
                    return mine;
                }
                mine.extend(claimed.iter().map(|one| one.id));
            }
        });
    }
    let mut all = tasks.join_all().await.concat();
    all.extend(test.claim(2_000).await.iter().map(|one| one.id));
    all.sort();
    let n_claims = all.len();
    all.dedup();
    assert_eq!((n_claims, all.len()), (1_000, 1_000));
}

#[tokio::test]
async fn a_delivery_whose_event_was_removed_holds_up_nobody_behind_it() {
    let (database, test) = node().await;
    let destination = test.ids.destination();
    let gone = test.accept(&ordered(&test, destination, OrderKey(1))).await;
    database.query("DELETE FROM events").await;
    let behind = test.accept(&ordered(&test, destination, OrderKey(1))).await;
    assert!(test.claim(10).await.is_empty());
    assert_eq!(test.store.delivery(gone.delivery(0)).await.unwrap().unwrap().state, DeliveryState::Cancelled);
    assert_eq!(test.claim_one().await.id, behind.delivery(0));
}

#[tokio::test]
async fn an_ordered_batch_is_one_statement_and_its_settlement_three() {
    let (database, test) = node().await;
    let counted = Arc::new(Counted::default());
    let store = PostgresStore::connect(postgres_settings(database.url()), counted.clone()).await.unwrap();
    let statements = || counted.0.swap(0, Ordering::SeqCst);
    let destination = test.ids.destination();
    let events = (0..300).map(|n| ordered(&test, destination, OrderKey(n % 200))).collect();
    store.append(events).await.unwrap();
    assert_eq!(statements(), 1);
    let claimed = store.claim(test.request(256)).await.unwrap();
    assert_eq!((claimed.len(), statements()), (200, 3));
    let next = NextState::Delivered { at: test.now() };
    let settlements = claimed.iter().map(|one| Settlement { order: one.order, ..settlement(one, next) });
    store.settle(settlements.collect()).await.unwrap();
    assert_eq!(statements(), 3);
    assert_eq!(store.claim(test.request(256)).await.unwrap().len(), 100);
}

#[tokio::test]
async fn a_delivery_whose_event_was_removed_is_cancelled() {
    let (database, test) = node().await;
    let destination = test.ids.destination();
    let gone = test.delivery_due(destination, test.now() - 10).await;
    database.query("DELETE FROM events").await;
    let kept = test.delivery_due(destination, test.now()).await;
    assert_eq!(test.claim_one().await.id, kept);
    assert_eq!(test.store.delivery(gone).await.unwrap().unwrap().state, DeliveryState::Cancelled);
    assert_eq!(test.store.retry(gone, test.now()).await.unwrap(), RetryOutcome::EventGone);
}

#[derive(Default)]
struct Counted(AtomicU32);

impl StoreObserver for Counted {
    fn query(&self, kind: QueryKind, _: Duration, statements: u32, _: usize) {
        if matches!(kind, QueryKind::Append | QueryKind::Settle | QueryKind::Claim) {
            self.0.fetch_add(statements, Ordering::SeqCst);
        }
    }

    fn pool_wait(&self, _: Duration) {}
}

#[tokio::test]
async fn a_batch_is_one_statement() {
    let (database, test) = node().await;
    let counted = Arc::new(Counted::default());
    let store = PostgresStore::connect(postgres_settings(database.url()), counted.clone()).await.unwrap();
    let statements = || counted.0.swap(0, Ordering::SeqCst);
    let destination = [test.ids.destination()];

    store.append((0..300).map(|_| test.event_to(&destination, test.now())).collect()).await.unwrap();
    assert_eq!(statements(), 1);
    store.append((0..300).map(|key| test.keyed(key, &destination)).collect()).await.unwrap();
    assert_eq!(statements(), 1);
    store.append((200..400).map(|key| test.keyed(key, &destination)).collect()).await.unwrap();
    assert_eq!(statements(), 2, "keys that are taken are looked up together");

    let claimed = store.claim(test.request(256)).await.unwrap();
    assert_eq!((claimed.len(), statements()), (256, 3));
    store.claim(test.request(256)).await.unwrap();
    assert_eq!(statements(), 2, "the next claim begins where this one ended");
    let next = NextState::Delivered { at: test.now() };
    store.settle(claimed.iter().map(|one| settlement(one, next)).collect()).await.unwrap();
    assert_eq!(statements(), 1);
}

#[tokio::test]
async fn a_killed_server_gives_transient_errors_until_it_is_back_and_nothing_is_lost() {
    let mut server = Postgres::start().await;
    let mut test = TestStore::open(Engine::Postgres).await;
    let settings = PostgresSettings { pool_timeout: Duration::from_millis(500), ..postgres_settings(&server.url()) };
    test.store = Arc::new(PostgresStore::connect(settings, Arc::new(Unobserved)).await.unwrap());
    let id = test.accept(&test.keyed(1, &[test.ids.destination()])).await;

    server.kill().await;
    for _ in 0..3 {
        let error = test.store.append(vec![test.event()]).await.unwrap_err();
        assert!(error.is_transient(), "{error:?}");
        assert_eq!(error.kind(), StoreErrorKind::Unavailable);
    }
    server.restart().await;
    let append = async || match test.store.append(vec![test.event()]).await {
        Ok(_) => true,
        Err(error) => {
            assert!(error.is_transient(), "{error:?}");
            false
        }
    };
    wait_until("the store to work again", Duration::from_secs(20), append).await;
    assert_eq!(test.store.append(vec![test.keyed(1, &[])]).await.unwrap(), [Appended::Duplicate { id }]);
    assert_eq!(test.claim_one().await.id, id.delivery(0));
}

#[derive(Debug, Default)]
struct Exhaustions(AtomicU32);

impl StoreObserver for Exhaustions {
    fn query(&self, _: QueryKind, _: Duration, _: u32, _: usize) {}

    fn pool_wait(&self, _: Duration) {}

    fn pool_exhausted(&self) {
        self.0.fetch_add(1, Ordering::Relaxed);
    }
}

#[tokio::test]
async fn a_full_pool_is_an_error_of_its_own() {
    let database = shared_database().await;
    let test = TestStore::open(Engine::Postgres).await;
    let settings = PostgresSettings {
        pool_size: 1,
        max_overflow: 0,
        pool_timeout: Duration::from_millis(200),
        ..postgres_settings(database.url())
    };
    let exhaustions = Arc::new(Exhaustions::default());
    let store = Arc::new(PostgresStore::connect(settings, exhaustions.clone()).await.unwrap());
    let mut other = PgConnection::connect(database.url()).await.unwrap();
    other.execute("BEGIN; LOCK TABLE deliveries").await.unwrap();
    let (waiting, event) = (store.clone(), test.event_to(&[test.ids.destination()], test.now()));
    let blocked = tokio::spawn(async move { waiting.append(vec![event]).await });
    let waits = "SELECT count(*) FROM pg_locks WHERE relation = 'deliveries'::regclass AND NOT granted";
    wait_until("the append to hold the only connection", Duration::from_secs(10), async || {
        database.query(waits).await == "1"
    })
    .await;
    assert_eq!(store.pool().used, 1);
    let error = store.ping().await.unwrap_err();
    assert_eq!((error.kind(), error.is_transient()), (StoreErrorKind::PoolExhausted, true));
    assert_eq!(exhaustions.0.load(Ordering::Relaxed), 1);
    other.execute("COMMIT").await.unwrap();
    blocked.await.unwrap().unwrap();
    store.ping().await.unwrap();
}

#[tokio::test]
async fn what_cannot_be_used_is_refused_at_the_start() {
    let connect =
        async |url: String| PostgresStore::connect(postgres_settings(&url), Arc::new(Unobserved)).await.unwrap_err();
    let unreachable = connect(format!("postgres://postgres@127.0.0.1:{}/none", free_port())).await;
    assert_eq!(unreachable.kind(), StoreErrorKind::Unavailable);
    assert_eq!(connect("postgres//nowhere".into()).await.kind(), StoreErrorKind::Incompatible);
}

#[tokio::test]
async fn old_idempotency_records_are_removed() {
    let (database, test) = node().await;
    test.store.append((0..20).map(|key| test.keyed(key, &[])).collect()).await.unwrap();
    test.clock.advance(2 * crate::support::WINDOW.as_millis() as i64);
    test.store.append((100..103).map(|key| test.keyed(key, &[])).collect()).await.unwrap();
    test.store.maintain(test.now()).await.unwrap();
    assert_eq!(database.query("SELECT count(*) FROM idempotency").await, "3");
    assert_ne!(test.store.latest_event().await.unwrap(), None::<EventId>);
}

#[tokio::test]
async fn a_connection_without_limits_of_age_and_idleness_is_never_replaced() {
    let database = shared_database().await;
    let settings = PostgresSettings {
        pool_size: 1,
        max_overflow: 0,
        pool_recycle: Duration::ZERO,
        idle_timeout: Duration::ZERO,
        ..postgres_settings(database.url())
    };
    let store = PostgresStore::connect(settings, Arc::new(Unobserved)).await.unwrap();
    let mut processes = std::collections::HashSet::new();
    for _ in 0..5 {
        store.ping().await.unwrap();
        let sql = "SELECT string_agg(pid::text, ' ') FROM pg_stat_activity
            WHERE datname = current_database() AND application_name = 'spillway'";
        processes.insert(database.query(sql).await);
    }
    assert_eq!(processes.len(), 1, "{processes:?}");
}
