//! Deliveries with one order key go out one after the other; every key for itself.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;

use spillway_model::{Claimed, DeliveryId, DeliveryState, DestinationId, NewEvent, NextState, OrderKey, Settlement};
use spillway_store::postgres::PostgresStore;
use spillway_store::{DeliveryFilter, RetryOutcome, Store, Unobserved};
use spillway_testkit::shared_database;

use crate::support::{Engine, LEASE, TestStore, on_every_engine, postgres_settings, settlement};

on_every_engine! {
    one_key_goes_out_one_after_the_other
    keys_do_not_wait_for_each_other
    a_stuck_key_blocks_only_itself
    whatever_ends_lets_the_next_one_out
    a_batch_is_put_in_order_by_its_ids
    a_key_is_free_when_its_last_one_has_ended
    a_retried_dead_letter_lets_nobody_out
    what_is_queued_cannot_be_tried_out_of_turn
    a_repeated_event_takes_no_place
    a_settlement_that_does_not_count_lets_nobody_out
    a_queue_survives_restart_and_crash
    a_large_batch_of_many_keys_keeps_their_order
    housekeeping_frees_a_key_whose_delivery_ended_without_a_word
    appends_and_settlements_at_once_lose_nothing_and_keep_order
}

const KEY: OrderKey = OrderKey(7);

pub(crate) fn ordered(test: &TestStore, destination: DestinationId, key: OrderKey) -> NewEvent {
    let mut event = test.event_to(&[destination], test.now());
    event.deliveries[0].order = Some(key);
    event
}

async fn accept(test: &TestStore, destination: DestinationId, key: OrderKey) -> DeliveryId {
    test.accept(&ordered(test, destination, key)).await.delivery(0)
}

fn ended(claimed: &Claimed, next: NextState) -> Settlement {
    Settlement { order: claimed.order, ..settlement(claimed, next) }
}

async fn deliver(test: &TestStore, claimed: &Claimed) {
    let settled = ended(claimed, NextState::Delivered { at: test.now() });
    assert_eq!(test.store.settle(vec![settled]).await.unwrap(), []);
}

async fn state(test: &TestStore, id: DeliveryId) -> DeliveryState {
    test.store.delivery(id).await.unwrap().unwrap().state
}

/// Delivers everything that can be claimed, in the order in which it comes. Of no key two are claimed at once.
async fn deliver_all(test: &TestStore) -> Vec<DeliveryId> {
    let mut delivered = Vec::new();
    loop {
        let claimed = test.claim(500).await;
        if claimed.is_empty() {
            return delivered;
        }
        let keys: Vec<_> = claimed.iter().filter_map(|one| one.order).collect();
        assert_eq!(keys.iter().collect::<HashSet<_>>().len(), keys.len(), "two of one key are on their way");
        delivered.extend(claimed.iter().map(|one| one.id));
        let settlements = claimed.iter().map(|one| ended(one, NextState::Delivered { at: test.now() }));
        assert_eq!(test.store.settle(settlements.collect()).await.unwrap(), []);
    }
}

async fn one_key_goes_out_one_after_the_other(test: TestStore) {
    let destination = test.ids.destination();
    let mut ids = Vec::new();
    for _ in 0..4 {
        ids.push(accept(&test, destination, KEY).await);
    }
    for (n, id) in ids.iter().enumerate() {
        for later in &ids[n + 1..] {
            assert_eq!(state(&test, *later).await, DeliveryState::Queued);
        }
        let claimed = test.claim_one().await;
        assert_eq!((claimed.id, claimed.order), (*id, Some(KEY)));
        deliver(&test, &claimed).await;
    }
    assert!(test.claim(10).await.is_empty());
}

async fn keys_do_not_wait_for_each_other(test: TestStore) {
    let [one, other] = [(); 2].map(|()| test.ids.destination());
    for key in 0..5 {
        accept(&test, one, OrderKey(key)).await;
        accept(&test, other, OrderKey(key + 100)).await;
        accept(&test, one, OrderKey(key)).await;
    }
    test.delivery_due(one, test.now()).await;
    test.delivery_due(one, test.now()).await;
    let claimed = test.claim(100).await;
    assert_eq!(claimed.iter().filter(|one| one.order.is_some()).count(), 10, "one of each key");
    assert_eq!(claimed.iter().filter(|one| one.order.is_none()).count(), 2, "and all that need no order");
}

async fn a_stuck_key_blocks_only_itself(test: TestStore) {
    let destination = test.ids.destination();
    let stuck = accept(&test, destination, KEY).await;
    let behind = accept(&test, destination, KEY).await;
    let head = test.claim_one().await;
    let again = ended(&head, NextState::Pending { due_at: test.now() + LEASE });
    assert_eq!(test.store.settle(vec![again]).await.unwrap(), []);

    for _ in 0..3 {
        accept(&test, destination, OrderKey(8)).await;
    }
    assert_eq!(deliver_all(&test).await.len(), 3, "another key goes on");
    assert_eq!(state(&test, behind).await, DeliveryState::Queued);
    test.clock.advance(LEASE);
    assert_eq!(deliver_all(&test).await, [stuck, behind], "and this one where it stood");
}

async fn whatever_ends_lets_the_next_one_out(test: TestStore) {
    let destination = test.ids.destination();
    let at = test.now() - 5;
    for next in [NextState::Delivered { at }, NextState::Dead { at }, NextState::Cancelled { at }] {
        let first = accept(&test, destination, KEY).await;
        let second = accept(&test, destination, KEY).await;
        let head = test.claim_one().await;
        assert_eq!(head.id, first);
        assert_eq!(test.store.settle(vec![ended(&head, next)]).await.unwrap(), []);
        let delivery = test.store.delivery(second).await.unwrap().unwrap();
        assert_eq!((delivery.state, delivery.at, delivery.attempts), (DeliveryState::Pending, at, 0), "{next:?}");
        deliver_all(&test).await;
    }
}

async fn a_batch_is_put_in_order_by_its_ids(test: TestStore) {
    let destination = test.ids.destination();
    let mut batch: Vec<_> = (0..20).map(|n| ordered(&test, destination, OrderKey(n % 2))).collect();
    let ids: Vec<_> = batch.iter().map(|event| event.deliveries[0].id).collect();
    batch.reverse();
    test.store.append(batch).await.unwrap();
    let delivered = deliver_all(&test).await;
    for parity in 0..2 {
        let expected: Vec<_> = ids.iter().skip(parity).step_by(2).copied().collect();
        let got: Vec<_> = delivered.iter().filter(|id| expected.contains(id)).copied().collect();
        assert_eq!(got, expected);
    }
}

async fn a_key_is_free_when_its_last_one_has_ended(test: TestStore) {
    let destination = test.ids.destination();
    for _ in 0..3 {
        let id = accept(&test, destination, KEY).await;
        assert_eq!(state(&test, id).await, DeliveryState::Pending);
        deliver(&test, &test.claim_one().await).await;
    }
}

async fn a_retried_dead_letter_lets_nobody_out(test: TestStore) {
    let destination = test.ids.destination();
    let dead = accept(&test, destination, KEY).await;
    let second = accept(&test, destination, KEY).await;
    let third = accept(&test, destination, KEY).await;
    let head = test.claim_one().await;
    test.store.settle(vec![ended(&head, NextState::Dead { at: 1 })]).await.unwrap();
    let next = test.claim_one().await;
    assert_eq!(next.id, second);

    assert_eq!(test.store.retry(dead, test.now()).await.unwrap(), RetryOutcome::Due);
    let again = test.claim_one().await;
    assert_eq!((again.id, again.order), (dead, Some(KEY)));
    deliver(&test, &again).await;
    assert_eq!(state(&test, third).await, DeliveryState::Queued, "the second one is still on its way");
    deliver(&test, &next).await;
    assert_eq!(state(&test, third).await, DeliveryState::Pending);
}

async fn what_is_queued_cannot_be_tried_out_of_turn(test: TestStore) {
    let destination = test.ids.destination();
    let head = accept(&test, destination, KEY).await;
    let queued = accept(&test, destination, KEY).await;
    assert_eq!(test.store.retry(queued, test.now()).await.unwrap(), RetryOutcome::Queued);
    assert_eq!(state(&test, queued).await, DeliveryState::Queued);
    assert_eq!(test.store.retry(head, test.now()).await.unwrap(), RetryOutcome::Due);
    assert_eq!(deliver_all(&test).await, [head, queued]);
}

async fn a_repeated_event_takes_no_place(test: TestStore) {
    let destination = test.ids.destination();
    let keyed = |hash| NewEvent { idempotency: Some(hash), ..ordered(&test, destination, KEY) };
    let [first, repeated, second] = [keyed(1), keyed(1), keyed(2)];
    let ids = [&first, &second].map(|event| event.deliveries[0].id);
    test.store.append(vec![first, repeated]).await.unwrap();
    test.store.append(vec![keyed(1), second]).await.unwrap();
    assert_eq!(deliver_all(&test).await, ids);
    let id = accept(&test, destination, KEY).await;
    assert_eq!(state(&test, id).await, DeliveryState::Pending);
}

async fn a_settlement_that_does_not_count_lets_nobody_out(test: TestStore) {
    let destination = test.ids.destination();
    let head = accept(&test, destination, KEY).await;
    let queued = accept(&test, destination, KEY).await;
    let old = test.claim_one().await;
    test.clock.advance(LEASE);
    let current = test.claim_one().await;
    let stale = ended(&old, NextState::Delivered { at: test.now() });
    assert_eq!(test.store.settle(vec![stale]).await.unwrap(), [head]);
    assert_eq!(state(&test, queued).await, DeliveryState::Queued);
    deliver(&test, &current).await;
    deliver(&test, &test.claim_one().await).await;
    assert_eq!(state(&test, queued).await, DeliveryState::Delivered);
}

async fn a_queue_survives_restart_and_crash(test: TestStore) {
    let destination = test.ids.destination();
    let mut ids = Vec::new();
    for _ in 0..6 {
        ids.push(accept(&test, destination, KEY).await);
    }
    let mut test = test;
    let mut delivered = Vec::new();
    for n in 0..6 {
        test = if n % 2 == 0 { test.crash().await } else { test.reopen().await };
        let claimed = test.claim_one().await;
        delivered.push(claimed.id);
        deliver(&test, &claimed).await;
    }
    assert_eq!(delivered, ids);
}

async fn a_large_batch_of_many_keys_keeps_their_order(test: TestStore) {
    let destinations = [(); 3].map(|()| test.ids.destination());
    let mut events: Vec<_> = (0..700).map(|_| test.event_to(&destinations, test.now())).collect();
    let mut expected: HashMap<OrderKey, Vec<DeliveryId>> = HashMap::new();
    for (n, event) in events.iter_mut().enumerate() {
        // The third destination needs no order.
        for (of, delivery) in event.deliveries.iter_mut().take(2).enumerate() {
            let key = OrderKey((n % 50 + 1_000 * of) as i64);
            delivery.order = Some(key);
            expected.entry(key).or_default().push(delivery.id);
        }
    }
    test.store.append(events).await.unwrap();
    let delivered = deliver_all(&test).await;
    assert_eq!(delivered.len(), 2_100);
    let place: HashMap<_, _> = delivered.iter().enumerate().map(|(place, id)| (*id, place)).collect();
    for (key, ids) in expected {
        assert!(ids.is_sorted_by_key(|id| place[id]), "{key:?}");
    }
}

async fn housekeeping_frees_a_key_whose_delivery_ended_without_a_word(test: TestStore) {
    let destination = test.ids.destination();
    accept(&test, destination, KEY).await;
    let behind = accept(&test, destination, KEY).await;
    let waiting = accept(&test, destination, OrderKey(9)).await;
    let head = test.claim(10).await.into_iter().find(|one| one.id != waiting).unwrap();
    let silent = Settlement { order: None, ..ended(&head, NextState::Delivered { at: test.now() }) };
    test.store.settle(vec![silent]).await.unwrap();
    assert_eq!(state(&test, behind).await, DeliveryState::Queued);
    test.store.maintain(test.now()).await.unwrap();
    test.store.maintain(test.now()).await.unwrap();
    assert_eq!(test.claim_one().await.id, behind);
    assert_eq!(state(&test, waiting).await, DeliveryState::Pending);
}

async fn appends_and_settlements_at_once_lose_nothing_and_keep_order(test: TestStore) {
    let store = test.store.clone();
    all_at_once(&test, &[store.clone(), store]).await;
}

/// Two nodes on one database append the same keys, and both deliver.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn two_nodes_append_and_settle_the_same_keys() {
    let database = shared_database().await;
    let mut test = TestStore::open(Engine::Postgres).await;
    let connect =
        async || PostgresStore::connect(postgres_settings(database.url()), Arc::new(Unobserved)).await.unwrap();
    let nodes: [Arc<dyn Store>; 2] = [Arc::new(connect().await), Arc::new(connect().await)];
    test.store = nodes[0].clone();
    all_at_once(&test, &nodes).await;
}

const ROUNDS: usize = 25;
const IN_BATCH: usize = 12;
const KEYS: usize = 5;

/// Each node appends in one task and delivers in two, until all is delivered. The store must never hand out two of a key, and hand out those of
/// one appender in their order.
async fn all_at_once(test: &TestStore, nodes: &[Arc<dyn Store>]) {
    let destination = test.ids.destination();
    let on_their_way = Arc::new(std::sync::Mutex::new(HashMap::<OrderKey, DeliveryId>::new()));
    let log = Arc::new(std::sync::Mutex::new(HashMap::<OrderKey, Vec<DeliveryId>>::new()));
    let all = nodes.len() * ROUNDS * IN_BATCH;
    let mut tasks = tokio::task::JoinSet::new();
    let mut appended = Vec::new();
    for node in nodes {
        // Ids are made before, so that those of one node are appended in their order and those of both mix.
        let batches: Vec<Vec<NewEvent>> = (0..ROUNDS)
            .map(|_| (0..IN_BATCH).map(|n| ordered(test, destination, OrderKey((n % KEYS) as i64))).collect())
            .collect();
        appended.push(batches.iter().flatten().map(|event| event.deliveries[0].id).collect::<Vec<_>>());
        let store = node.clone();
        tasks.spawn(async move {
            for batch in batches {
                store.append(batch).await.unwrap();
            }
        });
        for _ in 0..2 {
            let (store, on_their_way, log, request) =
                (node.clone(), on_their_way.clone(), log.clone(), test.request(40));
            let now = test.now();
            tasks.spawn(async move {
                while log.lock().unwrap().values().map(Vec::len).sum::<usize>() < all {
                    let claimed = store.claim(request.clone()).await.unwrap();
                    for one in &claimed {
                        let before = on_their_way.lock().unwrap().insert(one.order.unwrap(), one.id);
                        assert_eq!(before, None, "two of one key are on their way");
                    }
                    for one in &claimed {
                        on_their_way.lock().unwrap().remove(&one.order.unwrap());
                        log.lock().unwrap().entry(one.order.unwrap()).or_default().push(one.id);
                    }
                    let settlements = claimed.iter().map(|one| ended(one, NextState::Delivered { at: now }));
                    assert_eq!(store.settle(settlements.collect()).await.unwrap(), []);
                    tokio::task::yield_now().await;
                }
            });
        }
    }
    while let Some(task) = tasks.join_next().await {
        task.unwrap();
    }
    let log = log.lock().unwrap().clone();
    let place: HashMap<_, _> =
        log.values().flat_map(|ids| ids.iter().enumerate()).map(|(place, id)| (*id, place)).collect();
    assert_eq!(place.len(), all, "each was delivered once");
    for ids in appended {
        for key in 0..KEYS {
            let of_key: Vec<_> = ids.iter().filter(|id| log[&OrderKey(key as i64)].contains(id)).collect();
            assert!(of_key.is_sorted_by_key(|id| place[id]), "a node's deliveries with one key left in another order");
        }
    }
    let filter =
        DeliveryFilter { event: None, destination: None, state: Some(DeliveryState::Queued), cursor: None, limit: 1 };
    assert!(test.store.deliveries(filter).await.unwrap().rows.is_empty());
    let request = test.request(1);
    assert!(nodes[0].claim(request).await.unwrap().is_empty());
}
