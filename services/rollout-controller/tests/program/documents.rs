//! What the program says about itself.

use std::collections::BTreeSet;
use std::path::Path;

use spillway_rollout_drivers::code::Code;
use spillway_rollout_drivers::metrics::catalogue_markdown;

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

/// A file of the repository.
fn read(path: &str) -> String {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..").join(path);
    std::fs::read_to_string(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

#[test]
fn every_code_has_a_page_and_every_page_a_code() {
    let codes: BTreeSet<String> = Code::ALL.iter().map(ToString::to_string).collect();
    assert_eq!(codes.len(), Code::ALL.len(), "each code stands for one thing");
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../runbooks/errors");
    let pages = std::fs::read_dir(folder).expect("the pages").map(|entry| entry.expect("an entry").file_name());
    let pages = pages.filter_map(|name| Some(name.to_str()?.strip_suffix(".md")?.to_owned()));
    let pages: BTreeSet<String> =
        pages.filter(|page| page.starts_with("rollout_") && !is_of_the_gateway(page)).collect();
    assert_eq!(codes, pages);
    for code in Code::ALL {
        let page = read(&format!("runbooks/errors/{code}.md"));
        let exits = page.contains("Exit code");
        assert!(exits || page.contains("The condition "), "{code}: where it is seen is missing");
        assert!(!exits || page.contains(&format!("Exit code {}", code.exit_code())), "{code}: another exit code");
    }
}

/// The gateway answers with an HTTP status; this program ends with an exit code or sets a condition.
fn is_of_the_gateway(page: &str) -> bool {
    let page = read(&format!("runbooks/errors/{page}.md"));
    !page.contains("Exit code") && !page.contains("The condition ")
}

#[test]
fn the_page_about_metrics_is_the_catalogue() {
    let page = read("runbooks/rollout_metrics.md");
    let table = page.split_once("\n\n|").map(|(_, table)| format!("|{table}")).expect("a table");
    assert_eq!(table.trim_end(), catalogue_markdown().trim_end());
}

#[test]
fn help_and_version_are_no_errors() {
    let folder = Folder::with(&[]);
    assert!(folder.run(&["--version"]).text().starts_with("spillway-rollout "));
    assert!(folder.run(&["run", "--help"]).text().contains("Ctrl-C leaves traffic"));
    folder.run(&["rol"]).refused(&["unrecognized subcommand"]);
    folder.run(&[]).refused(&["Usage: spillway-rollout"]);
}
