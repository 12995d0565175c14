//! The parts of the machine that the suite runs with.

use std::fs;
use std::path::PathBuf;
use std::process::{Command, Stdio};

use super::workspace;

/// What is there; a part that is missing fails the test.
pub(crate) struct Parts {
    pub(crate) chromium: String,
    pub(crate) modules: PathBuf,
}

impl Parts {
    pub(crate) fn find() -> Self {
        assert!(runs("node"), "Node.js is missing: run `cargo xtask setup`");
        let programs = ["chromium", "chromium-browser", "google-chrome"];
        let chromium = programs.into_iter().find_map(place);
        let chromium = chromium.expect("Chromium is missing: run `cargo xtask setup`");
        let modules = workspace().join("target/browser");
        let suite = workspace().join("crates/console/tests/browser");
        let lock = |folder: &PathBuf| fs::read(folder.join("package-lock.json")).ok();
        assert!(
            modules.join("node_modules").is_dir() && lock(&modules) == lock(&suite),
            "the packages of the browser tests are missing or old: run `cargo xtask setup`"
        );
        Self { chromium, modules }
    }
}

fn runs(program: &str) -> bool {
    let mut command = Command::new(program);
    command.arg("--version").stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
    command.status().is_ok_and(|status| status.success())
}

/// Where a program is; playwright wants the whole path.
fn place(program: &str) -> Option<String> {
    let output = Command::new("which").arg(program).stderr(Stdio::null()).output().ok()?;
    let path = String::from_utf8(output.stdout).ok()?;
    Some(path.trim().to_owned()).filter(|path| !path.is_empty())
}
