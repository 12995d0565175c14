//! Budgets and places: over all nodes never more is granted than there is.

use std::sync::Arc;

use proptest::prelude::*;
use proptest::test_runner::{Config, TestRunner};
use spillway_model::DestinationId;
use spillway_store::{BudgetRequest, BudgetUse, PlacesRequest, Store};

use crate::support::{Engine, LEASE, TestStore, on_every_engine};

on_every_engine! {
    a_budget_is_granted_until_its_requests_are_used_up
    a_budget_is_granted_until_its_cost_is_used_up
    each_hour_and_each_destination_has_a_budget_of_its_own
    what_was_not_used_is_given_back_and_use_never_falls_below_zero
    a_budget_without_limits_is_counted_all_the_same
    nodes_that_take_at_once_get_no_more_than_there_is
    use_survives_a_restart_and_is_forgotten_after_two_days
    places_are_held_until_they_are_given_back
    places_whose_lease_has_ended_are_free_again
    nodes_that_occupy_places_at_once_get_no_more_than_there_are
    fewer_places_than_are_held_leave_nothing_to_others
}

const HOUR: i64 = 472_222;

fn request(destination: DestinationId, requests: u64) -> BudgetRequest {
    BudgetRequest {
        destination,
        hour: HOUR,
        requests,
        cost_micros_each: 0,
        max_requests: Some(100),
        max_cost_micros: None,
    }
}

async fn take(test: &TestStore, request: BudgetRequest) -> u64 {
    test.store.take_budget(request).await.unwrap()
}

async fn used(test: &TestStore, destination: DestinationId) -> BudgetUse {
    let all = test.store.budgets(HOUR).await.unwrap();
    all.into_iter().find(|(of, _)| *of == destination).map(|(_, used)| used).unwrap_or_default()
}

async fn a_budget_is_granted_until_its_requests_are_used_up(test: TestStore) {
    let destination = test.ids.destination();
    assert_eq!(take(&test, request(destination, 60)).await, 60);
    assert_eq!(take(&test, request(destination, 60)).await, 40);
    assert_eq!(take(&test, request(destination, 1)).await, 0);
    assert_eq!(used(&test, destination).await, BudgetUse { requests: 100, cost_micros: 0 });
    let raised = BudgetRequest { max_requests: Some(101), ..request(destination, 5) };
    assert_eq!(take(&test, raised).await, 1, "a limit that was raised leaves more");
}

async fn a_budget_is_granted_until_its_cost_is_used_up(test: TestStore) {
    let destination = test.ids.destination();
    let costly = BudgetRequest {
        cost_micros_each: 300,
        max_requests: None,
        max_cost_micros: Some(1_000),
        ..request(destination, 10)
    };
    assert_eq!(take(&test, costly).await, 3);
    assert_eq!(used(&test, destination).await, BudgetUse { requests: 3, cost_micros: 900 });
    assert_eq!(take(&test, costly).await, 0);
    test.store.correct_budget(destination, HOUR, 0, -250).await.unwrap();
    assert_eq!(take(&test, costly).await, 1, "the answers said that they cost less");
}

async fn each_hour_and_each_destination_has_a_budget_of_its_own(test: TestStore) {
    let [one, other] = [(); 2].map(|()| test.ids.destination());
    assert_eq!(take(&test, request(one, 100)).await, 100);
    assert_eq!(take(&test, request(other, 100)).await, 100);
    assert_eq!(take(&test, BudgetRequest { hour: HOUR + 1, ..request(one, 100) }).await, 100);
    let mut listed = test.store.budgets(HOUR).await.unwrap();
    listed.sort_by_key(|(destination, _)| *destination);
    let full = BudgetUse { requests: 100, cost_micros: 0 };
    let mut expected = [(one, full), (other, full)];
    expected.sort_by_key(|(destination, _)| *destination);
    assert_eq!(listed, expected);
}

async fn what_was_not_used_is_given_back_and_use_never_falls_below_zero(test: TestStore) {
    let destination = test.ids.destination();
    assert_eq!(take(&test, request(destination, 100)).await, 100);
    test.store.correct_budget(destination, HOUR, -30, 500).await.unwrap();
    assert_eq!(used(&test, destination).await, BudgetUse { requests: 70, cost_micros: 500 });
    assert_eq!(take(&test, request(destination, 100)).await, 30);
    test.store.correct_budget(destination, HOUR, -1_000, i64::MIN).await.unwrap();
    assert_eq!(used(&test, destination).await, BudgetUse::default());
    test.store.correct_budget(destination, HOUR, i64::MAX, i64::MAX).await.unwrap();
    test.store.correct_budget(destination, HOUR, i64::MAX, i64::MAX).await.unwrap();
    assert_eq!(take(&test, request(destination, 1)).await, 0, "more than a number holds is as much as it holds");
}

async fn a_budget_without_limits_is_counted_all_the_same(test: TestStore) {
    let destination = test.ids.destination();
    let unlimited = BudgetRequest { max_requests: None, cost_micros_each: 7, ..request(destination, 1_000) };
    assert_eq!(take(&test, unlimited).await, 1_000);
    assert_eq!(used(&test, destination).await, BudgetUse { requests: 1_000, cost_micros: 7_000 });
    assert_eq!(take(&test, BudgetRequest { max_requests: Some(0), ..unlimited }).await, 0);
}

async fn nodes_that_take_at_once_get_no_more_than_there_is(test: TestStore) {
    let destination = test.ids.destination();
    let mut tasks = tokio::task::JoinSet::new();
    for node in [test.store.clone(), test.other_node().await] {
        for _ in 0..4 {
            let node = node.clone();
            tasks.spawn(async move {
                let mut granted = 0;
                for _ in 0..10 {
                    granted += node.take_budget(request(destination, 3)).await.unwrap();
                }
                granted
            });
        }
    }
    let granted: u64 = tasks.join_all().await.into_iter().sum();
    assert_eq!(granted, 100, "240 were wanted");
    assert_eq!(used(&test, destination).await.requests, 100);
}

async fn use_survives_a_restart_and_is_forgotten_after_two_days(test: TestStore) {
    let destination = test.ids.destination();
    let hour = test.now().div_euclid(3_600_000);
    assert_eq!(take(&test, BudgetRequest { hour, ..request(destination, 60) }).await, 60);
    let test = test.crash().await;
    assert_eq!(take(&test, BudgetRequest { hour, ..request(destination, 60) }).await, 40);
    test.store.maintain(test.now() + 47 * 3_600_000).await.unwrap();
    assert_eq!(test.store.budgets(hour).await.unwrap().len(), 1);
    test.store.maintain(test.now() + 49 * 3_600_000).await.unwrap();
    assert_eq!(test.store.budgets(hour).await.unwrap(), []);
}

fn places(test: &TestStore, destination: DestinationId, holder: i64, wanted: u32) -> PlacesRequest {
    let now = test.now();
    PlacesRequest { destination, holder, wanted, max: 10, now, lease_until: now + LEASE }
}

async fn hold(test: &TestStore, request: PlacesRequest) -> u32 {
    test.store.hold_places(request).await.unwrap()
}

async fn places_are_held_until_they_are_given_back(test: TestStore) {
    let destination = test.ids.destination();
    assert_eq!(hold(&test, places(&test, destination, 1, 6)).await, 6);
    assert_eq!(hold(&test, places(&test, destination, -2, 6)).await, 4);
    assert_eq!(hold(&test, places(&test, destination, 1, 8)).await, 6, "others hold the rest");
    assert_eq!(hold(&test, places(&test, destination, 1, 2)).await, 2);
    assert_eq!(hold(&test, places(&test, destination, -2, 20)).await, 8);
    assert_eq!(hold(&test, places(&test, destination, -2, 0)).await, 0);
    assert_eq!(hold(&test, places(&test, destination, 1, 20)).await, 10);
    assert_eq!(hold(&test, places(&test, test.ids.destination(), 2, 20)).await, 10, "each destination has its own");
}

async fn places_whose_lease_has_ended_are_free_again(test: TestStore) {
    let destination = test.ids.destination();
    assert_eq!(hold(&test, places(&test, destination, 1, 10)).await, 10);
    test.clock.advance(LEASE - 1);
    assert_eq!(hold(&test, places(&test, destination, 2, 10)).await, 0);
    test.clock.advance(1);
    assert_eq!(hold(&test, places(&test, destination, 2, 7)).await, 7);
    test.store.maintain(test.now()).await.unwrap();
    assert_eq!(hold(&test, places(&test, destination, 1, 10)).await, 3, "what holds is not removed");
}

async fn nodes_that_occupy_places_at_once_get_no_more_than_there_are(test: TestStore) {
    let destination = test.ids.destination();
    let mut tasks = tokio::task::JoinSet::new();
    for (holder, node) in [(1, test.store.clone()), (2, test.other_node().await)] {
        for offset in 0..4 {
            let (node, wish) = (node.clone(), places(&test, destination, holder * 10 + offset, 3));
            tasks.spawn(async move { node.hold_places(wish).await.unwrap() });
        }
    }
    let held: u32 = tasks.join_all().await.into_iter().sum();
    assert_eq!(held, 10, "24 were wanted");
}

async fn fewer_places_than_are_held_leave_nothing_to_others(test: TestStore) {
    let destination = test.ids.destination();
    assert_eq!(hold(&test, places(&test, destination, 1, 10)).await, 10);
    let fewer = |holder, wanted| PlacesRequest { max: 4, ..places(&test, destination, holder, wanted) };
    assert_eq!(hold(&test, fewer(2, 5)).await, 0);
    assert_eq!(hold(&test, fewer(1, 10)).await, 4, "whoever asks again keeps no more than there are");
    assert_eq!(hold(&test, PlacesRequest { max: 0, ..places(&test, destination, 3, 1) }).await, 0);
}

/// What two nodes ask for at once: how much, at what cost, within which limits, and how much of it is given back.
#[derive(Debug, Clone)]
struct Wish {
    requests: u64,
    each: u64,
    given_back: u64,
}

async fn sum_of_grants(nodes: [Arc<dyn Store>; 2], wishes: [Vec<Wish>; 2], limits: (u64, u64)) -> (u64, u64) {
    let destination = DestinationId::from_u128(rand_destination());
    let mut tasks = tokio::task::JoinSet::new();
    for (node, wishes) in nodes.into_iter().zip(wishes) {
        tasks.spawn(async move {
            let (mut requests, mut cost) = (0, 0);
            for wish in wishes {
                let request = BudgetRequest {
                    destination,
                    hour: HOUR,
                    requests: wish.requests,
                    cost_micros_each: wish.each,
                    max_requests: Some(limits.0),
                    max_cost_micros: Some(limits.1),
                };
                let granted = node.take_budget(request).await.unwrap();
                let back = wish.given_back.min(granted).cast_signed();
                if back > 0 {
                    let refund = back * wish.each.cast_signed();
                    node.correct_budget(destination, HOUR, -back, -refund).await.unwrap();
                }
                requests += granted - back.cast_unsigned();
                cost += (granted - back.cast_unsigned()) * wish.each;
            }
            (requests, cost)
        });
    }
    tasks.join_all().await.into_iter().fold((0, 0), |sum, one| (sum.0 + one.0, sum.1 + one.1))
}

fn rand_destination() -> u128 {
    static NEXT: std::sync::atomic::AtomicU64 = std::sync::atomic::AtomicU64::new(1);
    NEXT.fetch_add(1, std::sync::atomic::Ordering::Relaxed).into()
}

#[test]
fn whatever_two_nodes_take_and_give_back_the_sum_stays_within_both_limits() {
    let wish =
        (0..40_u64, 1..50_u64, 0..10_u64).prop_map(|(requests, each, given_back)| Wish { requests, each, given_back });
    let wishes = || prop::collection::vec(wish.clone(), 1..8);
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap();
    let nodes = runtime.block_on(async {
        let test = TestStore::open(Engine::Postgres).await;
        let other = test.other_node().await;
        (test, other)
    });
    let config = Config { cases: 24, failure_persistence: None, max_shrink_iters: 50, ..Config::default() };
    let strategy = (wishes(), wishes(), 0..120_u64, 0..3_000_u64);
    let run = TestRunner::new(config).run(&strategy, |(one, other, max_requests, max_cost)| {
        let stores = [nodes.0.store.clone(), nodes.1.clone()];
        let (requests, cost) = runtime.block_on(sum_of_grants(stores, [one, other], (max_requests, max_cost)));
        prop_assert!(requests <= max_requests, "{requests} requests of {max_requests}");
        prop_assert!(cost <= max_cost, "{cost} of {max_cost}");
        Ok(())
    });
    let _inside = runtime.enter();
    drop(nodes);
    if let Err(failure) = run {
        panic!("{failure}");
    }
}
