//! What drives the browser in the tests of the console: npm packages, in the versions of the lock file, below `target`.

use std::fs;
use std::path::{Path, PathBuf};

use xshell::{Shell, cmd};

use crate::failure::{Failure, Result};

const SUITE: &str = "crates/console/tests/browser";
const FILES: [&str; 2] = ["package.json", "package-lock.json"];

/// Where the packages are, if they are those of the lock file. The lock file is copied last, so that a broken installation is none.
pub(super) fn find(_: &Shell) -> Option<String> {
    let (suite, target) = (root().join(SUITE), root().join("target/browser"));
    let same = |file: &str| Some(fs::read(suite.join(file)).ok()? == fs::read(target.join(file)).ok()?);
    let is_whole = FILES.iter().all(|file| same(file).unwrap_or_default());
    (is_whole && target.join("node_modules").is_dir()).then(|| target.display().to_string())
}

/// Installs them, as the lock file says and no other way.
pub(super) fn install(sh: &Shell) -> Result<()> {
    let (suite, target) = (root().join(SUITE), root().join("target/browser"));
    let build = target.join("new");
    sh.remove_path(&target)?;
    sh.create_dir(&build)?;
    for file in FILES {
        sh.copy_file(suite.join(file), build.join(file))?;
    }
    println!("the packages of the browser tests are missing, installing them");
    let by_hand = format!("cargo xtask setup, or: npm ci --prefix {}", build.display());
    cmd!(sh, "npm ci --prefix {build} --ignore-scripts --no-fund --no-audit --loglevel=error").run().map_err(
        |error| Failure::new(format!("the packages of the browser tests cannot be installed: {error}; run {by_hand}")),
    )?;
    fs::rename(build.join("node_modules"), target.join("node_modules"))?;
    for file in FILES {
        sh.copy_file(suite.join(file), target.join(file))?;
    }
    sh.remove_path(&build)?;
    Ok(())
}

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().map_or_else(PathBuf::new, Path::to_path_buf)
}
