//! Rollouts and results of load tests, which others publish.

use http::{Method, StatusCode};
use serde_json::{Value, json};

use crate::support::{Answer, TestApp};

async fn put(app: &TestApp, path: &str, key: &str, body: &str) -> Answer {
    let request = app.request(Method::PUT, path).key(key).header("content-type", "application/json");
    request.body(body.to_owned()).send().await
}

fn result(name: &str, started_at: &str, p99_ms: f64) -> Value {
    json!({
        "name": name, "verdict": "passed", "reason": "all 4 thresholds held", "started_at": started_at, "duration_s": 30.0,
        "requests": 30_000, "rate": 1_000.0, "error_rate": 0.0, "p50_ms": 1.0, "p95_ms": 3.0, "p99_ms": p99_ms, "dropped": 0,
        "failed_thresholds": [], "timeline": [{"at_s": 0.0, "rate": 998.0, "errors": 0, "p50_ms": 1.0, "p99_ms": 7.5}],
    })
}

#[tokio::test]
async fn a_rollout_is_shown_byte_by_byte_with_who_and_when() {
    let app = TestApp::start().await;
    let key = app.key("write").await;
    let status = r#"{"b": 1.10, "a":{"phase":"canary"}}"#;
    put(&app, "/api/v1/rollouts/checkout", &key, status).await.expect(StatusCode::NO_CONTENT);
    let shown = app.get("/api/v1/rollouts/checkout").await.expect(StatusCode::OK);
    assert!(String::from_utf8_lossy(&shown.body).contains(status), "{shown:?}");
    let shown = shown.json();
    assert_eq!((&shown["by"], &shown["at"]), (&json!("a write key"), &json!("2026-01-01T00:00:00.000Z")));
    let listed = app.get("/api/v1/rollouts").await.expect(StatusCode::OK).json();
    assert_eq!((&listed["data"][0]["name"], &listed["data"][0]["commands"]), (&json!("checkout"), &json!(0)));
    assert_eq!(listed["data"][0]["status"]["a"]["phase"], "canary");

    let large = json!({"text": "x".repeat(100_000)}).to_string();
    put(&app, "/api/v1/rollouts/large", &key, &large).await.expect(StatusCode::NO_CONTENT);
    let listed = app.get("/api/v1/rollouts").await.json();
    let row =
        listed["data"].as_array().expect("rows").iter().find(|row| row["name"] == "large").expect("the large one");
    assert_eq!((&row["status"], &row["status_bytes"]), (&Value::Null, &json!(large.len())));

    app.delete("/api/v1/rollouts/checkout").await.expect(StatusCode::NO_CONTENT);
    app.get("/api/v1/rollouts/checkout").await.refused(404, "rollout_unknown", &["checkout"]);
}

#[tokio::test]
async fn commands_wait_until_the_controller_takes_them_or_nobody_wants_them_any_more() {
    let app = TestApp::start().await;
    let path = "/api/v1/rollouts/checkout";
    let commands = "/api/v1/rollouts/checkout/commands";
    app.post(commands, json!({"verb": "pause"})).await.refused(404, "rollout_unknown", &[]);
    put(&app, path, app.admin_key(), "{}").await.expect(StatusCode::NO_CONTENT);
    let promote = json!({"verb": "promote", "full": true, "reason": "looks good"});
    let given = app.post(commands, promote).await.expect(StatusCode::ACCEPTED).json();
    app.clock.advance(60_000);
    app.post(commands, json!({"verb": "abort"})).await.expect(StatusCode::ACCEPTED);
    let waiting = app.get(commands).await.expect(StatusCode::OK).json();
    assert_eq!(waiting["data"][0], given, "the oldest first");
    assert_eq!((&given["verb"], &given["full"], &given["by"]), (&json!("promote"), &json!(true), &json!("admin")));
    assert_eq!(app.get(path).await.json()["commands"], waiting["data"]);
    assert_eq!(app.get("/api/v1/rollouts").await.json()["data"][0]["commands"], 2);

    let take = format!("{commands}/{}", given["id"].as_str().expect("an id"));
    for _ in 0..2 {
        app.delete(&take).await.expect(StatusCode::NO_CONTENT);
    }
    assert_eq!(app.get(commands).await.json()["data"].as_array().map(Vec::len), Some(1));
    app.clock.advance(3_600_001);
    assert_eq!(app.get(commands).await.json()["data"], json!([]), "too old");

    for _ in 0..20 {
        app.post(commands, json!({"verb": "pause"})).await.expect(StatusCode::ACCEPTED);
    }
    app.post(commands, json!({"verb": "pause"})).await.refused(409, "commands_full", &["its controller"]);
    app.delete(path).await.expect(StatusCode::NO_CONTENT);
    put(&app, path, app.admin_key(), "{}").await.expect(StatusCode::NO_CONTENT);
    assert_eq!(app.get(commands).await.json()["data"], json!([]), "they went with their rollout");
}

#[tokio::test]
async fn who_may_read_may_not_publish_or_command() {
    let app = TestApp::start().await;
    let key = app.key("read").await;
    for path in ["/api/v1/rollouts/checkout", "/api/v1/load-tests/smoke-1"] {
        put(&app, path, &key, "{}").await.refused(403, "scope_insufficient", &["write"]);
        app.request(Method::DELETE, path).key(&key).send().await.refused(403, "scope_insufficient", &[]);
    }
    let command = app.request(Method::POST, "/api/v1/rollouts/checkout/commands").key(&key);
    command.json(&json!({"verb": "abort"})).send().await.refused(403, "scope_insufficient", &[]);
}

#[tokio::test]
async fn what_cannot_be_kept_is_refused() {
    let app = TestApp::start().await;
    let key = app.admin_key();
    put(&app, "/api/v1/rollouts/a%20b", key, "{}").await.refused(422, "value_invalid", &["1 to 150"]);
    put(&app, "/api/v1/rollouts/checkout", key, "[1]").await.refused(422, "value_invalid", &["JSON object"]);
    put(&app, "/api/v1/rollouts/checkout", key, "{").await.refused(400, "json_malformed", &["line 1"]);
    let huge = json!({"text": "x".repeat(1 << 20)}).to_string();
    put(&app, "/api/v1/rollouts/checkout", key, &huge).await.refused(413, "body_too_large", &[]);
    put(&app, "/api/v1/rollouts/checkout", key, "{}").await.expect(StatusCode::NO_CONTENT);
    for (command, code, hint) in [
        (json!({"verb": "explode"}), "json_invalid", "promote"),
        (json!({"verb": "abort", "full": true}), "value_invalid", "promote"),
        (json!({"verb": "abort", "reason": "x".repeat(501)}), "value_invalid", "500"),
        (json!({"verbs": "abort"}), "json_invalid", "verb"),
    ] {
        app.post("/api/v1/rollouts/checkout/commands", command).await.refused(422, code, &[hint]);
    }
    let time = "2026-01-31T12:00:00Z";
    let change = |field: &str, value: Value| {
        let mut result = result("smoke", time, 8.0);
        result[field] = value;
        result.to_string()
    };
    for (body, code, hint) in [
        (change("name", json!("")), "value_invalid", "empty"),
        (change("name", json!("a\u{1b}[2J")), "value_invalid", "control"),
        (change("started_at", json!("soon")), "value_invalid", "2026-01-31"),
        (change("error_rate", json!(1.5)), "value_invalid", "at most 1"),
        (change("verdict", json!("fine")), "json_invalid", "passed"),
        (change("comparison", json!({"change": "better"})), "value_invalid", "no_evidence"),
        (change("failed_thresholds", json!(vec!["x"; 101])), "value_invalid", "100"),
        (change("p99", json!(1)), "json_invalid", "p99"),
    ] {
        put(&app, "/api/v1/load-tests/smoke-1", key, &body).await.refused(422, code, &[hint]);
    }
    app.get("/api/v1/load-tests/smoke-1").await.refused(404, "load_test_unknown", &[]);
}

#[tokio::test]
async fn results_of_load_tests_are_listed_with_their_difference_to_the_run_before() {
    let app = TestApp::start().await;
    let key = app.key("write").await;
    let publish = async |id: &str, body: Value| {
        let path = format!("/api/v1/load-tests/{id}");
        put(&app, &path, &key, &body.to_string()).await.expect(StatusCode::NO_CONTENT);
        app.clock.advance(1_000);
    };
    publish("smoke-2", result("smoke", "2026-01-02T00:00:00Z", 8.0)).await;
    publish("peak-1", result("peak", "2026-01-02T12:00:00Z", 100.0)).await;
    publish("smoke-1", result("smoke", "2026-01-01T00:00:00Z", 10.0)).await;
    let mut compared = result("smoke", "2026-01-03T00:00:00Z", 6.0);
    compared["comparison"] = json!({"change": "faster", "metrics": [{"measure": "p99", "difference": -25.0}]});
    publish("smoke-3", compared.clone()).await;

    let listed = app.get("/api/v1/load-tests").await.expect(StatusCode::OK).json();
    let rows = listed["data"].as_array().expect("rows");
    let ids: Vec<_> = rows.iter().map(|row| row["id"].as_str().expect("an id")).collect();
    assert_eq!(ids, ["smoke-3", "peak-1", "smoke-2", "smoke-1"], "the latest run first");
    assert_eq!((&rows[0]["change"], &rows[0]["previous"]["id"]), (&json!("faster"), &json!("smoke-2")));
    assert_eq!(
        (&rows[0]["previous"]["p99_percent"], &rows[0]["previous"]["rate_percent"]),
        (&json!(-25.0), &json!(0.0))
    );
    assert_eq!((&rows[2]["change"], &rows[2]["previous"]["p99_percent"]), (&Value::Null, &json!(-20.0)));
    assert_eq!((&rows[1]["previous"], &rows[3]["previous"]), (&Value::Null, &Value::Null));
    assert_eq!((rows[0].get("timeline"), rows[0].get("comparison")), (None, None));
    let peaks = app.get("/api/v1/load-tests?name=peak").await.json();
    assert_eq!(peaks["data"].as_array().map(Vec::len), Some(1));

    let shown = app.get("/api/v1/load-tests/smoke-3").await.expect(StatusCode::OK).json();
    assert_eq!((&shown["comparison"], &shown["timeline"]), (&compared["comparison"], &compared["timeline"]));
    assert_eq!(shown["by"], "a write key");
    app.delete("/api/v1/load-tests/smoke-3").await.expect(StatusCode::NO_CONTENT);
    app.delete("/api/v1/load-tests/smoke-3").await.refused(404, "load_test_unknown", &[]);
}

#[tokio::test]
async fn of_many_results_the_latest_two_hundred_are_kept() {
    let app = TestApp::start().await;
    for n in 0..205 {
        let body = result("smoke", "2026-01-01T00:00:00Z", 8.0).to_string();
        put(&app, &format!("/api/v1/load-tests/smoke-{n}"), app.admin_key(), &body)
            .await
            .expect(StatusCode::NO_CONTENT);
        app.clock.advance(1);
    }
    let listed = app.get("/api/v1/load-tests").await.json();
    assert_eq!(listed["data"].as_array().map(Vec::len), Some(200));
    app.get("/api/v1/load-tests/smoke-4").await.refused(404, "load_test_unknown", &[]);
    app.get("/api/v1/load-tests/smoke-5").await.expect(StatusCode::OK);
}
