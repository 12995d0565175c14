//! Budgets of destinations: what is over them waits, and nothing is lost.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use spillway_model::{Budget, Clock, DeliveryId, DeliveryState, Destination, DestinationId, ManualClock, SystemClock};
use spillway_store::BudgetUse;
use spillway_testkit::{Answer, Sink, wait_until};

use crate::support::{DEADLINE, TestStore, TestWorker, millis, schedule};

const HOUR_MS: i64 = 3_600_000;

/// A clock that stands in the middle of the next hour: whatever the test publishes is due, and the hour does not end under it.
fn held_clock() -> Arc<ManualClock> {
    let hour = SystemClock.now().div_euclid(HOUR_MS);
    Arc::new(ManualClock::at((hour + 1) * HOUR_MS + HOUR_MS / 2))
}

async fn limited(store: &TestStore, url: &str, budget: Budget) -> DestinationId {
    store.destination_with(url, |to: &mut Destination| to.budget = Some(budget)).await
}

async fn worker_at(store: &TestStore, clock: &Arc<ManualClock>) -> TestWorker {
    TestWorker::start_with(store, |options| options.clock = clock.clone()).await
}

async fn used(store: &TestStore, clock: &ManualClock, to: DestinationId) -> BudgetUse {
    let used = store.store.budgets(clock.now().div_euclid(HOUR_MS)).await.expect("a readable store");
    used.into_iter().find(|(id, _)| *id == to).map(|(_, used)| used).unwrap_or_default()
}

async fn n_delivered(store: &TestStore, all: &[DeliveryId]) -> usize {
    let mut delivered = 0;
    for id in all {
        delivered += usize::from(store.delivery(*id).await.state == DeliveryState::Delivered);
    }
    delivered
}

/// Waits until every delivery was delivered, or is put off to the next hour.
async fn wait_until_spent(store: &TestStore, clock: &ManualClock, all: &[DeliveryId]) {
    let next_hour = (clock.now().div_euclid(HOUR_MS) + 1) * HOUR_MS;
    for id in all {
        let what = format!("{id} to be delivered or put off");
        wait_until(&what, DEADLINE, async || {
            let delivery = store.delivery(*id).await;
            delivery.state == DeliveryState::Delivered || delivery.at == next_hour
        })
        .await;
    }
}

async fn an_hours_requests_are_shared_exactly(store: TestStore) {
    let (sink, clock) = (Sink::start().await, held_clock());
    let budget = Budget { requests_per_hour: Some(100), ..Budget::default() };
    let to = limited(&store, &sink.url("/hook"), budget).await;
    let all = store.publish(to, 150).await;
    let workers = [worker_at(&store, &clock).await, worker_at(&store, &clock).await];
    wait_until("the budget to be spent", DEADLINE, async || n_delivered(&store, &all).await >= 100).await;
    wait_until("somebody to say so", DEADLINE, async || {
        workers.iter().any(|worker| worker.metrics.budget_waiting.get() == Some(1.0))
    })
    .await;
    assert_eq!((sink.count(), n_delivered(&store, &all).await), (100, 100));
    assert_eq!(used(&store, &clock, to).await.requests, 100);

    // The next hour lets the rest go.
    clock.advance(HOUR_MS);
    store.wait_for(DeliveryState::Delivered, &all).await;
    assert_eq!(sink.count(), 150);
    for worker in workers {
        worker.stop().await;
    }
    assert_eq!(used(&store, &clock, to).await.requests, 50, "what was not used went back");
}

#[tokio::test]
async fn two_workers_share_an_hours_requests_exactly_on_postgres() {
    an_hours_requests_are_shared_exactly(TestStore::postgres().await).await;
}

#[tokio::test]
async fn two_workers_share_an_hours_requests_exactly_on_sqlite() {
    an_hours_requests_are_shared_exactly(TestStore::open().await).await;
}

/// More requests than `max` are never seen under way, and in the end all have arrived.
async fn places_are_never_exceeded(store: TestStore, max: u32) {
    let sink = Sink::start().await;
    sink.on("/hook", Answer::status(200).after(millis(30)));
    let budget = Budget { max_concurrent: Some(max), ..Budget::default() };
    let to = limited(&store, &sink.url("/hook"), budget).await;
    let all = store.publish(to, 60).await;
    let workers = [TestWorker::start(&store).await, TestWorker::start(&store).await];
    store.wait_for(DeliveryState::Delivered, &all).await;
    let mut ends = Vec::new();
    let mut most = 0;
    for request in sink.requests() {
        ends.retain(|end| *end > request.arrived_at);
        ends.push(request.arrived_at + millis(30));
        most = most.max(ends.len());
    }
    assert!(most <= max as usize, "{most} at once of {max}");
    for worker in workers {
        worker.stop().await;
    }
}

#[tokio::test]
async fn two_workers_never_exceed_the_places_of_a_destination_on_postgres() {
    places_are_never_exceeded(TestStore::postgres().await, 3).await;
}

#[tokio::test]
async fn two_workers_never_exceed_a_single_place_on_sqlite() {
    places_are_never_exceeded(TestStore::open().await, 1).await;
}

#[tokio::test]
async fn what_answers_say_they_cost_is_booked_and_what_cannot_be_read_counts_as_expected() {
    let (store, sink, clock) = (TestStore::open().await, Sink::start().await, held_clock());
    let n = AtomicUsize::new(0);
    sink.respond_with(move |_| match n.fetch_add(1, Ordering::SeqCst) {
        0 => Answer::status(200).header("x-cost", "0.5"),
        1 => Answer::status(200).header("x-cost", "a lot"),
        2 => Answer::status(200).header("x-cost", "-3"),
        3 => Answer::status(500).header("x-cost", "0.25"),
        _ => Answer::status(200),
    });
    let budget = Budget {
        cost_per_hour: Some(100.0),
        cost_per_request: Some(0.1),
        cost_header: Some("x-cost".to_owned()),
        ..Budget::default()
    };
    let to = store
        .destination_with(&sink.url("/hook"), |to| (to.budget, to.retry) = (Some(budget), Some(schedule(&[0, 0, 0]))))
        .await;
    let worker = worker_at(&store, &clock).await;
    let all = store.publish(to, 4).await;
    store.wait_for(DeliveryState::Delivered, &all).await;
    // 0.5 and 0.25 as they said, and three times the 0.1 that was expected.
    wait_until("the costs", DEADLINE, async || {
        used(&store, &clock, to).await == BudgetUse { requests: 5, cost_micros: 1_050_000 }
    })
    .await;
    worker.stop().await;
}

#[tokio::test]
async fn requests_that_were_not_made_cost_nothing() {
    let (store, clock) = (TestStore::open().await, held_clock());
    let port = spillway_testkit::free_port();
    let to = store
        .destination_with(&format!("http://127.0.0.1:{port}/hook"), |to| {
            to.budget = Some(Budget { requests_per_hour: Some(10), ..Budget::default() });
            to.retry = Some(schedule(&[0]));
        })
        .await;
    let worker = worker_at(&store, &clock).await;
    let all = store.publish(to, 3).await;
    store.wait_for(DeliveryState::Dead, &all).await;
    worker.stop().await;
    assert_eq!(used(&store, &clock, to).await.requests, 0);
}

#[tokio::test]
async fn while_the_store_cannot_be_asked_nothing_goes_out() {
    let (store, sink, clock) = (TestStore::open().await, Sink::start().await, held_clock());
    let budget = Budget { requests_per_hour: Some(100), ..Budget::default() };
    let to = limited(&store, &sink.url("/hook"), budget).await;
    let other = store.destination(&sink.url("/other")).await;
    let worker = worker_at(&store, &clock).await;
    worker.way.refuse_budgets(true);
    let all = store.publish(to, 3).await;
    let others = store.publish(other, 3).await;
    store.wait_for(DeliveryState::Delivered, &others).await;
    wait_until("the question", DEADLINE, async || worker.way.budgets_refused() >= 2).await;
    assert_eq!(sink.requests_to("/hook").len(), 0);
    worker.way.refuse_budgets(false);
    store.wait_for(DeliveryState::Delivered, &all).await;
    worker.stop().await;
}

#[tokio::test]
async fn a_raised_budget_is_in_force_at_once() {
    let (store, sink, clock) = (TestStore::open().await, Sink::start().await, held_clock());
    let budget = Budget { requests_per_hour: Some(2), ..Budget::default() };
    let to = limited(&store, &sink.url("/hook"), budget).await;
    let worker = worker_at(&store, &clock).await;
    let first = store.publish(to, 4).await;
    wait_until_spent(&store, &clock, &first).await;
    assert_eq!(sink.count(), 2);
    let raised = Budget { requests_per_hour: Some(10), ..Budget::default() };
    let destination = Destination { budget: Some(raised), ..store.stored(to).await };
    store.change(spillway_model::ConfigurationChange::PutDestination(destination)).await;
    worker.is_up_to_date(&store).await;
    let second = store.publish(to, 3).await;
    store.wait_for(DeliveryState::Delivered, &second).await;
    worker.stop().await;
}
