//! The commands that the runbooks tell people to type are commands of this program.

use std::path::Path;

use clap::CommandFactory;
use spillway_monitoring::runbooks::code::{Typed, commands, refused};

use crate::Command;

fn wrong(typed: &[Typed]) -> Vec<String> {
    refused(typed, |words| match Command::command().try_get_matches_from(words) {
        Err(error) if error.use_stderr() => Err(error.to_string()),
        _ => Ok(()),
    })
}

#[test]
fn every_command_in_the_runbooks_exists_with_its_options() {
    let pages = Path::new(env!("CARGO_MANIFEST_DIR")).join("../runbooks");
    let typed = commands(&pages, "cargo xtask").expect("the pages");
    assert!(typed.len() >= 5, "only {} commands are found", typed.len());
    let wrong = wrong(&typed);
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn a_command_that_does_not_exist_is_told_with_its_line() {
    let folder = tempfile::tempdir().expect("a folder");
    let page = "# Page\n\n```sh\ncargo xtask --help\ncargo xtask nothing --at-all\n```\n";
    std::fs::write(folder.path().join("page.md"), page).expect("a page");
    let wrong = wrong(&commands(folder.path(), "cargo xtask").expect("the page"));
    assert!(wrong.len() == 1 && wrong[0].contains("page.md:5: cargo xtask nothing --at-all: error:"), "{wrong:?}");
}
