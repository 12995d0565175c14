//! What the documents show is what the program takes.

use std::collections::BTreeSet;
use std::path::Path;

use crate::support::{Folder, finish};

fn shipped() -> std::path::PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../infra/load")
}

fn check(folder: &Folder, file: &str) {
    let mut command = folder.command(&["check", file, "--target", "http://127.0.0.1:1", "--scale", "0.1"]);
    let ended = finish(command.env("SPILLWAY_LOAD_SECRET", "a secret"));
    assert_eq!(ended.code, Some(0), "{file}: {ended:#?}");
    assert_eq!(ended.stderr, "", "{file} gives warnings");
}

#[test]
fn every_shipped_load_test_is_valid_and_has_a_page() {
    let readme = std::fs::read_to_string(shipped().join("README.md")).expect("the pages");
    let mut names = BTreeSet::new();
    for entry in std::fs::read_dir(shipped()).expect("the folder") {
        let path = entry.expect("an entry").path();
        if path.extension().is_some_and(|ending| ending == "toml") {
            let name = path.file_stem().unwrap_or_default().to_string_lossy().into_owned();
            check(&Folder::with(&[]), &path.to_string_lossy());
            assert!(readme.contains(&format!("\n## {name}\n")), "{name} has no page in infra/load/README.md");
            names.insert(name);
        }
    }
    let wanted = "ai baseline mobile peak progressive smoke spike spike-15000 sustained users-100 websocket";
    assert_eq!(names.iter().map(String::as_str).collect::<Vec<_>>().join(" "), wanted);
}

#[test]
fn the_example_of_the_file_is_valid() {
    let readme = std::fs::read_to_string(shipped().join("README.md")).expect("the pages");
    let examples: Vec<&str> = readme.split("```toml\n").skip(1).filter_map(|rest| rest.split("```").next()).collect();
    assert_eq!(examples.len(), 1);
    check(&Folder::with(&[("load.toml", examples[0])]), "load.toml");
}

#[test]
fn every_command_that_documents_name_exists() {
    let help = Folder::with(&[]).run(&["--help"]).stdout;
    let known: BTreeSet<&str> =
        help.lines().filter_map(|line| line.strip_prefix("  ")?.split_whitespace().next()).collect();
    let mut n_commands = 0;
    for document in ["README.md", "infra/load/README.md", "ARCHITECTURE.md"] {
        let text = std::fs::read_to_string(shipped().join("../..").join(document)).expect(document);
        for begin in ["`spillway-loadgen ", "\nspillway-loadgen "] {
            for rest in text.split(begin).skip(1) {
                let name: String = rest.chars().take_while(|c| c.is_ascii_lowercase() || c.is_ascii_digit()).collect();
                assert!(known.contains(name.as_str()), "{document} names spillway-loadgen {name}");
                n_commands += 1;
            }
        }
    }
    assert!(n_commands >= 10, "only {n_commands} commands were found");
}
