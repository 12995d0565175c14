use std::sync::Arc;

use spillway_testkit::wait_until;

use crate::nodes::{Nodes, SOON, delivery, number, pop, push};

crate::on_both_engines!(
    a_delivery_arrives_with_all_it_has,
    deliveries_come_in_order_and_never_more_than_asked_for,
    a_pop_waits_for_the_next_push,
    a_cancelled_pop_loses_nothing,
    several_waiting_pops_share_one_batch,
    room_is_bounded_by_count_and_comes_back,
    room_is_bounded_by_bytes,
    an_unused_reservation_gives_its_room_back,
    fewer_deliveries_than_reserved_take_only_their_room,
    an_empty_batch_is_nothing,
    two_workers_share_without_duplicates,
);

async fn a_delivery_arrives_with_all_it_has(nodes: &Nodes) {
    push(&*nodes.a.ready, 0..6).await;
    for n in 0..6 {
        let popped = nodes.b.ready.pop(1).await.pop().expect("one");
        let sent = delivery(n);
        assert_eq!(popped.event, sent.event);
        assert_eq!(
            (popped.id, popped.destination, popped.connection, popped.generation, popped.attempts, popped.lease_until),
            (sent.id, sent.destination, sent.connection, sent.generation, sent.attempts, sent.lease_until)
        );
    }
}

async fn deliveries_come_in_order_and_never_more_than_asked_for(nodes: &Nodes) {
    push(&*nodes.a.ready, 0..5).await;
    push(&*nodes.a.ready, 5..10).await;
    push(&*nodes.a.ready, 10..40).await;
    assert_eq!(pop(&*nodes.b.ready, 40, 7).await, (0..40).collect::<Vec<_>>());
    wait_until("an empty queue", SOON, async || nodes.a.ready.depth() == 0 && nodes.b.ready.depth() == 0).await;
}

async fn a_pop_waits_for_the_next_push(nodes: &Nodes) {
    let ready = nodes.b.ready.clone();
    let popped = tokio::spawn(async move { ready.pop(0).await });
    tokio::task::yield_now().await;
    push(&*nodes.a.ready, 7..9).await;
    let popped = popped.await.expect("no panic");
    assert_eq!(popped.iter().map(number).collect::<Vec<_>>(), [7]);
    assert_eq!(pop(&*nodes.b.ready, 1, 1).await, [8]);
}

async fn a_cancelled_pop_loses_nothing(nodes: &Nodes) {
    let push_all = async {
        for n in 0..100 {
            push(&*nodes.a.ready, n..n + 1).await;
        }
    };
    let pop_all = async {
        let mut numbers = Vec::new();
        while numbers.len() < 100 {
            // Cancelled at whatever point it has reached.
            tokio::select! {
                biased;
                popped = nodes.b.ready.pop(3) => numbers.extend(popped.iter().map(number)),
                () = tokio::task::yield_now() => {}
            }
        }
        numbers
    };
    let (numbers, ()) = tokio::time::timeout(SOON, async { tokio::join!(pop_all, push_all) }).await.expect("in time");
    assert_eq!(numbers, (0..100).collect::<Vec<_>>());
}

async fn several_waiting_pops_share_one_batch(nodes: &Nodes) {
    let pops: Vec<_> = (0..4)
        .map(|_| {
            tokio::spawn({
                let ready = nodes.b.ready.clone();
                async move { ready.pop(1).await }
            })
        })
        .collect();
    tokio::task::yield_now().await;
    push(&*nodes.a.ready, 0..4).await;
    let mut numbers = Vec::new();
    for popped in pops {
        numbers
            .extend(tokio::time::timeout(SOON, popped).await.expect("in time").expect("no panic").iter().map(number));
    }
    numbers.sort_unstable();
    assert_eq!(numbers, [0, 1, 2, 3]);
}

async fn room_is_bounded_by_count_and_comes_back(nodes: &Nodes) {
    let ready = &*nodes.a.ready;
    push(ready, 0..60).await;
    let rest = ready.try_reserve(40, 0);
    assert!(rest.is_some() && ready.try_reserve(1, 0).is_none() && ready.try_reserve(101, 0).is_none());
    drop(rest);
    wait_until("a depth of 60", SOON, async || ready.depth() == 60).await;
    assert!(ready.try_reserve(41, 0).is_none());
    pop(&*nodes.b.ready, 60, 50).await;
    wait_until("all of the room", SOON, async || ready.try_reserve(100, 0).is_some()).await;
}

async fn room_is_bounded_by_bytes(nodes: &Nodes) {
    let ready = &*nodes.a.ready;
    let most = ready.try_reserve(1, 60 << 10).expect("room");
    assert!(ready.try_reserve(1, 5 << 10).is_none() && ready.try_reserve(1, 4 << 10).is_some());
    drop(most);
    assert!(ready.try_reserve(1, 64 << 10).is_some() && ready.try_reserve(2, (64 << 10) + 1).is_none());
}

async fn an_unused_reservation_gives_its_room_back(nodes: &Nodes) {
    for _ in 0..10 {
        let reservation = nodes.a.ready.try_reserve(100, 64 << 10).expect("all of the room");
        assert_eq!((reservation.deliveries(), reservation.bytes()), (100, 64 << 10));
    }
}

async fn fewer_deliveries_than_reserved_take_only_their_room(nodes: &Nodes) {
    let ready = &*nodes.a.ready;
    let reservation = ready.try_reserve(100, 1000).expect("all of the room");
    ready.push(reservation, vec![delivery(0)]).await;
    wait_until("room for 99", SOON, async || ready.try_reserve(99, 0).is_some()).await;
    assert!(ready.try_reserve(100, 0).is_none());
}

async fn an_empty_batch_is_nothing(nodes: &Nodes) {
    let reservation = nodes.a.ready.try_reserve(100, 1000).expect("all of the room");
    nodes.a.ready.push(reservation, Vec::new()).await;
    assert!(nodes.a.ready.try_reserve(100, 1000).is_some());
    assert_eq!(nodes.a.ready.depth(), 0);
}

async fn two_workers_share_without_duplicates(nodes: &Nodes) {
    let popped = Arc::new(parking_lot::Mutex::new(Vec::new()));
    let workers: Vec<_> = [&nodes.a, &nodes.b]
        .map(|node| {
            let (ready, popped) = (node.ready.clone(), popped.clone());
            tokio::spawn(async move {
                loop {
                    let batch = ready.pop(8).await;
                    popped.lock().extend(batch.iter().map(number));
                }
            })
        })
        .into();
    for batch in 0..50 {
        push(&*nodes.a.ready, batch * 20..batch * 20 + 20).await;
    }
    wait_until("1000 deliveries", SOON, async || popped.lock().len() >= 1000).await;
    workers.iter().for_each(tokio::task::JoinHandle::abort);
    let mut numbers = popped.lock().clone();
    numbers.sort_unstable();
    assert_eq!(numbers, (0..1000).collect::<Vec<_>>());
}
