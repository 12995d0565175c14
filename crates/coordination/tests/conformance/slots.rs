//! Queues of worker slots beside everybody's.

use std::sync::Arc;

use spillway_coordination::{CoordinationSettings, in_process};
use spillway_model::Slot;
use spillway_testkit::wait_until;

use crate::nodes::{Nodes, SOON, pop, push};

#[tokio::test]
async fn each_slot_gets_what_is_for_it_and_nothing_else() {
    let nodes = Nodes::redis().await;
    let [for_blue, for_green] = Slot::BOTH.map(|slot| nodes.a.ready_of(slot).expect("a queue of the slot"));
    let [blue, green] = Slot::BOTH.map(|slot| nodes.b.ready_of(slot).expect("a queue of the slot"));
    push(&*for_blue, 0..20).await;
    push(&*for_green, 20..25).await;
    push(&*nodes.a.ready, 25..30).await;
    assert_eq!(pop(&*green, 5, 100).await, (20..25).collect::<Vec<_>>());
    assert_eq!(pop(&*blue, 20, 100).await, (0..20).collect::<Vec<_>>());
    assert_eq!(pop(&*nodes.b.ready, 5, 100).await, (25..30).collect::<Vec<_>>());
}

#[tokio::test]
async fn a_slot_that_nobody_serves_takes_no_room_from_the_other() {
    let nodes = Nodes::redis().await;
    let [blue, green] = Slot::BOTH.map(|slot| nodes.a.ready_of(slot).expect("a queue of the slot"));
    push(&*green, 0..100).await;
    wait_until("a full queue", SOON, async || green.depth() == 100).await;
    assert!(green.try_reserve(1, 0).is_none());
    push(&*blue, 100..150).await;
    push(&*nodes.a.ready, 150..200).await;
    assert_eq!(pop(&*nodes.b.ready_of(Slot::Blue).expect("a queue"), 50, 50).await, (100..150).collect::<Vec<_>>());
}

#[tokio::test]
async fn the_queue_of_a_slot_is_one_however_often_it_is_asked_for() {
    let nodes = Nodes::redis().await;
    let [first, second] = [(); 2].map(|()| nodes.a.clone().ready_of(Slot::Blue).expect("a queue"));
    assert!(Arc::ptr_eq(&first, &second));
}

#[tokio::test]
async fn without_redis_only_the_slot_of_this_process_can_be_reached() {
    let blue = in_process(&CoordinationSettings { slot: Some(Slot::Blue), ..CoordinationSettings::default() });
    assert!(blue.ready_of(Slot::Blue).is_some_and(|queue| Arc::ptr_eq(&queue, &blue.ready)));
    assert!(blue.ready_of(Slot::Green).is_none());
    let none = in_process(&CoordinationSettings::default());
    assert!(Slot::BOTH.into_iter().all(|slot| none.ready_of(slot).is_none()));
}
