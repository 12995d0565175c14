//! What a destination is sent.

use spillway_model::{
    Clock, ConfigurationChange, DeliveryState, Destination, Secret, SigningSecret, SystemClock, TraceContext,
};
use spillway_signature::{Provider, generate_ed25519_secret, verification_secret};
use spillway_testkit::{Answer, Sink};

use crate::support::{DEADLINE, SECRET, TestStore, TestWorker, verifies};

const OTHER_SECRET: &str = "whsec_C2FVsBQIhrscChlQIMV+b5sSYspob7oD";

fn signing(secret: &str, expires_in_ms: Option<i64>) -> SigningSecret {
    SigningSecret { secret: Secret::new(secret), expires_at: expires_in_ms.map(|ms| SystemClock.now() + ms) }
}

#[tokio::test]
async fn body_and_end_to_end_headers_arrive_untouched_under_our_signature() {
    let (store, sink) = (TestStore::open().await, Sink::start().await);
    let to =
        store.destination_with(&sink.url("/hook?a=1"), |to| to.signing_secrets = vec![signing(SECRET, None)]).await;
    let headers = [
        ("content-type", "application/json"),
        ("x-github-event", "push"),
        ("x-many", "one"),
        ("x-many", "two"),
        ("webhook-id", "the sender's"),
        ("webhook-signature", "v1,the+sender+s"),
        ("webhook-timestamp", "1"),
        ("connection", "close"),
        ("transfer-encoding", "chunked"),
        ("host", "elsewhere.example"),
        ("content-length", "1"),
    ];
    let body = b"{\"bytes\": \"\xff\x00\"}";
    let event = store.event(&headers, body, None);
    let id = event.id;
    let delivery = store.publish_event(to, event).await;
    let worker = TestWorker::start(&store).await;

    store.wait_for(DeliveryState::Delivered, &[delivery]).await;
    let request = &sink.requests()[0];
    assert_eq!((request.path.as_str(), request.query.as_deref(), &request.body[..]), ("/hook", Some("a=1"), &body[..]));
    assert_eq!(request.header("x-github-event"), Some("push"));
    assert_eq!(request.headers.get_all("x-many").iter().collect::<Vec<_>>(), ["one", "two"]);
    assert_eq!(request.header("webhook-id"), Some(id.to_string().as_str()));
    assert_eq!(request.header("user-agent"), Some("spillway/test"));
    assert_eq!(request.header("host"), Some(sink.address().to_string().as_str()));
    assert_eq!(request.header("content-length"), Some(body.len().to_string().as_str()));
    for name in ["webhook-id", "webhook-signature", "webhook-timestamp", "traceparent", "host"] {
        assert_eq!(request.headers.get_all(name).iter().count(), 1, "{name}");
    }
    assert!(request.header("transfer-encoding").is_none() && request.header("connection").is_none());
    assert!(verifies(request, SECRET) && !verifies(request, OTHER_SECRET));
    worker.stop().await;
}

#[tokio::test]
async fn without_a_secret_nothing_is_signed() {
    let (store, sink) = (TestStore::open().await, Sink::start().await);
    let to = store.destination(&sink.url("/hook")).await;
    let worker = TestWorker::start(&store).await;
    store.publish(to, 1).await;
    let requests = sink.wait_for(1, DEADLINE).await;
    assert!(requests[0].header("webhook-signature").is_none() && requests[0].header("webhook-id").is_some());
    worker.stop().await;
}

#[tokio::test]
async fn both_secrets_of_a_rotation_sign_until_the_old_one_expires_without_a_reload() {
    let (store, sink) = (TestStore::open().await, Sink::start().await);
    let secrets = vec![signing(SECRET, None), signing(OTHER_SECRET, Some(1_500))];
    let to = store.destination_with(&sink.url("/hook"), |to| to.signing_secrets = secrets).await;
    let worker = TestWorker::start(&store).await;
    store.publish(to, 1).await;
    let requests = sink.wait_for(1, DEADLINE).await;
    assert!(verifies(&requests[0], SECRET) && verifies(&requests[0], OTHER_SECRET));

    let mut sent = 1;
    spillway_testkit::wait_until("the old secret to stop signing", DEADLINE, async || {
        store.publish(to, 1).await;
        sent += 1;
        let requests = sink.wait_for(sent, DEADLINE).await;
        assert!(verifies(&requests[sent - 1], SECRET));
        !verifies(&requests[sent - 1], OTHER_SECRET)
    })
    .await;
    worker.stop().await;
}

#[tokio::test]
async fn asymmetric_signatures_verify_with_the_public_key() {
    let (store, sink) = (TestStore::open().await, Sink::start().await);
    let private = generate_ed25519_secret([7; 32]).expect("a key");
    let public = verification_secret(Provider::StandardWebhooks, &private).expect("its public half");
    let to = store.destination_with(&sink.url("/hook"), |to| to.signing_secrets = vec![signing(&private, None)]).await;
    let worker = TestWorker::start(&store).await;
    store.publish(to, 1).await;
    assert!(verifies(&sink.wait_for(1, DEADLINE).await[0], &public));
    worker.stop().await;
}

#[tokio::test]
async fn when_every_secret_has_expired_nothing_goes_out_unsigned() {
    let (store, sink) = (TestStore::open().await, Sink::start().await);
    let expired = vec![signing(SECRET, Some(-1))];
    let to = store.destination_with(&sink.url("/hook"), |to| to.signing_secrets = expired).await;
    let worker = TestWorker::start(&store).await;
    let delivery = store.publish(to, 1).await[0];
    let attempts = store.wait_for_attempts(delivery, 1).await;
    assert!(attempts[0].error.as_deref().is_some_and(|error| error.contains("expired")), "{:?}", attempts[0]);
    assert_eq!(sink.count(), 0);
    worker.stop().await;
}

#[tokio::test]
async fn headers_of_the_destination_replace_those_of_the_sender() {
    let (store, sink) = (TestStore::open().await, Sink::start().await);
    let own = [("authorization", "Bearer ours"), ("user-agent", "ours")];
    let to = store
        .destination_with(&sink.url("/hook"), |to| {
            to.headers = own.map(|(name, value)| (name.to_owned(), Secret::new(value))).into();
        })
        .await;
    let worker = TestWorker::start(&store).await;
    let event = store.event(&[("authorization", "Bearer theirs"), ("user-agent", "theirs")], b"", None);
    store.publish_event(to, event).await;
    let request = &sink.wait_for(1, DEADLINE).await[0];
    for (name, value) in own {
        assert_eq!(request.headers.get_all(name).iter().collect::<Vec<_>>(), [value]);
    }
    worker.stop().await;
}

#[tokio::test]
async fn the_stored_trace_goes_on() {
    let (store, sink) = (TestStore::open().await, Sink::start().await);
    let to = store.destination(&sink.url("/hook")).await;
    let worker = TestWorker::start(&store).await;
    let trace = TraceContext::parse(b"00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01");
    store.publish_event(to, store.event(&[], b"{}", trace)).await;
    let traceparent = sink.wait_for(1, DEADLINE).await[0].header("traceparent").map(str::to_owned);
    assert_eq!(
        traceparent.and_then(|text| TraceContext::parse(text.as_bytes())).map(|one| one.trace_id),
        trace.map(|one| one.trace_id)
    );
    worker.stop().await;
}

#[tokio::test]
async fn the_id_stays_over_retries_and_connections_are_used_again() {
    let (store, sink) = (TestStore::open().await, Sink::start().await);
    sink.script("/hook", [Answer::status(500).body("broken"), Answer::status(500).body("broken"), Answer::status(200)]);
    let to = store.destination(&sink.url("/hook")).await;
    let worker = TestWorker::start(&store).await;
    let delivery = store.publish(to, 1).await[0];
    store.wait_for(DeliveryState::Delivered, &[delivery]).await;
    let requests = sink.requests();
    assert_eq!(requests.len(), 3);
    assert!(requests.iter().all(|one| one.header("webhook-id") == requests[0].header("webhook-id")));
    assert_eq!(sink.connection_count(), 1);
    let attempts = store.attempts(delivery).await;
    assert_eq!(attempts.iter().map(|one| one.status).collect::<Vec<_>>(), [Some(500), Some(500), Some(200)]);
    assert_eq!(attempts[0].response, "broken");
    worker.stop().await;
}

#[tokio::test]
async fn a_changed_url_takes_effect_at_once() {
    let (store, sink) = (TestStore::open().await, Sink::start().await);
    let to = store.destination(&sink.url("/old")).await;
    let worker = TestWorker::start(&store).await;
    store.publish(to, 1).await;
    sink.wait_for(1, DEADLINE).await;
    let url = sink.url("/new").parse().expect("a URL");
    store.change(ConfigurationChange::PutDestination(Destination { url, ..store.stored(to).await })).await;
    spillway_testkit::wait_until("a request to the new URL", DEADLINE, async || {
        let delivery = store.publish(to, 1).await;
        store.wait_for(DeliveryState::Delivered, &delivery).await;
        !sink.requests_to("/new").is_empty()
    })
    .await;
    worker.stop().await;
}
