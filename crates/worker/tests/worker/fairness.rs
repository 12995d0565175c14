//! Lanes: nobody waits for somebody else's destination.

use std::time::{Duration, Instant};

use spillway_model::{Clock, ConfigurationChange, DeliveryState, DestinationState, SystemClock};
use spillway_testkit::{Answer, Sink, wait_until};

use crate::support::{DEADLINE, TestStore, TestWorker, millis};

#[tokio::test]
async fn hanging_destinations_do_not_delay_the_others() {
    let (store, sink) = (TestStore::open().await, Sink::start().await);
    sink.on("/hang", Answer::hang());
    let mut hanging = Vec::new();
    for _ in 0..4 {
        hanging.push(store.destination(&sink.url("/hang")).await);
    }
    let healthy = store.destination(&sink.url("/healthy")).await;
    let worker = TestWorker::start_with(&store, |options| {
        (options.worker.timeout, options.drain) = (Duration::from_secs(30), Duration::ZERO);
    })
    .await;
    // 4 lanes of 8 attempts each could take all 32 attempts of the process.
    for to in &hanging {
        store.publish(*to, 100).await;
    }
    wait_until("the hanging lanes to fill", DEADLINE, async || sink.requests_to("/hang").len() >= 24).await;
    let began = Instant::now();
    let deliveries = store.publish(healthy, 200).await;
    store.wait_for(DeliveryState::Delivered, &deliveries).await;
    assert!(began.elapsed() < Duration::from_secs(10), "the healthy ones took {:?}", began.elapsed());
    worker.stop().await;
}

#[tokio::test]
async fn a_destination_gets_no_more_requests_at_once_than_it_allows() {
    let (store, sink) = (TestStore::open().await, Sink::start().await);
    sink.on("/hook", Answer::status(200).after(millis(20)));
    let to = store.destination_with(&sink.url("/hook"), |to| to.max_concurrent = Some(3)).await;
    let worker = TestWorker::start(&store).await;
    let deliveries = store.publish(to, 30).await;
    store.wait_for(DeliveryState::Delivered, &deliveries).await;
    // At once means on connections of their own, which are then used again.
    assert!(sink.connection_count() <= 3, "{} connections", sink.connection_count());
    worker.stop().await;
}

#[tokio::test]
async fn a_rate_limits_a_destination_and_does_not_churn() {
    let (store, sink) = (TestStore::open().await, Sink::start().await);
    let to =
        store.destination_with(&sink.url("/hook"), |to| to.rate_limit = Some("20/s".parse().expect("a rate"))).await;
    let worker = TestWorker::start(&store).await;
    let began = Instant::now();
    let deliveries = store.publish(to, 40).await;
    store.wait_for(DeliveryState::Delivered, &deliveries).await;
    // 20 at once, and the other 20 at 20 in a second.
    assert!(began.elapsed() >= millis(900), "it took only {:?}", began.elapsed());
    let requests = sink.requests();
    assert_eq!(requests.len(), 40);
    assert!(requests[39].arrived_at - requests[19].arrived_at >= millis(800));
    assert!(worker.way.claimed() <= 60, "{} claims for 40 deliveries", worker.way.claimed());
    worker.stop().await;
}

#[tokio::test]
async fn what_the_lanes_do_not_hold_goes_back_and_is_delivered_all_the_same() {
    let (store, sink) = (TestStore::open().await, Sink::start().await);
    sink.on("/hook", Answer::status(200).after(millis(2)));
    let to = store.destination_with(&sink.url("/hook"), |to| to.max_concurrent = Some(2)).await;
    let worker = TestWorker::start(&store).await;
    let born = store.born_claimed(to, 200, SystemClock.now() + 60_000).await;
    let ids: Vec<_> = born.iter().map(|claimed| claimed.id).collect();
    worker.hand_over(born).await;
    wait_until("some to be given back", DEADLINE, async || worker.way.released() > 0).await;
    store.wait_for(DeliveryState::Delivered, &ids).await;
    assert_eq!(sink.count(), 200, "each exactly once");
    assert_eq!(worker.waiting(), 0.0);
    worker.stop().await;
}

#[tokio::test]
async fn a_paused_destination_holds_its_deliveries_in_the_store() {
    let (store, sink) = (TestStore::open().await, Sink::start().await);
    sink.on("/hook", Answer::status(200).after(millis(50)));
    let to = store.destination_with(&sink.url("/hook"), |to| to.max_concurrent = Some(1)).await;
    let worker = TestWorker::start(&store).await;
    let deliveries = store.publish(to, 40).await;
    sink.wait_for_count(1, DEADLINE).await;
    store.set_state(to, DestinationState::Paused).await;
    wait_until("the lane to be empty", DEADLINE, async || worker.waiting() == 0.0 && worker.way.released() > 0).await;
    let (sent, claimed) = (sink.count(), worker.way.claimed());
    // Newcomers wait as well, and nobody asks for them.
    worker.hand_over(store.born_claimed(to, 5, SystemClock.now() + 60_000).await).await;
    wait_until("the newcomers to be back", DEADLINE, async || worker.waiting() == 0.0).await;
    let other = store.destination(&sink.url("/other")).await;
    worker.is_up_to_date(&store).await;
    let others = store.publish(other, 50).await;
    store.wait_for(DeliveryState::Delivered, &others).await;
    assert!(sink.requests_to("/hook").len() <= sent + 1, "at most the one that was under way");
    assert!(worker.way.claimed() <= claimed + 50 + 5, "{} claims", worker.way.claimed());

    sink.on("/hook", Answer::status(200));
    store.set_state(to, DestinationState::Active).await;
    store.wait_for(DeliveryState::Delivered, &deliveries).await;
    worker.stop().await;
}

#[tokio::test]
async fn deliveries_of_a_deleted_destination_are_cancelled_when_they_come_up() {
    let (store, sink) = (TestStore::open().await, Sink::start().await);
    let to = store.destination(&sink.url("/hook")).await;
    let deliveries = store.publish(to, 10).await;
    store.change(ConfigurationChange::DeleteDestination(to)).await;
    let worker = TestWorker::start(&store).await;
    store.wait_for(DeliveryState::Cancelled, &deliveries).await;
    assert_eq!(sink.count(), 0);
    worker.stop().await;
}

#[tokio::test]
async fn a_destination_that_is_deleted_while_its_lane_is_busy_leaves_nothing_behind() {
    let (store, sink) = (TestStore::open().await, Sink::start().await);
    sink.on("/hook", Answer::status(500).after(millis(100)));
    let to = store.destination_with(&sink.url("/hook"), |to| to.max_concurrent = Some(2)).await;
    let worker = TestWorker::start(&store).await;
    let deliveries = store.publish(to, 20).await;
    sink.wait_for_count(2, DEADLINE).await;
    store.change(ConfigurationChange::DeleteDestination(to)).await;
    store.wait_for(DeliveryState::Cancelled, &deliveries).await;
    assert_eq!(worker.waiting(), 0.0);
    worker.stop().await;
}
