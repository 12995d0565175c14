//! `flood`: the raw engine from one line.

use spillway_signature::{Provider, Request, SchemeOptions, Verifier};
use spillway_testkit::Sink;

use crate::support::Folder;

const SECRET: &str = "a secret of this test";

#[tokio::test(flavor = "multi_thread")]
async fn the_report_has_the_names_that_scripts_rely_on() {
    let sink = Sink::counting().await;
    let folder = Folder::with(&[]);
    let url = sink.url("/in/github");
    let json = folder
        .run_beside(&["flood", &url, "-c", "4", "-d", "1s", "--body-size", "512", "--output", "json"])
        .await
        .json(0);
    let requests = json["requests"].as_u64().expect("requests");
    assert_eq!(sink.count() as u64, requests);
    assert!(json["requests_per_second"].as_f64() > Some(1.0), "{json}");
    for quantile in ["p50", "p95", "p99", "max"] {
        assert!(json["latency_ms"][quantile].as_f64() > Some(0.0), "{quantile}: {json}");
    }
    assert_eq!(json["status_codes"]["200"].as_u64(), Some(requests));
    assert_eq!(json["dropped"], 0);
    assert_eq!(json["errors"].as_object().map(serde_json::Map::len), Some(0));
}

#[tokio::test(flavor = "multi_thread")]
async fn an_open_loop_keeps_its_schedule() {
    let sink = Sink::counting().await;
    let folder = Folder::with(&[]);
    let ended = folder
        .run_beside(&["flood", &sink.url("/"), "-c", "16", "-d", "2s", "--rate", "500", "--output", "json"])
        .await;
    let json: serde_json::Value =
        serde_json::from_str(&ended.stdout).unwrap_or_else(|error| panic!("{error}: {ended:#?}"));
    assert_eq!(json["requests"].as_u64().map(|n| n + json["dropped"].as_u64().unwrap_or(0)), Some(1_000), "{json}");
    assert!(json["start_delay_ms"]["p99"].is_number() && json["from_intended_ms"]["p99"].is_number(), "{json}");
}

#[tokio::test(flavor = "multi_thread")]
async fn signed_requests_are_what_the_provider_would_send() {
    let sink = Sink::start().await;
    let folder = Folder::with(&[]);
    let url = sink.url("/in/github");
    let arguments =
        ["flood", &url, "-c", "2", "-d", "100ms", "--body-size", "300", "--sign", "github", "--secret", SECRET];
    let ended = folder.run_beside(&[&arguments[..], &["-q"]].concat()).await;
    assert_eq!(ended.code, Some(0), "{ended:#?}");
    let verifier = Verifier::new(Provider::Github, &[SECRET], &SchemeOptions::default()).expect("a verifier");
    let requests = sink.requests();
    assert!(!requests.is_empty());
    for request in &requests {
        assert_eq!(request.body_len, 300);
        let signed =
            Request { headers: &request.headers, body: &request.body, path_and_query: "/in/github", now_unix_ms: 0 };
        verifier.verify(&signed).unwrap_or_else(|error| panic!("{error}: {request:?}"));
    }
}

#[tokio::test]
async fn nobody_there_is_said_at_once() {
    let ended = Folder::with(&[]).run(&["flood", "http://127.0.0.1:1/", "-d", "60s"]);
    assert_eq!(ended.code, Some(1), "{ended:#?}");
    assert!(ended.stderr.contains("127.0.0.1:1"), "{ended:#?}");
}
