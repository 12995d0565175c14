//! Several workers, and deliveries that change hands.

use std::collections::HashSet;
use std::time::Duration;

use spillway_model::{Clock, DeliveryState, SystemClock};
use spillway_testkit::{Answer, Sink, wait_until};

use crate::support::{DEADLINE, TestStore, TestWorker, millis};

#[tokio::test]
async fn two_workers_on_one_store_never_deliver_twice() {
    let (store, sink) = (TestStore::open().await, Sink::start().await);
    let mut all = Vec::new();
    let (first, second) = (TestWorker::start(&store).await, TestWorker::start(&store).await);
    for _ in 0..4 {
        let to = store.destination(&sink.url("/hook")).await;
        all.extend(store.publish(to, 150).await);
    }
    store.wait_for(DeliveryState::Delivered, &all).await;
    let ids: HashSet<_> =
        sink.requests().iter().filter_map(|one| one.header("webhook-id").map(str::to_owned)).collect();
    assert_eq!((ids.len(), sink.count()), (600, 600));
    assert!(first.way.claimed() + second.way.claimed() >= 600);
    first.stop().await;
    second.stop().await;
}

#[tokio::test]
async fn what_a_killed_worker_held_is_delivered_by_another_one() {
    let (store, sink) = (TestStore::open().await, Sink::start().await);
    sink.on("/hook", Answer::hang());
    let to = store.destination_with(&sink.url("/hook"), |to| to.timeout_ms = Some(1_000)).await;
    let short = |options: &mut crate::support::Options| options.worker.lease = millis(1_500);
    let doomed = TestWorker::start_with(&store, short).await;
    let deliveries = store.publish(to, 20).await;
    sink.wait_for_count(8, DEADLINE).await;
    doomed.kill().await;
    sink.on("/hook", Answer::status(200));
    let heir = TestWorker::start_with(&store, short).await;
    store.wait_for(DeliveryState::Delivered, &deliveries).await;
    heir.stop().await;
}

#[tokio::test]
async fn a_delivery_that_comes_out_of_the_ready_queue_late_is_not_sent_from_there() {
    let (store, sink) = (TestStore::open().await, Sink::start().await);
    let to = store.destination(&sink.url("/hook")).await;
    // Another worker has it by now: its claim is newer.
    let late = store.born_claimed(to, 3, SystemClock.now() - 1).await;
    let ids: Vec<_> = late.iter().map(|claimed| claimed.id).collect();
    let worker = TestWorker::start(&store).await;
    store.wait_for(DeliveryState::Delivered, &ids).await;
    worker.hand_over(late).await;
    wait_until("the queue to be empty", DEADLINE, async || worker.waiting() == 0.0).await;
    let next = store.publish(to, 5).await;
    store.wait_for(DeliveryState::Delivered, &next).await;
    assert_eq!(sink.count(), 8);
    worker.stop().await;
}

#[tokio::test]
async fn deliveries_that_wait_for_a_slow_destination_stay_ours() {
    let (store, sink) = (TestStore::open().await, Sink::start().await);
    sink.on("/hook", Answer::status(200).after(millis(250)));
    let to = store
        .destination_with(&sink.url("/hook"), |to| (to.max_concurrent, to.timeout_ms) = (Some(2), Some(600)))
        .await;
    let short = |options: &mut crate::support::Options| options.worker.lease = millis(800);
    let (first, second) = (TestWorker::start_with(&store, short).await, TestWorker::start_with(&store, short).await);
    // Those that wait do so for more than a lease.
    let deliveries = store.publish(to, 24).await;
    store.wait_for(DeliveryState::Delivered, &deliveries).await;
    assert_eq!(sink.count(), 24, "each exactly once");
    first.stop().await;
    second.stop().await;
}

#[tokio::test]
async fn an_attempt_that_may_outlast_the_usual_lease_gets_a_longer_one() {
    let (store, sink) = (TestStore::open().await, Sink::start().await);
    sink.on("/hook", Answer::status(200).after(Duration::from_secs(1)));
    let to = store.destination_with(&sink.url("/hook"), |to| to.timeout_ms = Some(10_000)).await;
    let short = |options: &mut crate::support::Options| options.worker.lease = millis(300);
    let (first, second) = (TestWorker::start_with(&store, short).await, TestWorker::start_with(&store, short).await);
    let deliveries = store.publish(to, 2).await;
    store.wait_for(DeliveryState::Delivered, &deliveries).await;
    assert_eq!(sink.count(), 2, "each exactly once");
    first.stop().await;
    second.stop().await;
}
