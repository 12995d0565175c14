//! `cargo xtask`: builds, tests, runs and measures Spillway. This file is the table of contents; each command has a module.

mod check;
mod devtools;
mod dist;
mod doctor;
mod failure;
mod fuzz;
mod images;
mod load;
mod manifests;
mod metadata;
#[cfg(test)]
mod runbooks;
mod setup;
mod slo;
mod stack;
mod test;

use std::os::unix::process::CommandExt as _;
use std::path::Path;
use std::process::{self, ExitCode};

use clap::Parser;
use xshell::Shell;

use failure::{Failure, Result};

/// Builds, tests, runs and measures Spillway.
#[derive(Debug, Parser)]
#[command(name = "cargo xtask", bin_name = "cargo xtask", arg_required_else_help = true)]
#[command(after_help = "New here? `cargo xtask demo` shows the gateway at work, `cargo xtask test` proves it.\n\
    Before a push: `cargo xtask check && cargo xtask test`, which is all that CI does.")]
enum Command {
    Demo(devtools::DemoArgs),
    Up(devtools::UpArgs),
    Load(load::LoadArgs),
    Smoke(load::SmokeArgs),
    Setup(setup::Args),
    Test(test::Args),
    Check(check::Args),
    Bench(devtools::BenchArgs),
    Chaos(devtools::ChaosArgs),
    RolloutDemo(devtools::RolloutDemoArgs),
    Fuzz(fuzz::Args),
    Dist(dist::Args),
    Images(images::Args),
    Slo(slo::Args),
    Doctor(doctor::Args),
    Stack(stack::Args),
    Manifests(manifests::Args),
}

fn main() -> ExitCode {
    match without_own_package().and_then(|()| run(Command::parse())) {
        Ok(()) => ExitCode::SUCCESS,
        Err(failure) => {
            eprintln!("error: {failure}");
            ExitCode::FAILURE
        }
    }
}

/// Starts this program once more without what `cargo run` tells it about its package, and returns only when there is nothing of it.
///
/// Each cargo started from here would pass it on, and build scripts that watch such variables (ring's does) would run again, with all that is
/// built upon them, whenever `cargo xtask` follows a plain `cargo` and the other way round.
fn without_own_package() -> Result<()> {
    let is_told = |name: &str| name.starts_with("CARGO_PKG_") || name.starts_with("CARGO_MANIFEST_");
    let told: Vec<_> =
        std::env::vars_os().map(|(name, _)| name).filter(|name| name.to_str().is_some_and(is_told)).collect();
    if told.is_empty() {
        return Ok(());
    }
    let mut again = process::Command::new(std::env::current_exe()?);
    again.args(std::env::args_os().skip(1));
    for name in told {
        again.env_remove(name);
    }
    let error = again.exec();
    Err(Failure::new(format!("cannot run {} again: {error}", again.get_program().display())))
}

fn run(command: Command) -> Result<()> {
    let sh = Shell::new()?;
    sh.change_dir(Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap_or(Path::new(".")));
    match command {
        Command::Demo(args) => devtools::demo(&sh, args),
        Command::Up(args) => devtools::up(&sh, args),
        Command::Load(args) => load::load(&sh, args),
        Command::Smoke(args) => load::smoke(&sh, args),
        Command::Setup(args) => setup::run(&sh, args),
        Command::Test(args) => test::run(&sh, args),
        Command::Check(args) => check::run(&sh, args),
        Command::Bench(args) => devtools::bench(&sh, args),
        Command::Chaos(args) => devtools::chaos(&sh, args),
        Command::RolloutDemo(args) => devtools::rollout_demo(&sh, args),
        Command::Fuzz(args) => fuzz::run(&sh, args),
        Command::Dist(args) => dist::run(&sh, args),
        Command::Images(args) => images::run(&sh, args),
        Command::Slo(args) => slo::run(&sh, args),
        Command::Doctor(args) => doctor::run(&sh, args),
        Command::Stack(args) => stack::run(&sh, args),
        Command::Manifests(args) => manifests::run(&sh, args),
    }
}
