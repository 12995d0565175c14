use http::{Method, StatusCode};
use serde_json::{Value, json};
use spillway_model::DestinationState;

use crate::support::{GITHUB_SECRET, TestApp};

#[tokio::test]
async fn a_source_can_be_made_seen_changed_and_deleted_by_id_and_by_name() {
    let app = TestApp::start().await;
    let made = app.github_source().await;
    let id = made["id"].as_str().expect("an id");
    assert_eq!(made["created_at"], "2026-01-01T00:00:00.000Z");
    for path in [format!("/api/v1/sources/{id}"), "/api/v1/sources/github".to_owned()] {
        assert_eq!(app.get(&path).await.expect(StatusCode::OK).json(), made);
    }
    let changed = app.patch("/api/v1/sources/github", json!({"name": "gh", "rate_limit": "5/s"})).await;
    let changed = changed.expect(StatusCode::OK).json();
    assert_eq!((&changed["id"], &changed["name"], &changed["rate_limit"]), (&made["id"], &json!("gh"), &json!("5/s")));
    assert_eq!(changed["secrets"], made["secrets"], "a patch that says nothing of secrets keeps them");
    let cleared = app.patch("/api/v1/sources/gh", json!({"rate_limit": null})).await.expect(StatusCode::OK).json();
    assert_eq!(cleared["rate_limit"], Value::Null);
    let replaced = json!({"name": "gh", "provider": "github", "enabled": false});
    let replaced =
        app.api(Method::PUT, "/api/v1/sources/gh").json(&replaced).send().await.expect(StatusCode::OK).json();
    assert_eq!((&replaced["enabled"], &replaced["secrets"]), (&json!(false), &made["secrets"]));
    app.delete("/api/v1/sources/gh").await.expect(StatusCode::NO_CONTENT);
    app.get("/api/v1/sources/gh").await.refused(404, "source_unknown", &["id or name"]);
    app.delete("/api/v1/sources/gh").await.refused(404, "source_unknown", &[]);
}

#[tokio::test]
async fn a_new_source_takes_webhooks_at_the_very_next_request() {
    let app = TestApp::start().await;
    for round in 0..5 {
        app.github_source().await;
        app.webhook(&format!("d-{round}"), b"{}").send().await.expect(StatusCode::ACCEPTED);
        app.delete("/api/v1/sources/github").await.expect(StatusCode::NO_CONTENT);
        app.webhook("d-x", b"{}").send().await.refused(404, "source_unknown", &[]);
    }
}

#[tokio::test]
async fn a_source_that_could_not_verify_is_refused_with_the_reason() {
    let app = TestApp::start().await;
    let post = |body| app.post("/api/v1/sources", body);
    let secret = [GITHUB_SECRET];
    post(json!({"name": "a", "provider": "gihub", "secrets": secret})).await.refused(
        422,
        "value_invalid",
        &["\"github\""],
    );
    post(json!({"name": "a", "provider": "github"})).await.refused(422, "value_invalid", &["secret"]);
    let scheme = json!({"name": "a", "provider": "github", "secrets": secret, "scheme": {"tolerance": 5}});
    post(scheme).await.refused(422, "value_invalid", &["tolerance"]);
    let scheme = json!({"name": "a", "provider": "hmac", "secrets": secret, "scheme": {"hmac": {"heder": "x"}}});
    post(scheme).await.refused(422, "value_invalid", &["heder"]);
    let unset = json!({"name": "a", "provider": "github", "secrets": ["env:GITHUB_WEBHOOK_SECRET"]});
    post(unset).await.refused(422, "value_invalid", &["GITHUB_WEBHOOK_SECRET"]);
    let large = json!({"name": "a", "provider": "none", "max_body_bytes": 0});
    post(large).await.refused(422, "value_invalid", &["max_body_bytes", "from 1"]);
    assert_eq!(app.get("/api/v1/sources").await.json()["data"], json!([]));
}

#[tokio::test]
async fn names_are_unique() {
    let app = TestApp::start().await;
    app.github_source().await;
    app.destination("billing").await;
    let source = json!({"name": "github", "provider": "none"});
    app.post("/api/v1/sources", source).await.refused(409, "name_taken", &["source named github", "another name"]);
    app.post("/api/v1/sources", json!({"name": "b", "provider": "none"})).await.expect(StatusCode::CREATED);
    app.patch("/api/v1/sources/b", json!({"name": "github"})).await.refused(409, "name_taken", &[]);
    let destination = json!({"name": "billing", "url": "https://example.com"});
    app.post("/api/v1/destinations", destination).await.refused(409, "name_taken", &["destination named billing"]);
}

#[tokio::test]
async fn a_destination_that_could_not_be_served_is_refused_with_the_reason() {
    let app = TestApp::start().await;
    let post = |more: Value| {
        let mut body = json!({"name": "billing", "url": "https://example.com"});
        body.as_object_mut().expect("an object").extend(more.as_object().expect("an object").clone());
        app.api(Method::POST, "/api/v1/destinations").json(&body).send()
    };
    post(json!({"url": "ftp://example.com"})).await.refused(422, "json_invalid", &["at url", "https://"]);
    post(json!({"url": "http://[::1"})).await.refused(422, "value_invalid", &["url"]);
    post(json!({"timeout_ms": 60_001})).await.refused(422, "value_invalid", &["timeout_ms", "lease", "delivery.lease"]);
    post(json!({"timeout_ms": 1})).await.refused(422, "value_invalid", &["timeout_ms", "at least 100"]);
    post(json!({"max_concurrent": 0})).await.refused(422, "value_invalid", &["max_concurrent"]);
    post(json!({"headers": {"Webhook-Id": "x"}})).await.refused(422, "value_invalid", &["webhook-id"]);
    post(json!({"headers": {"a b": "x"}})).await.refused(422, "value_invalid", &["\"a b\""]);
    post(json!({"headers": {"x-key": "env:UNSET"}})).await.refused(422, "value_invalid", &["UNSET"]);
    post(json!({"headers": {"x-key": "a\nb"}})).await.refused(422, "value_invalid", &["x-key"]);
    post(json!({"signing_secrets": ["secret"]})).await.refused(422, "value_invalid", &["signing_secrets", "whsec_"]);
    post(json!({"retry_schedule_ms": []})).await.refused(422, "json_invalid", &["retry_schedule_ms", "1 to 100"]);
    post(json!({"breaker": {"intervall_ms": 1}})).await.refused(422, "json_invalid", &["did you mean `interval_ms`?"]);
    post(json!({"breaker": {"interval_ms": 1}})).await.refused(422, "value_invalid", &["breaker.interval_ms"]);
    post(json!({"timeout_ms": 60_000, "retry_schedule_ms": [0, 5_000]})).await.expect(StatusCode::CREATED);
}

#[tokio::test]
async fn a_patch_changes_single_headers_and_keeps_the_rest() {
    let app = TestApp::start().await;
    let body =
        json!({"name": "b", "url": "https://example.com", "headers": {"X-One": "1", "x-two": "2"}, "timeout_ms": 500});
    app.post("/api/v1/destinations", body).await.expect(StatusCode::CREATED);
    let patch = json!({"headers": {"x-one": null, "x-three": "3"}, "breaker": {"consecutive_failures": 9}});
    let changed = app.patch("/api/v1/destinations/b", patch).await.expect(StatusCode::OK).json();
    let names: Vec<_> = changed["headers"].as_object().expect("headers").keys().collect();
    assert_eq!(names, ["x-three", "x-two"]);
    assert_eq!(changed["timeout_ms"], 500);
    assert_eq!(
        changed["breaker"],
        json!({"consecutive_failures": 9, "interval_ms": 30_000, "base_ejection_ms": 30_000})
    );
}

#[tokio::test]
async fn connections_need_both_ends_and_exist_once() {
    let app = TestApp::start().await;
    app.github_source().await;
    let destination = app.destination("billing").await;
    let post = |source: &str, destination: &str| {
        app.api(Method::POST, "/api/v1/connections").json(&json!({"source": source, "destination": destination})).send()
    };
    post("gitlab", "billing").await.refused(422, "source_unknown", &["\"gitlab\"", "Create the source first"]);
    post("github", "nobody").await.refused(422, "destination_unknown", &["Create the destination first"]);
    let made = app.connect("github", destination["id"].as_str().expect("an id")).await;
    post("github", "billing").await.refused(409, "connection_exists", &["github", "billing"]);
    let path = format!("/api/v1/connections/{}", made["id"].as_str().expect("an id"));
    assert_eq!(app.get(&path).await.expect(StatusCode::OK).json(), made);
    let disabled = app.patch(&path, json!({"enabled": false})).await.expect(StatusCode::OK).json();
    assert_eq!(disabled["enabled"], false);
    app.delete("/api/v1/destinations/billing").await.expect(StatusCode::NO_CONTENT);
    app.get(&path).await.refused(404, "connection_unknown", &[]);
}

#[tokio::test]
async fn pause_resume_and_enable_move_the_state_as_they_say() {
    let app = TestApp::start().await;
    app.destination("billing").await;
    let act = |verb: &str| app.api(Method::POST, &format!("/api/v1/destinations/billing/{verb}")).send();
    let state = |answer: crate::support::Answer| answer.expect(StatusCode::OK).text("state");
    assert_eq!(state(act("pause").await), "paused");
    app.patch("/api/v1/destinations/billing", json!({"timeout_ms": 900})).await.expect(StatusCode::OK);
    assert_eq!(state(app.get("/api/v1/destinations/billing").await), "paused", "a pause holds");
    assert_eq!(state(act("resume").await), "active");

    let mut destination = app.store.configuration().await.expect("a store").destinations.remove(0);
    destination.state = DestinationState::Disabled;
    let change = spillway_model::ConfigurationChange::PutDestination(destination);
    app.store.change_configuration(vec![change]).await.expect("a change");
    act("resume").await.refused(409, "destination_disabled", &["410", "enable"]);
    assert_eq!(state(act("enable").await), "active");
}

#[tokio::test]
async fn changes_at_the_same_time_do_not_undo_each_other() {
    let app = TestApp::start().await;
    app.destination("billing").await;
    let patches = (0..20).map(|n| {
        let header = format!("x-{n}");
        app.patch("/api/v1/destinations/billing", json!({"headers": {header: "1"}}))
    });
    for answer in futures_util::future::join_all(patches).await {
        answer.expect(StatusCode::OK);
    }
    let shown = app.get("/api/v1/destinations/billing").await.json();
    assert_eq!(shown["headers"].as_object().expect("headers").len(), 20);
}

#[tokio::test]
async fn the_pool_is_shown_with_its_usage() {
    let app = TestApp::start().await;
    let pool = app.get("/api/v1/monitoring/database/pool").await.expect(StatusCode::OK).json();
    assert_eq!(
        (&pool["engine"], &pool["status"], &pool["warning_ratio"]),
        (&json!("sqlite"), &json!("ok"), &json!(0.8))
    );
    assert_eq!(pool["max"], 4);
    let kinds = ["append", "claim", "renew", "settle", "configuration", "list", "lookup", "retry", "maintenance"];
    assert!(kinds.iter().all(|kind| pool["statements"][kind].is_u64()), "{pool}");
}
