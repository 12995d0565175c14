//! Shares of worker slots.

use crate::support::Gateway;

#[test]
fn shares_are_shown_set_and_unset() {
    let gateway = Gateway::start();
    let shown = || gateway.ok(&["workers", "shares"]);
    assert_eq!(shown(), "Not shared: any worker takes any delivery.\n");
    assert_eq!(gateway.ok(&["workers", "shares", "--set", "green=10,blue=90"]), "blue    90 %\ngreen   10 %\n");
    assert_eq!(shown(), "blue    90 %\ngreen   10 %\n");
    assert_eq!(gateway.json(&["workers", "shares"]), serde_json::json!({"shares": {"blue": 90, "green": 10}}));
    assert_eq!(gateway.ok(&["workers", "shares", "--unset"]), "Not shared: any worker takes any delivery.\n");
    assert_eq!(gateway.json(&["workers", "shares"]), serde_json::json!({"shares": null}));
}

#[test]
fn shares_that_are_not_whole_are_a_wrong_call() {
    let gateway = Gateway::start();
    for (shares, says) in [("blue=90,green=20", "are 110"), ("90/10", "such as blue=90,green=10")] {
        let outcome = gateway.run(&["workers", "shares", "--set", shares]);
        assert_eq!(outcome.code, Some(64));
        assert!(outcome.stderr.contains(says), "{}", outcome.stderr);
    }
    let outcome = gateway.run(&["workers", "shares", "--set", "blue=90,green=10", "--unset"]);
    assert_eq!(outcome.code, Some(64));
}
