//! `cargo xtask bench`: measurements, each with its reference in the same run.

mod backlog;
mod client;
mod end_to_end;
mod engine;
mod intake;
mod isolation;
mod process;
mod servers;
mod setup;
mod signature;
mod table;

use clap::{Subcommand, ValueEnum};

use crate::{Common, Failure};

#[derive(Debug, clap::Args)]
pub(crate) struct BenchArgs {
    #[command(flatten)]
    common: Common,
    /// Rounds of each measurement; the median is reported, with the smallest and the largest
    #[arg(long, default_value_t = 3, global = true)]
    rounds: usize,
    /// Seconds of each round
    #[arg(long, default_value_t = 10, global = true)]
    seconds: u64,
    /// Connections of the load generator
    #[arg(long, default_value_t = 64, global = true)]
    connections: usize,
    /// Only this engine
    #[arg(long, global = true)]
    engine: Option<Engine>,
    /// Further setting of the PostgreSQL server, as NAME=VALUE
    #[arg(long, global = true, value_name = "SETTING")]
    postgres: Vec<String>,
    /// Print JSON instead of a table; target/bench/NAME.json is written in any case
    #[arg(long, global = true)]
    json: bool,
    #[command(subcommand)]
    what: What,
}

#[derive(Debug, Clone, Copy, Subcommand)]
enum What {
    /// Durable acknowledgements per second, closed loop, against a bare server and against the engine alone
    Intake {
        /// Give each request an idempotency key, as GitHub does
        #[arg(long)]
        keys: bool,
    },
    /// Acknowledgement latency at a steady rate, against a bare server
    Steady {
        /// Requests per second
        #[arg(long, default_value_t = 5_000.0)]
        rate: f64,
    },
    /// Deliveries per second through to a bare sink, closed loop, against a bare relay
    EndToEnd,
    /// Latency from sender to sink at a steady rate, against a bare relay
    Latency {
        /// Requests per second
        #[arg(long, default_value_t = 1_000.0)]
        rate: f64,
    },
    /// A restart with many overdue deliveries, while new events keep coming
    Backlog {
        /// Overdue deliveries
        #[arg(long, default_value_t = 1_000_000)]
        overdue: usize,
    },
    /// What a hundred healthy destinations notice of one that hangs
    Isolation,
    /// Start to ready, on an empty database and on a large one
    Start {
        /// Events in the large one
        #[arg(long, default_value_t = 1_000_000)]
        stored: usize,
    },
    /// One signature check, beside the cryptographic library alone
    Signature,
}

/// Where the gateway keeps its data.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Engine {
    Sqlite,
    Postgres,
}

impl Engine {
    const fn name(self) -> &'static str {
        match self {
            Self::Sqlite => "sqlite",
            Self::Postgres => "postgres",
        }
    }
}

impl BenchArgs {
    fn engines(&self) -> Vec<Engine> {
        self.engine.map_or_else(|| vec![Engine::Sqlite, Engine::Postgres], |engine| vec![engine])
    }

    fn round(&self) -> std::time::Duration {
        std::time::Duration::from_secs(self.seconds)
    }
}

pub(crate) fn run(arguments: &BenchArgs) -> Result<bool, Failure> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let (name, table) = match arguments.what {
        What::Intake { keys } => ("intake", runtime.block_on(intake::closed(arguments, keys))?),
        What::Steady { rate } => ("steady", runtime.block_on(intake::steady(arguments, rate))?),
        What::EndToEnd => ("end-to-end", runtime.block_on(end_to_end::closed(arguments))?),
        What::Backlog { overdue } => ("backlog", runtime.block_on(backlog::run(arguments, overdue))?),
        What::Isolation => ("isolation", runtime.block_on(isolation::run(arguments))?),
        What::Start { stored } => ("start", runtime.block_on(backlog::start(arguments, stored))?),
        What::Signature => ("signature", signature::run(arguments)?),
        What::Latency { rate } => ("latency", runtime.block_on(end_to_end::steady(arguments, rate))?),
    };
    table.publish(name, arguments.json)
}
