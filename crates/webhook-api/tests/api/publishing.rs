use std::time::Duration;

use bytes::Bytes;
use http::{Method, StatusCode};
use serde_json::json;

use crate::store_double::StoreDouble;
use crate::support::{Answer, Options, TestApp};

async fn own_source(app: &TestApp) {
    app.post("/api/v1/sources", json!({"name": "shop", "provider": "none"})).await.expect(StatusCode::CREATED);
}

async fn publish(app: &TestApp, body: &str) -> Answer {
    let request = app.api(Method::POST, "/api/v1/events").header("content-type", "application/json");
    request.body(Bytes::copy_from_slice(body.as_bytes())).send().await
}

#[tokio::test]
async fn a_published_event_is_stored_as_a_standard_webhook_with_its_data_untouched() {
    let app = TestApp::start().await;
    own_source(&app).await;
    app.destination("billing").await;
    app.connect("shop", "billing").await;
    let body = r#"{"source": "shop", "type": "invoice.paid", "data": {"z": 1.10,  "a": [1e2, "\u00e9"]}}"#;
    let answer = publish(&app, body).await.expect(StatusCode::ACCEPTED);
    let id = answer.text("id").parse().expect("an id");
    let event = app.store.event(id).await.expect("a store").expect("the event");
    let expected =
        r#"{"type":"invoice.paid","timestamp":"2026-01-01T00:00:00.000Z","data":{"z": 1.10,  "a": [1e2, "\u00e9"]}}"#;
    assert_eq!(std::str::from_utf8(&event.body), Ok(expected));
    assert_eq!(event.event_type.as_deref(), Some("invoice.paid"));
    let headers: Vec<_> = event.headers.iter().collect();
    assert_eq!(headers, [("content-type", b"application/json".as_slice())]);
    let deliveries = app.get(&format!("/api/v1/events/{id}/deliveries")).await.json();
    assert_eq!(deliveries["data"].as_array().expect("deliveries").len(), 1);
}

#[tokio::test]
async fn an_idempotency_key_makes_two_requests_one_event() {
    let app = TestApp::start().await;
    own_source(&app).await;
    let body = r#"{"source": "shop", "type": "t", "data": null, "idempotency_key": "k1"}"#;
    let first = publish(&app, body).await.expect(StatusCode::ACCEPTED).text("id");
    assert_eq!(publish(&app, body).await.expect(StatusCode::OK).json(), json!({"id": first, "duplicate": true}));
    let bare = json!({"source": "shop", "type": "t", "data": null});
    let with_header =
        |key: &str| app.api(Method::POST, "/api/v1/events").header("idempotency-key", key).json(&bare).send();
    assert_eq!(with_header("k1").await.expect(StatusCode::OK).text("id"), first);
    with_header("k2").await.expect(StatusCode::ACCEPTED);
    with_header(&"k".repeat(256)).await.refused(422, "value_invalid", &["idempotency_key", "255"]);
    let both = app.api(Method::POST, "/api/v1/events").header("idempotency-key", "k3");
    let both = both.header("content-type", "application/json").body(body.to_owned()).send().await;
    both.refused(422, "value_invalid", &["send one of them"]);
}

#[tokio::test]
async fn events_that_cannot_be_published_say_why() {
    let mut options = Options::default();
    options.limits.max_body_bytes = 500;
    let app = TestApp::start_with(options).await;
    own_source(&app).await;
    publish(&app, "{\"source\": \"shop\",").await.refused(400, "json_malformed", &["line 1"]);
    publish(&app, r#"{"source": "shop", "type": "t"}"#).await.refused(422, "json_invalid", &["`data`"]);
    publish(&app, r#"{"source": "shop", "typ": "t"}"#).await.refused(422, "json_invalid", &["did you mean `type`?"]);
    publish(&app, r#"{"source": "shop", "type": "", "data": 1}"#).await.refused(422, "value_invalid", &["type"]);
    publish(&app, r#"{"source": "none", "type": "t", "data": 1}"#).await.refused(422, "source_unknown", &["\"none\""]);
    let large = format!(r#"{{"source": "shop", "type": "t", "data": "{}"}}"#, "a".repeat(500));
    publish(&app, &large).await.refused(413, "body_too_large", &["500 bytes"]);
    app.patch("/api/v1/sources/shop", json!({"enabled": false})).await.expect(StatusCode::OK);
    publish(&app, r#"{"source": "shop", "type": "t", "data": 1}"#).await.refused(422, "value_invalid", &["enable it"]);
    let text = app.api(Method::POST, "/api/v1/events").body("{}").send().await;
    text.refused(415, "media_type_unsupported", &["application/json"]);
    assert_eq!(app.store.latest_event().await.expect("a store"), None);
}

#[tokio::test]
async fn a_source_with_a_larger_limit_takes_larger_events() {
    let mut options = Options::default();
    options.limits.max_body_bytes = 500;
    let app = TestApp::start_with(options).await;
    own_source(&app).await;
    app.patch("/api/v1/sources/shop", json!({"max_body_bytes": 2_000})).await.expect(StatusCode::OK);
    let large = format!(r#"{{"source": "shop", "type": "t", "data": "{}"}}"#, "a".repeat(1_000));
    publish(&app, &large).await.expect(StatusCode::ACCEPTED);
}

#[tokio::test]
async fn a_store_that_fails_answers_as_intake_does() {
    let app = TestApp::start_with(Options { committer_store: Some(StoreDouble::IsFull), ..Options::default() }).await;
    own_source(&app).await;
    let answer = publish(&app, r#"{"source": "shop", "type": "t", "data": 1}"#).await;
    answer.refused(503, "store_disk_full", &["Send the request again"]);
    assert_eq!(answer.header("retry-after"), Some("1"));
}

#[tokio::test]
async fn an_answer_that_takes_too_long_is_given_up() {
    let mut options = Options { committer_store: Some(StoreDouble::Hangs), ..Options::default() };
    options.api.request_timeout = Duration::from_secs(1);
    let app = TestApp::start_with(options).await;
    let body = r#"{"source": "shop", "type": "t", "data": 1}"#;
    own_source(&app).await;
    let answer = publish(&app, body).await;
    answer.refused(503, "request_timeout", &["try again"]);
    assert!(answer.header("retry-after").is_some() && answer.header("ratelimit-limit").is_some());
}
