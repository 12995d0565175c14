//! A million deliveries: claims and lists stay as quick as on an empty store, because they read the ends of indexes.
//!
//! Only `cargo xtask test --large` runs these.

use std::sync::Arc;
use std::time::{Duration, Instant};

use spillway_model::{DeliveryState, DestinationId, NextState};
use spillway_store::{DeliveryFilter, EventFilter, Store, Unobserved};
use spillway_testkit::{large_tests_wanted, shared_database};

use crate::support::{Engine, TestStore, postgres_settings, settlement};

const DELIVERIES: usize = 1_000_000;
const BATCH: usize = 5_000;
/// A page takes a few hundred microseconds; reading the whole table takes hundreds of milliseconds.
const QUICK: Duration = Duration::from_millis(25);
/// Index entries that one claim or list may read.
const FEW: u64 = 15_000;

/// Half of the million to one destination, the rest to 99 others; a tenth of them has been delivered.
async fn fill(test: &TestStore) -> Vec<DestinationId> {
    let destinations: Vec<_> = (0..100).map(|_| test.ids.destination()).collect();
    for batch in 0..DELIVERIES / BATCH {
        let events = (0..BATCH).map(|n| {
            let destination = if n % 2 == 0 { destinations[0] } else { destinations[1 + n % 99] };
            test.event_to(&[destination], test.now() - (DELIVERIES - batch * BATCH - n) as i64)
        });
        test.store.append(events.collect()).await.unwrap();
    }
    for _ in 0..DELIVERIES / 10 / 1_000 {
        let claimed = test.claim(1_000).await;
        let next = NextState::Delivered { at: test.now() };
        test.store.settle(claimed.iter().map(|one| settlement(one, next)).collect()).await.unwrap();
    }
    destinations
}

const LISTS: [&str; 10] = [
    "events",
    "events of a source",
    "latest event",
    "deliveries",
    "of an event",
    "to a destination",
    "in a state",
    "to a destination in a state",
    "attempts",
    "backlog",
];

async fn list(store: &dyn Store, test: &TestStore, destinations: &[DestinationId], which: &str) {
    let events = EventFilter { source: None, before: None, from: None, limit: 100 };
    let all = DeliveryFilter { event: None, destination: None, state: None, cursor: None, limit: 100 };
    let (destination, state) = (Some(destinations[0]), Some(DeliveryState::Delivered));
    let latest = store.latest_event().await.unwrap().unwrap();
    let deliveries = match which {
        "events" => return assert_eq!(store.events(events).await.unwrap().rows.len(), 100),
        "events of a source" => {
            let filter = EventFilter { source: Some(test.source), before: Some(latest), ..events };
            return assert_eq!(store.events(filter).await.unwrap().rows.len(), 100);
        }
        "latest event" => return,
        "attempts" => return drop(store.attempts(latest.delivery(0)).await.unwrap()),
        "backlog" => return assert!(store.backlog().await.unwrap().pending > 10_000),
        "deliveries" => all,
        "of an event" => DeliveryFilter { event: Some(latest), limit: 1, ..all },
        "to a destination" => DeliveryFilter { destination, ..all },
        "in a state" => DeliveryFilter { state, ..all },
        _ => DeliveryFilter { destination, state, ..all },
    };
    assert_eq!(store.deliveries(deliveries).await.unwrap().rows.len(), deliveries.limit, "{which}");
}

/// The quickest of five, so that a checkpoint or a neighbour does not count.
async fn quickest(mut work: impl AsyncFnMut()) -> Duration {
    let mut best = Duration::MAX;
    for _ in 0..5 {
        let begun = Instant::now();
        work().await;
        best = best.min(begun.elapsed());
    }
    best
}

async fn claims_and_lists_are_quick(test: &TestStore, destinations: &[DestinationId], exact_count: bool) {
    let claim = quickest(async || assert_eq!(test.claim(256).await.len(), 256)).await;
    println!("claim of 256: {claim:?}");
    assert!(claim < QUICK, "a claim of 256 took {claim:?}");
    for which in LISTS {
        let took = quickest(async || list(&*test.store, test, destinations, which).await).await;
        println!("{which}: {took:?}");
        let counts_all = which == "backlog" && exact_count;
        assert!(took < QUICK || counts_all, "{which} took {took:?}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn large_sqlite_store_claims_and_lists_quickly() {
    if !large_tests_wanted() {
        return;
    }
    let test = TestStore::open(Engine::Sqlite).await;
    let destinations = fill(&test).await;
    claims_and_lists_are_quick(&test, &destinations, true).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn large_postgres_store_claims_and_lists_quickly_and_from_indexes() {
    if !large_tests_wanted() {
        return;
    }
    let database = shared_database().await;
    let connect = async || {
        let settings = postgres_settings(database.url());
        spillway_store::postgres::PostgresStore::connect(settings, Arc::new(Unobserved)).await.unwrap()
    };
    let mut test = TestStore::open(Engine::Postgres).await;
    test.store = Arc::new(connect().await);
    let destinations = fill(&test).await;
    claims_and_lists_are_quick(&test, &destinations, false).await;
    test.store.close().await;

    // A session reports its counts at its end at the latest: one for each claim or list tells what it read.
    let counts = async || {
        let sql =
            "SELECT sum(seq_scan)::bigint FROM pg_stat_user_tables WHERE relname ~ '^(events|deliveries|attempts)'";
        let scans: u64 = database.query(sql).await.parse().unwrap();
        let sql = "SELECT sum(idx_tup_read)::bigint FROM pg_stat_user_indexes WHERE relname ~ '^(events|deliveries|attempts)'";
        (scans, database.query(sql).await.parse::<u64>().unwrap())
    };
    for which in ["nothing", "claim"].into_iter().chain(LISTS) {
        let store = connect().await;
        let before = counts().await;
        match which {
            "nothing" => {}
            "claim" => assert_eq!(store.claim(test.request(256)).await.unwrap().len(), 256),
            _ => list(&store, &test, &destinations, which).await,
        }
        store.close().await;
        let after = counts().await;
        println!("{which}: {} table scans, {} index entries", after.0 - before.0, after.1 - before.1);
        assert_eq!(after.0, before.0, "{which} read a whole table");
        assert!(after.1 - before.1 < FEW, "{which} read {} index entries", after.1 - before.1);
    }
}
