//! Claims: what is due, to one claimer at a time, fairly.

use std::collections::{HashMap, HashSet};

use spillway_model::{DeliveryId, DestinationId};
use spillway_store::ClaimRequest;

use crate::support::{LEASE, TestStore, on_every_engine};

on_every_engine! {
    due_deliveries_come_with_their_payload_the_longest_overdue_first
    what_is_not_due_yet_waits
    a_claim_holds_until_its_lease_ends_and_the_next_one_has_a_higher_generation
    what_is_born_claimed_is_claimed_only_after_its_lease
    no_more_are_claimed_than_asked_for
    destinations_have_limits_of_their_own
    a_long_backlog_does_not_keep_another_destination_waiting
    what_is_left_of_a_small_share_goes_to_others
    a_destination_that_ran_out_does_not_end_the_claim
    claims_go_on_until_nothing_is_due
    concurrent_claimers_never_get_the_same_delivery
    appending_and_claiming_at_once_loses_nothing
}

async fn due_deliveries_come_with_their_payload_the_longest_overdue_first(test: TestStore) {
    let destination = test.ids.destination();
    let now = test.now();
    let mut expected = Vec::new();
    for overdue in [30, 10, 20] {
        let event = test.event_to(&[destination], now - overdue);
        test.accept(&event).await;
        expected.push((overdue, event));
    }
    expected.sort_by_key(|(overdue, _)| -overdue);
    let claimed = test.claim(10).await;
    assert_eq!(claimed.len(), 3);
    for (claimed, (_, event)) in claimed.iter().zip(&expected) {
        assert_eq!(claimed.id, event.event.id.delivery(0));
        assert_eq!(claimed.event, event.event);
        assert_eq!((claimed.destination, claimed.connection), (destination, event.deliveries[0].connection));
        assert_eq!((claimed.generation, claimed.attempts, claimed.lease_until), (1, 0, now + LEASE));
    }
    let stored = test.store.delivery(claimed[0].id).await.unwrap().unwrap();
    assert_eq!((stored.at, stored.generation), (now + LEASE, 1));
}

async fn what_is_not_due_yet_waits(test: TestStore) {
    let id = test.delivery_due(test.ids.destination(), test.now() + 1).await;
    assert!(test.claim(10).await.is_empty());
    test.clock.advance(1);
    assert_eq!(test.claim_one().await.id, id);
}

async fn a_claim_holds_until_its_lease_ends_and_the_next_one_has_a_higher_generation(test: TestStore) {
    test.delivery_due(test.ids.destination(), test.now()).await;
    let first = test.claim_one().await;
    test.clock.advance(LEASE - 1);
    assert!(test.claim(10).await.is_empty());
    test.clock.advance(1);
    let second = test.claim_one().await;
    assert_eq!(second.id, first.id);
    assert!(second.generation > first.generation);
}

async fn what_is_born_claimed_is_claimed_only_after_its_lease(test: TestStore) {
    test.accept(&test.event_born(&[test.ids.destination()], test.now() + LEASE, 1)).await;
    assert!(test.claim(10).await.is_empty());
    test.clock.advance(LEASE);
    assert_eq!(test.claim_one().await.generation, 2);
}

async fn no_more_are_claimed_than_asked_for(test: TestStore) {
    let destinations = [test.ids.destination(), test.ids.destination()];
    for _ in 0..5 {
        test.accept(&test.event_to(&destinations, test.now())).await;
    }
    assert!(test.claim(0).await.is_empty());
    assert_eq!(test.claim(3).await.len(), 3);
    assert_eq!(test.claim(100).await.len(), 7);
}

async fn destinations_have_limits_of_their_own(test: TestStore) {
    let [usual, more, none] = [(); 3].map(|()| test.ids.destination());
    for _ in 0..10 {
        test.accept(&test.event_to(&[usual, more, none], test.now())).await;
    }
    let request =
        ClaimRequest { max_per_destination: 2, limits: HashMap::from([(more, 5), (none, 0)]), ..test.request(100) };
    let claimed = test.store.claim(request).await.unwrap();
    let count = |destination: DestinationId| claimed.iter().filter(|one| one.destination == destination).count();
    assert_eq!((count(usual), count(more), count(none)), (2, 5, 0));
    assert_eq!(test.claim(100).await.len(), 23, "what was left alone can be claimed later");
}

async fn a_long_backlog_does_not_keep_another_destination_waiting(test: TestStore) {
    let [busy, quiet] = [(); 2].map(|()| test.ids.destination());
    let backlog = (0..200).map(|n| test.event_to(&[busy], test.now() - 1_000 - n)).collect();
    test.store.append(backlog).await.unwrap();
    let waiting = test.delivery_due(quiet, test.now()).await;
    let request = ClaimRequest { max_per_destination: 20, ..test.request(40) };
    let claimed = test.store.claim(request).await.unwrap();
    assert!(claimed.iter().any(|one| one.id == waiting));
    assert_eq!(claimed.len(), 21);
}

async fn what_is_left_of_a_small_share_goes_to_others(test: TestStore) {
    let [busy, quiet] = [(); 2].map(|()| test.ids.destination());
    let backlog = (0..50).map(|_| test.event_to(&[busy], test.now())).collect();
    test.store.append(backlog).await.unwrap();
    test.delivery_due(quiet, test.now()).await;
    assert_eq!(test.claim(30).await.len(), 30);
}

async fn a_destination_that_ran_out_does_not_end_the_claim(test: TestStore) {
    let [first, busy, last] = [(); 3].map(|()| test.ids.destination());
    test.delivery_due(first, test.now() - 3).await;
    for _ in 0..4 {
        test.delivery_due(busy, test.now() - 2).await;
    }
    test.delivery_due(last, test.now() - 1).await;
    assert_eq!(test.claim(5).await.len(), 5);
}

async fn claims_go_on_until_nothing_is_due(test: TestStore) {
    let destinations = [(); 3].map(|()| test.ids.destination());
    for n in 0..40 {
        test.accept(&test.event_to(&destinations[..=n % 3], test.now() - n as i64)).await;
    }
    let mut seen = HashSet::new();
    loop {
        let claimed = test.claim(7).await;
        let late =
            if seen.len() == 35 { Some(test.delivery_due(test.ids.destination(), test.now()).await) } else { None };
        seen.extend(claimed.iter().map(|one| one.id));
        if claimed.is_empty() && late.is_none() {
            break;
        }
    }
    let all = (0..40).map(|n| n % 3 + 1).sum::<usize>();
    assert_eq!(seen.len(), all + 1, "the one that came in between is not forgotten");
}

async fn concurrent_claimers_never_get_the_same_delivery(test: TestStore) {
    let destinations = [(); 3].map(|()| test.ids.destination());
    let events = (0..200).map(|_| test.event_to(&destinations, test.now())).collect();
    test.store.append(events).await.unwrap();
    let mut tasks = tokio::task::JoinSet::new();
    for _ in 0..6 {
        let (store, request) = (test.store.clone(), test.request(25));
        tasks.spawn(async move {
            let mut mine: Vec<DeliveryId> = Vec::new();
            loop {
                let claimed = store.claim(request.clone()).await.unwrap();
                if claimed.is_empty() {
                    return mine;
                }
                mine.extend(claimed.iter().map(|one| one.id));
            }
        });
    }
    let all: Vec<DeliveryId> = tasks.join_all().await.concat();
    let different: HashSet<_> = all.iter().collect();
    assert_eq!(all.len(), different.len(), "a delivery was claimed twice");
    // A claimer may find what is left in the hands of another one and stop; none of it is lost.
    assert_eq!(all.len() + test.claim(1_000).await.len(), 600);
}

async fn appending_and_claiming_at_once_loses_nothing(test: TestStore) {
    let destinations = [(); 4].map(|()| test.ids.destination());
    let mut appends = tokio::task::JoinSet::new();
    for task in 0..4 {
        let batches: Vec<Vec<_>> = (0..10)
            .map(|_| (0..20).map(|n| test.event_to(&[destinations[(task + n) % 4]], test.now())).collect())
            .collect();
        let store = test.store.clone();
        appends.spawn(async move {
            for batch in batches {
                store.append(batch).await.unwrap();
            }
        });
    }
    let mut seen = HashSet::new();
    let mut claims = 0;
    while seen.len() < 800 {
        let done = appends.is_empty();
        let claimed = test.claim(64).await;
        assert!(!done || !claimed.is_empty(), "{} of 800 came, and nothing more is due", seen.len());
        claims += claimed.len();
        seen.extend(claimed.iter().map(|one| one.id));
        while appends.try_join_next().is_some() {}
    }
    assert_eq!(claims, 800, "a delivery was claimed twice");
}
