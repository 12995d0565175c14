//! `spillway performance`.

use std::time::Instant;

use serde_json::{Value, json};

use crate::support::{Gateway, SOON};

/// The answer of a command, as soon as it says so.
fn awaited(gateway: &Gateway, arguments: &[&str], says: impl Fn(&Value) -> bool) -> Value {
    let deadline = Instant::now() + SOON;
    loop {
        let answer = gateway.json(arguments);
        if says(&answer) {
            return answer;
        }
        assert!(Instant::now() < deadline, "it never says so: {answer}");
    }
}

#[test]
fn a_gateway_shows_how_it_does() {
    let gateway = Gateway::start();
    awaited(&gateway, &["performance", "show"], |answer| answer["windows"]["1m"]["covered_s"].as_u64() > Some(1));
    let shown = gateway.ok(&["performance", "show"]);
    assert!(shown.contains("received/s in the last minute\n"), "{shown}");
    assert!(shown.contains("acknowledgement") && shown.contains("1 min"), "{shown}");
    let store = gateway.ok(&["performance", "health"]);
    assert!(store.lines().any(|line| line.starts_with("store         ok")), "{store}");
    assert!(gateway.ok(&["performance", "alerts"]).contains("rules are watched."));
    assert!(gateway.ok(&["performance", "recommendations"]).contains("needs 30 minutes of observation"));
    let forecast = gateway.ok(&["performance", "forecast"]);
    assert!(forecast.contains("disk (insufficient data)") && forecast.contains("are needed"), "{forecast}");
    assert!(gateway.ok(&["performance", "slos"]).contains("too few to say"));
}

#[test]
fn series_are_drawn_and_numbers_recorded() {
    let gateway = Gateway::start();
    assert_eq!(
        gateway.ok(&["performance", "record", "orders", "3", "--unit", "orders"]),
        "recorded orders = 3.0, 3 since the start\n"
    );
    assert_eq!(gateway.ok(&["performance", "record", "stock", "-1.5", "--kind", "gauge"]), "recorded stock = -1.5\n");
    let names = gateway.ok(&["performance", "trends"]);
    assert!(names.lines().any(|line| line.starts_with("orders ")), "{names}");
    awaited(&gateway, &["performance", "trends", "memory_bytes"], |trend| {
        trend["points"].as_array().is_some_and(|points| points.iter().any(|point| !point["value"].is_null()))
    });
    let drawn = gateway.ok(&["performance", "trends", "memory_bytes"]);
    let lines: Vec<_> = drawn.lines().collect();
    assert_eq!(lines[0], "memory_bytes, last 1h (bytes)");
    assert!(lines[1].ends_with('█') && lines[1].chars().count() == 60, "{drawn}");
    assert!(lines[2].starts_with("least "), "{drawn}");
}

#[test]
fn what_cannot_be_shown_or_recorded_says_why() {
    let gateway = Gateway::start();
    for (arguments, says) in [
        (&["performance", "trends", "memory_byte"][..], "Did you mean memory_bytes?"),
        (&["performance", "record", "Orders", "1"], "small letter"),
        (&["performance", "record", "orders", "NaN"], "must be a number"),
    ] {
        let outcome = gateway.run(arguments);
        assert_ne!(outcome.code, Some(0));
        assert!(outcome.stderr.contains(says), "{}", outcome.stderr);
    }
    for arguments in [
        &["performance", "trends", "memory_bytes", "--window", "1w"][..],
        &["performance", "trends", "memory_bytes", "--points", "1"],
        &["performance", "record", "orders", "many"],
        &["performance", "record", "orders"],
    ] {
        assert_eq!(gateway.run(arguments).code, Some(64), "{arguments:?}");
    }
    assert_eq!(gateway.json(&["performance", "alerts"])["rules"][0]["id"], json!("intake_errors"));
}
