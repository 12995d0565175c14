//! Events and deliveries: sent, found, looked at, tried again.

use serde_json::{Value, json};
use spillway_testkit::{Answer, Sink, wait_until};

use crate::support::{Gateway, SOON, finish};

/// A gateway whose source `open` goes to the sink's `/hooks`.
fn connected(sink: &Sink) -> Gateway {
    let gateway = Gateway::start();
    gateway.ok(&["sources", "create", "open", "--provider", "none"]);
    gateway.ok(&["destinations", "create", "billing", "--to", &sink.url("/hooks"), "--retry-schedule", "0s"]);
    gateway.ok(&["connections", "create", "open", "billing"]);
    gateway
}

/// The delivery of the only event, once it is in this state.
async fn delivery(gateway: &Gateway, state: &str) -> Value {
    let mut found = Value::Null;
    wait_until(&format!("a delivery to be {state}"), SOON, async || {
        found = gateway.json(&["deliveries", "list", "--state", state])[0].clone();
        found != Value::Null
    })
    .await;
    found
}

#[tokio::test(flavor = "multi_thread")]
async fn a_test_webhook_is_found_with_its_delivery_and_its_attempts() {
    let sink = Sink::start().await;
    let gateway = connected(&sink);
    let sent = gateway.json(&["send", "open", "--data", r#"{"order":7}"#]);
    let id = sent["id"].as_str().expect("an id");
    sink.wait_for(1, SOON).await;
    let delivered = delivery(&gateway, "delivered").await;
    assert_eq!((&delivered["event"], &delivered["destination_name"]), (&sent["id"], &json!("billing")));

    assert_eq!(gateway.json(&["events", "list", "--source", "open", "--from", "1h"])[0]["id"], sent["id"]);
    assert_eq!(gateway.json(&["events", "list", "--to", "1h"]), json!([]));
    let shown = gateway.ok(&["events", "get", id]);
    assert!(shown.contains("content-type: application/json\n"), "{shown}");
    assert!(shown.ends_with("{\n  \"order\": 7\n}\n"), "{shown}");
    assert_eq!(gateway.ok(&["events", "get", id, "--body"]), r#"{"order":7}"#);

    let id = delivered["id"].as_str().expect("an id");
    let attempts = gateway.ok(&["deliveries", "attempts", id]);
    assert!(attempts.lines().nth(1).is_some_and(|line| line.contains("success") && line.contains("200")), "{attempts}");
    assert_eq!(gateway.json(&["deliveries", "get", id]), delivered);
    assert_eq!(
        gateway.json(&["deliveries", "list", "--event", sent["id"].as_str().expect("an id")]),
        json!([delivered])
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_dead_delivery_is_tried_again() {
    let sink = Sink::start().await;
    sink.script("/hooks", [Answer::status(500), Answer::status(200)]);
    let gateway = connected(&sink);
    gateway.ok(&["send", "open"]);
    let dead = delivery(&gateway, "dead").await;
    let id = dead["id"].as_str().expect("an id");
    assert_eq!(gateway.json(&["deliveries", "retry", id])["state"], "pending");
    let delivered = delivery(&gateway, "delivered").await;
    assert_eq!((&delivered["id"], &delivered["attempts"]), (&dead["id"], &json!(2)));
    assert_eq!(gateway.json(&["deliveries", "attempts", id])[0]["class"], "server_error");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_published_event_goes_out_with_its_data_as_it_was_written() {
    let sink = Sink::start().await;
    let gateway = connected(&sink);
    std::fs::write(gateway.folder().join("invoice.json"), r#"{"b": 1.10, "a":2}"#).expect("a file");
    let arguments = [
        "events",
        "publish",
        "open",
        "--type",
        "invoice.paid",
        "--data",
        "@invoice.json",
        "--idempotency-key",
        "invoice-42",
    ];
    let first = gateway.json(&arguments);
    let second = gateway.json(&arguments);
    assert_eq!((&second["id"], &second["duplicate"]), (&first["id"], &json!(true)));
    let received = sink.wait_for(1, SOON).await;
    let body = std::str::from_utf8(&received[0].body).expect("UTF-8");
    assert!(body.contains(r#""data":{"b": 1.10, "a":2}"#), "{body}");
}

#[test]
fn lists_follow_pages_up_to_a_limit_or_to_their_end() {
    let gateway = Gateway::start();
    gateway.ok(&["sources", "create", "open", "--provider", "none"]);
    gateway.ok(&["send", "open", "--count", "205"]);
    assert_eq!(gateway.json(&["events", "list", "--all"]).as_array().map(Vec::len), Some(205));
    assert_eq!(gateway.json(&["events", "list", "--limit", "201"]).as_array().map(Vec::len), Some(201));

    let table = gateway.ok(&["events", "list", "--all"]);
    let ids = |text: &str| text.lines().filter(|line| line.starts_with("evt_")).count();
    assert_eq!((table.lines().count(), ids(&table)), (206, 205), "one header for all pages");
    let columns: std::collections::BTreeSet<_> = table.lines().skip(1).map(|line| line.find("open")).collect();
    assert_eq!(columns.len(), 1, "columns stand below each other");

    let some = gateway.run(&["events", "list", "--limit", "3"]);
    assert_eq!(ids(&some.stdout), 3);
    assert!(some.stderr.contains("--all"), "{}", some.stderr);
}

#[test]
fn a_body_that_is_not_text_is_printed_byte_by_byte_only_when_asked_for() {
    let gateway = Gateway::start();
    gateway.ok(&["sources", "create", "open", "--provider", "none"]);
    let body = [0x1b, b'[', 0xff, 0x00, b'\n'];
    std::fs::write(gateway.folder().join("body"), body).expect("a file");
    let sent = gateway.json(&["send", "open", "--data", "@body"]);
    let id = sent["id"].as_str().expect("an id");
    assert!(gateway.ok(&["events", "get", id]).ends_with("(5 bytes that are not text: print them with --body)\n"));
    let printed = gateway.command(&["events", "get", id, "--body"]).output().expect("the program runs");
    assert_eq!(printed.stdout, body);
}

#[test]
fn a_list_waits_for_the_rate_limit_of_its_key() {
    let gateway = Gateway::start();
    gateway.ok(&["sources", "create", "open", "--provider", "none"]);
    gateway.ok(&["send", "open", "--count", "401"]);
    let slow = gateway.json(&["keys", "create", "slow", "--scope", "read", "--rate-limit", "2/s"]);
    let arguments = ["events", "list", "--all", "--api-key", slow["key"].as_str().expect("the key's text")];
    assert_eq!(gateway.json(&arguments).as_array().map(Vec::len), Some(401));
}

#[test]
fn whoever_stops_reading_is_no_error() {
    let gateway = Gateway::start();
    gateway.ok(&["sources", "create", "open", "--provider", "none"]);
    gateway.ok(&["send", "open", "--count", "3"]);
    let (reader, writer) = std::io::pipe().expect("a pipe");
    drop(reader);
    let outcome = finish(gateway.command(&["events", "list"]).stdout(writer));
    assert_eq!((outcome.code, outcome.stderr.as_str()), (Some(0), ""));
}
