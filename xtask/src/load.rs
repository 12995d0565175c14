//! `cargo xtask load` and `smoke`: the load tests of infra/load, against a target or a gateway of their own.

use std::ffi::OsString;

use xshell::{Shell, cmd};

use crate::devtools::{self, Program};
use crate::failure::{Failure, Result};
use crate::metadata::Metadata;

const FOLDER: &str = "infra/load";

/// Runs a load test of infra/load; without a name it lists them
///
/// Builds the load generator (release) and, when no target is given, the gateway too, which it starts with a source `github`, a receiver
/// and a temporary store. Writes target/load/NAME.html and NAME.json. The exit code is the load generator's: 0 passed, 99 thresholds
/// failed, 3 invalid because the generator was the bottleneck. A small machine wants `-- --scale 0.1 --time-scale 0.1`.
#[derive(Debug, clap::Args)]
pub(crate) struct LoadArgs {
    /// Name of the test; none lists them
    name: Option<String>,

    /// Base URL of what is tested, instead of a gateway of its own; SPILLWAY_LOAD_SECRET is the secret of its source `github`
    #[arg(long, value_name = "URL")]
    target: Option<String>,

    /// Arguments for `spillway-loadgen run`
    #[arg(last = true, value_name = "ARGS")]
    args: Vec<OsString>,
}

/// Runs the load test `smoke` against a gateway of its own: does it work at all?
///
/// The same as `load smoke`. Under 15 s once all is built.
#[derive(Debug, clap::Args)]
pub(crate) struct SmokeArgs {
    /// Arguments for `spillway-loadgen run`
    #[arg(last = true, value_name = "ARGS")]
    args: Vec<OsString>,
}

pub(crate) fn smoke(sh: &Shell, SmokeArgs { args }: SmokeArgs) -> Result<()> {
    load(sh, LoadArgs { name: Some("smoke".to_owned()), target: None, args })
}

pub(crate) fn load(sh: &Shell, LoadArgs { name, target, args }: LoadArgs) -> Result<()> {
    let tests = tests(sh)?;
    let Some(name) = name else {
        list(&tests);
        return Ok(());
    };
    if !tests.iter().any(|(known, _)| *known == name) {
        let names = tests.iter().map(|(name, _)| name.as_str()).collect::<Vec<_>>().join(", ");
        return Err(Failure::new(format!("{FOLDER} has no test {name:?}; it has {names}")));
    }
    let release = Metadata::target_directory(sh)?.join("release");
    cmd!(sh, "cargo build --release --package spillway-loadgen-cli --bin spillway-loadgen").run()?;
    let mut arguments = vec!["--loadgen".into(), release.join("spillway-loadgen").into()];
    let program = match target {
        Some(target) => {
            arguments.extend(["--target".into(), target.into()]);
            Program::Devtools
        }
        None => Program::DevtoolsAndGateway,
    };
    arguments.extend([name.into(), "--".into()]);
    arguments.extend(args);
    devtools::hand_over(sh, program, "load", &arguments)
}

/// Names, and what the first line of each file says.
fn tests(sh: &Shell) -> Result<Vec<(String, String)>> {
    let mut tests = Vec::new();
    for path in sh.read_dir(FOLDER)? {
        let Some(name) = path.file_name().and_then(|name| name.to_str()?.strip_suffix(".toml")) else { continue };
        let text = sh.read_file(&path)?;
        let first = text.lines().next().and_then(|line| line.strip_prefix('#')).unwrap_or_default();
        tests.push((name.to_owned(), first.trim().to_owned()));
    }
    tests.sort();
    Ok(tests)
}

fn list(tests: &[(String, String)]) {
    let width = tests.iter().map(|(name, _)| name.len()).max().unwrap_or_default();
    for (name, text) in tests {
        println!("{name:<width$}  {text}");
    }
    println!("\nRun one with `cargo xtask load NAME`; a small machine wants `-- --scale 0.1 --time-scale 0.1`.");
}
