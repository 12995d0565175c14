//! What others publish: rollouts and results of load tests; and how events are found.

use serde_json::json;

use crate::support::Gateway;

#[test]
fn a_rollout_is_told_what_to_do() {
    let gateway = Gateway::start();
    let unknown = gateway.run(&["rollouts", "tell", "checkout", "pause"]);
    assert_eq!(unknown.code, Some(1));
    assert!(unknown.stderr.contains("(rollout_unknown)"), "{}", unknown.stderr);
    assert!(gateway.run(&["rollouts", "list"]).stderr.contains("No rollouts"));
    assert_eq!(gateway.json(&["load-tests", "list"]), json!([]));
    let wrong = gateway.run(&["rollouts", "tell", "checkout", "explode"]);
    assert!(wrong.stderr.contains("promote"), "{}", wrong.stderr);
}

#[test]
fn events_are_found_by_what_is_in_them() {
    let gateway = Gateway::start();
    gateway.ok(&["sources", "create", "open", "--provider", "none"]);
    let sent: Vec<_> = (0..3)
        .map(|n| gateway.json(&["send", "open", "--data", &format!(r#"{{"order":{{"id":{n}}}}}"#)])["id"].clone())
        .collect();
    assert_eq!(gateway.json(&["events", "list", "--find", "/order/id=1"])[0]["id"], sent[1]);
    assert_eq!(gateway.json(&["events", "list", "--find", "/order"]).as_array().map(Vec::len), Some(3));
    assert_eq!(gateway.json(&["events", "list", "--status", "dead"]), json!([]));
    let refused = gateway.run(&["events", "list", "--find", "header:"]);
    assert!(refused.stderr.contains("(query_invalid)"), "{}", refused.stderr);
}
