//! `cargo xtask demo`, `up`, `bench` and `chaos`: build the release binaries and hand over to `spillway-devtools`, which may use the
//! workspace's crates; xtask may not, so that it compiles in seconds.

use std::os::unix::process::CommandExt;
use std::process::Command;

use xshell::{Shell, cmd};

use crate::failure::{Failure, Result};
use crate::metadata::Metadata;
use crate::setup::{self, FAKETIME, POSTGRES, REDIS};

/// Shows the gateway at work: signed GitHub webhooks in, each delivered once
///
/// Builds the gateway (release), starts it on the embedded default and a small receiver, sends real signed payloads, waits until the
/// receiver has each exactly once with the right bytes and a valid signature, and prints latencies. Seconds after the build; data goes to a
/// temporary directory. Exits 1 when an expectation fails.
#[derive(Debug, clap::Args)]
pub(crate) struct DemoArgs {
    /// Arguments for the demo; `-- --help` lists them
    #[arg(trailing_var_arg = true, allow_hyphen_values = true, value_name = "ARGS")]
    args: Vec<String>,
}

/// Starts the gateway and a receiver and leaves them running
///
/// Builds the gateway (release), starts it with a source `github`, and prints URLs, the admin key and three curl lines to try. Stop it with
/// Ctrl-C.
#[derive(Debug, clap::Args)]
pub(crate) struct UpArgs {
    /// Arguments for `up`; `-- --help` lists them
    #[arg(trailing_var_arg = true, allow_hyphen_values = true, value_name = "ARGS")]
    args: Vec<String>,
}

/// Measures against a reference in the same run, and writes target/bench/NAME.json
///
/// Builds everything in release, then prints median and spread of at least three rounds beside the reference. Minutes, on a machine that
/// does nothing else. `-- --help` lists the names.
#[derive(Debug, clap::Args)]
pub(crate) struct BenchArgs {
    /// Name of the benchmark and its arguments
    #[arg(trailing_var_arg = true, allow_hyphen_values = true, value_name = "NAME ARGS")]
    args: Vec<String>,
}

/// Breaks things under load and proves that no acknowledged event is lost
///
/// Kills and restarts the gateway, Redis and PostgreSQL, fills a disk, steps a clock and misbehaves as a destination, 60 s by default; the
/// seed is printed. Afterwards every acknowledged event was delivered or is pending. Exits 1 when one is lost.
#[derive(Debug, clap::Args)]
pub(crate) struct ChaosArgs {
    /// Arguments for the run; `-- --help` lists them
    #[arg(trailing_var_arg = true, allow_hyphen_values = true, value_name = "ARGS")]
    args: Vec<String>,
}

pub(crate) fn demo(sh: &Shell, DemoArgs { args }: DemoArgs) -> Result<()> {
    hand_over(sh, "demo", &args)
}

pub(crate) fn up(sh: &Shell, UpArgs { args }: UpArgs) -> Result<()> {
    hand_over(sh, "up", &args)
}

pub(crate) fn bench(sh: &Shell, BenchArgs { args }: BenchArgs) -> Result<()> {
    setup::ensure(sh, &[&POSTGRES, &REDIS])?;
    hand_over(sh, "bench", &args)
}

pub(crate) fn chaos(sh: &Shell, ChaosArgs { args }: ChaosArgs) -> Result<()> {
    setup::ensure(sh, &[&POSTGRES, &REDIS, &FAKETIME])?;
    hand_over(sh, "chaos", &args)
}

/// Becomes `spillway-devtools COMMAND`, so that signals and the exit code are its own. Returns only when that fails.
fn hand_over(sh: &Shell, command: &str, args: &[String]) -> Result<()> {
    // Built one after the other: built together, features that only the tools want would end up in the gateway that is measured.
    cmd!(sh, "cargo build --release --package spillway-gateway --bin spillway").run()?;
    cmd!(sh, "cargo build --release --package spillway-devtools --bin spillway-devtools").run()?;
    let release = Metadata::target_directory(sh)?.join("release");
    let mut devtools = Command::new(release.join("spillway-devtools"));
    devtools.current_dir(sh.current_dir()).arg(command).arg("--gateway").arg(release.join("spillway")).args(args);
    let error = devtools.exec();
    Err(Failure::new(format!("cannot run {}: {error}", devtools.get_program().display())))
}
