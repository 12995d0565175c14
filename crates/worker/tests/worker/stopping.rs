//! The stop: nothing is lost, nothing stays claimed, and it ends in time.

use std::time::{Duration, Instant};

use spillway_model::{Clock, DeliveryState, SystemClock};
use spillway_testkit::{Answer, Sink};

use crate::support::{DEADLINE, GIVE_BACK, TestStore, TestWorker, millis};

#[tokio::test]
async fn attempts_under_way_finish_and_the_others_become_due_at_once() {
    let (store, sink) = (TestStore::open().await, Sink::start().await);
    sink.on("/hook", Answer::status(200).after(millis(300)));
    let to = store.destination_with(&sink.url("/hook"), |to| to.max_concurrent = Some(2)).await;
    let worker = TestWorker::start(&store).await;
    let mut deliveries = store.publish(to, 20).await;
    sink.wait_for_count(2, DEADLINE).await;
    let born = store.born_claimed(to, 10, SystemClock.now() + 60_000).await;
    deliveries.extend(born.iter().map(|claimed| claimed.id));
    worker.hand_over(born).await;
    worker.stop().await;

    let sent = sink.count();
    let mut delivered = 0;
    for id in &deliveries {
        if store.delivery(*id).await.state == DeliveryState::Delivered {
            delivered += 1;
        } else {
            assert!(store.is_due(*id).await, "{id} is still claimed");
        }
    }
    assert_eq!(delivered, sent, "what was sent is recorded");
    assert!((2..20).contains(&sent), "{sent} sent");

    sink.on("/hook", Answer::status(200));
    let next = TestWorker::start(&store).await;
    store.wait_for(DeliveryState::Delivered, &deliveries).await;
    assert_eq!(sink.count(), deliveries.len(), "each exactly once");
    next.stop().await;
}

#[tokio::test]
async fn attempts_that_do_not_end_in_time_are_cut_off_and_given_back() {
    let (store, sink) = (TestStore::open().await, Sink::start().await);
    sink.on("/hook", Answer::hang());
    let to = store.destination_with(&sink.url("/hook"), |to| to.timeout_ms = Some(30_000)).await;
    let worker = TestWorker::start_with(&store, |options| options.drain = millis(200)).await;
    let deliveries = store.publish(to, 12).await;
    sink.wait_for_count(8, DEADLINE).await;
    let began = Instant::now();
    worker.stop().await;
    assert!(began.elapsed() < Duration::from_secs(5), "it took {:?}", began.elapsed());
    for id in &deliveries {
        assert!(store.is_due(*id).await, "{id} is still claimed");
        assert!(store.attempts(*id).await.is_empty());
    }
}

#[tokio::test]
async fn it_ends_in_time_also_when_the_store_is_away() {
    let (store, sink) = (TestStore::open().await, Sink::start().await);
    let to = store.destination(&sink.url("/hook")).await;
    let worker = TestWorker::start_with(&store, |options| options.drain = millis(200)).await;
    worker.way.set_away(true);
    worker.hand_over(store.born_claimed(to, 20, SystemClock.now() + 60_000).await).await;
    sink.wait_for_count(20, DEADLINE).await;
    let began = Instant::now();
    worker.stop().await;
    assert!(began.elapsed() < millis(200) + GIVE_BACK + Duration::from_secs(2), "it took {:?}", began.elapsed());
}
