//! `cargo xtask demo`, `up`, `bench`, `chaos` and `load`: build the release binaries and hand over to `spillway-devtools`, which may use the
//! workspace's crates; xtask may not, so that it compiles in seconds.

use std::ffi::OsString;
use std::os::unix::process::CommandExt;
use std::process::Command;

use xshell::{Shell, cmd};

use crate::failure::{Failure, Result};
use crate::metadata::Metadata;
use crate::setup::{self, FAKETIME, NGINX, OHA, POSTGRES, REDIS, WRK};

/// Shows the gateway at work: signed GitHub webhooks in, each delivered once
///
/// Builds the gateway (release), starts it on the embedded default and a small receiver, sends real signed payloads, waits until the
/// receiver has each exactly once with the right bytes and a valid signature, and prints latencies. Seconds after the build; data goes to a
/// temporary directory. Exits 1 when an expectation fails.
#[derive(Debug, clap::Args)]
pub(crate) struct DemoArgs {
    /// Arguments for the demo; `-- --help` lists them
    #[arg(trailing_var_arg = true, allow_hyphen_values = true, value_name = "ARGS")]
    args: Vec<OsString>,
}

/// Starts the gateway and a receiver and leaves them running
///
/// Builds the gateway (release), starts it with a source `github`, and prints URLs, the admin key and three curl lines to try. Stop it with
/// Ctrl-C.
#[derive(Debug, clap::Args)]
pub(crate) struct UpArgs {
    /// Arguments for `up`; `-- --help` lists them
    #[arg(trailing_var_arg = true, allow_hyphen_values = true, value_name = "ARGS")]
    args: Vec<OsString>,
}

/// Measures against a reference in the same run, and writes target/bench/NAME.json
///
/// Builds everything in release, then prints median and spread of at least three rounds beside the reference (`--quick`: of one). Minutes, on
/// a machine that does nothing else. `-- --help` lists the names.
#[derive(Debug, clap::Args)]
pub(crate) struct BenchArgs {
    /// Name of the benchmark and its arguments
    #[arg(trailing_var_arg = true, allow_hyphen_values = true, value_name = "NAME ARGS")]
    args: Vec<OsString>,
}

/// Breaks things under load and proves that no acknowledged event is lost
///
/// Kills and restarts the gateway, Redis and PostgreSQL, fills a disk, steps a clock and misbehaves as a destination: 60 s on the embedded
/// engine, then 60 s on several nodes with PostgreSQL and Redis; the seed is printed. Afterwards every acknowledged event was delivered or is
/// pending. Exits 1 when one is lost, or when a fault could not be had here (the full disk takes root).
#[derive(Debug, clap::Args)]
pub(crate) struct ChaosArgs {
    /// Arguments for the run; `-- --help` lists them
    #[arg(trailing_var_arg = true, allow_hyphen_values = true, value_name = "ARGS")]
    args: Vec<OsString>,
}

/// Lets a new version of the gateway out on one host under load; a bad one is taken back
///
/// Builds the gateway, the rollout controller and the load generator (release), puts nginx in front of two slots and PostgreSQL behind them, and rolls
/// out a `good` version or one that answers `errors`, is `slow`, `crash`es or `leak`s. Under three minutes each. Exits 1 when the good version does not become
/// live, a bad one is not taken back, an acknowledged webhook is lost, or clients feel more than the candidate's share.
#[derive(Debug, clap::Args)]
pub(crate) struct RolloutDemoArgs {
    /// Arguments for the demo, first of all the version; `-- --help` lists them
    #[arg(trailing_var_arg = true, allow_hyphen_values = true, value_name = "VERSION ARGS")]
    args: Vec<OsString>,
}

pub(crate) fn demo(sh: &Shell, DemoArgs { args }: DemoArgs) -> Result<()> {
    hand_over(sh, Program::DevtoolsAndGateway, "demo", &args)
}

pub(crate) fn up(sh: &Shell, UpArgs { args }: UpArgs) -> Result<()> {
    hand_over(sh, Program::DevtoolsAndGateway, "up", &args)
}

pub(crate) fn bench(sh: &Shell, BenchArgs { args }: BenchArgs) -> Result<()> {
    setup::ensure(sh, &[&POSTGRES, &REDIS])?;
    if args.iter().any(|argument| argument == "loadgen") {
        setup::ensure(sh, &[&WRK, &OHA])?;
        cmd!(sh, "cargo build --release --package spillway-loadgen-cli --bin spillway-loadgen").run()?;
        cmd!(sh, "cargo build --release --package spillway-loadgen --example bare_server --example bench_goose")
            .run()?;
    }
    hand_over(sh, Program::DevtoolsAndGateway, "bench", &args)
}

pub(crate) fn chaos(sh: &Shell, ChaosArgs { args }: ChaosArgs) -> Result<()> {
    setup::ensure(sh, &[&POSTGRES, &REDIS, &FAKETIME])?;
    hand_over(sh, Program::DevtoolsAndGateway, "chaos", &args)
}

pub(crate) fn rollout_demo(sh: &Shell, RolloutDemoArgs { args }: RolloutDemoArgs) -> Result<()> {
    setup::ensure(sh, &[&POSTGRES, &NGINX])?;
    cmd!(sh, "cargo build --release --package spillway-loadgen-cli --bin spillway-loadgen").run()?;
    cmd!(sh, "cargo build --release --package spillway-rollout-controller --bin spillway-rollout").run()?;
    let release = Metadata::target_directory(sh)?.join("release");
    let mut arguments: Vec<OsString> = vec!["--rollout".into(), release.join("spillway-rollout").into()];
    arguments.extend(["--loadgen".into(), release.join("spillway-loadgen").into()]);
    arguments.extend(args);
    hand_over(sh, Program::DevtoolsAndGateway, "rollout-demo", &arguments)
}

/// What a command of `spillway-devtools` runs with.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) enum Program {
    /// Alone.
    Devtools,
    /// The gateway is built too, and its place handed over as `--gateway`.
    DevtoolsAndGateway,
}

/// Becomes `spillway-devtools COMMAND`, so that signals and the exit code are its own. Returns only when that fails.
pub(crate) fn hand_over(sh: &Shell, program: Program, command: &str, args: &[OsString]) -> Result<()> {
    let with_gateway = program == Program::DevtoolsAndGateway;
    // Built one after the other: built together, features that only the tools want would end up in the gateway that is measured.
    if with_gateway {
        cmd!(sh, "cargo build --release --package spillway-gateway --bin spillway").run()?;
    }
    cmd!(sh, "cargo build --release --package spillway-devtools --bin spillway-devtools").run()?;
    let release = Metadata::target_directory(sh)?.join("release");
    let mut devtools = Command::new(release.join("spillway-devtools"));
    devtools.current_dir(sh.current_dir()).arg(command);
    if with_gateway {
        devtools.arg("--gateway").arg(release.join("spillway"));
    }
    let error = devtools.args(args).exec();
    Err(Failure::new(format!("cannot run {}: {error}", devtools.get_program().display())))
}
