use std::time::Duration;

use bytes::Bytes;
use http::{Method, StatusCode};
use serde_json::{Value, json};
use spillway_model::{Attempt, AttemptClass, DeliveryId, Lease, NextState, Settlement};
use spillway_store::ClaimRequest;

use crate::support::{NOW, TestApp};

fn ids(list: &Value) -> Vec<String> {
    let rows = list["data"].as_array().expect("rows");
    rows.iter().map(|row| row["id"].as_str().expect("an id").to_owned()).collect()
}

/// Reads a list page by page to its end.
async fn walk(app: &TestApp, path: &str) -> Vec<String> {
    let (mut all, mut cursor) = (Vec::new(), String::new());
    loop {
        let page = app.get(&format!("{path}{cursor}")).await.expect(StatusCode::OK).json();
        all.extend(ids(&page));
        match page["next"].as_str() {
            Some(next) => cursor = format!("&cursor={next}"),
            None => return all,
        }
    }
}

#[tokio::test]
async fn configuration_lists_are_paged_and_select_fields() {
    let app = TestApp::start().await;
    for n in 0..5 {
        app.clock.advance(1);
        app.post("/api/v1/sources", json!({"name": format!("s{n}"), "provider": "none"}))
            .await
            .expect(StatusCode::CREATED);
    }
    let all = ids(&app.get("/api/v1/sources").await.json());
    assert_eq!(all.len(), 5);
    assert_eq!(walk(&app, "/api/v1/sources?limit=2").await, all);
    let page = app.get("/api/v1/sources?limit=1&fields=name,enabled").await.expect(StatusCode::OK).json();
    assert_eq!(page["data"], json!([{"name": "s0", "enabled": true}]));
    assert!(page["next"].is_string());
}

#[tokio::test]
async fn limits_cursors_and_fields_that_cannot_be_used_are_400() {
    let app = TestApp::start().await;
    for list in ["sources", "destinations", "connections", "keys", "events", "deliveries"] {
        let get = |query: &str| app.api(Method::GET, &format!("/api/v1/{list}?{query}")).send();
        get("limit=0").await.refused(400, "query_invalid", &["from 1 to 200"]);
        get("limit=201").await.refused(400, "query_invalid", &["from 1 to 200"]);
        get("cursor=abc").await.refused(400, "cursor_invalid", &["unchanged"]);
        get("fields=id,nope").await.refused(
            400,
            "field_unknown",
            &["\"nope\"", "created_at"]
                .map(|hint| if list == "events" && hint == "created_at" { "received_at" } else { hint }),
        );
        get("fields=idd").await.refused(400, "field_unknown", &["Did you mean \"id\"?"]);
    }
}

#[tokio::test]
async fn events_are_listed_newest_first_by_source_and_time() {
    let app = TestApp::start().await;
    for name in ["one", "two"] {
        app.post("/api/v1/sources", json!({"name": name, "provider": "none"})).await.expect(StatusCode::CREATED);
    }
    let mut sent = Vec::new();
    for n in 0..6 {
        let path = if n % 2 == 0 { "/in/one" } else { "/in/two" };
        let answer = app.request(Method::POST, path).body(format!("{n}")).send().await.expect(StatusCode::ACCEPTED);
        sent.insert(0, answer.text("id"));
        app.clock.advance(1_000);
    }
    assert_eq!(walk(&app, "/api/v1/events?limit=4").await, sent);
    let of_one = walk(&app, "/api/v1/events?source=one&limit=2").await;
    assert_eq!(of_one, [1, 3, 5].map(|n| sent[n].clone()));
    let within = "/api/v1/events?from=2026-01-01T00:00:01Z&to=2026-01-01T00:00:04Z&limit=2";
    assert_eq!(walk(&app, within).await, sent[2..5]);
    assert_eq!(walk(&app, &format!("/api/v1/events?from={}", NOW + 5_000)).await, sent[..1]);
    app.get("/api/v1/events?source=three").await.refused(404, "source_unknown", &["three"]);
    let row = &app.get("/api/v1/events?limit=1").await.json()["data"][0];
    assert_eq!((&row["source_name"], &row["body_bytes"], &row["type"]), (&json!("two"), &json!(1), &Value::Null));
    assert_eq!(row["received_at"], "2026-01-01T00:00:05.000Z");
}

#[tokio::test]
async fn an_event_is_shown_with_headers_and_body() {
    let app = TestApp::start().await;
    app.post("/api/v1/sources", json!({"name": "one", "provider": "none"})).await.expect(StatusCode::CREATED);
    for (body, field, shown) in [(b"t\xc3\xa9xt".as_slice(), "body", "téxt"), (b"\xff\x00", "body_base64", "/wA=")] {
        let request = app.request(Method::POST, "/in/one").header("x-kind", "odd").body(Bytes::from_static(body));
        let id = request.send().await.expect(StatusCode::ACCEPTED).text("id");
        let event = app.get(&format!("/api/v1/events/{id}")).await.expect(StatusCode::OK).json();
        assert_eq!((&event["id"], &event[field]), (&json!(id), &json!(shown)));
        assert_eq!(event["headers"], json!([{"name": "x-kind", "value": "odd"}]));
        let deliveries = app.get(&format!("/api/v1/events/{id}/deliveries")).await.expect(StatusCode::OK).json();
        assert_eq!(deliveries, json!({"data": [], "next": null}));
    }
    for path in ["/api/v1/events/evt_00000000000000000000000000", "/api/v1/events/x"] {
        app.get(path).await.refused(404, "event_unknown", &[]);
        app.get(&format!("{path}/deliveries")).await.refused(404, "event_unknown", &[]);
    }
}

/// An event with deliveries to `a` and `b`, the first of which has been delivered.
async fn delivered_once(app: &TestApp) -> (String, Vec<String>) {
    app.github_source().await;
    for name in ["a", "b"] {
        app.destination(name).await;
        app.connect("github", name).await;
        app.clock.advance(1);
    }
    app.clock.advance(-2);
    let event = app.webhook("d-1", b"{}").send().await.expect(StatusCode::ACCEPTED).text("id");
    let deliveries = walk(app, &format!("/api/v1/events/{event}/deliveries?limit=1")).await;
    let claim =
        ClaimRequest { now: NOW, lease_until: NOW + 60_000, max: 10, max_per_destination: 10, ..Default::default() };
    let claimed = app.store.claim(claim).await.expect("claims");
    let first: DeliveryId = deliveries[0].parse().expect("an id");
    let claim = claimed.iter().find(|claim| claim.id == first).expect("the claim");
    let attempt = Attempt {
        id: first.attempt(1),
        started_at: NOW + 5,
        duration: Duration::from_micros(1_500),
        class: AttemptClass::Success,
        status: Some(200),
        response: Bytes::from_static(b"thanks"),
        error: None,
    };
    let lease = Lease { delivery: first, generation: claim.generation };
    let settlement =
        Settlement { order: None, lease, next: NextState::Delivered { at: NOW + 7 }, attempt: Some(attempt) };
    app.store.settle(vec![settlement]).await.expect("a settlement");
    (event, deliveries)
}

#[tokio::test]
async fn deliveries_and_attempts_are_found_by_event_destination_and_state() {
    let app = TestApp::start().await;
    let (event, deliveries) = delivered_once(&app).await;
    let app_ref = &app;
    let list = |query: String| async move {
        ids(&app_ref.get(&format!("/api/v1/deliveries?{query}")).await.expect(StatusCode::OK).json())
    };
    assert_eq!(list(format!("event={event}")).await, deliveries);
    assert_eq!(list("destination=b".into()).await, deliveries[1..]);
    assert_eq!(list("state=delivered".into()).await, deliveries[..1]);
    assert_eq!(list("destination=a&state=pending".into()).await, Vec::<String>::new());
    assert_eq!(walk(&app, "/api/v1/deliveries?limit=1").await.len(), 2);
    let shown = app.get(&format!("/api/v1/deliveries/{}", deliveries[0])).await.expect(StatusCode::OK).json();
    assert_eq!((&shown["state"], &shown["attempts"]), (&json!("delivered"), &json!(1)));
    assert_eq!((&shown["due_at"], &shown["ended_at"]), (&Value::Null, &json!("2026-01-01T00:00:00.007Z")));
    assert_eq!((&shown["event"], &shown["destination_name"]), (&json!(event), &json!("a")));
    for path in [
        format!("/api/v1/deliveries/{}/attempts", deliveries[0]),
        format!("/api/v1/attempts?delivery={}", deliveries[0]),
    ] {
        let attempts = app.get(&path).await.expect(StatusCode::OK).json();
        let attempt = &attempts["data"][0];
        assert_eq!((&attempt["class"], &attempt["status"]), (&json!("success"), &json!(200)));
        assert_eq!((&attempt["duration_ms"], &attempt["response"]), (&json!(1.5), &json!("thanks")));
        assert_eq!(attempt["number"], 1);
    }
    let none = app.get(&format!("/api/v1/deliveries/{}/attempts", deliveries[1])).await.expect(StatusCode::OK);
    assert_eq!(none.json()["data"], json!([]));
    app.get("/api/v1/attempts?delivery=dlv_x").await.refused(404, "delivery_unknown", &["dlv_x"]);
    app.get("/api/v1/deliveries/dlv_00000000000000000000000000").await.refused(404, "delivery_unknown", &[]);
}

#[tokio::test]
async fn a_delivery_can_be_tried_again() {
    let app = TestApp::start().await;
    let (_, deliveries) = delivered_once(&app).await;
    app.clock.advance(1_000);
    let again = app.api(Method::POST, &format!("/api/v1/deliveries/{}/retry", deliveries[0])).send().await;
    let again = again.expect(StatusCode::ACCEPTED).json();
    app.worker_is_told().await;
    assert_eq!((&again["state"], &again["due_at"]), (&json!("pending"), &json!("2026-01-01T00:00:01.000Z")));
    assert_eq!(again["attempts"], 1);
    let unknown = app.api(Method::POST, "/api/v1/deliveries/dlv_00000000000000000000000000/retry").send().await;
    unknown.refused(404, "delivery_unknown", &[]);
}
