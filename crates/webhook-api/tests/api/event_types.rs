use http::StatusCode;
use serde_json::{Value, json};

use crate::support::{Answer, TestApp};

fn paid() -> Value {
    json!({"name": "invoice.paid", "schema": {
        "type": "object", "required": ["data"],
        "properties": {"data": {"type": "object", "required": ["id"], "properties": {"amount": {"type": "integer"}}}},
    }})
}

/// A source `shop` that knows two event types, connected to one destination.
async fn shop(validation: &str) -> TestApp {
    let app = TestApp::start().await;
    let source = json!({
        "name": "shop", "provider": "none", "validation": validation, "event_types": [paid(), {"name": "invoice.open"}],
    });
    app.post("/api/v1/sources", source).await.expect(StatusCode::CREATED);
    app.destination("billing").await;
    app.connect("shop", "billing").await;
    app
}

async fn publish(app: &TestApp, kind: &str, data: Value) -> Answer {
    app.post("/api/v1/events", json!({"source": "shop", "type": kind, "data": data})).await
}

async fn deliveries_of(app: &TestApp, event: &str) -> usize {
    let deliveries = app.get(&format!("/api/v1/events/{event}/deliveries")).await.json();
    deliveries["data"].as_array().expect("deliveries").len()
}

#[tokio::test]
async fn events_that_are_as_described_go_their_way() {
    for validation in ["reject", "quarantine", "off"] {
        let app = shop(validation).await;
        let good = publish(&app, "invoice.paid", json!({"id": 1, "amount": 5})).await.expect(StatusCode::ACCEPTED);
        assert_eq!(deliveries_of(&app, &good.text("id")).await, 1, "{validation}");
        let any = publish(&app, "invoice.open", json!([])).await.expect(StatusCode::ACCEPTED);
        assert_eq!(deliveries_of(&app, &any.text("id")).await, 1, "a type without schema takes any body");
    }
}

#[tokio::test]
async fn reject_tells_the_sender_what_is_wrong_and_stores_nothing() {
    let app = shop("reject").await;
    let wrong = publish(&app, "invoice.paid", json!({"amount": "5"})).await;
    wrong.refused(
        422,
        "event_invalid",
        &["invoice.paid", "/data", "\"id\"", "/data/amount", "integer", "Nothing was stored"],
    );
    publish(&app, "invoice.void", json!({})).await.refused(
        422,
        "event_invalid",
        &["\"invoice.void\"", "invoice.paid, invoice.open"],
    );
    let large = json!({"note": "x".repeat(40_000)});
    publish(&app, "invoice.paid", large).await.refused(422, "event_invalid", &["\"id\""]);
    assert_eq!(app.store.latest_event().await.expect("a store"), None);
    let metrics = app.gateway.metrics.intake_for_source("shop");
    assert_eq!(metrics.count(spillway_telemetry::IntakeOutcome::EventInvalid), 3);
}

#[tokio::test]
async fn quarantine_acknowledges_and_delivers_to_nobody() {
    let app = shop("quarantine").await;
    let wrong = publish(&app, "invoice.paid", json!({"amount": "5"})).await.expect(StatusCode::ACCEPTED);
    let id = wrong.text("id");
    assert_eq!(deliveries_of(&app, &id).await, 0);
    let good = publish(&app, "invoice.paid", json!({"id": 1})).await.expect(StatusCode::ACCEPTED).text("id");
    let shown = app.get(&format!("/api/v1/events/{id}")).await.json();
    assert!(shown["quarantine"].as_str().is_some_and(|reason| reason.contains("/data/amount")), "{shown}");
    let listed = app.get("/api/v1/events?quarantined=true").await.json();
    let ids: Vec<_> = listed["data"].as_array().expect("events").iter().map(|event| event["id"].clone()).collect();
    assert_eq!(ids, [json!(id)]);
    let all = app.get("/api/v1/events").await.json();
    let reasons: Vec<_> = all["data"]
        .as_array()
        .expect("events")
        .iter()
        .map(|event| (&event["id"], event["quarantine"].is_null()))
        .collect();
    assert_eq!(reasons, [(&json!(good), true), (&json!(id), false)]);
    let metrics = app.gateway.metrics.intake_for_source("shop");
    assert_eq!(metrics.count(spillway_telemetry::IntakeOutcome::Quarantined), 1);
}

#[tokio::test]
async fn a_released_event_goes_where_filters_let_it() {
    let app = shop("quarantine").await;
    app.destination("crm").await;
    let body = json!({"source": "shop", "destination": "crm", "filter": ".data.amount == \"7\""});
    app.post("/api/v1/connections", body).await.expect(StatusCode::CREATED);
    for (amount, deliveries) in [("5", 1), ("7", 2)] {
        let event =
            publish(&app, "invoice.paid", json!({"amount": amount})).await.expect(StatusCode::ACCEPTED).text("id");
        assert_eq!(deliveries_of(&app, &event).await, 0);
        let released = app.post(&format!("/api/v1/events/{event}/release"), Value::Null).await;
        released.expect(StatusCode::ACCEPTED);
        assert_eq!(deliveries_of(&app, &event).await, deliveries);
    }
}

#[tokio::test]
async fn webhooks_are_checked_after_their_signature() {
    let app = TestApp::start().await;
    app.github_source().await;
    let types = json!([{"name": "push", "schema": {"type": "object", "required": ["ref"]}}]);
    app.patch("/api/v1/sources/github", json!({"event_types": types, "validation": "reject"}))
        .await
        .expect(StatusCode::OK);
    let unsigned = app.webhook("d-1", b"{}").body("{ }").send().await;
    unsigned.refused(401, "signature_mismatch", &[]);
    let push = |id: &str, body: &'static [u8]| app.webhook(id, body).header("x-github-event", "push").send();
    push("d-2", b"{}").await.refused(422, "event_invalid", &["\"ref\""]);
    push("d-3", b"not JSON").await.refused(422, "event_invalid", &["not JSON"]);
    app.webhook("d-4", b"{}").send().await.refused(422, "event_invalid", &["no event type"]);
    push("d-2", b"{\"ref\":\"main\"}").await.expect(StatusCode::ACCEPTED);
}

#[tokio::test]
async fn event_types_and_retention_are_shown_changed_and_removed() {
    let app = shop("quarantine").await;
    let shown = app.get("/api/v1/sources/shop").await.json();
    assert_eq!(shown["event_types"], json!([paid(), {"name": "invoice.open"}]));
    assert_eq!((&shown["validation"], &shown["retention"]), (&json!("quarantine"), &json!(null)));
    let retention = json!({"events": "90d", "payloads": "36h"});
    let changed = app.patch("/api/v1/sources/shop", json!({"retention": retention})).await.expect(StatusCode::OK);
    assert_eq!(changed.json()["retention"], retention);
    assert_eq!(changed.json()["event_types"], shown["event_types"], "what is not named stays");
    let less = app.patch("/api/v1/sources/shop", json!({"retention": {"payloads": null}})).await.expect(StatusCode::OK);
    assert_eq!(less.json()["retention"], json!({"events": "90d"}));
    let none = app.patch("/api/v1/sources/shop", json!({"retention": {"events": null}})).await.expect(StatusCode::OK);
    assert_eq!(none.json()["retention"], Value::Null, "nothing is left of it");
    let off = json!({"event_types": [], "validation": "off"});
    let off = app.patch("/api/v1/sources/shop", off).await.expect(StatusCode::OK).json();
    assert_eq!((&off["event_types"], &off["retention"]), (&json!([]), &json!(null)));
    publish(&app, "anything", json!({})).await.expect(StatusCode::ACCEPTED);
}

#[tokio::test]
async fn what_cannot_be_used_is_refused_and_nothing_is_changed() {
    let app = shop("reject").await;
    let before = app.get("/api/v1/sources/shop").await.json();
    let types = |schema: Value| json!({"event_types": [{"name": "a", "schema": schema}]});
    for (patch, hints) in [
        (types(json!({"type": "strin"})), &["event_types", "a: the schema", "/type"][..]),
        (
            types(json!({"$ref": "https://example.com/s.json"})),
            &["https://example.com/s.json is another document", "$defs"],
        ),
        (types(json!({"$ref": "file:///etc/passwd"})), &["another document"]),
        (types(json!({"pattern": "("})), &["pattern"]),
        (json!({"event_types": [{"name": "a"}, {"name": "a"}]}), &["a is there twice"]),
        (json!({"event_types": [{"name": ""}]}), &["1 to 128 bytes"]),
        (json!({"event_types": []}), &["validation", "give event_types too"]),
        (json!({"retention": {"events": "30"}}), &["retention.events", "12h or 30d"]),
        (json!({"retention": {"payloads": "10s"}}), &["retention.payloads", "one minute"]),
    ] {
        app.patch("/api/v1/sources/shop", patch).await.refused(422, "value_invalid", hints);
    }
    app.patch("/api/v1/sources/shop", json!({"validation": "maybe"})).await.refused(
        422,
        "json_invalid",
        &["validation"],
    );
    app.patch("/api/v1/sources/shop", json!({"event_types": [{"nam": "a"}]})).await.refused(
        422,
        "json_invalid",
        &["did you mean `name`?"],
    );
    let huge = types(json!({"enum": vec!["x".repeat(1_000); 70]}));
    app.patch("/api/v1/sources/shop", huge).await.refused(413, "body_too_large", &["65536 bytes"]);
    assert_eq!(app.get("/api/v1/sources/shop").await.json(), before);
}

#[tokio::test]
async fn a_body_can_be_tried_against_event_types() {
    let app = shop("off").await;
    let path = "/api/v1/sources/shop/validate";
    let good =
        app.post(path, json!({"type": "invoice.paid", "body": {"data": {"id": 1}}})).await.expect(StatusCode::OK);
    assert_eq!(good.json(), json!({"valid": true, "reason": null, "validation": "off"}));
    let wrong = app.post(path, json!({"type": "invoice.paid", "body": {}})).await.expect(StatusCode::OK).json();
    assert_eq!(wrong["valid"], false);
    assert!(wrong["reason"].as_str().is_some_and(|reason| reason.contains("\"data\"")), "{wrong}");
    let others = json!({"type": "a", "body": 1, "event_types": [{"name": "a", "schema": {"type": "string"}}]});
    assert_eq!(app.post(path, others).await.json()["valid"], false);
    let invalid = json!({"body": 1, "event_types": [{"name": "a", "schema": {"type": 1}}]});
    app.post(path, invalid).await.refused(422, "value_invalid", &["event_types"]);
    app.post("/api/v1/sources/none/validate", json!({"body": 1})).await.refused(404, "source_unknown", &[]);
}
