use std::sync::Arc;

use axum::Router;
use axum::extract::State;
use axum::http::StatusCode;
use axum::routing::post;
use parking_lot::Mutex;
use serde_json::{Value, json};
use spillway_testkit::{Pushgateway as RealPushgateway, free_port};

use super::*;

fn facts() -> Facts<'static> {
    Facts {
        test: "smoke".to_owned(),
        environment: Some("staging/eu".to_owned()),
        passed: false,
        verdict: "failed",
        p50_ms: Some(12.25),
        p95_ms: Some(312.5),
        p99_ms: None,
        throughput_rps: 1_000.5,
        error_rate_percent: 0.75,
        dropped: 42,
        duration_s: 300.0,
        failed_thresholds: vec!["http_req_duration p(95)<250 (was 312.5)".to_owned()],
        report: Some("target/load/smoke.html".to_owned()),
    }
}

fn secret(url: impl Into<String>) -> Option<Secret> {
    Some(url.into().parse().unwrap())
}

async fn publish(receivers: &Receivers, facts: &Facts<'_>) -> Vec<String> {
    Publisher::new(receivers).unwrap().publish(facts).await
}

/// The value of a metric that was pushed, by name and a label of it.
fn pushed(metrics: &str, name: &str, label: &str) -> Option<f64> {
    let line = metrics.lines().find(|line| line.starts_with(&format!("{name}{{")) && line.contains(label))?;
    line.rsplit(' ').next()?.parse().ok()
}

#[tokio::test]
async fn a_real_pushgateway_takes_the_numbers_and_replaces_them() {
    let server = RealPushgateway::start().await;
    let receivers =
        Receivers { pushgateway: secret(server.url() + "/"), instance: Some("runner 1".to_owned()), slack: None };
    assert_eq!(publish(&receivers, &facts()).await, [""; 0]);
    let metrics = server.metrics().await;
    let labels = r#"{environment="staging/eu",instance="runner 1",job="spillway_loadtest",test="smoke"}"#;
    let table = [
        ("loadtest_latency_p50_ms", Some(12.25)),
        ("loadtest_latency_p95_ms", Some(312.5)),
        ("loadtest_latency_p99_ms", None),
        ("loadtest_throughput_rps", Some(1_000.5)),
        ("loadtest_error_rate_percent", Some(0.75)),
        ("loadtest_dropped_iterations", Some(42.0)),
        ("loadtest_duration_seconds", Some(300.0)),
        ("loadtest_slo_passed", Some(0.0)),
        ("loadtest_run_valid", Some(1.0)),
    ];
    for (name, value) in table {
        assert_eq!(pushed(&metrics, name, labels), value, "{name} in\n{metrics}");
    }
    assert!(
        metrics.contains("# TYPE loadtest_slo_passed gauge") && metrics.contains("# HELP loadtest_slo_passed 1 when")
    );

    let better = Facts { passed: true, verdict: "passed", p50_ms: None, p99_ms: Some(400.0), ..facts() };
    assert_eq!(publish(&receivers, &better).await, [""; 0]);
    let other = Facts { test: "peak".to_owned(), environment: None, verdict: "invalid", ..facts() };
    let receivers = Receivers { instance: None, ..receivers };
    assert_eq!(publish(&receivers, &other).await, [""; 0]);
    let metrics = server.metrics().await;
    assert_eq!(pushed(&metrics, "loadtest_slo_passed", labels), Some(1.0));
    assert_eq!(pushed(&metrics, "loadtest_latency_p99_ms", labels), Some(400.0));
    assert_eq!(pushed(&metrics, "loadtest_latency_p50_ms", labels), None, "what the new run lacks does not stay");
    let peak = r#"{instance="",job="spillway_loadtest",test="peak"}"#;
    assert_eq!(pushed(&metrics, "loadtest_slo_passed", peak), Some(0.0));
    assert_eq!(pushed(&metrics, "loadtest_run_valid", peak), Some(0.0));
}

type Posted = Arc<Mutex<Vec<(String, Value)>>>;

async fn slack() -> (String, Posted) {
    let posted = Posted::default();
    let take = async |State(posted): State<Posted>, headers: axum::http::HeaderMap, body: String| {
        let kind = headers["content-type"].to_str().unwrap().to_owned();
        posted.lock().push((kind, serde_json::from_str(&body).unwrap()));
        "ok"
    };
    let refuse = async || (StatusCode::FORBIDDEN, "invalid_token");
    let router =
        Router::new().route("/services/T0/B0/hunter2", post(take)).route("/services/T0/B0/expired7", post(refuse));
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}/services/T0/B0", listener.local_addr().unwrap());
    let router = router.with_state(posted.clone());
    tokio::spawn(async move { axum::serve(listener, router).await });
    (url, posted)
}

#[tokio::test]
async fn slack_gets_a_verdict_a_table_and_the_failed_thresholds() {
    let (url, posted) = slack().await;
    let receivers = Receivers { slack: secret(format!("{url}/hunter2")), ..Receivers::default() };
    assert_eq!(publish(&receivers, &facts()).await, [""; 0]);
    let (kind, message) = posted.lock().remove(0);
    assert_eq!(kind, "application/json; charset=utf-8");
    let row = |name: &str, value: &str| json!({"type": "mrkdwn", "text": format!("*{name}*\n{value}")});
    let rows = [
        ("p50", "12.2 ms"),
        ("p95", "312.5 ms"),
        ("p99", "–"),
        ("throughput", "1000.5/s"),
        ("errors", "0.75 %"),
        ("dropped", "42"),
        ("duration", "300 s"),
    ];
    let failed = "*Thresholds that failed*\n• `http_req_duration p(95)&lt;250 (was 312.5)`";
    let context = "environment staging/eu  ·  report `target/load/smoke.html`";
    let wanted = json!([
        {"type": "header", "text": {"type": "plain_text", "text": "✗ Load test smoke in staging/eu: failed"}},
        {"type": "section", "fields": rows.map(|(name, value)| row(name, value))},
        {"type": "section", "text": {"type": "mrkdwn", "text": failed}},
        {"type": "context", "elements": [{"type": "mrkdwn", "text": context}]},
    ]);
    assert_eq!(message["blocks"], wanted);
    let summary = "✗ Load test smoke in staging/eu: failed. p50 12.2 ms, p95 312.5 ms, p99 –, throughput 1000.5/s, errors 0.75 %, \
                   dropped 42, duration 300 s";
    assert_eq!(message["text"], summary);

    let many = (0..500).map(|n| format!("metric_{n} <&> `{}`", "x".repeat(500))).collect();
    let huge = Facts {
        test: "t".repeat(5_000),
        failed_thresholds: many,
        report: Some("https://ci.example/run?a=1&b=2".to_owned()),
        ..facts()
    };
    assert_eq!(publish(&receivers, &huge).await, [""; 0]);
    let (_, message) = posted.lock().remove(0);
    let length = |value: &Value| value.as_str().map_or(0, |text| text.chars().count());
    let blocks = message["blocks"].as_array().unwrap();
    assert!(length(&blocks[0]["text"]["text"]) <= 150);
    let thresholds = &blocks[2]["text"]["text"];
    assert!(length(thresholds) <= 3_000 && thresholds.as_str().unwrap().ends_with("and 485 more"), "{thresholds}");
    assert!(thresholds.as_str().unwrap().contains("metric_0 &lt;&amp;&gt; "), "{thresholds}");
    let context = blocks[3]["elements"][0]["text"].as_str().unwrap();
    assert!(context.ends_with("<https://ci.example/run?a=1&amp;b=2|report>"), "{context}");
}

#[tokio::test]
async fn receivers_that_fail_are_warnings_without_the_secret() {
    let (url, _) = slack().await;
    let receivers = Receivers {
        pushgateway: secret(format!("http://admin:hunter2@127.0.0.1:{}", free_port())),
        instance: None,
        slack: secret(format!("{url}/expired7")),
    };
    let warnings = publish(&receivers, &facts()).await;
    let [pushgateway, slack] = warnings.as_slice() else { panic!("{warnings:?}") };
    assert!(
        pushgateway.starts_with("the result is not in the Pushgateway: ") && pushgateway.contains("refused"),
        "{pushgateway}"
    );
    assert_eq!(slack, "the result is not in Slack: it answered 403 Forbidden: invalid_token");
    assert!(!format!("{warnings:?} {receivers:?}").contains("hunter2"));
    assert!(!format!("{warnings:?} {receivers:?}").contains("expired7"));
}

#[tokio::test]
async fn a_receiver_that_says_nothing_is_given_up() {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}/", listener.local_addr().unwrap());
    let receivers = Receivers { slack: secret(url), ..Receivers::default() };
    tokio::time::pause();
    let warnings = publish(&receivers, &facts()).await;
    assert_eq!(warnings.len(), 1);
    assert!(warnings[0].contains("time was over"), "{warnings:?}");
    drop(listener);
}

/// A gateway that keeps what it is sent.
async fn gateway() -> (String, Posted) {
    let kept = Posted::default();
    let take =
        async |State(kept): State<Posted>, headers: axum::http::HeaderMap, uri: axum::http::Uri, body: String| {
            if headers["authorization"] != "Bearer spk_right" {
                return (StatusCode::FORBIDDEN, "scope_insufficient");
            }
            kept.lock().push((uri.path().to_owned(), serde_json::from_str(&body).unwrap()));
            (StatusCode::NO_CONTENT, "")
        };
    let router = Router::new().route("/base/api/v1/load-tests/{id}", axum::routing::put(take));
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}/base/", listener.local_addr().unwrap());
    let router = router.with_state(kept.clone());
    tokio::spawn(async move { axum::serve(listener, router).await });
    (url, kept)
}

#[tokio::test]
async fn a_gateway_gets_the_result_and_what_fails_is_a_warning() {
    let (url, kept) = gateway().await;
    let url = Url::parse(&url).unwrap();
    let result = crate::results::Published { id: "smoke-1".to_owned(), body: json!({"name": "smoke"}) };
    let right = Gateway::new(&url, secret("spk_right").as_ref()).unwrap();
    assert_eq!(right.publish(&result).await, None);
    assert_eq!(*kept.lock(), [("/base/api/v1/load-tests/smoke-1".to_owned(), json!({"name": "smoke"}))]);
    let wrong = Gateway::new(&url, secret("spk_hunter2").as_ref()).unwrap();
    let warning = wrong.publish(&result).await.unwrap();
    assert_eq!(warning, "the result is not in the gateway: it answered 403 Forbidden: scope_insufficient");
    assert!(matches!(Gateway::new(&url, None), Err(PublishError::GatewayKey)));
    assert!(matches!(Gateway::new(&Url::parse("ftp://x").unwrap(), None), Err(PublishError::Gateway)));
}

#[test]
fn addresses_nothing_can_be_sent_to_are_refused_unprinted() {
    let wrong = [
        "hunter2",
        "localhost:9091",
        "ftp://hunter2/",
        "https://",
        "http://h/metrics/job/hunter2",
        "http://hunter2:70000",
    ];
    for url in wrong {
        let error = Publisher::new(&Receivers { pushgateway: secret(url), ..Receivers::default() }).err();
        let error = error.unwrap_or_else(|| panic!("{url}")).to_string();
        assert!(error.contains("PROMETHEUS_PUSHGATEWAY_URL") && !error.contains("hunter2"), "{error}");
    }
    let error = Publisher::new(&Receivers { slack: secret("hooks.slack.com/hunter2"), ..Receivers::default() }).err();
    assert!(error.is_some_and(|error| error.to_string().contains("SLACK_WEBHOOK_URL")));
    assert!(Publisher::new(&Receivers::default()).is_ok());
}
