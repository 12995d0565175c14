//! Ordered delivery: one key in strict order, all keys side by side.

use std::collections::HashMap;
use std::time::{Duration, Instant};

use spillway_model::{BreakerPolicy, DeliveryState};
use spillway_testkit::{Answer, ReceivedRequest, Sink, wait_until};

use crate::support::{DEADLINE, TestStore, TestWorker, millis, schedule};

fn no_breaker() -> BreakerPolicy {
    BreakerPolicy { consecutive_failures: 0, ..BreakerPolicy::default() }
}

/// The places that arrived for each key, in the order of their arrival.
fn by_key(requests: &[ReceivedRequest]) -> HashMap<String, Vec<usize>> {
    let mut places: HashMap<String, Vec<usize>> = HashMap::new();
    for request in requests {
        let text = String::from_utf8_lossy(&request.body);
        let (key, place) = text.split_once(':').expect("a key and a place");
        places.entry(key.to_owned()).or_default().push(place.parse().expect("a place"));
    }
    places
}

async fn each_key_is_in_order(store: TestStore) {
    let sink = Sink::start().await;
    let to = store.destination(&sink.url("/hook")).await;
    let mut all = Vec::new();
    for key in 0..10 {
        all.extend(store.publish_ordered(to, key, 20).await);
    }
    let workers = [TestWorker::start(&store).await, TestWorker::start(&store).await];
    store.wait_for(DeliveryState::Delivered, &all).await;
    let places = by_key(&sink.requests());
    assert_eq!(places.len(), 10);
    for (key, places) in places {
        assert_eq!(places, (0..20).collect::<Vec<_>>(), "key {key}");
    }
    for worker in workers {
        worker.stop().await;
    }
}

#[tokio::test]
async fn each_key_is_in_order_over_two_workers_on_sqlite() {
    each_key_is_in_order(TestStore::open().await).await;
}

#[tokio::test]
async fn each_key_is_in_order_over_two_workers_on_postgres() {
    each_key_is_in_order(TestStore::postgres().await).await;
}

/// The worker looks for due deliveries once in 10 s here: what makes a key move is the ending of the delivery before.
async fn one_key_does_not_wait_for_the_poll(store: TestStore) {
    let sink = Sink::start().await;
    let to = store.destination(&sink.url("/hook")).await;
    let all = store.publish_ordered(to, 7, 100).await;
    let began = Instant::now();
    let worker = TestWorker::start_with(&store, |options| options.worker.poll = Duration::from_secs(10)).await;
    store.wait_for(DeliveryState::Delivered, &all).await;
    assert!(began.elapsed() < Duration::from_secs(9), "100 deliveries of one key took {:?}", began.elapsed());
    assert_eq!(by_key(&sink.requests())["7"], (0..100).collect::<Vec<_>>());
    worker.stop().await;
}

#[tokio::test]
async fn one_key_does_not_wait_for_the_poll_on_sqlite() {
    one_key_does_not_wait_for_the_poll(TestStore::open().await).await;
}

#[tokio::test]
async fn one_key_does_not_wait_for_the_poll_on_postgres() {
    one_key_does_not_wait_for_the_poll(TestStore::postgres().await).await;
}

#[tokio::test]
async fn a_stuck_key_blocks_only_itself() {
    let (store, sink) = (TestStore::open().await, Sink::start().await);
    sink.respond_with(|request| Answer::status(if request.body.starts_with(b"1:") { 500 } else { 200 }));
    let to = store
        .destination_with(&sink.url("/hook"), |to| {
            (to.retry, to.breaker) = (Some(schedule(&[0, 60_000])), no_breaker());
        })
        .await;
    let stuck = store.publish_ordered(to, 1, 5).await;
    let mut others = Vec::new();
    for key in 2..8 {
        others.extend(store.publish_ordered(to, key, 10).await);
    }
    let worker = TestWorker::start(&store).await;
    store.wait_for(DeliveryState::Delivered, &others).await;
    store.wait_for_attempts(stuck[0], 1).await;
    assert_eq!(store.delivery(stuck[0]).await.state, DeliveryState::Pending, "it is tried again in a minute");
    for id in &stuck[1..] {
        assert_eq!(store.delivery(*id).await.state, DeliveryState::Queued);
    }
    assert_eq!(by_key(&sink.requests())["1"], [0], "nothing overtook it");
    worker.stop().await;
}

#[tokio::test]
async fn a_dead_letter_is_set_aside_and_lets_the_next_one_pass() {
    let (store, sink) = (TestStore::open().await, Sink::start().await);
    sink.respond_with(|request| Answer::status(if &request.body[..] == b"1:0" { 500 } else { 200 }));
    let to = store
        .destination_with(&sink.url("/hook"), |to| {
            (to.retry, to.breaker) = (Some(schedule(&[0, 10, 10])), no_breaker());
        })
        .await;
    let all = store.publish_ordered(to, 1, 4).await;
    let worker = TestWorker::start(&store).await;
    store.wait_for(DeliveryState::Delivered, &all[1..]).await;
    assert_eq!(store.delivery(all[0]).await.state, DeliveryState::Dead);
    assert_eq!(by_key(&sink.requests())["1"], [0, 0, 0, 1, 2, 3]);
    worker.stop().await;
}

#[tokio::test]
async fn a_worker_that_stops_leaves_no_key_behind() {
    let (store, sink) = (TestStore::open().await, Sink::start().await);
    sink.on("/hook", Answer::hang());
    let to = store.destination(&sink.url("/hook")).await;
    let all = store.publish_ordered(to, 1, 3).await;
    let first = TestWorker::start_with(&store, |options| options.drain = millis(10)).await;
    sink.wait_for_count(1, DEADLINE).await;
    first.stop().await;
    sink.on("/hook", Answer::status(200));
    let second = TestWorker::start(&store).await;
    store.wait_for(DeliveryState::Delivered, &all).await;
    second.stop().await;
}

#[tokio::test]
async fn deliveries_of_a_deleted_destination_are_cancelled_key_by_key() {
    let (store, sink) = (TestStore::open().await, Sink::start().await);
    let to = store.destination(&sink.url("/hook")).await;
    let all = store.publish_ordered(to, 1, 3).await;
    store.change(spillway_model::ConfigurationChange::DeleteDestination(to)).await;
    let worker = TestWorker::start(&store).await;
    store.wait_for(DeliveryState::Cancelled, &all).await;
    wait_until("no backlog", DEADLINE, async || store.store.backlog().await.is_ok_and(|backlog| backlog.pending == 0))
        .await;
    assert_eq!(sink.count(), 0);
    worker.stop().await;
}
