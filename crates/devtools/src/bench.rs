//! `cargo xtask bench`: measurements, each with its reference in the same run.

// The load generator's own, without what else its crate brings: every build of these tools would wait for that.
#[path = "../../loadgen/src/flood/alarm.rs"]
mod alarm;
mod backlog;
mod before_after;
mod client;
mod disk;
mod end_to_end;
mod engine;
mod intake;
mod isolation;
mod judge;
mod loadgen;
mod memory;
mod metrics;
mod observe;
mod ordered;
mod pages;
mod probe;
mod process;
mod redis;
mod reference;
mod requests;
mod retention;
mod servers;
mod setup;
mod signature;
mod streams;
mod table;
mod telemetry;
mod transform;

use clap::{Subcommand, ValueEnum};

use crate::{Common, Failure};

pub(crate) use reference::{ReferenceArgs, run as reference};

/// Fewer rounds have no median and no spread.
const LEAST_ROUNDS: u16 = 3;

#[derive(Debug, clap::Args)]
pub(crate) struct BenchArgs {
    #[command(flatten)]
    common: Common,
    /// Rounds of each measurement, at least 3; the median is reported, with the smallest and the largest [default: 3, isolation 5]
    #[arg(long, global = true, value_parser = clap::value_parser!(u16).range(1..))]
    rounds: Option<u16>,
    /// A look, not a measurement: one round by default, and fewer than 3 are allowed
    #[arg(long, global = true)]
    quick: bool,
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
    /// Have each connection filter and transform what it takes
    #[arg(long, global = true)]
    programs: bool,
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
    /// The quick return against the synchronous mode: latency, rate, processor time, and answers 5xx in an overload
    BeforeAfter {
        /// Requests per second of the steady part
        #[arg(long, default_value_t = 400.0)]
        rate: f64,
        /// Milliseconds that the destination takes for a request
        #[arg(long, default_value_t = 50, value_parser = clap::value_parser!(u64).range(1..=1_000))]
        destination_ms: u64,
    },
    /// A restart with many overdue deliveries, while new events keep coming
    Backlog {
        /// Overdue deliveries
        #[arg(long, default_value_t = 1_000_000)]
        overdue: usize,
    },
    /// Deliveries per second that must stay in order, with 1, 10 and 1000 keys, beside unordered ones
    Ordered {
        /// Deliveries of the rounds with many keys and without; with 1 and 10 keys there are fewer
        #[arg(long, default_value_t = 50_000)]
        deliveries: usize,
    },
    /// What a hundred healthy destinations notice of one that hangs
    Isolation,
    /// Whether resident memory stays flat under a steady load, end to end
    Memory {
        /// How long; its second tenth is compared with its last
        #[arg(long, default_value_t = 10.0)]
        minutes: f64,
        /// Requests per second, each stored: some 1.5 KiB of disk
        #[arg(long, default_value_t = 5_000.0)]
        rate: f64,
    },
    /// What metrics and traces cost on the hot path
    Telemetry,
    /// Round trips through Redis, as nodes make them
    Redis {
        /// Operations of each kind per second
        #[arg(long, default_value_t = 1_000.0)]
        rate: f64,
    },
    /// What intake notices while old events are removed
    Retention {
        /// Old events
        #[arg(long, default_value_t = 1_000_000)]
        old: usize,
        /// New events each second meanwhile
        #[arg(long, default_value_t = 1_000.0)]
        rate: f64,
    },
    /// Start to ready, on an empty database and on a large one
    Start {
        /// Events in the large one
        #[arg(long, default_value_t = 1_000_000)]
        stored: usize,
    },
    /// How long the server takes for each page of the console, with many events stored
    Pages {
        /// Stored events, each with a delivery and an attempt
        #[arg(long, default_value_t = 1_000_000)]
        stored: usize,
    },
    /// What clients of live events cost intake, against the same load without them
    Streams {
        /// Clients over WebSockets
        #[arg(long, default_value_t = 2_000)]
        sockets: usize,
        /// Clients of server-sent events
        #[arg(long, default_value_t = 500)]
        sse: usize,
        /// Events per second of the steady load
        #[arg(long, default_value_t = 1_000.0)]
        rate: f64,
    },
    /// The load generator beside oha, wrk and plain Goose: server on one core, generator on the other
    Loadgen {
        /// Also watch the memory of ten minutes at 1,000/s
        #[arg(long)]
        long: bool,
    },
    /// One signature check, beside the cryptographic library alone
    Signature,
    /// Filters, transforms, orders and schemas over a body of 1 KiB, beside reading the body alone
    Transform,
    /// Error rates and delays of the rollout's judge, by simulation, beside a plain threshold and a table of delays: minutes, needs no server
    Judge {
        /// The same seed gives the same figures
        #[arg(long, default_value_t = 1)]
        seed: u64,
        /// Simulated rollouts behind each figure [default: 2000, with --quick 200]
        #[arg(long, value_parser = clap::value_parser!(u32).range(1..))]
        runs: Option<u32>,
    },
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

    fn rounds(&self) -> usize {
        self.rounds_or(LEAST_ROUNDS)
    }

    /// The rounds asked for, or `default`, or one for a look.
    fn rounds_or(&self, default: u16) -> usize {
        self.rounds.unwrap_or(if self.quick { 1 } else { default }).into()
    }

    fn round(&self) -> std::time::Duration {
        std::time::Duration::from_secs(self.seconds)
    }
}

pub(crate) fn run(arguments: &BenchArgs) -> Result<bool, Failure> {
    if !arguments.quick && arguments.rounds.is_some_and(|rounds| rounds < LEAST_ROUNDS) {
        return Err(format!("fewer than {LEAST_ROUNDS} rounds are no measurement; for a look, add --quick").into());
    }
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let (name, mut table) = match arguments.what {
        What::Intake { keys } => ("intake", runtime.block_on(intake::closed(arguments, keys))?),
        What::Steady { rate } => ("steady", runtime.block_on(intake::steady(arguments, rate))?),
        What::EndToEnd => ("end-to-end", runtime.block_on(end_to_end::closed(arguments))?),
        What::BeforeAfter { rate, destination_ms } => {
            let destination = std::time::Duration::from_millis(destination_ms);
            let load = before_after::Load { rate, destination };
            ("before-after", runtime.block_on(before_after::run(arguments, load))?)
        }
        What::Backlog { overdue } => ("backlog", runtime.block_on(backlog::run(arguments, overdue))?),
        What::Ordered { deliveries } => ("ordered", runtime.block_on(ordered::run(arguments, deliveries))?),
        What::Isolation => ("isolation", runtime.block_on(isolation::run(arguments))?),
        What::Memory { minutes, rate } => ("memory", runtime.block_on(memory::run(arguments, minutes, rate))?),
        What::Telemetry => ("telemetry", runtime.block_on(telemetry::run(arguments))?),
        What::Redis { rate } => ("redis", runtime.block_on(redis::run(arguments, rate))?),
        What::Retention { old, rate } => ("retention", runtime.block_on(retention::run(arguments, old, rate))?),
        What::Pages { stored } => ("pages", runtime.block_on(pages::run(arguments, stored))?),
        What::Start { stored } => ("start", runtime.block_on(backlog::start(arguments, stored))?),
        What::Loadgen { long } => ("loadgen", loadgen::run(arguments, long)?),
        What::Streams { sockets, sse, rate } => {
            ("streams", runtime.block_on(streams::run(arguments, streams::Clients { sockets, sse, rate }))?)
        }
        What::Signature => ("signature", signature::run(arguments)?),
        What::Transform => ("transform", transform::run(arguments)?),
        What::Judge { seed, runs } => ("judge", judge::run(arguments, seed, runs)),
        What::Latency { rate } => ("latency", runtime.block_on(end_to_end::steady(arguments, rate))?),
    };
    if arguments.programs {
        table.title.push_str(", a filter and a transform on each connection");
    }
    table.publish(name, arguments.json)
}
