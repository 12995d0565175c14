use http::{Method, StatusCode};
use serde_json::{Value, json};

use crate::support::{GITHUB_SECRET, TestApp};

const DAY_LATER: &str = "2026-01-02T00:00:00.000Z";

#[tokio::test]
async fn a_signing_secret_is_made_and_shown_once() {
    let app = TestApp::start().await;
    let body = json!({"name": "billing", "url": "https://example.com", "headers": {"x-key": "hidden value"}});
    let made = app.post("/api/v1/destinations", body).await.expect(StatusCode::CREATED);
    assert_eq!(made.header("cache-control"), Some("no-store"));
    let secret = made.text("signing_secret");
    assert!(secret.starts_with("whsec_"));
    let kept = &app.store.configuration().await.expect("a store").destinations[0].signing_secrets[0].secret;
    assert_eq!(kept.expose(), secret);
    for path in ["/api/v1/destinations", "/api/v1/destinations/billing"] {
        let shown = String::from_utf8(app.get(path).await.expect(StatusCode::OK).body.to_vec()).expect("text");
        assert!(!shown.contains("whsec_") && !shown.contains("hidden value"), "{shown}");
    }
    let own = json!({"name": "own", "url": "https://example.com", "signing_secrets": [secret]});
    let own = app.post("/api/v1/destinations", own).await.expect(StatusCode::CREATED).json();
    assert_eq!(own["signing_secret"], Value::Null);
}

#[tokio::test]
async fn rotation_keeps_the_old_secret_for_the_grace_and_shows_the_new_one() {
    let app = TestApp::start().await;
    let first = app.destination("billing").await["signing_secret"].clone();
    let rotate = || app.api(Method::POST, "/api/v1/destinations/billing/rotate-secret");
    let rotated = rotate().send().await.expect(StatusCode::OK);
    assert_eq!(rotated.header("cache-control"), Some("no-store"));
    let rotated = rotated.json();
    assert_ne!(rotated["signing_secret"], first);
    let expected = json!([{"reference": null, "expires_at": null}, {"reference": null, "expires_at": DAY_LATER}]);
    assert_eq!(rotated["signing_secrets"], expected);
    let stored = app.store.configuration().await.expect("a store").destinations.remove(0).signing_secrets;
    assert_eq!(json!(stored[0].secret.expose()), rotated["signing_secret"], "the new one is first");
    assert_eq!(json!(stored[1].secret.expose()), first);
    let at_once = rotate().json(&json!({"grace_seconds": 0})).send().await.expect(StatusCode::OK).json();
    assert_eq!(at_once["signing_secrets"].as_array().expect("secrets").len(), 1);
    rotate().json(&json!({"grace": 5})).send().await.refused(422, "json_invalid", &["`grace_seconds`"]);
    rotate().json(&json!({"grace_seconds": 2_592_001})).send().await.refused(422, "value_invalid", &["grace_seconds"]);
    rotate().json(&json!({"secret": "short"})).send().await.refused(422, "value_invalid", &["whsec_"]);
    for _ in 0..7 {
        rotate().send().await.expect(StatusCode::OK);
    }
    rotate().send().await.refused(409, "too_many_secrets", &["8 secrets", "grace_seconds 0"]);
    app.clock.advance(86_400_001);
    let later = rotate().send().await.expect(StatusCode::OK).json();
    assert_eq!(later["signing_secrets"].as_array().expect("secrets").len(), 2, "those that have expired are gone");
}

#[tokio::test]
async fn a_source_takes_a_second_secret_before_the_first_is_removed() {
    let app = TestApp::start().await;
    app.github_source().await;
    let path = "/api/v1/sources/github/secrets";
    let added = app.post(path, json!({"secret": "the new one"})).await.expect(StatusCode::OK).json();
    assert_eq!(added["secrets"], json!([{"reference": null}, {"reference": null}]));
    app.webhook("d-1", b"{}").send().await.expect(StatusCode::ACCEPTED);
    app.delete(&format!("{path}/2")).await.expect(StatusCode::OK);
    app.webhook("d-2", b"{}").send().await.refused(401, "signature_mismatch", &[]);
    app.delete(&format!("{path}/2")).await.refused(404, "secret_unknown", &[]);
    app.delete(&format!("{path}/0")).await.refused(404, "secret_unknown", &[]);
    app.delete(&format!("{path}/1")).await.refused(422, "value_invalid", &["secret"]);
    for _ in 0..7 {
        app.post(path, json!({"secret": GITHUB_SECRET})).await.expect(StatusCode::OK);
    }
    app.post(path, json!({"secret": GITHUB_SECRET})).await.refused(409, "too_many_secrets", &["Remove one"]);
}

#[tokio::test]
async fn references_are_shown_and_only_an_administrator_may_set_them() {
    let app = TestApp::start().await;
    let write = app.key("write").await;
    let source = json!({"name": "a", "provider": "github", "secrets": ["env:SET"]});
    let destination = json!({"name": "b", "url": "https://example.com", "headers": {"x-key": "env:SET"}});
    for (path, body) in [("/api/v1/sources", &source), ("/api/v1/destinations", &destination)] {
        let refused = app.request(Method::POST, path).key(&write).json(body).send().await;
        refused.refused(403, "scope_insufficient", &["env:NAME", "scope admin"]);
        app.post(path, body.clone()).await.expect(StatusCode::CREATED);
    }
    assert_eq!(app.get("/api/v1/sources/a").await.json()["secrets"], json!([{"reference": "env:SET"}]));
    let patch = |body: Value| app.request(Method::PATCH, "/api/v1/destinations/b").key(&write).json(&body).send();
    let shown = patch(json!({"timeout_ms": 500})).await.expect(StatusCode::OK).json();
    assert_eq!(shown["headers"], json!({"x-key": {"reference": "env:SET"}}));
    let moved = patch(json!({"url": "https://attacker.example"})).await;
    moved.refused(403, "scope_insufficient", &["scope admin"]);
    patch(json!({"headers": {"x-other": "env:SET"}})).await.refused(403, "scope_insufficient", &[]);
    patch(json!({"signing_secrets": ["env:SET"]})).await.refused(403, "scope_insufficient", &[]);
}
