use http::{Method, StatusCode};
use serde_json::json;

use crate::support::{Options, TestApp};

#[tokio::test]
async fn a_missing_or_unknown_key_is_401_and_says_how_to_send_one() {
    let app = TestApp::start().await;
    for request in [
        app.request(Method::GET, "/api/v1/sources"),
        app.request(Method::GET, "/api/v1/sources").header("authorization", "Basic YTpi"),
        app.request(Method::GET, "/api/v1/sources").header("authorization", "Bearer "),
    ] {
        let answer = request.send().await;
        answer.refused(401, "key_missing", &["Authorization: Bearer spk_"]);
        assert_eq!(answer.header("www-authenticate"), Some("Bearer"));
    }
    let answer = app.request(Method::GET, "/api/v1/sources").key("spk_nobody").send().await;
    answer.refused(401, "key_unknown", &["Ask an administrator"]);
    assert_eq!(answer.header("www-authenticate"), Some("Bearer"));
}

#[tokio::test]
async fn each_scope_does_what_it_may_and_names_the_one_that_is_needed() {
    let app = TestApp::start().await;
    let (read, write) = (app.key("read").await, app.key("write").await);
    let source = json!({"name": "own", "provider": "none"});
    for (key, method, path, needed) in [
        (&read, Method::POST, "/api/v1/sources", "write"),
        (&read, Method::POST, "/api/v1/events", "write"),
        (&read, Method::DELETE, "/api/v1/sources/own", "write"),
        (&read, Method::GET, "/api/v1/keys", "admin"),
        (&write, Method::GET, "/api/v1/keys", "admin"),
        (&write, Method::POST, "/api/v1/keys", "admin"),
        (&write, Method::DELETE, "/api/v1/keys/admin", "admin"),
    ] {
        let answer = app.request(method, path).key(key).json(&source).send().await;
        answer.refused(403, "scope_insufficient", &[&format!("needs scope {needed}")]);
    }
    app.request(Method::GET, "/api/v1/sources").key(&read).send().await.expect(StatusCode::OK);
    let made = app.request(Method::POST, "/api/v1/sources").key(&write).json(&source).send().await;
    made.expect(StatusCode::CREATED);
}

#[tokio::test]
async fn a_key_is_shown_once_works_at_once_and_not_after_its_deletion() {
    let app = TestApp::start().await;
    let made = app.post("/api/v1/keys", json!({"name": "ci", "scope": "read"})).await.expect(StatusCode::CREATED);
    assert_eq!(made.header("cache-control"), Some("no-store"));
    assert_eq!(made.header("location"), Some(format!("/api/v1/keys/{}", made.text("id")).as_str()));
    let key = made.text("key");
    assert!(key.starts_with("spk_") && key.len() == 47);
    let use_it = || app.request(Method::GET, "/api/v1/sources").key(&key).send();
    use_it().await.expect(StatusCode::OK);
    let shown = app.get("/api/v1/keys/ci").await.expect(StatusCode::OK);
    assert_eq!(shown.json()["scope"], "read");
    assert!(shown.json().get("key").is_none() && shown.json().get("hash").is_none());
    app.post("/api/v1/keys", json!({"name": "ci", "scope": "read"})).await.refused(
        409,
        "name_taken",
        &["ci", "another name"],
    );
    app.delete("/api/v1/keys/ci").await.expect(StatusCode::NO_CONTENT);
    use_it().await.refused(401, "key_unknown", &[]);
    app.get("/api/v1/keys/ci").await.refused(404, "key_not_found", &["id or name"]);
}

#[tokio::test]
async fn the_last_administrator_cannot_be_deleted() {
    let app = TestApp::start().await;
    app.key("write").await;
    app.delete("/api/v1/keys/admin").await.refused(409, "last_admin_key", &["Make another one first"]);
    app.post("/api/v1/keys", json!({"name": "second", "scope": "admin"})).await.expect(StatusCode::CREATED);
    app.delete("/api/v1/keys/admin").await.expect(StatusCode::NO_CONTENT);
}

#[tokio::test]
async fn bad_keys_are_refused() {
    let app = TestApp::start().await;
    let post = |body| app.post("/api/v1/keys", body);
    post(json!({"name": " ", "scope": "read"})).await.refused(422, "value_invalid", &["name", "1 to 100"]);
    post(json!({"name": "x", "scope": "root"})).await.refused(422, "json_invalid", &["`admin`"]);
    post(json!({"name": "x", "scope": "read", "rate_limit": "fast"})).await.refused(422, "json_invalid", &["100/s"]);
}

#[tokio::test]
async fn every_answer_counts_the_rate_of_its_key() {
    let app =
        TestApp::start_with(Options { api_rate_limit: "3/h".parse().expect("a rate"), ..Options::default() }).await;
    let body = json!({"name": "own", "scope": "read", "rate_limit": "1/d"});
    let own = app.post("/api/v1/keys", body).await.expect(StatusCode::CREATED);
    assert_eq!(own.header("ratelimit-limit"), Some("3"));
    assert_eq!(own.header("ratelimit-remaining"), Some("2"));
    let missing = app.get("/api/v1/sources/none").await;
    assert_eq!(missing.status, StatusCode::NOT_FOUND);
    assert_eq!(missing.header("ratelimit-remaining"), Some("1"));
    app.get("/api/v1/sources").await.expect(StatusCode::OK);
    let refused = app.get("/api/v1/sources").await;
    refused.refused(429, "rate_limited", &["3/h", "Retry-After"]);
    assert!(refused.header("retry-after").is_some() && refused.header("ratelimit-reset").is_some());
    let key = own.text("key");
    let with_own = || app.request(Method::GET, "/api/v1/sources").key(&key).send();
    with_own().await.expect(StatusCode::OK);
    with_own().await.refused(429, "rate_limited", &["1/d"]);
}

#[tokio::test]
async fn requests_without_a_known_key_are_limited_for_each_client_and_known_keys_are_not() {
    let unauthenticated_rate_limit = "3/h".parse().expect("a rate");
    let app = TestApp::start_with(Options { unauthenticated_rate_limit, ..Options::default() }).await;
    let request = || app.request(Method::GET, "/api/v1/sources");
    for (guess, left) in [(request(), "2"), (request().key("spk_wrong"), "1"), (request().key("spk_other"), "0")] {
        let answer = guess.send().await.expect(StatusCode::UNAUTHORIZED);
        assert_eq!(answer.header("ratelimit-limit"), Some("3"));
        assert_eq!(answer.header("ratelimit-remaining"), Some(left));
    }
    for guess in [request(), request().key("spk_another")] {
        let refused = guess.send().await;
        refused.refused(429, "rate_limited", &["3/h", "without a known key", "Retry-After"]);
        assert!(refused.header("retry-after").is_some_and(|wait| wait.parse::<u64>().is_ok_and(|wait| wait > 1_000)));
        assert_eq!(refused.header("ratelimit-remaining"), Some("0"));
    }
    request().key(app.admin_key()).send().await.expect(StatusCode::OK);
}
