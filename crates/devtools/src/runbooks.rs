//! What stands behind `cargo xtask bench` and the others in the runbooks is what they take.

use std::path::Path;

use clap::CommandFactory;
use spillway_monitoring::runbooks::code::{Typed, commands, refused};

use super::Arguments;

/// As `cargo xtask` hands it over: with the program that it has built, where the command needs one. What other tools carry out is not ours; a load
/// test's arguments are put together from what `cargo xtask load` was given.
fn wrong(typed: &[Typed]) -> Vec<String> {
    refused(typed, |words| {
        let mut command = Arguments::command();
        let Some(name) = words.get(1).filter(|name| *name != "load") else { return Ok(()) };
        let Some(sub) = command.find_subcommand(name) else { return Ok(()) };
        let needs_gateway = sub.get_arguments().any(|argument| argument.get_id() == "gateway");
        let gateway = ["--gateway".to_owned(), "spillway".to_owned()];
        let handed = words[..2].iter().chain(gateway.iter().filter(|_| needs_gateway)).chain(&words[2..]);
        match command.try_get_matches_from_mut(handed) {
            Err(error) if error.use_stderr() => Err(error.to_string()),
            _ => Ok(()),
        }
    })
}

#[test]
fn every_command_in_the_runbooks_exists_with_its_options() {
    let pages = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../runbooks");
    let typed = commands(&pages, "cargo xtask").expect("the pages");
    assert!(typed.iter().any(|typed| typed.words[1] == "bench"), "no measurement is found: {typed:?}");
    let wrong = wrong(&typed);
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn a_measurement_that_does_not_exist_is_told_with_its_line() {
    let folder = tempfile::tempdir().expect("a folder");
    let page = "# Page\n\n```sh\ncargo xtask bench intake\ncargo xtask bench outtake\n```\n";
    std::fs::write(folder.path().join("page.md"), page).expect("a page");
    let wrong = wrong(&commands(folder.path(), "cargo xtask").expect("the page"));
    assert!(wrong.len() == 1 && wrong[0].contains("page.md:5: cargo xtask bench outtake: error:"), "{wrong:?}");
}
