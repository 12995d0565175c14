//! How many statements the embedded engine says that it executes.

use std::sync::Arc;
use std::time::Duration;

use spillway_model::{NextState, OrderKey, Settlement};
use spillway_store::sqlite::{SqliteSettings, SqliteStore};
use spillway_store::{QueryKind, StatementCounts, StoreObserver};

use crate::support::{Engine, TestStore, lease, settlement};

#[derive(Default)]
struct Counted(StatementCounts);

impl StoreObserver for Counted {
    fn query(&self, kind: QueryKind, _: Duration, statements: u32, _: usize) {
        self.0.add(kind, statements);
    }

    fn pool_wait(&self, _: Duration) {}
}

#[tokio::test]
async fn of_several_statements_in_one_text_each_counts_and_begin_and_commit_do_not() {
    let mut test = TestStore::open(Engine::Sqlite).await;
    let folder = tempfile::tempdir().unwrap();
    let counted = Arc::new(Counted::default());
    let settings = SqliteSettings::new(folder.path().join("spillway.db"));
    test.store = Arc::new(SqliteStore::open(settings, counted.clone()).await.unwrap());
    let destination = [test.ids.destination()];
    // Three ids that are seen for the first time, and two statements.
    test.accept(&test.event_to(&destination, test.now())).await;
    assert_eq!(counted.0.get(QueryKind::Append), 5);
    let append = async |events| {
        let before = counted.0.get(QueryKind::Append);
        test.store.append(events).await.unwrap();
        counted.0.get(QueryKind::Append) - before
    };
    assert_eq!(append((0..200).map(|_| test.event_to(&destination, test.now())).collect()).await, 2);
    assert_eq!(append((0..200).map(|key| test.keyed(key, &destination)).collect()).await, 3);
    assert_eq!(append((100..300).map(|key| test.keyed(key, &destination)).collect()).await, 4, "owners are looked up");

    let claimed = test.claim(200).await;
    assert_eq!((claimed.len(), counted.0.get(QueryKind::Claim)), (200, 3));
    test.store.renew(vec![lease(&claimed[0])], test.now() + 60_000).await.unwrap();
    assert_eq!(counted.0.get(QueryKind::Renew), 2);
    let next = NextState::Delivered { at: test.now() };
    test.store.settle(claimed.iter().map(|one| settlement(one, next)).collect()).await.unwrap();
    assert_eq!(counted.0.get(QueryKind::Settle), 2, "attempts and deliveries");

    let ordered = |n: i64| crate::order::ordered(&test, destination[0], OrderKey(n));
    assert_eq!(
        append((0..200).map(|n| ordered(n % 150)).collect()).await,
        1 + 3,
        "events, and what keeps deliveries in order"
    );
    let claimed: Vec<_> = test.claim(1_000).await.into_iter().filter(|one| one.order.is_some()).collect();
    assert_eq!(claimed.len(), 150);
    let before = counted.0.get(QueryKind::Settle);
    let settlements = claimed.iter().map(|one| Settlement { order: one.order, ..settlement(one, next) });
    test.store.settle(settlements.collect()).await.unwrap();
    assert_eq!(counted.0.get(QueryKind::Settle) - before, 2 + 4, "and the next ones of their keys");

    let delivery = claimed[0].id;
    test.store.delivery(delivery).await.unwrap();
    test.store.attempts(delivery).await.unwrap();
    assert_eq!((counted.0.get(QueryKind::Lookup), counted.0.get(QueryKind::List)), (1, 1));
}
