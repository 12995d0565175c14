//! `spillway send`.

use serde_json::json;

use crate::support::{Gateway, finish};

#[test]
fn a_webhook_is_signed_as_its_provider_signs_with_and_without_an_api_key() {
    let gateway = Gateway::start();
    gateway.ok(&["sources", "create", "github", "--provider", "github", "--secret", "env:FROM_THE_GATEWAY"]);
    let secret = "a secret of the gateway's environment";
    let sent = gateway.json(&["send", "github", "--secret", secret, "--type", "push"]);
    assert_eq!((&sent["status"], &sent["duplicate"]), (&json!(202), &json!(false)));
    assert!(sent["duration_ms"].as_f64().is_some_and(|ms| ms > 0.0));
    assert_eq!(gateway.json(&["events", "list"])[0]["type"], "push");

    let mut command = gateway.command(&["send", "github", "--provider", "github", "--secret-env", "SECRET"]);
    let without_key = finish(command.env_remove("SPILLWAY_API_KEY").env("SECRET", secret));
    assert_eq!(without_key.code, Some(0), "{without_key:#?}");
    assert!(without_key.stdout.starts_with("202 Accepted  evt_"), "{}", without_key.stdout);
    assert!(without_key.stdout.ends_with(" ms\n"), "{}", without_key.stdout);
}

#[test]
fn many_are_sent_and_one_with_the_same_id_is_a_duplicate() {
    let gateway = Gateway::start();
    gateway.ok(&["sources", "create", "github", "--provider", "github", "--secret", "s3cret-s3cret"]);
    let many = gateway.ok(&["send", "github", "--secret", "s3cret-s3cret", "--count", "3"]);
    assert_eq!(many.lines().filter(|line| line.starts_with("202 Accepted")).count(), 3, "{many}");
    assert!(many.lines().last().is_some_and(|line| line.starts_with("3 sent; answered in p50 ")), "{many}");

    let again = ["send", "github", "--secret", "s3cret-s3cret", "--id", "72d3162e"];
    gateway.ok(&again);
    assert!(gateway.ok(&again).contains("(stored before)"));
}

#[test]
fn without_a_secret_it_says_how_to_give_one() {
    let gateway = Gateway::start();
    gateway.ok(&["sources", "create", "github", "--provider", "github", "--secret", "env:FROM_THE_GATEWAY"]);
    let outcome = gateway.run(&["send", "github"]);
    assert_eq!(outcome.code, Some(64));
    assert!(outcome.stderr.contains("try --secret-env FROM_THE_GATEWAY"), "{}", outcome.stderr);

    let unset = gateway.run(&["send", "github", "--secret-env", "NOT_SET"]);
    assert_eq!(unset.code, Some(64));
    assert!(unset.stderr.contains("NOT_SET"), "{}", unset.stderr);

    let outcome = finish(gateway.command(&["send", "github"]).env_remove("SPILLWAY_API_KEY"));
    assert_eq!(outcome.code, Some(64));
    assert!(outcome.stderr.contains("--provider"), "{}", outcome.stderr);
}

#[test]
fn a_refused_webhook_is_a_failure_with_the_reason() {
    let gateway = Gateway::start();
    gateway.ok(&["sources", "create", "github", "--provider", "github", "--secret", "the right one"]);
    let outcome = gateway.run(&["send", "github", "--secret", "a wrong one"]);
    assert_eq!((outcome.code, outcome.stdout.as_str()), (Some(1), ""));
    assert!(outcome.stderr.starts_with("error: No secret of this source matches; "), "{}", outcome.stderr);
    assert!(outcome.stderr.ends_with(" (signature_mismatch)\n"), "{}", outcome.stderr);
}
