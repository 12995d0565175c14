//! Runs a built gateway and shows it, measures it or breaks it: the commands behind `cargo xtask demo`, `up`, `bench` and `chaos`.
//!
//! Tests of the gateway's program use [`gateway`] and [`chaos`] too. Dev-dependency only.

mod bench;
pub mod chaos;
mod demo;
pub mod gateway;
mod payloads;
mod report;
mod up;

use std::path::PathBuf;
use std::process::ExitCode;

use clap::{Parser, Subcommand};

/// Runs a built gateway: shows it, measures it, breaks it
#[derive(Debug, Parser)]
#[command(name = "cargo xtask", disable_version_flag = true)]
struct Arguments {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Sends real signed GitHub webhooks through a gateway and checks that each arrives once
    Demo(demo::DemoArgs),
    /// Leaves a gateway running to try it out
    Up(up::UpArgs),
    /// Measures against a reference in the same run
    Bench(bench::BenchArgs),
    /// Breaks things under load and checks that no acknowledged event is lost
    Chaos(chaos::ChaosArgs),
}

/// What every command needs.
#[derive(Debug, clap::Args)]
struct Common {
    /// The gateway's program
    #[arg(long, value_name = "FILE", hide = true)]
    gateway: PathBuf,
}

/// Why a command could not be carried out.
pub type Failure = Box<dyn std::error::Error + Send + Sync>;

/// Reads the command line and carries it out. The exit code is 1 when an expectation was not met.
#[must_use]
pub fn main() -> ExitCode {
    let result = match Arguments::parse().command {
        Command::Demo(arguments) => demo::run(&arguments),
        Command::Up(arguments) => up::run(&arguments),
        Command::Bench(arguments) => bench::run(&arguments),
        Command::Chaos(arguments) => chaos::command(&arguments),
    };
    match result {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(error) => {
            eprintln!("error: {error}");
            ExitCode::FAILURE
        }
    }
}
