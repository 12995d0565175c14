//! `cargo xtask manifests`: what is deployed to Kubernetes. The work is done by `spillway-devtools`.

use std::ffi::OsString;
use std::os::unix::process::CommandExt as _;
use std::process::Command;

use xshell::{Shell, cmd};

use crate::failure::{Failure, Result};
use crate::metadata::Metadata;
use crate::setup::{self, PYTHON, PYTHON_TOOLS};

/// Manifests of infra/kubernetes and infra/istio: `render`, `validate`, `diff`, `apply`
///
/// `render` prints what kustomize makes of an overlay, and without one lists them. `validate` holds all of them to the schemas of a current Kubernetes
/// and to our own rules, and says what is wrong with file and line. `diff` and `apply` talk to the cluster of KUBECONFIG. `kubectl` and the schemas
/// are installed below target/tools when they are missing.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// Command and its arguments, such as `render --overlay staging`; `-- --help` lists them
    #[arg(trailing_var_arg = true, allow_hyphen_values = true, value_name = "COMMAND ARGS")]
    args: Vec<OsString>,
}

pub(crate) fn run(sh: &Shell, Args { args }: Args) -> Result<()> {
    // Becomes the program, so that the exit code is its own.
    let mut command = command(sh, args)?;
    let error = command.exec();
    Err(Failure::new(format!("cannot run {}: {error}", command.get_program().display())))
}

/// For `cargo xtask check`.
pub(crate) fn check(sh: &Shell) -> Result<()> {
    let status = command(sh, vec!["validate".into()])?.status()?;
    if status.success() { Ok(()) } else { Err(Failure::new("manifests are not valid: see above")) }
}

/// The built program, with everything that it needs.
fn command(sh: &Shell, args: Vec<OsString>) -> Result<Command> {
    setup::ensure(sh, &[&PYTHON, &PYTHON_TOOLS])?;
    let built = Metadata::target_directory(sh)?.join("debug");
    let has = |word: &str| args.iter().any(|argument| argument == word);
    cmd!(sh, "cargo build --quiet --package spillway-devtools --bin spillway-devtools").quiet().run()?;
    let mut command = Command::new(built.join("spillway-devtools"));
    command.current_dir(sh.current_dir()).arg("manifests").args(&args);
    if has("validate") && !has("--help") {
        cmd!(sh, "cargo build --quiet --package spillway-gateway --bin spillway").quiet().run()?;
        command.arg("--gateway").arg(built.join("spillway"));
    }
    Ok(command)
}
