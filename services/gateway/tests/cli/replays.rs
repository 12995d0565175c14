//! Replays, single events and dead letters from the command line.

use std::time::Instant;

use serde_json::{Value, json};

use crate::support::{Gateway, SOON};

/// A gateway whose source `shop` goes to a destination that refuses everything for good, and three events that died there.
fn with_dead_letters() -> Gateway {
    let gateway = Gateway::start_in(tempfile::tempdir().expect("a folder"), "retry_schedule = [\"0s\"]\n");
    // Nothing listens there, and with one delay there is one attempt.
    let listener = std::net::TcpListener::bind("127.0.0.1:0").expect("a port");
    let url = format!("http://{}/", listener.local_addr().expect("an address"));
    drop(listener);
    gateway.ok(&["sources", "create", "shop", "--provider", "none"]);
    gateway.ok(&["destinations", "create", "nowhere", "--to", &url]);
    gateway.ok(&["connections", "create", "shop", "nowhere"]);
    for n in 0..3 {
        gateway.ok(&["events", "publish", "shop", "--type", "order.paid", "--data", &format!("{{\"n\":{n}}}")]);
    }
    until("three dead letters", || dead(&gateway) == 3);
    gateway
}

fn dead(gateway: &Gateway) -> usize {
    gateway.json(&["deliveries", "list", "--state", "dead"]).as_array().map_or(0, Vec::len)
}

fn attempts(gateway: &Gateway) -> Vec<u64> {
    let rows = gateway.json(&["deliveries", "list"]);
    rows.as_array().expect("rows").iter().map(|row| row["attempts"].as_u64().expect("a number")).collect()
}

fn until(what: &str, holds: impl Fn() -> bool) {
    let begun = Instant::now();
    while !holds() {
        assert!(begun.elapsed() < SOON, "waited for {what}");
        std::thread::yield_now();
    }
}

#[test]
fn dead_letters_are_shown_counted_and_sent_again() {
    let gateway = with_dead_letters();
    let shown = gateway.ok(&["dead-letters"]);
    assert!(shown.contains("nowhere") && shown.contains("connect") && shown.contains(" 3 "), "{shown}");
    assert_eq!(gateway.json(&["dead-letters"])[0]["deliveries"], 3);

    let create = ["replays", "create", "--state", "dead", "--destination", "nowhere"];
    assert_eq!(gateway.ok(&[&create[..], &["--dry-run"]].concat()), "3 deliveries would be sent again.\n");
    assert_eq!(gateway.json(&[&create[..], &["--dry-run"]].concat()), json!({"deliveries": 3, "complete": true}));
    assert_eq!(gateway.json(&["replays", "list"]), json!([]));

    let output = gateway.ok(&[&create[..], &["--watch", "--per-second", "1000"]].concat());
    assert!(output.contains("done") && output.contains("Due again"), "{output}");
    until("a second attempt of each", || attempts(&gateway) == [2, 2, 2] && dead(&gateway) == 3);

    let replay = &gateway.json(&["replays", "list"])[0];
    let id = replay["id"].as_str().expect("an id");
    assert_eq!((&replay["state"], &replay["retried"]), (&json!("done"), &json!(3)));
    assert_eq!(gateway.json(&["replays", "show", id])["id"], id);
    let watched: Value = gateway.json(&["replays", "watch", id]);
    assert_eq!(watched["progress"], 1.0);
    let refused = gateway.run(&["replays", "cancel", id]);
    assert_eq!(refused.code, Some(1));
    assert!(refused.stderr.contains("replay_done"), "{}", refused.stderr);
}

#[test]
fn a_slow_replay_is_cancelled_and_stays_so() {
    let gateway = with_dead_letters();
    let made = gateway.json(&["replays", "create", "--source", "shop", "--from", "1h", "--per-second", "1"]);
    let id = made["id"].as_str().expect("an id");
    for _ in 0..2 {
        assert_eq!(gateway.json(&["replays", "cancel", id])["state"], "cancelled");
    }
    let shown = gateway.ok(&["replays", "show", id]);
    assert!(shown.contains("cancelled") && shown.contains("Per second    1"), "{shown}");
}

#[test]
fn one_event_is_sent_again_and_one_that_is_not_in_quarantine_is_not_released() {
    let gateway = with_dead_letters();
    let events = gateway.json(&["events", "list"]);
    let id = events[0]["id"].as_str().expect("an id");
    assert_eq!(gateway.json(&["events", "replay", id]), json!({"retried": 1, "skipped": 0, "added": []}));
    until("a second attempt", || {
        let rows = gateway.json(&["deliveries", "list", "--event", id]);
        rows[0]["attempts"] == 2
    });
    let refused = gateway.run(&["events", "release", id]);
    assert_eq!(refused.code, Some(1));
    assert!(refused.stderr.contains("event_not_quarantined"), "{}", refused.stderr);
    let nothing = gateway.run(&["replays", "create"]);
    assert_eq!(nothing.code, Some(1));
    assert!(nothing.stderr.contains("value_invalid") && nothing.stderr.contains("no condition"), "{}", nothing.stderr);
}
