//! `/api/v1/performance`: what a node says about itself.

use std::time::{Duration, Instant};

use http::{Method, StatusCode};
use serde_json::{Value, json};
use spillway_telemetry::{AlertName, AttemptClass, IntakeOutcome};

use crate::store_double::StoreDouble;
use crate::support::{NODE, NOW, Options, TestApp};

const PATH: &str = "/api/v1/performance";

async fn get(app: &TestApp, path: &str) -> Value {
    app.get(&format!("{PATH}/{path}")).await.expect(StatusCode::OK).json()
}

async fn record(app: &TestApp, body: Value) -> crate::support::Answer {
    app.post(&format!("{PATH}/record-business-metric"), body).await
}

/// Lets so many seconds pass, with a sample in each.
fn observe(app: &TestApp, seconds: usize) {
    let mut sampler = app.sampler();
    for _ in 0..seconds {
        app.clock.advance(1_000);
        sampler.sample();
    }
}

fn close(value: &Value, expected: f64) -> bool {
    value.as_f64().is_some_and(|value| (value - expected).abs() < expected.abs() * 0.01 + 1e-9)
}

#[tokio::test]
async fn rates_and_percentiles_are_of_what_was_observed() {
    let app = TestApp::start().await;
    app.github_source().await;
    let mut sampler = app.sampler();
    for n in 0..20 {
        app.webhook(&format!("d-{n}"), b"{}").send().await.expect(StatusCode::ACCEPTED);
        app.clock.advance(1_000);
        sampler.sample();
    }
    app.request(Method::POST, "/in/github").body("{}").send().await.refused(401, "signature_header_missing", &[]);
    app.gateway.metrics.attempts.get(AttemptClass::Timeout).inc();
    app.gateway.metrics.attempts.get(AttemptClass::Platform).inc();
    app.clock.advance(1_000);
    sampler.sample();

    let answer = get(&app, "metrics").await;
    assert_eq!((&answer["node"], &answer["at"]), (&json!(NODE), &json!("2026-01-01T00:00:21.000Z")));
    for window in ["1m", "5m", "1h"] {
        let window = &answer["windows"][window];
        assert_eq!(window["covered_s"], 21, "{window}");
        assert!(close(&window["intake"]["per_second"], 1.0), "{window}");
        assert!(close(&window["intake"]["accepted_per_second"], 20.0 / 21.0), "{window}");
        assert!(close(&window["intake"]["sender_errors_per_second"], 1.0 / 21.0), "{window}");
        assert_eq!(window["intake"]["platform_error_ratio"], 0.0);
        assert_eq!(window["acknowledgement"]["count"], 20);
        let [p50, p99] = ["p50_ms", "p99_ms"].map(|name| window["acknowledgement"][name].as_f64().expect("a number"));
        assert!(p50 > 0.0 && p50 <= p99, "{window}");
        // What a destination did wrong and what we did wrong stand apart.
        assert!(close(&window["attempts"]["destination_error_ratio"], 0.5), "{window}");
        assert!(close(&window["attempts"]["platform_error_ratio"], 0.5), "{window}");
        assert_eq!(window["attempt"]["p95_ms"], Value::Null, "no attempt was measured");
        assert_eq!(window["api_classes"][0]["class"], "configuration");
        assert!(window["api_classes"][0]["latency"]["count"].as_u64().is_some_and(|n| n >= 1), "{window}");
    }
    assert_eq!(answer["now"]["intake_queue_depth"], 0);
    assert!(answer["now"]["memory_bytes"].as_f64().is_some_and(|bytes| bytes > 1e6), "{answer}");
}

#[tokio::test]
async fn before_the_first_sample_nothing_is_known_and_everything_answers() {
    let app = TestApp::start().await;
    let metrics = get(&app, "metrics").await;
    assert_eq!(metrics["windows"]["1m"]["intake"]["per_second"], Value::Null);
    assert_eq!(get(&app, "alerts").await["active"], json!([]));
    let trend = get(&app, "trends/intake_received").await;
    assert!(trend["points"].as_array().expect("points").iter().all(|point| point["value"].is_null()));
    let recommendations = get(&app, "recommendations").await;
    assert_eq!(recommendations["data"], json!([]));
    assert!(!recommendations["waiting"].as_array().expect("a list").is_empty());
    for forecast in get(&app, "forecast").await["data"].as_array().expect("forecasts") {
        let status = forecast["status"].as_str().expect("a status");
        assert!(["insufficient_data", "no_limit"].contains(&status), "{forecast}");
    }
    for slo in get(&app, "slos").await["data"].as_array().expect("objectives") {
        assert_eq!((&slo["met"], &slo["budget"]["state"]), (&Value::Null, &json!("unknown")), "{slo}");
    }
}

#[tokio::test]
async fn health_asks_each_dependency_and_says_how_long_it_took() {
    let options = Options { certificate_expires_at: Some(NOW + 3 * 86_400_000), ..Options::default() };
    let app = TestApp::start_with(options).await;
    let health = get(&app, "health").await;
    let names: Vec<_> = health["checks"].as_array().expect("checks").iter().map(|it| it["name"].clone()).collect();
    assert_eq!(names, ["store", "commit_queue", "coordination", "store_pool", "certificate"]);
    assert!(health["checks"][0]["latency_ms"].as_f64().is_some());
    assert_eq!((&health["status"], &health["checks"][4]["status"]), (&json!("degraded"), &json!("expires_soon")));
    assert_eq!(health["checks"][4]["detail"], "expires at 2026-01-04T00:00:00.000Z");
    app.store.close().await;
    assert_eq!(get(&app, "health").await["status"], "unavailable");
}

#[tokio::test]
async fn an_alert_comes_after_its_time_and_goes_when_its_cause_is_gone() {
    let app = TestApp::start().await;
    let errors = || async { get(&app, "alerts").await["active"].clone() };
    let source = app.gateway.metrics.intake_for_source("github");
    let mut sampler = app.sampler();
    let mut second = |accepted: u64, failed: u64| {
        (0..accepted).for_each(|_| source.record(IntakeOutcome::Accepted));
        (0..failed).for_each(|_| source.record(IntakeOutcome::StoreError));
        app.clock.advance(1_000);
        sampler.sample();
    };
    (0..60).for_each(|_| second(97, 3));
    assert_eq!(errors().await, json!([]), "3 % for less than a minute");
    (0..10).for_each(|_| second(97, 3));
    let alert = errors().await[0].clone();
    assert_eq!((&alert["id"], &alert["severity"]), (&json!("intake_errors"), &json!("critical")));
    assert!(close(&alert["value"], 0.03), "{alert}");
    assert_eq!((&alert["threshold"], &alert["unit"]), (&json!(0.02), &json!("ratio")));
    assert_eq!(alert["since"], "2026-01-01T00:00:01.000Z");
    assert_eq!(alert["runbook"], "runbooks/alerts/intake_errors.md");
    let exported = || app.gateway.metrics.alert_active.get(AlertName::IntakeErrors).get();
    assert_eq!(exported(), Some(1.0));
    // Five minutes later the failures have left the window; a minute after that the alert is over.
    (0..375).for_each(|_| second(100, 0));
    assert_eq!(errors().await, json!([]));
    assert_eq!(exported(), Some(0.0));
    let rules = get(&app, "alerts").await["rules"].clone();
    assert_eq!(rules.as_array().map(Vec::len), Some(16));
    let states: Vec<_> = rules.as_array().expect("rules").iter().map(|rule| rule["state"].clone()).collect();
    assert!(states.iter().all(|state| state == "ok" || state == "no_data"), "{states:?}");
}

#[tokio::test]
async fn destinations_that_fail_raise_no_alert_of_ours() {
    let app = TestApp::start().await;
    let mut sampler = app.sampler();
    for _ in 0..200 {
        for _ in 0..10 {
            app.gateway.metrics.attempts.get(AttemptClass::ServerError).inc();
        }
        app.clock.advance(1_000);
        sampler.sample();
    }
    assert_eq!(get(&app, "alerts").await["active"], json!([]));
    assert_eq!(get(&app, "metrics").await["windows"]["1m"]["attempts"]["destination_error_ratio"], 1.0);
}

#[tokio::test]
async fn a_store_that_does_not_answer_is_an_alert() {
    let app = TestApp::start().await;
    let mut sampler = app.sampler();
    app.store.close().await;
    sampler.check().await;
    for _ in 0..20 {
        app.clock.advance(1_000);
        sampler.sample();
    }
    let alert = get(&app, "alerts").await["active"][0].clone();
    assert_eq!((&alert["id"], &alert["text"]), (&json!("store_down"), &json!("The store does not answer.")));
}

#[tokio::test]
async fn trends_have_the_points_that_were_asked_for() {
    let app = TestApp::start().await;
    observe(&app, 120);
    for (query, window, step, n) in [
        ("", "1h", 60, 60),
        ("?window=24h", "24h", 1_440, 60),
        ("?window=30d&points=30", "30d", 86_400, 30),
        ("?window=1h&points=720", "1h", 10, 360),
    ] {
        let trend = get(&app, &format!("trends/memory_bytes{query}")).await;
        assert_eq!((&trend["window"], &trend["step_s"]), (&json!(window), &json!(step)));
        let points = trend["points"].as_array().expect("points");
        assert_eq!(points.len(), n, "{query}");
        assert!(points[n - 1]["value"].as_f64().is_some_and(|bytes| bytes > 1e6), "{trend}");
    }
    let names = get(&app, "trends").await;
    for name in names["data"].as_array().expect("names") {
        let trend = get(&app, &format!("trends/{}?points=2", name["name"].as_str().expect("a name"))).await;
        assert_eq!((&trend["metric"], &trend["kind"], &trend["unit"]), (&name["name"], &name["kind"], &name["unit"]));
    }
}

#[tokio::test]
async fn bad_questions_are_answered_with_what_to_ask() {
    let app = TestApp::start().await;
    let refused = |path: &'static str| {
        let app = &app;
        async move { app.get(&format!("{PATH}/{path}")).await }
    };
    refused("trends/intake_recieved").await.refused(404, "metric_unknown", &["Did you mean intake_received?"]);
    refused("trends/%22%3E%3Cscript%3E").await.refused(404, "metric_unknown", &["/api/v1/performance/trends"]);
    refused("trends/memory_bytes?window=1w").await.refused(400, "query_invalid", &["1h, 24h or 30d"]);
    refused("trends/memory_bytes?window=").await.refused(400, "query_invalid", &["1h, 24h or 30d"]);
    refused("trends/memory_bytes?points=1").await.refused(400, "query_invalid", &["2 to 720"]);
    refused("trends/memory_bytes?points=721").await.refused(400, "query_invalid", &["2 to 720"]);
    refused("trends/memory_bytes?points=-1").await.refused(400, "query_invalid", &[]);
    refused("trends/memory_bytes?windows=1h").await.refused(400, "query_invalid", &["did you mean `window`?"]);
}

#[tokio::test]
async fn numbers_of_the_users_business_are_trends_and_metrics() {
    let app = TestApp::start().await;
    for (value, total) in [(3.0, 3.0), (0.5, 3.5)] {
        let answer = record(&app, json!({"name": "orders", "value": value, "kind": "counter", "unit": "orders"})).await;
        let recorded = answer.expect(StatusCode::OK).json();
        assert_eq!((&recorded["value"], &recorded["total"]), (&json!(value), &json!(total)));
        assert_eq!(recorded["at"], "2026-01-01T00:00:00.000Z");
    }
    let gauge =
        record(&app, json!({"name": "stock", "value": -2, "kind": "gauge"})).await.expect(StatusCode::OK).json();
    assert_eq!(gauge["total"], Value::Null);
    observe(&app, 1);
    let trend = get(&app, "trends/orders").await;
    let last = trend["points"].as_array().expect("points").last().expect("a point").clone();
    assert!(close(&last["value"], 3.5 / 120.0), "{trend}");
    assert_eq!((&trend["unit"], &trend["kind"]), (&json!("orders"), &json!("counter")));
    let names = get(&app, "trends").await;
    let business: Vec<_> =
        names["data"].as_array().expect("names").iter().filter(|it| it["business"] == true).collect();
    assert_eq!(business.len(), 2);
    let exported = app.request(Method::GET, "/metrics").send().await.expect(StatusCode::OK);
    let text = String::from_utf8_lossy(&exported.body).into_owned();
    assert!(text.contains("spillway_business_metric{name=\"orders\"} 3.5"), "{text}");
    assert!(text.contains("spillway_business_metric{name=\"stock\"} -2.0"), "{text}");
}

#[tokio::test]
async fn numbers_that_cannot_be_recorded_are_refused() {
    let app = TestApp::start().await;
    record(&app, json!({"name": "orders", "value": 1, "kind": "counter"})).await.expect(StatusCode::OK);
    for (body, status, code, hints) in [
        (json!({"name": "Orders!", "value": 1, "kind": "counter"}), 422, "value_invalid", vec!["name", "small letter"]),
        (json!({"name": "cpu_ratio", "value": 1, "kind": "gauge"}), 422, "value_invalid", vec!["Spillway's own"]),
        (json!({"name": "orders", "value": -1, "kind": "counter"}), 422, "value_invalid", vec!["below 0"]),
        (json!({"name": "orders", "value": null, "kind": "counter"}), 422, "json_invalid", vec!["value"]),
        (json!({"name": "orders", "value": "NaN", "kind": "counter"}), 422, "json_invalid", vec!["value"]),
        (json!({"name": "orders", "value": 1, "kind": "histogram"}), 422, "json_invalid", vec!["kind", "counter"]),
        (json!({"name": "orders", "value": 1, "kind": "gauge"}), 409, "business_metric_kind", vec!["is a counter"]),
        (
            json!({"name": "orders", "value": 1, "kind": "counter", "unit": "two words"}),
            422,
            "value_invalid",
            vec!["unit"],
        ),
        (
            json!({"name": "orders", "value": 1, "kind": "counter", "labels": {"shop": "a"}}),
            422,
            "json_invalid",
            vec!["unknown field `labels`"],
        ),
    ] {
        record(&app, body).await.refused(status, code, &hints);
    }
    let path = format!("{PATH}/record-business-metric");
    let raw = app.api(Method::POST, &path).header("content-type", "application/json");
    raw.clone().body(r#"{"name":"orders","value":NaN,"kind":"counter"}"#).send().await.refused(
        400,
        "json_malformed",
        &[],
    );
    raw.body(r#"{"name":"orders","value":1e999,"kind":"counter"}"#).send().await.refused(400, "json_malformed", &[]);
    let read = app.key("read").await;
    let body = json!({"name": "orders", "value": 1, "kind": "counter"});
    app.request(Method::POST, &path).key(&read).json(&body).send().await.refused(403, "scope_insufficient", &[]);
    let write = app.key("write").await;
    let recorded = app.request(Method::POST, &path).key(&write).json(&body).send().await.expect(StatusCode::OK);
    assert_eq!(recorded.json()["total"], 2.0, "what was refused was not counted");
}

#[tokio::test]
async fn the_thousand_and_first_name_is_refused_and_known_ones_go_on() {
    let app = TestApp::start().await;
    let body = |n: usize| json!({"name": format!("name_{n}"), "value": 1, "kind": "counter"});
    for n in 0..1_000 {
        record(&app, body(n)).await.expect(StatusCode::OK);
    }
    record(&app, body(1_000)).await.refused(409, "business_metrics_full", &["1000 names", "30 days"]);
    record(&app, body(7)).await.expect(StatusCode::OK);
    let exported = app.request(Method::GET, "/metrics").send().await;
    assert_eq!(String::from_utf8_lossy(&exported.body).matches("spillway_business_metric{").count(), 1_000);
}

#[tokio::test]
async fn an_answer_that_is_known_is_not_sent_again() {
    let app = TestApp::start().await;
    observe(&app, 3);
    // The answer has how many connections are used, also by what the start still reads.
    let idle = async {
        while app.store.pool().used > 0 {
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
    };
    tokio::time::timeout(Duration::from_secs(5), idle).await.expect("an idle pool");
    for path in ["metrics", "alerts", "trends", "trends/memory_bytes", "recommendations", "forecast", "slos"] {
        let path = format!("{PATH}/{path}");
        let first = app.get(&path).await.expect(StatusCode::OK);
        assert_eq!(first.header("cache-control"), Some("private, no-cache"), "{path}");
        let tag = first.header("etag").expect("a tag").to_owned();
        let again = app.api(Method::GET, &path).header("if-none-match", &tag).send().await;
        assert_eq!((again.status, again.body.len()), (StatusCode::NOT_MODIFIED, 0), "{path}");
    }
    let tag = app.get(&format!("{PATH}/metrics")).await.header("etag").expect("a tag").to_owned();
    observe(&app, 1);
    let again = app.api(Method::GET, &format!("{PATH}/metrics")).header("if-none-match", &tag).send().await;
    assert_eq!(again.status, StatusCode::OK, "a new sample is a new answer");
}

#[tokio::test]
async fn the_trends_survive_a_restart() {
    let app = TestApp::start().await;
    app.github_source().await;
    for n in 0..5 {
        app.webhook(&format!("d-{n}"), b"{}").send().await.expect(StatusCode::ACCEPTED);
    }
    record(&app, json!({"name": "orders", "value": 7, "kind": "counter"})).await.expect(StatusCode::OK);
    observe(&app, 90);
    let sampler = app.sampler();
    sampler.save().await;

    let again = app.another_node().await;
    let before = get(&again, "trends/intake_received?window=24h").await;
    assert!(before["points"].as_array().expect("points").iter().all(|point| point["value"].is_null()));
    again.sampler().load().await;
    for name in ["intake_received", "memory_bytes", "acknowledgement", "orders"] {
        for window in ["24h", "30d"] {
            let path = format!("trends/{name}?window={window}");
            let (old, new) = (get(&app, &path).await, get(&again, &path).await);
            assert_eq!(old["points"], new["points"], "{path}");
            assert!(new["points"].as_array().expect("points").iter().any(|point| !point["value"].is_null()), "{path}");
        }
    }
    let slos = get(&again, "slos").await;
    assert_eq!(slos["data"][0]["total"], 5);
}

#[tokio::test]
async fn a_damaged_document_begins_anew_and_harms_nothing() {
    let app = TestApp::start().await;
    observe(&app, 10);
    app.sampler().save().await;
    for document in app.store.documents("trend", 100).await.expect("documents") {
        let body = document.body.iter().map(|byte| byte ^ 0x55).collect::<Vec<_>>().into();
        app.store.put_document(spillway_store::Document { body, ..document }).await.expect("written");
    }
    let again = app.another_node().await;
    again.sampler().load().await;
    let trend = get(&again, "trends/memory_bytes?window=24h").await;
    assert!(trend["points"].as_array().expect("points").iter().all(|point| point["value"].is_null()));
}

#[tokio::test]
async fn the_objectives_count_what_is_ours() {
    let app = TestApp::start().await;
    let source = app.gateway.metrics.intake_for_source("github");
    (0..9_997).for_each(|_| source.record(IntakeOutcome::Accepted));
    (0..3).for_each(|_| source.record(IntakeOutcome::QueueFull));
    (0..500).for_each(|_| source.record(IntakeOutcome::BadSignature));
    for n in 0..200_u64 {
        app.gateway.metrics.intake_ack.observe(Duration::from_millis(if n == 0 { 80 } else { 2 }));
    }
    observe(&app, 1);
    let slos = get(&app, "slos").await;
    let [intake, acknowledgement] = [0, 1].map(|n| slos["data"][n].clone());
    assert_eq!((&intake["good"], &intake["total"], &intake["met"]), (&json!(9_997), &json!(10_000), &json!(false)));
    assert_eq!(intake["budget"]["state"], "emergency");
    assert!(close(&intake["budget"]["left"], -2.0) && close(&intake["burn"]["1h"], 3.0), "{intake}");
    assert!(close(&acknowledgement["compliance"], 0.995), "{acknowledgement}");
    assert!(close(&acknowledgement["budget"]["left"], 0.5), "{acknowledgement}");
    assert_eq!((&acknowledgement["met"], &acknowledgement["threshold_ms"]), (&json!(true), &json!(50.0)));
}

#[tokio::test]
async fn a_sample_is_cheap_and_memory_small() {
    let app = TestApp::start().await;
    for n in 0..200 {
        app.gateway.metrics.intake_for_source(&format!("source-{n}")).record(IntakeOutcome::Accepted);
    }
    let mut sampler = app.sampler();
    sampler.check().await;
    let mut times: Vec<Duration> = (0..300)
        .map(|_| {
            app.clock.advance(1_000);
            let begin = Instant::now();
            sampler.sample();
            begin.elapsed()
        })
        .collect();
    times.sort();
    // Unoptimised, and on a machine that does other things too: the bar is 1 ms for what is shipped.
    assert!(times[150] < Duration::from_millis(10), "a sample takes {:?}", times[150]);
    println!("a sample takes {:?} in the median, {:?} at most", times[150], times[299]);
    assert!(app.gateway.performance.memory_bytes() < 300_000, "{} bytes", app.gateway.performance.memory_bytes());
}

#[tokio::test]
async fn a_queue_that_is_full_is_an_alert() {
    let options = Options { queue: 1, batch: 1, committer_store: Some(StoreDouble::Hangs), ..Options::default() };
    let app = TestApp::start_with(options).await;
    app.github_source().await;
    let mut sending = Vec::new();
    let deadline = Instant::now() + Duration::from_secs(20);
    while app.gateway.committer.depth() < app.gateway.committer.capacity() {
        assert!(Instant::now() < deadline, "the queue never fills");
        sending.push(tokio::time::timeout(Duration::from_millis(50), app.webhook("d-1", b"{}").send()).await);
    }
    observe(&app, 30);
    let alerts = get(&app, "alerts").await;
    assert_eq!(
        (&alerts["active"][0]["id"], &alerts["active"][0]["severity"]),
        (&json!("intake_queue"), &json!("critical"))
    );
}

#[tokio::test]
async fn the_pool_says_how_long_callers_wait_and_how_many_got_nothing() {
    let app = TestApp::start().await;
    let pool = || async { app.get("/api/v1/monitoring/database/pool").await.expect(StatusCode::OK).json() };
    let quiet = pool().await;
    assert_eq!((&quiet["wait_p95_ms"], &quiet["exhausted"]), (&Value::Null, &json!(0)));
    (0..100).for_each(|_| app.gateway.metrics.store_pool_wait.observe(Duration::from_millis(4)));
    app.gateway.metrics.store_pool_exhausted.inc();
    let crowded = pool().await;
    assert_eq!(crowded["exhausted"], 1);
    let wait = crowded["wait_p95_ms"].as_f64().expect("a number");
    assert!((2.5..=5.0).contains(&wait), "{wait}");
}
