//! `cargo xtask rollout-demo`: a new version is let out on one host under load, and a bad one is taken back.

mod candidate;
mod front;
mod traffic;

use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::{Duration, Instant};

use clap::ValueEnum as _;
use serde_json::Value;
use spillway_testkit::{Postgres, Sink};

pub(crate) use candidate::{CandidateArgs, Version, run as candidate};

use crate::report::duration;
use crate::{Common, Failure};
use front::Front;
use traffic::{Seen, Traffic};

#[derive(Debug, clap::Args)]
pub(crate) struct RolloutDemoArgs {
    #[command(flatten)]
    common: Common,
    /// The rollout controller's program
    #[arg(long, value_name = "FILE", hide = true)]
    rollout: PathBuf,
    /// The load generator's program
    #[arg(long, value_name = "FILE", hide = true)]
    loadgen: PathBuf,
    /// The new version
    #[arg(value_enum, default_value_t = Version::Good)]
    version: Version,
    /// Webhooks a second
    #[arg(long, default_value_t = 600)]
    rate: u32,
    /// Seconds in which the rollout must be over
    #[arg(long, default_value_t = 180)]
    within: u64,
    /// Keep the folder with logs, plan, state and reports, and say where it is
    #[arg(long)]
    keep: bool,
}

/// Everything that was acknowledged has to have arrived by then. Longer than a lease and two retries.
const ARRIVAL: Duration = Duration::from_secs(60);

pub(crate) fn run(arguments: &RolloutDemoArgs) -> Result<bool, Failure> {
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
    let mut folder = tempfile::Builder::new().prefix("spillway-rollout-demo-").tempdir()?;
    if arguments.keep {
        folder.disable_cleanup(true);
        println!("folder    {}", folder.path().display());
    }
    runtime.block_on(demo(arguments, folder.path()))
}

async fn demo(arguments: &RolloutDemoArgs, folder: &Path) -> Result<bool, Failure> {
    let receiver = Sink::counting().await;
    let arrived = traffic::arrivals(&receiver);
    let postgres = Postgres::start().await;
    let config = folder.join("spillway.toml");
    std::fs::write(&config, traffic::settings(&postgres.url(), &receiver.url("/hooks")))?;
    let front = Front::start(folder).await?;
    println!("front     {} (nginx), receiver {}", front.url(), receiver.url("/hooks"));

    let plan = folder.join("rollout.yaml");
    std::fs::write(&plan, front.plan(&arguments.common.gateway, &config, Version::Good, "v1")?)?;
    let begun = Instant::now();
    let first = rollout(arguments, folder, &plan)?;
    if !first.success() {
        return Err(format!("version v1 was not taken over: {first}").into());
    }
    println!("live      v1 in slot blue, after {}", duration(begun.elapsed()));

    let traffic = Traffic::start(&arguments.loadgen, &front, arguments.rate)?;
    std::fs::write(&plan, front.plan(&arguments.common.gateway, &config, arguments.version, "v2")?)?;
    println!("rollout   v2 ({})", name(arguments.version));
    let begun = Instant::now();
    let ended = rollout(arguments, folder, &plan)?;
    let took = begun.elapsed();
    let seen = traffic.stop().await?;
    let missing = seen.wait_until_arrived(&arrived, ARRIVAL).await;

    let status = status(arguments, folder)?;
    let problems = check(arguments, &status, ended.code(), took, &seen, missing);
    summary(&status, took, &seen, missing);
    stop_slots(folder)?;
    drop(front);
    for problem in &problems {
        println!("FAILED    {problem}");
    }
    if problems.is_empty() {
        println!(
            "ok        {}",
            if arguments.version == Version::Good { "v2 is live" } else { "v1 is live; v2 was taken back" }
        );
    }
    Ok(problems.is_empty())
}

/// Runs the controller to the rollout's end. What it prints is the demo's own output.
fn rollout(arguments: &RolloutDemoArgs, folder: &Path, plan: &Path) -> Result<std::process::ExitStatus, Failure> {
    let mut command = Command::new(&arguments.rollout);
    command.arg("run").arg("-f").arg(plan).arg("--state-dir").arg(folder.join("state"));
    command.arg("--report-dir").arg(folder.join("report"));
    let status = tokio::task::block_in_place(|| command.status());
    status.map_err(|error| format!("{} cannot be run: {error}", arguments.rollout.display()).into())
}

fn status(arguments: &RolloutDemoArgs, folder: &Path) -> Result<Value, Failure> {
    let mut command = Command::new(&arguments.rollout);
    command.args(["status", "--output", "json", "--state-dir"]).arg(folder.join("state"));
    let output = command.output()?;
    if !output.status.success() {
        return Err(format!("status: {}", String::from_utf8_lossy(&output.stderr)).into());
    }
    Ok(serde_json::from_slice(&output.stdout)?)
}

fn name(version: Version) -> String {
    version.to_possible_value().map(|value| value.get_name().to_owned()).unwrap_or_default()
}

fn check(
    arguments: &RolloutDemoArgs,
    status: &Value,
    code: Option<i32>,
    took: Duration,
    seen: &Seen,
    missing: usize,
) -> Vec<String> {
    let mut problems = Vec::new();
    let good = arguments.version == Version::Good;
    let (phase, live) = (text(status, "/state/phase"), text(status, "/state/liveRevision"));
    let wanted = if good { ("v2", 0) } else { ("v1", 1) };
    if live != wanted.0 {
        problems.push(format!("{live} is live, {} should be; the rollout is {phase}", wanted.0));
    }
    if code != Some(wanted.1) {
        problems.push(format!("the controller ended with {code:?} instead of {}", wanted.1));
    }
    let longest = Duration::from_secs(arguments.within);
    if took > longest {
        problems.push(format!("it took {}, more than {}", duration(took), duration(longest)));
    }
    if missing > 0 {
        problems.push(format!("{missing} acknowledged webhooks never arrived"));
    }
    if good && seen.errors > 0 {
        problems.push(format!("{} requests failed although the version is good", seen.errors));
    }
    let candidate = number(status, "/state/rollout/candidateTotal/requests");
    if seen.errors > candidate.max(seen.requests / 10) {
        problems.push(format!("{} requests failed, more than the candidate was given ({candidate})", seen.errors));
    }
    problems
}

fn summary(status: &Value, took: Duration, seen: &Seen, missing: usize) {
    println!("ended     {} after {}", text(status, "/state/phase"), duration(took));
    if let Some(failure) = status.pointer("/state/rollout/failure").and_then(Value::as_str) {
        println!("why       {failure}");
    }
    let share = 100.0 * seen.errors as f64 / (seen.requests as f64).max(1.0);
    println!("clients   {} requests, {} failed ({share:.2} %), p99 {}", seen.requests, seen.errors, duration(seen.p99));
    println!("events    {} acknowledged, {missing} lost", seen.acknowledged());
}

fn text<'a>(status: &'a Value, pointer: &str) -> &'a str {
    status.pointer(pointer).and_then(Value::as_str).unwrap_or("nothing")
}

fn number(status: &Value, pointer: &str) -> u64 {
    status.pointer(pointer).and_then(Value::as_u64).unwrap_or_default()
}

/// The version that is live outlives the controller, and is stopped by its own pid at the end of the demo.
fn stop_slots(folder: &Path) -> Result<(), Failure> {
    let Ok(slots) = std::fs::read(folder.join("state").join("slots.json")) else { return Ok(()) };
    let slots: Value = serde_json::from_slice(&slots)?;
    let mut pids = Vec::new();
    collect_pids(&slots, &mut pids);
    for pid in pids {
        if let Some(pid) = i32::try_from(pid).ok().and_then(rustix::process::Pid::from_raw) {
            // It may have ended already.
            let _ = rustix::process::kill_process(pid, rustix::process::Signal::TERM);
        }
    }
    Ok(())
}

fn collect_pids(value: &Value, into: &mut Vec<u64>) {
    match value {
        Value::Object(fields) => {
            for (name, value) in fields {
                match value.as_u64() {
                    Some(pid) if name == "pid" => into.push(pid),
                    _ => collect_pids(value, into),
                }
            }
        }
        Value::Array(values) => values.iter().for_each(|value| collect_pids(value, into)),
        _ => {}
    }
}
