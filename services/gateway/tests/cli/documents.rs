//! What the program says about itself.

use std::process::Command;

use serde_json::Value;

use crate::support::{finish, spillway};

const COMMANDS: [&str; 8] = ["sources", "destinations", "connections", "events", "deliveries", "keys", "send", "apply"];

fn output(command: &mut Command) -> String {
    let outcome = finish(command);
    assert_eq!(outcome.code, Some(0), "{outcome:#?}");
    outcome.stdout
}

#[test]
fn metrics_openapi_completions_and_man_pages_are_printed() {
    let folder = tempfile::tempdir().expect("a folder");
    let say = |arguments: &[&str]| output(spillway(folder.path()).args(arguments));
    assert!(say(&["metrics", "--markdown"]).contains("| `spillway_intake_ack_seconds`"));
    let openapi: Value = serde_json::from_str(&say(&["openapi"])).expect("JSON");
    assert!(openapi["paths"].get("/api/v1/events").is_some());
    let completions = say(&["completions", "bash"]);
    let help = say(&["--help"]);
    say(&["man", "."]);
    for command in COMMANDS {
        assert!(completions.contains(command), "{command}");
        assert!(help.contains(&format!("\n  {command} ")), "{command}: {help}");
        assert!(folder.path().join(format!("spillway-{command}.1")).is_file(), "{command}");
    }
    assert!(folder.path().join("spillway-destinations-rotate-secret.1").is_file());
}

#[test]
fn help_is_no_error_names_the_environment_and_hides_the_key() {
    let folder = tempfile::tempdir().expect("a folder");
    let help = output(
        spillway(folder.path()).args(["sources", "create", "--help"]).env("SPILLWAY_API_KEY", "spk_not_for_help_texts"),
    );
    assert!(help.contains("[env: SPILLWAY_URL=]") && help.contains("SPILLWAY_API_KEY"), "{help}");
    assert!(help.contains("Examples:") && !help.contains("spk_not"), "{help}");
}
