//! Following events by their ids, and reading payloads of many.

use spillway_model::{EventId, SourceId};

use crate::support::{TestStore, on_every_engine};

on_every_engine! {
    ids_follow_in_their_order_in_pages
    only_those_of_a_source_follow
    payloads_come_in_order_without_those_that_are_gone
}

async fn append_many(test: &TestStore, n: usize) -> Vec<EventId> {
    let events: Vec<_> = (0..n).map(|_| test.event()).collect();
    let ids = events.iter().map(|event| event.event.id).collect();
    test.store.append(events).await.unwrap();
    ids
}

async fn ids_follow_in_their_order_in_pages(test: TestStore) {
    let expected = append_many(&test, 25).await;
    let (mut seen, mut after) = (Vec::new(), EventId::from_u128(0));
    loop {
        let page = test.store.following(None, after, 10).await.unwrap();
        assert!(page.len() <= 10);
        seen.extend(page.iter().copied());
        let Some(last) = page.last() else { break };
        after = *last;
    }
    assert_eq!(seen, expected);
}

async fn only_those_of_a_source_follow(test: TestStore) {
    let expected = append_many(&test, 3).await;
    let all = test.store.following(Some(test.source), EventId::from_u128(0), 10).await.unwrap();
    assert_eq!(all, expected);
    assert_eq!(test.store.following(Some(test.source), expected[1], 10).await.unwrap(), expected[2..]);
    let other = SourceId::from_u128(7);
    assert_eq!(test.store.following(Some(other), EventId::from_u128(0), 10).await.unwrap(), []);
}

async fn payloads_come_in_order_without_those_that_are_gone(test: TestStore) {
    let ids = append_many(&test, 3).await;
    let gone = EventId::from_u128(ids[2].to_u128() + (1 << 64));
    let events = test.store.payloads(vec![ids[2], gone, ids[0]]).await.unwrap();
    assert_eq!(events.iter().map(|event| event.id).collect::<Vec<_>>(), [ids[0], ids[2]]);
    assert_eq!(events[0], test.store.event(ids[0]).await.unwrap().unwrap());
}
