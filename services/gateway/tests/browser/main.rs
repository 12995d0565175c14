//! The console in a real browser: every page and every form of a gateway that has something to show.
//!
//! The browser is driven by `crates/console/tests/browser/suite.mjs`. What it needs is installed by `cargo xtask setup`; a part that is
//! missing is an error that names the command.

mod gateway;
mod parts;

use std::path::Path;
use std::process::Stdio;
use std::time::Duration;

use tokio::process::Command;

use gateway::Shown;
use parts::Parts;

/// For the whole suite.
const PATIENCE: Duration = Duration::from_secs(170);

fn workspace() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().and_then(Path::parent).expect("the workspace")
}

/// Runs one part of the suite against a gateway of its own.
async fn run(suite: &str) {
    let parts = Parts::find();
    let shown = Shown::start().await;
    let script = workspace().join("crates/console/tests/browser/suite.mjs");
    let mut command = Command::new("node");
    command
        .arg(script)
        .arg(suite)
        .env("SPILLWAY_BROWSER_MODULES", &parts.modules)
        .env("SPILLWAY_BROWSER_PROGRAM", &parts.chromium)
        .env("SPILLWAY_BROWSER_SCREENSHOTS", workspace().join("target/screenshots"))
        .env("SPILLWAY_BROWSER_GATEWAY", shown.describe().to_string())
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .kill_on_drop(true);
    let output = tokio::time::timeout(PATIENCE, command.output()).await.expect("the browser suite ends in time");
    let output = output.expect("node runs");
    let said = format!("{}{}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    println!("{said}");
    assert!(output.status.success(), "the browser suite {suite:?} failed:\n{said}\n{}", shown.log_tail());
}

#[tokio::test]
async fn every_page_is_whole_on_a_desk_in_both_themes_without_violations() {
    run("wide").await;
}

#[tokio::test]
async fn every_page_is_whole_on_a_phone_in_both_themes_without_violations() {
    run("phone").await;
}

#[tokio::test]
async fn an_empty_gateway_teaches() {
    run("empty").await;
}

#[tokio::test]
async fn every_form_does_what_it_says() {
    run("forms").await;
}

#[tokio::test]
async fn no_field_runs_script_and_no_form_is_posted_from_elsewhere() {
    run("security").await;
}

#[tokio::test]
async fn keyboard_live_rows_and_no_script() {
    run("use").await;
}
