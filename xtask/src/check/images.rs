//! What is said about the images and the compose file holds: linters, and the rules that no linter knows.

mod compose;
mod dockerfile;
mod names;

use serde_json::Value;
use xshell::{Shell, cmd};

use super::linter;
use crate::failure::{Failure, Result};
use crate::setup::{self, PYTHON, PYTHON_TOOLS, python_tool};

const DOCKERFILE: &str = "infra/docker/Dockerfile";
const COMPOSE: &str = "infra/compose/docker-compose.yml";

/// hadolint, shellcheck, Compose's own reading of the file, pinned bases, each service's rules, and names that files have of each other's services.
pub(super) fn check(sh: &Shell) -> Result<()> {
    setup::ensure(sh, &[&PYTHON, &PYTHON_TOOLS])?;
    let (hadolint, dockerfiles) = (python_tool("hadolint"), tracked(sh, "*Dockerfile")?);
    let (shellcheck, scripts) = (python_tool("shellcheck"), tracked(sh, "*.sh")?);
    let linted = [
        linter::run("hadolint", cmd!(sh, "{hadolint} --no-color {dockerfiles...}")),
        linter::run("shellcheck", cmd!(sh, "{shellcheck} {scripts...}")),
    ];
    let mut violations = dockerfile::violations(&sh.read_file(DOCKERFILE)?);
    let stack = read_compose(sh)?;
    violations.extend(compose::violations(&stack));
    for (file, before) in names::FILES {
        violations.extend(names::unknown_hosts(file, &sh.read_file(file)?, before, &stack));
    }
    violations.extend(names::unmounted_dashboards(&sh.read_file(names::PROVIDER)?, &stack));
    for violation in &violations {
        eprintln!("{violation}");
    }
    match violations.len() {
        0 => linted.into_iter().collect(),
        n => Err(Failure::new(format!("{n} things are wrong with the images or the stack"))),
    }
}

/// Files of the repository, also those that are not committed yet.
fn tracked(sh: &Shell, pattern: &str) -> Result<Vec<String>> {
    let files = cmd!(sh, "git ls-files --cached --others --exclude-standard -- {pattern}").quiet().read()?;
    let files: Vec<_> = files.lines().filter(|file| sh.path_exists(file)).map(str::to_owned).collect();
    if files.is_empty() {
        return Err(Failure::new(format!("no file of the repository is called {pattern}")));
    }
    Ok(files)
}

/// The compose file as Compose reads it, with its variables as they are written.
fn read_compose(sh: &Shell) -> Result<Value> {
    let compose = python_tool("docker-compose");
    // With variables filled in, so that an impossible value is found too.
    cmd!(sh, "{compose} --file {COMPOSE} config --quiet").quiet().run()?;
    let json = cmd!(sh, "{compose} --file {COMPOSE} config --no-interpolate --format json").quiet().read()?;
    serde_json::from_str(&json).map_err(|error| Failure::new(format!("what Compose printed cannot be read: {error}")))
}
