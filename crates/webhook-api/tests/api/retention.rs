//! What the API shows of events that retention has been at.

use http::StatusCode;
use serde_json::{Value, json};
use spillway_model::{Lease, NextState, Settlement};
use spillway_store::{ClaimRequest, ExpireLimits, RetentionPolicy};

use crate::support::{NOW, TestApp};

#[tokio::test]
async fn an_event_without_its_payload_is_shown_as_such_and_its_delivery_cannot_be_retried() {
    let app = TestApp::start().await;
    app.github_source().await;
    app.destination("shop").await;
    app.connect("github", "shop").await;
    let event = app.webhook("one", b"{\"a\":1}").send().await.expect(StatusCode::ACCEPTED).text("id");
    let path = format!("/api/v1/events/{event}");
    let whole = app.get(&path).await.expect(StatusCode::OK).json();
    assert_eq!((&whole["payload_removed"], &whole["body"]), (&json!(false), &json!("{\"a\":1}")));

    let request = ClaimRequest { now: NOW, lease_until: NOW + 1, max: 1, max_per_destination: 1, ..Default::default() };
    let claimed = app.store.claim(request).await.expect("a claim").remove(0);
    let lease = Lease { delivery: claimed.id, generation: claimed.generation };
    let dead = Settlement { order: None, lease, next: NextState::Dead { at: NOW }, attempt: None };
    app.store.settle(vec![dead]).await.expect("a settlement");
    let mut policy = RetentionPolicy::default();
    policy.default.payloads_ms = Some(1);
    let limits = ExpireLimits { now: NOW + 60_000, rows: 100 };
    assert_eq!(app.store.expire(policy, limits).await.expect("a round").payloads, 1);

    let rest = app.get(&path).await.expect(StatusCode::OK).json();
    assert_eq!((&rest["payload_removed"], &rest["headers"]), (&json!(true), &json!([])));
    assert_eq!((rest.get("body"), &rest["body_bytes"]), (None::<&Value>, &json!(0)));
    let listed = app.get("/api/v1/events").await.expect(StatusCode::OK).json();
    assert_eq!(listed["data"][0]["id"], json!(event));
    let retry = app.post(&format!("/api/v1/deliveries/{}/retry", claimed.id), json!({})).await;
    retry.refused(409, "event_gone", &["payload"]);
}
