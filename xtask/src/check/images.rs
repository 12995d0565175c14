//! What is said about the images and the compose file holds: linters, and the rules that no linter knows.

mod compose;
mod dockerfile;

use serde_json::Value;
use xshell::{Shell, cmd};

use crate::failure::{Failure, Result};
use crate::setup::{self, PYTHON, PYTHON_TOOLS, python_tool};

const DOCKERFILE: &str = "infra/docker/Dockerfile";
const COMPOSE: &str = "infra/compose/docker-compose.yml";

/// hadolint, shellcheck, Compose's own reading of the file, pinned bases, and each service's rules.
pub(super) fn check(sh: &Shell) -> Result<()> {
    setup::ensure(sh, &[&PYTHON, &PYTHON_TOOLS])?;
    let hadolint = python_tool("hadolint");
    let dockerfiles = tracked(sh, "*Dockerfile")?;
    cmd!(sh, "{hadolint} {dockerfiles...}").quiet().run()?;
    let (shellcheck, scripts) = (python_tool("shellcheck"), tracked(sh, "*.sh")?);
    cmd!(sh, "{shellcheck} {scripts...}").quiet().run()?;

    let mut violations = dockerfile::violations(&sh.read_file(DOCKERFILE)?);
    violations.extend(compose::violations(&read_compose(sh)?));
    for violation in &violations {
        eprintln!("{violation}");
    }
    match violations.len() {
        0 => Ok(()),
        n => Err(Failure::new(format!("{n} things are wrong with {DOCKERFILE} and {COMPOSE}"))),
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
