use spillway_testkit::wait_until;

use crate::nodes::{Nodes, SOON};

crate::on_both_engines!(every_node_learns_the_newest_version);

async fn every_node_learns_the_newest_version(nodes: &Nodes) {
    let (mut here, there) = (nodes.a.changes.subscribe(), nodes.b.changes.subscribe());
    assert_eq!((*here.borrow_and_update(), *there.borrow()), (0, 0));
    nodes.a.changes.announce(3).await;
    assert_eq!(*here.borrow_and_update(), 3);
    // A message that is sent before the other node listens is lost: that is what the poll is for.
    let learned = async || {
        nodes.a.changes.announce(3).await;
        *there.borrow() == 3
    };
    wait_until("the other node to learn of version 3", SOON, learned).await;
    assert!(!here.has_changed().expect("the sender lives"));
    nodes.b.changes.announce(2).await;
    nodes.b.changes.announce(4).await;
    wait_until("version 4", SOON, async || *here.borrow() == 4).await;
    assert_eq!(*there.borrow(), 4);
}
