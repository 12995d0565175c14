//! Sources, destinations and connections.

use serde_json::json;

use crate::support::{Gateway, finish_with_input};

#[test]
fn a_source_is_made_shown_changed_and_deleted() {
    let gateway = Gateway::start();
    let made = gateway.json(&[
        "sources",
        "create",
        "github",
        "--provider",
        "github",
        "--secret",
        "env:FROM_THE_GATEWAY",
        "--rate-limit",
        "100/s",
    ]);
    assert_eq!(made["secrets"], json!([{"reference": "env:FROM_THE_GATEWAY"}]));
    assert_eq!(gateway.json(&["sources", "get", "github"]), made);
    assert_eq!(gateway.json(&["sources", "list"]), json!([made]));

    let changed = gateway.json(&["sources", "update", "github", "--rate-limit", "none", "--enabled", "false"]);
    assert_eq!((&changed["rate_limit"], &changed["enabled"]), (&json!(null), &json!(false)));
    assert_eq!(changed["secrets"], made["secrets"], "what is not given stays");

    let added = gateway.json(&["sources", "secrets", "add", "github", "--secret", "another secret"]);
    assert_eq!(added["secrets"], json!([{"reference": null}, {"reference": "env:FROM_THE_GATEWAY"}]));
    let removed = gateway.json(&["sources", "secrets", "remove", "github", "2"]);
    assert_eq!(removed["secrets"], json!([{"reference": null}]));

    assert_eq!(gateway.ok(&["sources", "delete", "github"]), "deleted source github\n");
    assert_eq!(gateway.json(&["sources", "list"]), json!([]));
}

#[test]
fn a_secret_and_a_scheme_come_from_standard_input_and_a_file() {
    let gateway = Gateway::start();
    std::fs::write(gateway.folder().join("scheme.json"), r#"{"hmac": {"header": "x-signature"}}"#).expect("a file");
    let arguments = ["sources", "create", "own", "--provider", "hmac", "--scheme", "@scheme.json", "--secret", "-"];
    let made = finish_with_input(&mut gateway.command(&arguments), b"from standard input\n");
    assert_eq!(made.code, Some(0), "{made:#?}");
    assert!(!made.stdout.contains("from standard input"));
    let sent = gateway.json(&["send", "own", "--secret", "from standard input"]);
    assert_eq!(sent["status"], 202);
}

#[test]
fn a_destination_is_paused_resumed_enabled_and_gets_a_new_secret() {
    let gateway = Gateway::start();
    let made = gateway.json(&[
        "destinations",
        "create",
        "billing",
        "--to",
        "http://127.0.0.1:9/hooks",
        "--header",
        "X-Team: billing",
        "--attempt-timeout",
        "5s",
        "--retry-schedule",
        "0s,5s,1m",
        "--breaker-failures",
        "9",
    ]);
    let secret = made["signing_secret"].as_str().expect("the secret, once");
    assert!(secret.starts_with("whsec_"));
    assert_eq!(made["retry_schedule_ms"], json!([0, 5_000, 60_000]));
    assert_eq!(made["breaker"]["consecutive_failures"], 9);
    assert_eq!(made["headers"], json!({"x-team": {"reference": null}}));
    assert_eq!(gateway.json(&["destinations", "get", "billing"]).get("signing_secret"), None);

    assert_eq!(gateway.json(&["destinations", "pause", "billing"])["state"], "paused");
    assert!(gateway.ok(&["destinations", "list"]).contains("paused"));
    assert_eq!(gateway.json(&["destinations", "resume", "billing"])["state"], "active");
    assert_eq!(gateway.json(&["destinations", "enable", "billing"])["state"], "active");

    let rotated = gateway.json(&["destinations", "rotate-secret", "billing", "--grace", "1h"]);
    assert_ne!(rotated["signing_secret"].as_str().expect("the new secret"), secret);
    assert_eq!(rotated["signing_secrets"].as_array().map(Vec::len), Some(2));

    let arguments = ["destinations", "update", "billing", "--attempt-timeout", "none", "--remove-header", "x-team"];
    let changed = gateway.json(&arguments);
    assert_eq!((&changed["timeout_ms"], &changed["headers"]), (&json!(null), &json!({})));
    assert_eq!(gateway.ok(&["destinations", "delete", "billing"]), "deleted destination billing\n");
}

#[test]
fn a_connection_shows_the_names_of_its_ends_in_a_table_and_their_ids_in_json() {
    let gateway = Gateway::start();
    let source = gateway.json(&["sources", "create", "open", "--provider", "none"]);
    gateway.ok(&["destinations", "create", "billing", "--to", "http://127.0.0.1:9/"]);
    let made = gateway.json(&["connections", "create", "open", "billing"]);
    assert_eq!(made["source"], source["id"]);

    let table = gateway.ok(&["connections", "list"]);
    let lines: Vec<&str> = table.lines().collect();
    let id = made["id"].as_str().expect("an id");
    assert!(lines[0].starts_with("ID ") && lines[0].ends_with("CREATED"), "{table}");
    let fields: Vec<&str> = lines[1].split_whitespace().take(4).collect();
    assert_eq!(fields, [id, "open", "billing", "enabled"]);
    assert!(lines[1].ends_with(" ago") || lines[1].ends_with("now"), "{table}");
    assert!(!table.contains('\u{1b}'), "no colour in a pipe: {table:?}");

    assert_eq!(gateway.json(&["connections", "update", id, "--enabled", "false"])["enabled"], false);
    gateway.ok(&["connections", "delete", id]);
    let empty = gateway.run(&["connections", "list"]);
    assert_eq!(empty.stdout, "");
    assert!(empty.stderr.contains("spillway connections create"), "{}", empty.stderr);
}

#[test]
fn programs_are_set_tried_and_removed() {
    let gateway = Gateway::start();
    gateway.ok(&["sources", "create", "open", "--provider", "none"]);
    gateway.ok(&["destinations", "create", "billing", "--to", "http://127.0.0.1:9/"]);
    let file = gateway.folder().join("slim.jq");
    std::fs::write(&file, "# what billing needs\n{id}\n").expect("a file");
    let file = file.to_str().expect("UTF-8");
    let create = ["connections", "create", "open", "billing", "--filter", ".ok", "--transform-file", file];
    let made = gateway.json(&create);
    assert_eq!((&made["filter"], &made["transform"]), (&json!(".ok"), &json!("# what billing needs\n{id}")));
    let id = made["id"].as_str().expect("an id");
    let changed = gateway.json(&["connections", "update", id, "--filter", "none", "--order-by", ".id"]);
    assert_eq!((&changed["filter"], &changed["order_by"]), (&json!(null), &json!(".id")));
    let wrong = gateway.run(&["connections", "update", id, "--filter", ".a =="]);
    assert!(wrong.stderr.contains("line 1, column 6") && wrong.stderr.contains("program_invalid"), "{}", wrong.stderr);

    let body = r#"{"ok":true,"id":7}"#;
    let tried = gateway.ok(&[
        "connections",
        "test",
        "--filter",
        ".ok",
        "--transform-file",
        file,
        "--order-by",
        ".id",
        "--body",
        body,
    ]);
    assert!(tried.contains("yes") && tried.contains(r#"{"id":7}"#), "{tried}");
    let failed = gateway.json(&["connections", "test", "--filter", "def f: f; f", "--body", body]);
    assert_eq!((&failed["matches"], &failed["errors"][0]["program"]), (&json!(null), &json!("filter")));
}

#[test]
fn event_types_come_from_a_file() {
    let gateway = Gateway::start();
    let file = gateway.folder().join("types.json");
    std::fs::write(&file, r#"[{"name": "paid", "schema": {"type": "object"}}]"#).expect("a file");
    let file = file.to_str().expect("UTF-8");
    let create = [
        "sources",
        "create",
        "open",
        "--provider",
        "none",
        "--event-types",
        file,
        "--validation",
        "quarantine",
        "--keep-events",
        "90d",
    ];
    let made = gateway.json(&create);
    assert_eq!(made["event_types"], json!([{"name": "paid", "schema": {"type": "object"}}]));
    assert_eq!((&made["validation"], &made["retention"]), (&json!("quarantine"), &json!({"events": "90d"})));
    let less = gateway.json(&[
        "sources",
        "update",
        "open",
        "--event-types",
        "none",
        "--validation",
        "off",
        "--keep-events",
        "none",
    ]);
    assert_eq!((&less["event_types"], &less["validation"]), (&json!([]), &json!("off")));
}
