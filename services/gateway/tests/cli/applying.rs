//! `spillway apply`.

use serde_json::{Value, json};

use crate::support::{Gateway, Outcome};

const FILE: &str = r#"
[store]
url = "env:ONLY_WHERE_THE_GATEWAY_RUNS"
[[sources]]
name = "github"
provider = "github"
secrets = ["env:FROM_THE_GATEWAY"]
[[destinations]]
name = "billing"
url = "http://127.0.0.1:9/hooks"
timeout = "5s"
[[connections]]
source = "github"
destination = "billing"
"#;

fn apply(gateway: &Gateway, file: &str, more: &[&str]) -> Outcome {
    std::fs::write(gateway.folder().join("declared.toml"), file).expect("a file");
    gateway.run(&[&["apply", "-f", "declared.toml"], more].concat())
}

fn applied(gateway: &Gateway, file: &str, more: &[&str]) -> String {
    let outcome = apply(gateway, file, more);
    assert_eq!(outcome.code, Some(0), "{outcome:#?}");
    outcome.stdout
}

#[test]
fn a_dry_run_says_what_would_change_and_changes_nothing() {
    let gateway = Gateway::start();
    let expected = "Dry run: 3 to create\nwould create source github\nwould create destination billing\n\
                    would create connection github → billing\n";
    assert_eq!(applied(&gateway, FILE, &["--dry-run"]), expected);
    for kind in ["sources", "destinations", "connections"] {
        assert_eq!(gateway.json(&[kind, "list"]), json!([]), "{kind}");
    }
}

#[test]
fn what_is_declared_is_made_once_and_a_difference_is_mended() {
    let gateway = Gateway::start();
    let first = applied(&gateway, FILE, &[]);
    assert!(first.starts_with("3 to create\ncreated source github\n"), "{first}");
    assert!(first.contains("created destination billing (signing secret, shown once: whsec_"), "{first}");
    assert_eq!(applied(&gateway, FILE, &[]), "3 as declared\n");

    gateway.ok(&["destinations", "pause", "billing"]);
    let moved = FILE.replace(":9/hooks", ":10/hooks");
    let lines = applied(&gateway, &moved, &["--output", "json"]);
    let change: Value = serde_json::from_str(lines.trim_end()).expect("one line");
    let expected =
        json!({"action": "change", "kind": "destination", "name": "billing", "fields": ["url"], "dry_run": false});
    assert_eq!(change, expected);
    let billing = gateway.json(&["destinations", "get", "billing"]);
    assert_eq!((&billing["url"], &billing["state"]), (&json!("http://127.0.0.1:10/hooks"), &json!("paused")));
    assert_eq!(billing["timeout_ms"], 5_000);
    assert_eq!(applied(&gateway, &moved, &[]), "3 as declared\n");
}

#[test]
fn secrets_as_text_are_written_each_time_and_never_shown() {
    let gateway = Gateway::start();
    let literal = FILE.replace("env:FROM_THE_GATEWAY", "as text");
    applied(&gateway, &literal, &[]);
    let again = apply(&gateway, &literal, &[]);
    assert_eq!(again.stdout, "1 with secrets to write again, 2 as declared\nwrote again source github\n");
    assert!(
        again.stderr.contains("warning: settings_literal_secret: ") && !again.stderr.contains("as text\""),
        "{}",
        again.stderr
    );
    assert_eq!(gateway.json(&["send", "github", "--secret", "as text"])["status"], 202);
}

#[test]
fn a_file_that_cannot_be_used_changes_nothing() {
    let gateway = Gateway::start();
    let unknown = format!("{FILE}\n[[connections]]\nsource = \"githup\"\ndestination = \"billing\"\n");
    let unknown = apply(&gateway, &unknown, &[]);
    assert_eq!(unknown.code, Some(64), "{unknown:#?}");
    assert!(unknown.stderr.contains("did you mean github?"), "{}", unknown.stderr);
    let dangling = apply(&gateway, "[[connections]]\nsource = \"a\"\ndestination = \"b\"\n", &[]);
    assert_eq!(dangling.code, Some(64), "{dangling:#?}");
    assert!(dangling.stderr.contains("names the source a"), "{}", dangling.stderr);
    let absent = gateway.run(&["apply", "-f", "absent.toml"]);
    assert_eq!(absent.code, Some(64), "{absent:#?}");
    assert!(absent.stderr.contains("absent.toml"), "{}", absent.stderr);
    assert_eq!(gateway.json(&["sources", "list"]), json!([]));
}
