//! What goes wrong is said in one sentence, with what to do, and with an honest exit code.

use spillway_testkit::{Answer, Sink, free_port};

use crate::support::{Gateway, finish, spillway};

#[test]
fn a_key_is_missing_wrong_or_has_too_low_a_scope() {
    let gateway = Gateway::start();
    let missing = finish(gateway.command(&["sources", "list"]).env_remove("SPILLWAY_API_KEY"));
    assert_eq!(missing.code, Some(64));
    assert!(missing.stderr.contains("set SPILLWAY_API_KEY"), "{}", missing.stderr);

    let wrong = gateway.run(&["sources", "list", "--api-key", "spk_wrong"]);
    assert_eq!(wrong.code, Some(1));
    assert!(
        wrong.stderr.contains("The key is not known here") && wrong.stderr.contains("(key_unknown)"),
        "{}",
        wrong.stderr
    );
    assert!(!wrong.stderr.contains("spk_wrong"), "{}", wrong.stderr);

    let unreadable = gateway.run(&["sources", "list", "--api-key", "file:absent.key"]);
    assert_eq!(unreadable.code, Some(64));
    assert!(unreadable.stderr.contains("absent.key"), "{}", unreadable.stderr);

    let reader = gateway.json(&["keys", "create", "reader", "--scope", "read"]);
    let reader = reader["key"].as_str().expect("the key's text");
    let refused = gateway.run(&["sources", "create", "open", "--provider", "none", "--api-key", reader]);
    assert_eq!(refused.code, Some(1));
    assert!(
        refused.stderr.contains("needs scope write") && refused.stderr.contains("(scope_insufficient)"),
        "{refused:#?}"
    );
}

#[test]
fn what_does_not_exist_or_cannot_be_is_named() {
    let gateway = Gateway::start();
    for (arguments, code, says) in [
        (&["sources", "get", "absent"][..], 1, "There is no source \"absent\". Check its id or name. (source_unknown)"),
        (&["connections", "create", "absent", "billing"], 1, "Create the source first"),
        (&["deliveries", "retry", "dlv_nonsense"], 1, "(delivery_unknown)"),
        (&["sources", "create", "x", "--provider", "githup"], 64, "did you mean \"github\"?"),
        (&["sources", "create", "x", "--provider", "hmac", "--scheme", "[]"], 64, "--scheme must be a JSON object"),
        (
            &["sources", "create", "x", "--provider", "hmac", "--scheme", "@absent.json"],
            64,
            "absent.json cannot be read",
        ),
        (&["sources", "update", "x"], 64, "nothing to change"),
        (&["destinations", "create", "x", "--to", "ftp://x"], 64, "it must be http:// or https://"),
        (&["events", "publish", "x", "--type", "t", "--data", "{"], 64, "--data is not JSON"),
        (&["keys", "list", "--timeout", "soon"], 64, "write a time such as"),
        (&["keys", "list", "--url", "localhost"], 64, "http://HOST[:PORT]"),
        (&["sauces"], 64, "sources"),
    ] {
        let outcome = gateway.run(arguments);
        assert_eq!(outcome.code, Some(code), "{arguments:?} {outcome:#?}");
        assert!(outcome.stderr.contains(says), "{arguments:?}: {}", outcome.stderr);
        assert_eq!(outcome.stdout, "", "{arguments:?}");
    }
}

#[test]
fn a_gateway_that_is_not_there_is_named_with_how_to_name_another() {
    let folder = tempfile::tempdir().expect("a folder");
    let url = format!("http://127.0.0.1:{}", free_port());
    let outcome = finish(spillway(folder.path()).args(["sources", "list", "--api-key", "k", "--url", &url]));
    assert_eq!(outcome.code, Some(1));
    assert!(outcome.stderr.contains(&format!("nothing listens at {url}")), "{}", outcome.stderr);
    assert!(outcome.stderr.contains("--url or SPILLWAY_URL"), "{}", outcome.stderr);
    assert_eq!(outcome.stderr.lines().count(), 1, "{}", outcome.stderr);
}

#[tokio::test(flavor = "multi_thread")]
async fn another_server_and_one_that_hangs_are_told_apart() {
    let folder = tempfile::tempdir().expect("a folder");
    let sink = Sink::start().await;
    let run = |more: &[&str]| {
        finish(spillway(folder.path()).args(["sources", "list", "--api-key", "k", "--url", &sink.url("")]).args(more))
    };
    let other = run(&[]);
    assert_eq!(other.code, Some(1));
    assert!(other.stderr.contains("not as a Spillway gateway does: check --url"), "{}", other.stderr);

    sink.on("/api/v1/sources", Answer::hang());
    let hanging = run(&["--timeout", "100ms"]);
    assert_eq!(hanging.code, Some(1));
    assert!(hanging.stderr.contains("did not answer within 0.1 s"), "{}", hanging.stderr);
}
