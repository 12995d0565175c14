//! The command line of chaos.

use std::path::PathBuf;
use std::time::Duration;

use super::{ChaosReport, ChaosSettings, Engine, run};
use crate::{Common, Failure};

#[derive(Debug, clap::Args)]
pub(crate) struct ChaosArgs {
    #[command(flatten)]
    common: Common,
    /// Seconds of load, on each engine
    #[arg(long, default_value_t = 60, value_parser = clap::value_parser!(u64).range(10..=86_400))]
    seconds: u64,
    /// Repeats the faults of an earlier run; random when absent
    #[arg(long)]
    seed: Option<u64>,
    /// Only this engine; without it the embedded one, then PostgreSQL
    #[arg(long)]
    engine: Option<Engine>,
    /// With a Redis, which is broken too [default: with PostgreSQL only]
    #[arg(long, num_args = 0..=1, require_equals = true, default_missing_value = "true", value_name = "BOOL")]
    redis: Option<bool>,
    /// With PostgreSQL: so many api and so many worker processes; 0 is one process with both roles
    #[arg(long, default_value_t = 2, value_parser = clap::value_parser!(u8).range(0..=8))]
    nodes: u8,
    /// Events a second
    #[arg(long, default_value_t = 300.0)]
    rate: f64,
    /// Leave out faults that this machine cannot have, instead of failing: a full disk takes root, a stepping clock libfaketime
    #[arg(long)]
    allow_missing: bool,
    /// Print a JSON list of reports instead of summaries
    #[arg(long)]
    json: bool,
    /// Keep settings and logs, as a run that fails does
    #[arg(long)]
    keep: bool,
}

/// The p95 of two phases of a run differs by as much when nothing hangs: each is of a few seconds, where one slow flush holds up some
/// percent of all requests, and a tenth of a few milliseconds is less than that.
const ISOLATION_TOLERANCE: Duration = Duration::from_millis(2);

pub(crate) fn command(arguments: &ChaosArgs) -> Result<bool, Failure> {
    let seed = arguments.seed.unwrap_or_else(rand::random);
    let engines = arguments.engine.map_or_else(|| vec![Engine::Sqlite, Engine::Postgres], |engine| vec![engine]);
    let mut reports = Vec::new();
    for engine in engines {
        let report = run_on(arguments, engine, seed)?;
        if !arguments.json {
            println!("{report}");
        }
        reports.push(report);
    }
    if arguments.json {
        println!("{}", serde_json::to_string_pretty(&reports)?);
    }
    Ok(reports.iter().all(ChaosReport::is_ok))
}

fn run_on(arguments: &ChaosArgs, engine: Engine, seed: u64) -> Result<ChaosReport, Failure> {
    let target = PathBuf::from("target/chaos");
    std::fs::create_dir_all(&target)?;
    let folder = tempfile::Builder::new().prefix("run-").tempdir_in(target.canonicalize()?)?;
    let settings = ChaosSettings {
        gateway: arguments.common.gateway.clone(),
        duration: Duration::from_secs(arguments.seconds),
        seed,
        engine,
        redis: arguments.redis.unwrap_or(engine == Engine::Postgres),
        nodes: if engine == Engine::Sqlite { 0 } else { arguments.nodes.into() },
        rate: arguments.rate,
        isolation_tolerance: ISOLATION_TOLERANCE,
        allow_missing: arguments.allow_missing,
        folder: folder.path().to_owned(),
    };
    let redis = if settings.redis { " with Redis" } else { "" };
    eprintln!("chaos on {}{redis} for {} s with --seed {seed}", engine.name(), arguments.seconds);
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
    let report = runtime.block_on(async {
        tokio::select! {
            report = run(&settings) => report,
            // So that processes end and the small disk is unmounted.
            _ = tokio::signal::ctrl_c() => Err("interrupted".into()),
        }
    });
    if arguments.keep || !report.as_ref().is_ok_and(ChaosReport::is_ok) {
        eprintln!("settings and logs are kept in {}", folder.keep().display());
    }
    report
}
