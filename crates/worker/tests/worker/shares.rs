//! Workers of two slots on one store.

use std::time::Duration;

use spillway_model::{
    Clock, ConfigurationChange, DeliveryId, DeliveryState, Slot, SystemClock, UnixMillis, WorkerShares,
};
use spillway_testkit::{Answer, Sink, wait_until};

use crate::support::{DEADLINE, TestStore, TestWorker, millis};

async fn share(store: &TestStore, workers: &[&TestWorker], shares: Option<(u8, u8)>) {
    let shares = shares.map(|(blue, green)| WorkerShares::new(blue, green).expect("shares"));
    store.change(ConfigurationChange::SetWorkerShares(shares)).await;
    for worker in workers {
        worker.is_up_to_date(store).await;
    }
}

async fn start(store: &TestStore, slot: Option<Slot>, grace: Duration) -> TestWorker {
    TestWorker::start_with(store, |options| {
        (options.worker.slot, options.worker.share_grace) = (slot, grace);
    })
    .await
}

fn owned_by(deliveries: &[DeliveryId], shares: (u8, u8), slot: Slot) -> Vec<DeliveryId> {
    let shares = WorkerShares::new(shares.0, shares.1).expect("shares");
    deliveries.iter().copied().filter(|id| shares.owner(*id) == slot).collect()
}

const NEVER: Duration = Duration::from_secs(3_600);

#[tokio::test]
async fn each_slot_delivers_its_share() {
    let (store, sink) = (TestStore::open().await, Sink::start().await);
    let to = store.destination(&sink.url("/hook")).await;
    let (blue, green) = (start(&store, Some(Slot::Blue), NEVER).await, start(&store, Some(Slot::Green), NEVER).await);
    share(&store, &[&blue, &green], Some((80, 20))).await;
    let in_force =
        async || (blue.metrics.worker_share.get(), green.metrics.worker_share.get()) == (Some(0.8), Some(0.2));
    wait_until("the shares", DEADLINE, in_force).await;
    let all = store.publish(to, 300).await;
    store.wait_for(DeliveryState::Delivered, &all).await;
    assert_eq!(green.way.claimed(), owned_by(&all, (80, 20), Slot::Green).len());
    assert_eq!(blue.way.claimed(), owned_by(&all, (80, 20), Slot::Blue).len());
    assert_eq!(sink.count(), 300);
    blue.stop().await;
    green.stop().await;
}

#[tokio::test]
async fn a_slot_without_a_share_takes_nothing_not_even_what_is_overdue() {
    let (store, sink) = (TestStore::open().await, Sink::start().await);
    let to = store.destination(&sink.url("/hook")).await;
    store.change(ConfigurationChange::SetWorkerShares(WorkerShares::new(100, 0).ok())).await;
    let green = start(&store, Some(Slot::Green), Duration::ZERO).await;
    let all = store.publish(to, 50).await;
    // What is handed over to it goes back to the store at once.
    let handed = store.born_claimed(to, 20, SystemClock.now() + 60_000).await;
    let ids: Vec<_> = handed.iter().map(|claimed| claimed.id).collect();
    green.hand_over(handed).await;
    for id in &ids {
        wait_until("a delivery that is given back", DEADLINE, async || store.is_due(*id).await).await;
    }
    assert_eq!((sink.count(), green.way.claimed()), (0, 0));
    let blue = start(&store, Some(Slot::Blue), NEVER).await;
    store.wait_for(DeliveryState::Delivered, &[all, ids].concat()).await;
    assert_eq!(green.way.claimed(), 0);
    blue.stop().await;
    green.stop().await;
}

#[tokio::test]
async fn what_a_lost_slot_leaves_lying_is_delivered_after_the_grace() {
    let (store, sink) = (TestStore::open().await, Sink::start().await);
    let to = store.destination(&sink.url("/hook")).await;
    store.change(ConfigurationChange::SetWorkerShares(WorkerShares::new(50, 50).ok())).await;
    let blue = start(&store, Some(Slot::Blue), millis(1_500)).await;
    let begun: UnixMillis = SystemClock.now();
    let all = store.publish(to, 100).await;
    store.wait_for(DeliveryState::Delivered, &owned_by(&all, (50, 50), Slot::Blue)).await;
    let foreign = owned_by(&all, (50, 50), Slot::Green);
    store.wait_for(DeliveryState::Delivered, &foreign).await;
    let first = store.attempts(foreign[0]).await[0].started_at;
    assert!(first - begun >= 1_500, "it was taken after {} ms", first - begun);
    assert_eq!(sink.count(), 100);
    blue.stop().await;
}

#[tokio::test]
async fn a_worker_without_a_slot_takes_what_is_left_lying_and_all_when_nothing_is_shared() {
    let (store, sink) = (TestStore::open().await, Sink::start().await);
    let to = store.destination(&sink.url("/hook")).await;
    store.change(ConfigurationChange::SetWorkerShares(WorkerShares::new(100, 0).ok())).await;
    let worker = start(&store, None, millis(1_000)).await;
    let begun = SystemClock.now();
    let first = store.publish(to, 20).await;
    store.wait_for(DeliveryState::Delivered, &first).await;
    assert!(store.attempts(first[0]).await[0].started_at - begun >= 1_000);
    share(&store, &[&worker], None).await;
    let second = store.publish(to, 20).await;
    store.wait_for(DeliveryState::Delivered, &second).await;
    assert_eq!((sink.count(), worker.metrics.worker_share.get()), (40, Some(1.0)));
    worker.stop().await;
}

#[tokio::test]
async fn when_the_shares_change_what_waits_moves_to_its_new_slot() {
    let (store, sink) = (TestStore::open().await, Sink::start().await);
    sink.on("/hook", Answer::hang());
    let to = store
        .destination_with(&sink.url("/hook"), |to| (to.max_concurrent, to.timeout_ms) = (Some(1), Some(4_000)))
        .await;
    store.change(ConfigurationChange::SetWorkerShares(WorkerShares::new(0, 100).ok())).await;
    let green = start(&store, Some(Slot::Green), NEVER).await;
    let all = store.publish(to, 5).await;
    // One is under way, the others wait in the lane of green.
    sink.wait_for_count(1, DEADLINE).await;
    wait_until("a full lane", DEADLINE, async || green.waiting() >= 4.0).await;
    sink.on("/hook", Answer::status(200));
    let blue = start(&store, Some(Slot::Blue), NEVER).await;
    share(&store, &[&blue, &green], Some((100, 0))).await;
    store.wait_for(DeliveryState::Delivered, &all).await;
    assert!(blue.way.claimed() >= 4, "those that waited, and the one that was under way when its time was over");
    blue.stop().await;
    green.stop().await;
}
