//! `cargo xtask doctor`: builds the gateway and has it look at an installation.

use std::ffi::OsString;
use std::os::unix::process::CommandExt;
use std::process::Command;

use xshell::{Shell, cmd};

use crate::failure::{Failure, Result};
use crate::metadata::Metadata;

/// Looks at database, Redis, gateway and machine, and says what to do
///
/// Builds the gateway (release) and runs `spillway doctor` with the settings of the working directory. It only reads, and ends within 20 s
/// after the build. Exits 0 when all is well, 1 with something to look at, 2 with something to act on, 3 when something is not known.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// Arguments for the doctor; `-- --help` lists them
    #[arg(trailing_var_arg = true, allow_hyphen_values = true, value_name = "ARGS")]
    args: Vec<OsString>,
}

/// Becomes `spillway doctor`, so that the exit code is its own. Returns only when that fails.
pub(crate) fn run(sh: &Shell, Args { args }: Args) -> Result<()> {
    cmd!(sh, "cargo build --release --package spillway-gateway --bin spillway").run()?;
    let program = Metadata::target_directory(sh)?.join("release/spillway");
    let mut doctor = Command::new(program);
    let error = doctor.arg("doctor").args(args).exec();
    Err(Failure::new(format!("cannot run {}: {error}", doctor.get_program().display())))
}
