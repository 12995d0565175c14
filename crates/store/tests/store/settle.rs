//! Claims end once, by the one who holds them.

use spillway_model::{AttemptClass, DeliveryState, Lease, NextState, Settlement};
use spillway_store::RetryOutcome;

use crate::support::{LEASE, TestStore, attempt, lease, on_every_engine, settlement};

on_every_engine! {
    each_next_state_is_stored_with_its_attempt
    a_failed_attempt_makes_it_due_again_and_attempts_add_up
    a_release_counts_no_attempt
    an_older_claim_settles_nothing_and_the_rest_of_the_batch_is_settled
    a_claim_is_settled_once
    a_delivery_that_does_not_exist_is_not_settled
    a_large_batch_is_settled_whole
    renewed_leases_hold_longer
    a_claim_that_is_not_current_is_not_renewed
    a_dead_delivery_can_be_tried_again
    a_retry_voids_the_claim_on_it
    an_unknown_delivery_cannot_be_tried_again
}

async fn each_next_state_is_stored_with_its_attempt(test: TestStore) {
    let destination = test.ids.destination();
    for (next, state) in [
        (NextState::Delivered { at: 10 }, DeliveryState::Delivered),
        (NextState::Dead { at: 20 }, DeliveryState::Dead),
        (NextState::Cancelled { at: 30 }, DeliveryState::Cancelled),
    ] {
        test.delivery_due(destination, test.now()).await;
        let claimed = test.claim_one().await;
        let settled = settlement(&claimed, next);
        assert_eq!(test.store.settle(vec![settled.clone()]).await.unwrap(), []);
        let delivery = test.store.delivery(claimed.id).await.unwrap().unwrap();
        assert_eq!((delivery.state, delivery.at, delivery.attempts), (state, next.at(), 1));
        assert_eq!(test.store.attempts(claimed.id).await.unwrap(), [settled.attempt.unwrap()]);
    }
    test.clock.advance(10 * LEASE);
    assert!(test.claim(10).await.is_empty(), "what has ended is not claimed again");
}

async fn a_failed_attempt_makes_it_due_again_and_attempts_add_up(test: TestStore) {
    let id = test.delivery_due(test.ids.destination(), test.now()).await;
    let mut made = Vec::new();
    for n in 0..3 {
        let claimed = test.claim_one().await;
        assert_eq!(claimed.attempts, n);
        let settled = settlement(&claimed, NextState::Pending { due_at: test.now() + 500 });
        test.store.settle(vec![settled.clone()]).await.unwrap();
        made.extend(settled.attempt);
        assert!(test.claim(10).await.is_empty());
        test.clock.advance(500);
    }
    assert_eq!(test.store.attempts(id).await.unwrap(), made);
    assert_eq!(test.store.attempts(test.ids.event().delivery(0)).await.unwrap(), []);
}

async fn a_release_counts_no_attempt(test: TestStore) {
    let id = test.delivery_due(test.ids.destination(), test.now()).await;
    let claimed = test.claim_one().await;
    let next = NextState::Pending { due_at: test.now() };
    let release = Settlement { order: None, lease: lease(&claimed), next, attempt: None };
    assert_eq!(test.store.settle(vec![release]).await.unwrap(), []);
    assert_eq!(test.store.attempts(id).await.unwrap(), []);
    assert_eq!(test.claim_one().await.attempts, 0);
}

async fn an_older_claim_settles_nothing_and_the_rest_of_the_batch_is_settled(test: TestStore) {
    let destination = test.ids.destination();
    test.delivery_due(destination, test.now()).await;
    let old = test.claim_one().await;
    test.clock.advance(LEASE);
    let current = test.claim_one().await;
    test.delivery_due(destination, test.now()).await;
    let other = test.claim_one().await;

    let next = NextState::Delivered { at: test.now() };
    let stale = test.store.settle(vec![settlement(&old, next), settlement(&other, next)]).await.unwrap();
    assert_eq!(stale, [old.id]);
    assert_eq!(test.store.attempts(old.id).await.unwrap(), []);
    assert_eq!(test.store.delivery(other.id).await.unwrap().unwrap().state, DeliveryState::Delivered);
    assert_eq!(test.store.settle(vec![settlement(&current, next)]).await.unwrap(), []);
}

async fn a_claim_is_settled_once(test: TestStore) {
    let destination = test.ids.destination();
    for next in [NextState::Delivered { at: 1 }, NextState::Pending { due_at: test.now() + LEASE }] {
        let id = test.delivery_due(destination, test.now()).await;
        let settled = settlement(&test.claim_one().await, next);
        assert_eq!(test.store.settle(vec![settled.clone()]).await.unwrap(), []);
        assert_eq!(test.store.settle(vec![settled]).await.unwrap(), [id], "{next:?}");
        assert_eq!(test.store.delivery(id).await.unwrap().unwrap().attempts, 1);
        assert_eq!(test.store.attempts(id).await.unwrap().len(), 1);
    }
}

async fn a_delivery_that_does_not_exist_is_not_settled(test: TestStore) {
    let delivery = test.ids.event().delivery(3);
    let next = NextState::Delivered { at: 1 };
    let unknown = Settlement { order: None, lease: Lease { delivery, generation: 1 }, next, attempt: None };
    assert_eq!(test.store.settle(vec![unknown]).await.unwrap(), [delivery]);
    assert_eq!(test.store.settle(Vec::new()).await.unwrap(), []);
}

async fn a_large_batch_is_settled_whole(test: TestStore) {
    let destinations = [(); 3].map(|()| test.ids.destination());
    let events = (0..250).map(|_| test.event_to(&destinations, test.now())).collect();
    test.store.append(events).await.unwrap();
    let claimed = test.claim(1_000).await;
    assert_eq!(claimed.len(), 750);
    let next = NextState::Delivered { at: test.now() };
    let settlements = claimed.iter().map(|claimed| settlement(claimed, next)).collect();
    assert_eq!(test.store.settle(settlements).await.unwrap(), []);
    assert_eq!(test.store.backlog().await.unwrap().pending, 0);
    assert_eq!(test.store.attempts(claimed[749].id).await.unwrap().len(), 1);
}

async fn renewed_leases_hold_longer(test: TestStore) {
    test.delivery_due(test.ids.destination(), test.now()).await;
    let claimed = test.claim_one().await;
    let until = test.now() + 2 * LEASE;
    assert_eq!(test.store.renew(vec![lease(&claimed)], until).await.unwrap(), []);
    test.clock.advance(2 * LEASE - 1);
    assert!(test.claim(10).await.is_empty());
    let next = NextState::Delivered { at: test.now() };
    assert_eq!(test.store.settle(vec![settlement(&claimed, next)]).await.unwrap(), [], "the claim is the same one");
}

async fn a_claim_that_is_not_current_is_not_renewed(test: TestStore) {
    let destination = test.ids.destination();
    test.delivery_due(destination, test.now()).await;
    let old = test.claim_one().await;
    test.clock.advance(LEASE);
    let current = test.claim_one().await;
    test.delivery_due(destination, test.now()).await;
    let ended = test.claim_one().await;
    test.store.settle(vec![settlement(&ended, NextState::Dead { at: 1 })]).await.unwrap();

    let until = test.now() + 10 * LEASE;
    let mut stale = test.store.renew(vec![lease(&old), lease(&ended)], until).await.unwrap();
    stale.sort();
    let mut expected = [old.id, ended.id];
    expected.sort();
    assert_eq!(stale, expected);
    assert_eq!(test.store.delivery(current.id).await.unwrap().unwrap().at, test.now() + LEASE);
    assert_eq!(test.store.renew(Vec::new(), until).await.unwrap(), []);
}

async fn a_dead_delivery_can_be_tried_again(test: TestStore) {
    let id = test.delivery_due(test.ids.destination(), test.now()).await;
    let claimed = test.claim_one().await;
    test.store.settle(vec![settlement(&claimed, NextState::Dead { at: 1 })]).await.unwrap();
    assert_eq!(test.store.retry(id, test.now()).await.unwrap(), RetryOutcome::Due);
    let again = test.claim_one().await;
    assert_eq!((again.id, again.attempts), (id, 1));
    let second = Settlement {
        attempt: Some(attempt(&again, AttemptClass::Success)),
        ..settlement(&again, NextState::Delivered { at: 2 })
    };
    test.store.settle(vec![second]).await.unwrap();
    assert_eq!(test.store.attempts(id).await.unwrap().len(), 2);
}

async fn a_retry_voids_the_claim_on_it(test: TestStore) {
    let id = test.delivery_due(test.ids.destination(), test.now()).await;
    let held = test.claim_one().await;
    assert_eq!(test.store.retry(id, test.now()).await.unwrap(), RetryOutcome::Due);
    let next = NextState::Delivered { at: test.now() };
    assert_eq!(test.store.settle(vec![settlement(&held, next)]).await.unwrap(), [id]);
    assert_eq!(test.claim_one().await.id, id);
}

async fn an_unknown_delivery_cannot_be_tried_again(test: TestStore) {
    let outcome = test.store.retry(test.ids.event().delivery(0), test.now()).await.unwrap();
    assert_eq!(outcome, RetryOutcome::Unknown);
}
