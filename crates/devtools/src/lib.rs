//! Runs a built gateway and shows it, measures it or breaks it: the commands behind `cargo xtask demo`, `up`, `bench`, `chaos`,
//! `load` and `rollout-demo`.
//!
//! Tests of the gateway's program use [`gateway`] and [`chaos`] too. Dev-dependency only.

mod bench;
pub mod chaos;
mod demo;
pub mod gateway;
mod load;
mod manifests;
mod payloads;
mod report;
mod rollout;
#[cfg(test)]
mod runbooks;
mod stack;
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
    /// Runs a load test of infra/load
    Load(load::LoadArgs),
    /// Starts, ends and shows the whole stack
    Stack(stack::StackArgs),
    /// Renders, checks and applies what is deployed to Kubernetes
    Manifests(manifests::ManifestsArgs),
    /// Lets a new version of a gateway out under load, or takes it back
    RolloutDemo(rollout::RolloutDemoArgs),
    /// A good or bad version of a gateway, in a process of its own
    #[command(hide = true)]
    Candidate(rollout::CandidateArgs),
    /// What `bench` compares with, in a process of its own
    #[command(hide = true)]
    Reference(bench::ReferenceArgs),
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

/// Reads the command line and carries it out. The exit code is 1 when an expectation was not met; after a load test it is the load
/// generator's.
#[must_use]
pub fn main() -> ExitCode {
    let result = match Arguments::parse().command {
        Command::Demo(arguments) => demo::run(&arguments).map(code),
        Command::Up(arguments) => up::run(&arguments).map(code),
        Command::Bench(arguments) => bench::run(&arguments).map(code),
        Command::Chaos(arguments) => chaos::command(&arguments).map(code),
        Command::Load(arguments) => load::run(&arguments),
        Command::Stack(arguments) => stack::run(&arguments),
        Command::Manifests(arguments) => manifests::run(&arguments),
        Command::RolloutDemo(arguments) => rollout::run(&arguments).map(code),
        Command::Candidate(arguments) => rollout::candidate(&arguments).map(code),
        Command::Reference(arguments) => bench::reference(&arguments).map(code),
    };
    result.unwrap_or_else(|error| {
        eprintln!("error: {error}");
        ExitCode::FAILURE
    })
}

fn code(expectations_met: bool) -> ExitCode {
    if expectations_met { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}
