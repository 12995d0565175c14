//! Programs that checks run and that no package of Debian has: from the registries of Python and npm, in fixed versions, below `target/tools`.

use std::fs;
use std::path::{Path, PathBuf};

use xshell::{Shell, cmd};

use crate::failure::{Failure, Result};

const LISTS: &str = "xtask/tools";
const REQUIREMENTS: &str = "requirements.txt";
const PACKAGES: [&str; 2] = ["package.json", "package-lock.json"];

/// A program of `requirements.txt`.
pub(crate) fn python_tool(name: &str) -> PathBuf {
    python().join("bin").join(name)
}

/// The folder that `node_modules` of `package.json` is in.
pub(crate) fn npm_folder() -> PathBuf {
    root().join("target/tools/npm")
}

/// Where Python's programs are, if they are those of the list. The list is copied last, so that a broken installation is none.
pub(super) fn find_python(_: &Shell) -> Option<String> {
    is_same(&root().join(LISTS), &python(), REQUIREMENTS).then(|| python().display().to_string())
}

pub(super) fn install_python(sh: &Shell) -> Result<()> {
    let (list, folder) = (root().join(LISTS).join(REQUIREMENTS), python());
    sh.remove_path(&folder)?;
    println!("the tools of {LISTS}/{REQUIREMENTS} are missing, installing them");
    let failed = |error: xshell::Error| {
        Failure::new(format!(
            "the tools of {LISTS}/{REQUIREMENTS} cannot be installed: {error}; they need Python 3.9 or newer with venv (Debian: python3-venv) \
             and its registry; then run `cargo xtask setup`"
        ))
    };
    cmd!(sh, "python3 -m venv {folder}").quiet().run().map_err(failed)?;
    let pip = python_tool("pip");
    cmd!(sh, "{pip} install --quiet --disable-pip-version-check --no-deps --only-binary=:all: --requirement {list}")
        .run()
        .map_err(failed)?;
    sh.copy_file(&list, folder.join(REQUIREMENTS))?;
    Ok(())
}

/// The same for npm.
pub(super) fn find_npm(_: &Shell) -> Option<String> {
    let is_whole = PACKAGES.iter().all(|file| is_same(&root().join(LISTS), &npm_folder(), file));
    is_whole.then(|| npm_folder().display().to_string())
}

pub(super) fn install_npm(sh: &Shell) -> Result<()> {
    let (lists, folder) = (root().join(LISTS), npm_folder());
    let build = folder.with_extension("new");
    for path in [&folder, &build] {
        sh.remove_path(path)?;
    }
    sh.create_dir(&build)?;
    for file in PACKAGES {
        sh.copy_file(lists.join(file), build.join(file))?;
    }
    println!("the packages of {LISTS}/package.json are missing, installing them");
    cmd!(sh, "npm ci --prefix {build} --ignore-scripts --no-fund --no-audit --loglevel=error").run().map_err(
        |error| {
            Failure::new(format!(
                "the packages of {LISTS}/package.json cannot be installed: {error}; run `cargo xtask setup` again"
            ))
        },
    )?;
    Ok(fs::rename(build, folder)?)
}

fn is_same(wanted: &Path, installed: &Path, file: &str) -> bool {
    let same = || Some(fs::read(wanted.join(file)).ok()? == fs::read(installed.join(file)).ok()?);
    same().unwrap_or_default()
}

fn python() -> PathBuf {
    root().join("target/tools/python")
}

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().map_or_else(PathBuf::new, Path::to_path_buf)
}
