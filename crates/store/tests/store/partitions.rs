//! How the room of what was removed comes back: PostgreSQL drops the partitions of days that are over, SQLite uses its pages again.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use spillway_model::{DeliveryId, Event, NextState, Retention};
use spillway_store::{ExpireLimits, Expired, RetentionPolicy};
use spillway_testkit::wait_until;
use sqlx::{Connection, Executor, PgConnection};

use crate::support::{Engine, TestStore, settlement};

const DAY: i64 = 86_400_000;

fn keep_30_days() -> RetentionPolicy {
    let rule = Retention { events_ms: Some(30 * DAY.cast_unsigned()), ..Retention::default() };
    RetentionPolicy { default: rule, ..RetentionPolicy::default() }
}

async fn expire(test: &TestStore, policy: &RetentionPolicy) -> Expired {
    let mut all = Expired::default();
    for _ in 0..1_000 {
        let limits = ExpireLimits { now: test.now(), rows: 50 };
        let expired = test.store.expire(policy.clone(), limits).await.unwrap();
        all += Expired { more: false, ..expired };
        if !expired.more {
            return all;
        }
    }
    panic!("it has no end");
}

/// Today's events with a delivery each, of which the last `open` have not ended.
async fn today(test: &TestStore, n: usize, open: usize) -> Vec<DeliveryId> {
    let destination = test.ids.destination();
    let events: Vec<_> = (0..n).map(|_| test.event_to(&[destination], test.now())).collect();
    let ids: Vec<DeliveryId> = events.iter().map(|event| event.deliveries[0].id).collect();
    test.store.append(events).await.unwrap();
    let settlements = test.claim(n).await.into_iter().map(|one| {
        let is_open = ids[n - open..].contains(&one.id);
        let later = NextState::Pending { due_at: test.now() + 60 * DAY };
        settlement(&one, if is_open { later } else { NextState::Delivered { at: test.now() } })
    });
    test.store.settle(settlements.collect()).await.unwrap();
    ids
}

/// Tables of this day, and rows in any: events, deliveries, attempts.
async fn counts(test: &TestStore, id: DeliveryId) -> String {
    let day = test.query(&format!("SELECT to_char(to_timestamp({} / 1000), 'YYYYMMDD')", id.timestamp())).await;
    test.query(&format!(
        "SELECT (SELECT count(*) FROM pg_class WHERE relname IN ('events_{day}', 'attempts_{day}')),
            (SELECT count(*) FROM events), (SELECT count(*) FROM deliveries), (SELECT count(*) FROM attempts)"
    ))
    .await
}

#[tokio::test]
async fn a_day_that_is_over_goes_as_a_partition() {
    let test = TestStore::open(Engine::Postgres).await;
    let ids = today(&test, 120, 0).await;
    assert_eq!(counts(&test, ids[0]).await, "2|120|120|120");
    test.clock.advance(29 * DAY);
    expire(&test, &keep_30_days()).await;
    assert_eq!(counts(&test, ids[0]).await, "2|120|120|120", "29 days are not over");
    test.clock.advance(2 * DAY);
    let young = today(&test, 3, 0).await;
    let expired = expire(&test, &keep_30_days()).await;
    assert!(expired.partitions >= 2 && expired.events == 0, "{expired:?}");
    assert_eq!(counts(&test, ids[0]).await, "0|3|3|3");
    assert_eq!(test.store.delivery(young[0]).await.unwrap().map(|delivery| delivery.id), Some(young[0]));
    test.store.maintain(test.now()).await.unwrap();
    assert_eq!(expire(&test, &keep_30_days()).await.partitions, 0);
}

#[tokio::test]
async fn a_day_with_a_delivery_that_has_not_ended_goes_when_it_has() {
    let test = TestStore::open(Engine::Postgres).await;
    let ids = today(&test, 60, 2).await;
    test.clock.advance(40 * DAY);
    assert_eq!(expire(&test, &keep_30_days()).await.events, 58);
    assert_eq!(counts(&test, ids[0]).await, "2|2|2|2");
    assert!(test.store.event(ids[59].event()).await.unwrap().is_some());

    test.clock.advance(21 * DAY);
    let claimed = test.claim(10).await;
    assert_eq!(claimed.len(), 2);
    let next = NextState::Dead { at: test.now() };
    test.store.settle(claimed.iter().map(|one| settlement(one, next)).collect()).await.unwrap();
    test.clock.advance(DAY);
    expire(&test, &keep_30_days()).await;
    assert_eq!(expire(&test, &keep_30_days()).await.events, 0);
    assert_eq!(counts(&test, ids[0]).await, "0|0|0|0");
}

#[tokio::test]
async fn a_table_that_is_read_for_long_is_left_alone_and_intake_goes_on() {
    let test = TestStore::open(Engine::Postgres).await;
    let ids = today(&test, 60, 0).await;
    test.clock.advance(40 * DAY);
    let mut reader = PgConnection::connect(test.url()).await.unwrap();
    reader.execute("BEGIN; SELECT count(*) FROM events").await.unwrap();
    let event = test.event();
    let policy = keep_30_days();
    let (expired, _) = tokio::join!(expire(&test, &policy), test.accept(&event));
    assert_eq!(expired.partitions, 0);
    assert!(counts(&test, ids[0]).await.starts_with("2|"));
    reader.execute("COMMIT").await.unwrap();
    let dropped = async || expire(&test, &policy).await.partitions > 0;
    wait_until("the day to go", Duration::from_secs(10), dropped).await;
    assert_eq!(counts(&test, ids[0]).await, "0|1|0|0");
}

#[tokio::test]
async fn a_partition_that_was_detached_before_a_crash_is_dropped_later() {
    let test = TestStore::open(Engine::Postgres).await;
    let ids = today(&test, 5, 0).await;
    let day = test.query(&format!("SELECT to_char(to_timestamp({} / 1000), 'YYYYMMDD')", ids[0].timestamp())).await;
    test.query(&format!("ALTER TABLE attempts DETACH PARTITION attempts_{day}")).await;
    expire(&test, &keep_30_days()).await;
    assert!(counts(&test, ids[0]).await.starts_with("2|"), "it is of a day that is not over");
    test.clock.advance(40 * DAY);
    expire(&test, &keep_30_days()).await;
    assert_eq!(counts(&test, ids[0]).await, "0|0|0|0");
}

#[tokio::test]
async fn a_source_that_is_kept_longer_keeps_its_events_and_not_those_of_others() {
    let mut test = TestStore::open(Engine::Postgres).await;
    today(&test, 60, 0).await;
    test.source = test.ids.source();
    let kept = today(&test, 10, 0).await;
    let mut policy = keep_30_days();
    policy.sources.insert(test.source, Retention { events_ms: Some(60 * DAY.cast_unsigned()), ..Retention::default() });
    test.clock.advance(40 * DAY);
    assert_eq!(expire(&test, &policy).await.events, 60);
    assert_eq!(counts(&test, kept[0]).await, "2|10|10|10");
    test.clock.advance(21 * DAY);
    assert!(expire(&test, &policy).await.partitions >= 2);
    assert_eq!(counts(&test, kept[0]).await, "0|0|0|0");
}

#[tokio::test]
async fn the_embedded_store_uses_the_pages_again() {
    let mut test = TestStore::open(Engine::Sqlite).await;
    let mut sizes = Vec::new();
    for _ in 0..3 {
        let events = (0..400).map(|_| {
            let mut new = test.event();
            new.event = Arc::new(Event { body: Bytes::from(vec![b'x'; 8_000]), ..Event::clone(&new.event) });
            new
        });
        test.store.append(events.collect()).await.unwrap();
        test.clock.advance(31 * DAY);
        assert_eq!(expire(&test, &keep_30_days()).await.events, 400);
        test = test.reopen().await;
        sizes.push(test.file_bytes());
    }
    assert!(sizes[0] > 3_000_000, "{sizes:?}");
    assert!(sizes[2] <= sizes[0] + sizes[0] / 20, "{sizes:?}");
}
