//! No request reaches our own network, however its address is written.

use spillway_model::{AttemptClass, DeliveryState};
use spillway_testkit::Sink;
use spillway_worker::AddressGuard;

use crate::support::{TestStore, TestWorker, schedule};

/// What a destination at `host`, on the sink's port, comes to under that guard.
async fn attempt(sink: &Sink, host: &str, guard: AddressGuard) -> (AttemptClass, Option<Box<str>>) {
    let store = TestStore::open().await;
    let url = format!("http://{host}:{}/hook", sink.address().port());
    let to = store.destination_with(&url, |to| to.retry = Some(schedule(&[0]))).await;
    let worker = TestWorker::start_with(&store, |options| options.client.guard = guard).await;
    let delivery = store.publish(to, 1).await[0];
    let attempt = store.wait_for_attempts(delivery, 1).await.remove(0);
    worker.stop().await;
    (attempt.class, attempt.error)
}

#[tokio::test]
async fn every_way_of_writing_a_private_address_is_blocked() {
    let sink = Sink::start().await;
    for host in [
        "127.0.0.1",
        "localhost",
        "LOCALHOST.",
        "2130706433",
        "0x7f000001",
        "0177.0.0.1",
        "127.1",
        "0",
        "[::1]",
        "[::ffff:127.0.0.1]",
        "[::ffff:7f00:1]",
        "[0:0:0:0:0:ffff:7f00:0001]",
        "[64:ff9b::7f00:1]",
    ] {
        let (class, error) = attempt(&sink, host, AddressGuard::default()).await;
        // A system may refuse to resolve an odd form at all; what matters is that nothing is connected to.
        let is_refused =
            class == AttemptClass::Blocked || (class == AttemptClass::Connect && host.contains(['0', '.']));
        assert!(is_refused, "{host}: {class:?} {error:?}");
    }
    assert_eq!(sink.connection_count(), 0);
}

#[tokio::test]
async fn an_allowed_network_is_reached_by_address_and_by_name() {
    let sink = Sink::start().await;
    for host in ["127.0.0.1", "localhost", "2130706433"] {
        let guard = AddressGuard::new(vec!["127.0.0.0/8".parse().expect("a network")]);
        let (class, error) = attempt(&sink, host, guard).await;
        assert_eq!(class, AttemptClass::Success, "{host}: {error:?}");
    }
}

#[tokio::test]
async fn a_blocked_destination_ends_as_a_dead_letter_that_says_what_to_do() {
    let (store, sink) = (TestStore::open().await, Sink::start().await);
    let to = store.destination(&sink.url("/hook")).await;
    let worker = TestWorker::start_with(&store, |options| options.client.guard = AddressGuard::default()).await;
    let delivery = store.publish(to, 1).await[0];
    store.wait_for(DeliveryState::Dead, &[delivery]).await;
    let error = store.attempts(delivery).await[0].error.clone().expect("an error");
    assert!(error.contains("127.0.0.1 is loopback") && error.contains("delivery.allow_networks"), "{error}");
    worker.stop().await;
}
