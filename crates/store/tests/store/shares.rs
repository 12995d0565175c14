//! Claims of a share: its own deliveries and no others, until those are left lying.

use std::collections::HashSet;

use spillway_model::{Claimed, ConfigurationChange, DeliveryId, DestinationId, NewEvent, Slot, WorkerShares};
use spillway_store::{ClaimRequest, ClaimShare};

use crate::support::{LEASE, TestStore, on_every_engine};

/// How long a delivery must have been due to be anybody's.
const GRACE: i64 = 10_000;

on_every_engine! {
    shares_read_back_with_the_configuration_and_can_be_unset
    each_slot_claims_exactly_its_deliveries
    every_bucket_is_the_same_in_the_store_as_in_the_id
    a_share_of_nothing_claims_nothing
    without_shares_everything_is_claimed_as_before
    what_is_overdue_is_anybodys
    own_deliveries_come_before_what_others_left_lying
    limits_hold_over_own_and_overdue_deliveries
    a_changed_share_finds_what_the_one_before_left
    claims_of_both_slots_at_once_get_everything_and_nothing_twice
    what_a_lost_slot_had_claimed_is_taken_over
}

/// A request for the buckets of a slot, with everything overdue for longer than [`GRACE`].
fn request(test: &TestStore, shares: (u8, u8), slot: Slot, max: usize) -> ClaimRequest {
    let buckets = WorkerShares::new(shares.0, shares.1).unwrap().buckets(slot);
    let share = Some(ClaimShare { buckets, overdue_before: test.now() - GRACE });
    ClaimRequest { share, ..test.request(max) }
}

async fn claim(test: &TestStore, shares: (u8, u8), slot: Slot) -> Vec<DeliveryId> {
    ids(&test.store.claim(request(test, shares, slot, 10_000)).await.unwrap())
}

fn ids(claimed: &[Claimed]) -> Vec<DeliveryId> {
    let mut ids: Vec<_> = claimed.iter().map(|one| one.id).collect();
    ids.sort_unstable();
    ids
}

/// Deliveries of `n` events to each of the destinations, some milliseconds apart, all due now.
async fn publish(test: &TestStore, destinations: &[DestinationId], n: usize) -> Vec<DeliveryId> {
    let mut events: Vec<NewEvent> = Vec::new();
    for _ in 0..n {
        test.clock.advance(3);
        events.push(test.event_to(destinations, test.now()));
    }
    let ids = events.iter().flat_map(|event| event.deliveries.iter().map(|delivery| delivery.id)).collect();
    test.store.append(events).await.unwrap();
    ids
}

fn owned_by(deliveries: &[DeliveryId], shares: (u8, u8), slot: Slot) -> Vec<DeliveryId> {
    let shares = WorkerShares::new(shares.0, shares.1).unwrap();
    let mut owned: Vec<_> = deliveries.iter().copied().filter(|id| shares.owner(*id) == slot).collect();
    owned.sort_unstable();
    owned
}

async fn shares_read_back_with_the_configuration_and_can_be_unset(test: TestStore) {
    let set = async |shares| {
        let version =
            test.store.change_configuration(vec![ConfigurationChange::SetWorkerShares(shares)]).await.unwrap();
        let stored = test.store.configuration().await.unwrap();
        assert_eq!((stored.version, stored.worker_shares), (version, shares));
    };
    assert_eq!(test.store.configuration().await.unwrap().worker_shares, None);
    for shares in [(90, 10), (0, 100), (100, 0)] {
        set(Some(WorkerShares::new(shares.0, shares.1).unwrap())).await;
    }
    let test = test.reopen().await;
    assert_eq!(test.store.configuration().await.unwrap().worker_shares, WorkerShares::new(100, 0).ok());
    for _ in 0..2 {
        test.store.change_configuration(vec![ConfigurationChange::SetWorkerShares(None)]).await.unwrap();
        assert_eq!(test.store.configuration().await.unwrap().worker_shares, None);
    }
}

async fn each_slot_claims_exactly_its_deliveries(test: TestStore) {
    let destinations = [(); 3].map(|()| test.ids.destination());
    let all = publish(&test, &destinations, 400).await;
    let shares = (90, 10);
    let green = claim(&test, shares, Slot::Green).await;
    assert_eq!(green, owned_by(&all, shares, Slot::Green));
    let percent = green.len() as f64 * 100.0 / all.len() as f64;
    assert!((7.0..13.0).contains(&percent), "{percent} %");
    assert!(claim(&test, shares, Slot::Green).await.is_empty());
    assert_eq!(claim(&test, shares, Slot::Blue).await, owned_by(&all, shares, Slot::Blue));
}

async fn every_bucket_is_the_same_in_the_store_as_in_the_id(test: TestStore) {
    let destinations = [(); 3].map(|()| test.ids.destination());
    let mut all = publish(&test, &destinations, 100).await;
    test.clock.advance(40_000_000_000);
    all.extend(publish(&test, &destinations, 100).await);
    // Before the first is overdue for anybody.
    let mut n_claimed = 0;
    for bucket in 0..100 {
        let share = Some(ClaimShare { buckets: bucket..bucket + 1, overdue_before: i64::MIN });
        let claimed = test.store.claim(ClaimRequest { share, ..test.request(10_000) }).await.unwrap();
        for one in &claimed {
            assert_eq!(one.id.bucket(), bucket, "{}", one.id);
        }
        n_claimed += claimed.len();
    }
    assert_eq!(n_claimed, all.len());
}

async fn a_share_of_nothing_claims_nothing(test: TestStore) {
    let all = publish(&test, &[test.ids.destination()], 100).await;
    assert!(claim(&test, (100, 0), Slot::Green).await.is_empty());
    assert!(claim(&test, (0, 100), Slot::Blue).await.is_empty());
    assert_eq!(claim(&test, (0, 100), Slot::Green).await, owned_by(&all, (0, 100), Slot::Green));
}

async fn without_shares_everything_is_claimed_as_before(test: TestStore) {
    let shares = WorkerShares::new(50, 50).ok();
    test.store.change_configuration(vec![ConfigurationChange::SetWorkerShares(shares)]).await.unwrap();
    let all = publish(&test, &[test.ids.destination(), test.ids.destination()], 50).await;
    assert_eq!(test.claim(10_000).await.len(), all.len());
}

async fn what_is_overdue_is_anybodys(test: TestStore) {
    let all = publish(&test, &[test.ids.destination(), test.ids.destination()], 100).await;
    let shares = (90, 10);
    assert_eq!(claim(&test, shares, Slot::Blue).await, owned_by(&all, shares, Slot::Blue));
    test.clock.advance(GRACE - 1_000);
    assert!(claim(&test, shares, Slot::Blue).await.is_empty());
    test.clock.advance(1_000);
    let late = publish(&test, &[test.ids.destination()], 50).await;
    let mut expected = owned_by(&all, shares, Slot::Green);
    expected.extend(owned_by(&late, shares, Slot::Blue));
    expected.sort_unstable();
    assert_eq!(claim(&test, shares, Slot::Blue).await, expected, "the other slot left these lying");
    // A claimer without a share takes what is overdue, too, and nothing else.
    let none = ClaimShare { buckets: 0..0, overdue_before: test.now() - GRACE };
    let claim_none = async |share: &ClaimShare| {
        ids(&test.store.claim(ClaimRequest { share: Some(share.clone()), ..test.request(10_000) }).await.unwrap())
    };
    assert!(claim_none(&none).await.is_empty());
    let all_overdue = ClaimShare { overdue_before: test.now(), ..none };
    assert_eq!(claim_none(&all_overdue).await, owned_by(&late, shares, Slot::Green));
}

async fn own_deliveries_come_before_what_others_left_lying(test: TestStore) {
    let destination = [test.ids.destination()];
    let old = publish(&test, &destination, 200).await;
    test.clock.advance(GRACE * 2);
    let shares = (50, 50);
    let new = publish(&test, &destination, 20).await;
    let own = owned_by(&[old.clone(), new].concat(), shares, Slot::Green);
    let claimed = ids(&test.store.claim(request(&test, shares, Slot::Green, own.len() + 5)).await.unwrap());
    assert_eq!(claimed.len(), own.len() + 5);
    let foreign: Vec<_> = claimed.into_iter().filter(|id| !own.contains(id)).collect();
    assert_eq!(foreign.len(), 5, "all of its own come first, although they are due for a shorter time");
    assert!(foreign.iter().all(|id| old.contains(id)));
}

async fn limits_hold_over_own_and_overdue_deliveries(test: TestStore) {
    let [usual, none] = [(); 2].map(|()| test.ids.destination());
    publish(&test, &[usual, none], 100).await;
    test.clock.advance(GRACE * 2);
    let request = ClaimRequest {
        max_per_destination: 60,
        limits: [(none, 0)].into(),
        ..request(&test, (90, 10), Slot::Green, 1_000)
    };
    let claimed = test.store.claim(request).await.unwrap();
    assert_eq!(claimed.len(), 60);
    assert!(claimed.iter().all(|one| one.destination == usual));
}

async fn a_changed_share_finds_what_the_one_before_left(test: TestStore) {
    let all = publish(&test, &[test.ids.destination(), test.ids.destination()], 300).await;
    // Full claims are remembered; they must not hide what is older and belongs to a larger share.
    let mut seen = ids(&test.store.claim(request(&test, (90, 10), Slot::Green, 20)).await.unwrap());
    assert_eq!(seen.len(), 20);
    seen.extend(claim(&test, (50, 50), Slot::Green).await);
    seen.sort_unstable();
    assert_eq!(seen, owned_by(&all, (50, 50), Slot::Green));
    seen.extend(claim(&test, (0, 100), Slot::Green).await);
    assert_eq!(seen.len(), all.len());
}

async fn claims_of_both_slots_at_once_get_everything_and_nothing_twice(test: TestStore) {
    let destinations = [(); 3].map(|()| test.ids.destination());
    let all = publish(&test, &destinations, 200).await;
    let mut tasks = tokio::task::JoinSet::new();
    for slot in [Slot::Blue, Slot::Green, Slot::Blue, Slot::Green] {
        let (store, request) = (test.store.clone(), request(&test, (70, 30), slot, 25));
        tasks.spawn(async move {
            let mut mine = Vec::new();
            loop {
                let claimed = store.claim(request.clone()).await.unwrap();
                if claimed.is_empty() {
                    return mine;
                }
                mine.extend(ids(&claimed));
            }
        });
    }
    let mut seen = tasks.join_all().await.concat();
    seen.extend(ids(&test.claim(1_000).await));
    assert_eq!(seen.iter().collect::<HashSet<_>>().len(), seen.len(), "a delivery was claimed twice");
    assert_eq!(seen.len(), all.len());
}

async fn what_a_lost_slot_had_claimed_is_taken_over(test: TestStore) {
    let all = publish(&test, &[test.ids.destination()], 100).await;
    let shares = (90, 10);
    let lost = claim(&test, shares, Slot::Green).await;
    assert_eq!(claim(&test, shares, Slot::Blue).await.len(), all.len() - lost.len());
    test.clock.advance(LEASE);
    let blue = claim(&test, shares, Slot::Blue).await;
    assert_eq!(blue, owned_by(&all, shares, Slot::Blue), "only its own are due again");
    test.clock.advance(GRACE);
    assert_eq!(claim(&test, shares, Slot::Blue).await, lost);
}
