//! Filters, order keys and transforms of connections, as a destination and an operator see them.

use spillway_model::{AttemptClass, ConfigurationChange, Connection, DeliveryState, Secret, SigningSecret};
use spillway_testkit::Sink;

use crate::support::{SECRET, TestStore, TestWorker, verifies};

const ORDER: &[u8] = br#"{"id": 7, "items": [{"price": 3}, {"price": 4}], "note": "secret"}"#;

async fn with_programs(url: &str, change: impl FnOnce(&mut Connection)) -> (TestStore, spillway_model::DestinationId) {
    let store = TestStore::open().await;
    let signing = vec![SigningSecret { secret: Secret::new(SECRET), expires_at: None }];
    let to = store.destination_with(url, |to| to.signing_secrets = signing).await;
    store.connect(to, change).await;
    (store, to)
}

#[tokio::test]
async fn a_transformed_body_is_what_is_signed_and_sent() {
    let sink = Sink::start().await;
    let program = "{order: .id, total: ([.items[].price] | add)}";
    let (store, to) = with_programs(&sink.url("/hook"), |one| one.transform = Some(program.to_owned())).await;
    let headers = [("content-type", "application/vnd.shop+json"), ("content-digest", "sha-256=:x:"), ("x-kept", "yes")];
    let delivery = store.publish_event(to, store.event(&headers, ORDER, None)).await;
    let worker = TestWorker::start(&store).await;
    store.wait_for(DeliveryState::Delivered, &[delivery]).await;
    let request = &sink.requests()[0];
    let sent: serde_json::Value = serde_json::from_slice(&request.body).expect("JSON");
    assert_eq!(sent, serde_json::json!({"order": 7, "total": 7}));
    assert_eq!(request.header("content-type"), Some("application/json"));
    assert_eq!(request.header("content-length"), Some(request.body.len().to_string().as_str()));
    assert_eq!((request.header("content-digest"), request.header("x-kept")), (None, Some("yes")));
    assert!(verifies(request, SECRET));
    worker.stop().await;
}

#[tokio::test]
async fn without_a_transform_the_body_arrives_untouched() {
    let sink = Sink::start().await;
    let (store, to) = with_programs(&sink.url("/hook"), |one| one.filter = Some(".id == 7".to_owned())).await;
    let headers = [("content-type", "application/vnd.shop+json")];
    let delivery = store.publish_event(to, store.event(&headers, ORDER, None)).await;
    let worker = TestWorker::start(&store).await;
    store.wait_for(DeliveryState::Delivered, &[delivery]).await;
    let request = &sink.requests()[0];
    assert_eq!((&request.body[..], request.header("content-type")), (ORDER, Some("application/vnd.shop+json")));
    worker.stop().await;
}

#[tokio::test]
async fn a_filter_that_says_no_cancels_the_delivery_and_says_why() {
    let sink = Sink::start().await;
    let (store, to) = with_programs(&sink.url("/hook"), |one| one.filter = Some(".id == 8".to_owned())).await;
    let delivery = store.publish_event(to, store.event(&[], ORDER, None)).await;
    let worker = TestWorker::start(&store).await;
    store.wait_for(DeliveryState::Cancelled, &[delivery]).await;
    let attempts = store.attempts(delivery).await;
    assert_eq!(attempts.len(), 1);
    assert_eq!((attempts[0].class, attempts[0].status), (AttemptClass::Transform, None));
    assert_eq!(attempts[0].error.as_deref(), Some("the connection's filter does not let this event through"));
    assert_eq!(sink.count(), 0);
    worker.stop().await;
}

#[tokio::test]
async fn a_program_that_fails_makes_a_dead_letter_that_can_be_retried_once_it_is_mended() {
    for (what, change) in [
        ("filter", (|one, program| one.filter = Some(program)) as fn(&mut Connection, String)),
        ("order_by", |one, program| one.order_by = Some(program)),
        ("transform", |one, program| one.transform = Some(program)),
    ] {
        let sink = Sink::start().await;
        let (store, to) = with_programs(&sink.url("/hook"), |one| change(one, ".id.key".to_owned())).await;
        let delivery = store.publish_event(to, store.event(&[], ORDER, None)).await;
        let worker = TestWorker::start(&store).await;
        store.wait_for(DeliveryState::Dead, &[delivery]).await;
        let attempts = store.attempts(delivery).await;
        assert_eq!((attempts.len(), attempts[0].class), (1, AttemptClass::Transform));
        let error = attempts[0].error.as_deref().unwrap_or_default();
        assert!(error.starts_with(&format!("the connection's {what} failed: ")), "{error}");
        assert_eq!(sink.count(), 0);

        store.connect(to, |one| change(one, ".id | tostring".to_owned())).await;
        worker.is_up_to_date(&store).await;
        store.store.retry(delivery, attempts[0].started_at).await.expect("retried");
        store.wait_for(DeliveryState::Delivered, &[delivery]).await;
        worker.stop().await;
    }
}

#[tokio::test]
async fn a_program_that_cannot_be_compiled_is_named() {
    let sink = Sink::start().await;
    let (store, to) = with_programs(&sink.url("/hook"), |one| one.transform = Some("{{".to_owned())).await;
    let delivery = store.publish_event(to, store.event(&[], ORDER, None)).await;
    let worker = TestWorker::start(&store).await;
    store.wait_for(DeliveryState::Dead, &[delivery]).await;
    let attempts = store.attempts(delivery).await;
    let error = attempts[0].error.as_deref().unwrap_or_default();
    assert!(error.starts_with("the connection's transform cannot be compiled: "), "{error}");
    worker.stop().await;
}

#[tokio::test]
async fn deliveries_of_a_deleted_connection_go_out_as_they_would_have() {
    let sink = Sink::start().await;
    let (store, to) = with_programs(&sink.url("/hook"), |one| one.transform = Some("{id: .id}".to_owned())).await;
    let worker = TestWorker::start(&store).await;
    let id = store.store.configuration().await.expect("a configuration").connections[0].id;
    store.change(ConfigurationChange::DeleteConnection(id)).await;
    worker.is_up_to_date(&store).await;
    let delivery = store.publish_event(to, store.event(&[], ORDER, None)).await;
    store.wait_for(DeliveryState::Delivered, &[delivery]).await;
    assert_eq!(&sink.requests()[0].body[..], br#"{"id":7}"#);
    worker.stop().await;
}
