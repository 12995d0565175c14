use std::time::Duration;

use futures_util::StreamExt;
use futures_util::stream::FuturesUnordered;
use http::StatusCode;
use serde_json::json;
use spillway_signature::{Provider, verification_secret};
use spillway_store::{DeliveryFilter, EventFilter};

use crate::store_double::StoreDouble;
use crate::support::{GITHUB_SECRET, Options, TestApp};

#[tokio::test]
async fn a_signed_webhook_is_stored_with_its_bytes_headers_and_deliveries() {
    let app = TestApp::start().await;
    app.github_source().await;
    app.destination("billing").await;
    app.connect("github", "billing").await;
    let body = b"{\"action\": \"opened\",  \"odd\": \"\\u00e9\"}";
    let request = app.webhook("d-1", body).header("x-github-event", "pull_request").header("te", "trailers");
    let answer = request.send().await.expect(StatusCode::ACCEPTED);
    let id = answer.text("id").parse().expect("an event id");
    let event = app.store.event(id).await.expect("a store").expect("the event");
    assert_eq!(event.body.as_ref(), body);
    assert_eq!(event.event_type.as_deref(), Some("pull_request"));
    assert_eq!(event.headers.get("content-type"), Some(b"application/json".as_slice()));
    assert_eq!(event.headers.get("te"), None, "it concerns one connection only");
    let filter = DeliveryFilter { event: Some(id), destination: None, state: None, cursor: None, limit: 10 };
    assert_eq!(app.store.deliveries(filter).await.expect("deliveries").rows.len(), 1);
}

#[tokio::test]
async fn the_same_delivery_of_a_sender_is_stored_once_and_acknowledged_every_time() {
    let app = TestApp::start().await;
    app.github_source().await;
    let first = app.webhook("d-1", b"{}").send().await.expect(StatusCode::ACCEPTED);
    let again = app.webhook("d-1", b"{}").send().await.expect(StatusCode::OK);
    assert_eq!(again.json(), json!({"id": first.text("id"), "duplicate": true}));
    let other = app.webhook("d-2", b"{}").send().await.expect(StatusCode::ACCEPTED);
    assert_ne!(other.text("id"), first.text("id"));
    let all = EventFilter { quarantined: false, source: None, before: None, from: None, limit: 10 };
    assert_eq!(app.store.events(all).await.expect("events").rows.len(), 2);
}

#[tokio::test]
async fn a_source_is_found_however_its_name_is_written_and_nowhere_else() {
    let app = TestApp::start().await;
    app.github_source().await;
    let send = |path: &str| app.signed(path, Provider::Github, GITHUB_SECRET, "", b"{}").send();
    for path in ["/in/github", "/in/git%68ub", "/in/github?team=a/b"] {
        send(path).await.expect(StatusCode::ACCEPTED);
    }
    for (path, code) in [("/in/GitHub", "source_unknown"), ("/in/", "not_found"), ("/in/github/", "not_found")] {
        send(path).await.refused(404, code, &[]);
    }
}

#[tokio::test]
async fn handshakes_are_answered_and_not_stored() {
    let app = TestApp::start().await;
    let (slack, discord) = ("a slack secret", "11".repeat(32));
    let public = verification_secret(Provider::Discord, &discord).expect("a key");
    for (name, secret) in [("slack", slack), ("discord", public.as_str())] {
        let body = json!({"name": name, "provider": name, "secrets": [secret]});
        app.post("/api/v1/sources", body).await.expect(StatusCode::CREATED);
    }
    let challenge = br#"{"type":"url_verification","challenge":"3eZbrw1a"}"#;
    let answer = app.signed("/in/slack", Provider::Slack, slack, "", challenge).send().await.expect(StatusCode::OK);
    assert_eq!(answer.body.as_ref(), b"3eZbrw1a");
    let ping = br#"{"id":"1","type":1,"token":"t"}"#;
    let answer = app.signed("/in/discord", Provider::Discord, &discord, "", ping).send().await.expect(StatusCode::OK);
    assert_eq!(answer.json(), json!({"type": 1}));
    assert_eq!(app.store.latest_event().await.expect("a store"), None);
}

#[tokio::test]
async fn a_full_queue_is_refused_at_once_while_the_store_hangs() {
    let options = Options { queue: 1, batch: 1, committer_store: Some(StoreDouble::Hangs), ..Options::default() };
    let app = TestApp::start_with(options).await;
    app.github_source().await;
    let ids: Vec<String> = (0..8).map(|n| format!("d-{n}")).collect();
    let mut requests: FuturesUnordered<_> = ids.iter().map(|id| app.webhook(id, b"{}").send()).collect();
    // The commit timeout is far longer: what answers first was refused for lack of room.
    let first = tokio::time::timeout(Duration::from_secs(5), requests.next()).await.expect("in time").expect("one");
    first.refused(503, "intake_full", &["Nothing was stored", "send the request again"]);
    assert_eq!(first.header("retry-after"), Some("1"));
}

#[tokio::test]
async fn a_store_that_fails_or_is_too_slow_is_a_503_that_says_to_send_again() {
    let app = TestApp::start_with(Options { committer_store: Some(StoreDouble::IsFull), ..Options::default() }).await;
    app.github_source().await;
    let answer = app.webhook("d-1", b"{}").send().await;
    answer.refused(503, "store_disk_full", &["Send the request again"]);
    assert_eq!(answer.header("retry-after"), Some("1"));

    let mut options = Options { committer_store: Some(StoreDouble::Hangs), ..Options::default() };
    options.limits.commit_timeout = Duration::from_millis(50);
    let app = TestApp::start_with(options).await;
    app.github_source().await;
    app.webhook("d-1", b"{}").send().await.refused(503, "store_timeout", &["with the same key"]);
}

#[tokio::test]
async fn a_source_over_its_rate_gets_429_and_says_when_to_come_back() {
    let app = TestApp::start().await;
    let body = json!({"name": "github", "provider": "github", "secrets": [GITHUB_SECRET], "rate_limit": "1/h"});
    app.post("/api/v1/sources", body).await.expect(StatusCode::CREATED);
    app.webhook("d-1", b"{}").send().await.expect(StatusCode::ACCEPTED);
    let refused = app.webhook("d-2", b"{}").send().await;
    refused.refused(429, "rate_limited", &["1/h", "Retry-After"]);
    assert_eq!(refused.header("ratelimit-limit"), Some("1"));
    assert_eq!(refused.header("ratelimit-remaining"), Some("0"));
    let wait: u64 = refused.header("retry-after").expect("a wait").parse().expect("seconds");
    assert!((3_500..=3_600).contains(&wait), "{wait}");
}

#[tokio::test]
async fn every_answer_of_a_source_with_a_limit_says_what_is_left() {
    let app = TestApp::start().await;
    app.github_source().await;
    let unlimited = app.webhook("d-0", b"{}").send().await.expect(StatusCode::ACCEPTED);
    assert_eq!(unlimited.header("ratelimit-limit"), None);
    app.patch("/api/v1/sources/github", json!({"rate_limit": "3/h"})).await.expect(StatusCode::OK);
    let mut left = Vec::new();
    for (id, status) in [("d-1", 202), ("d-1", 200), ("d-2", 202), ("d-3", 429)] {
        let answer = app.webhook(id, b"{}").send().await;
        assert_eq!((answer.status.as_u16(), answer.header("ratelimit-limit")), (status, Some("3")), "{id}");
        assert!(answer.header("ratelimit-reset").is_some_and(|reset| reset.parse::<u64>().is_ok()), "{id}");
        left.push(answer.header("ratelimit-remaining").expect("what is left").to_owned());
    }
    assert_eq!(left, ["2", "1", "0", "0"]);
}
