//! What the program says about itself.

use crate::support::Folder;

const COMMANDS: [&str; 17] = [
    "run",
    "controller",
    "status",
    "promote",
    "pause",
    "resume",
    "abort",
    "retry",
    "undo",
    "approve",
    "override",
    "check",
    "verify",
    "simulate",
    "report",
    "crd",
    "completions",
];

#[test]
fn completions_man_pages_and_help_name_every_command() {
    let folder = Folder::with(&[]);
    let help = folder.run(&["--help"]).text();
    folder.run(&["man", "."]).text();
    for shell in ["bash", "zsh", "fish"] {
        let script = folder.run(&["completions", shell]).text();
        for command in COMMANDS {
            assert!(script.contains(command), "{shell}: {command}");
        }
    }
    for command in COMMANDS {
        assert!(help.contains(&format!("\n  {command} ")), "{command}: {help}");
        assert!(folder.path().join(format!("spillway-rollout-{command}.1")).is_file(), "{command}");
    }
}

#[test]
fn help_and_version_are_no_errors() {
    let folder = Folder::with(&[]);
    assert!(folder.run(&["--version"]).text().starts_with("spillway-rollout "));
    assert!(folder.run(&["run", "--help"]).text().contains("Ctrl-C leaves traffic"));
    folder.run(&["rol"]).refused(&["unrecognized subcommand"]);
    folder.run(&[]).refused(&["Usage: spillway-rollout"]);
}
