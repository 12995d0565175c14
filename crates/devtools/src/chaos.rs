//! `cargo xtask chaos`: faults under load, and proof that nothing acknowledged was lost.
//!
//! A sender writes down each id that it read a complete 2xx answer for; two destinations write down each id they accept. In between the
//! real program runs and is broken on a schedule that a seed decides. Afterwards every acknowledged event has arrived or is pending, and
//! every duplicate has a fault that explains it.

mod clock;
mod command;
mod destination;
mod disk;
mod machines;
mod node;
mod report;
mod schedule;
pub(crate) mod sender;
mod stored;
mod verdict;

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::time::{Duration, Instant};

use clap::ValueEnum;
use serde::Serialize;
use spillway_testkit::Sink;

use crate::Failure;
use destination::{Destination, wait_for_all};
use machines::Machines;
use schedule::{Schedule, Topology};
use sender::{Sender, Sent};
use verdict::{Evidence, Logs, examples};

pub(crate) use command::{ChaosArgs, command};
pub use report::{ChaosReport, Entry};
pub use schedule::FaultKind;

/// Where the gateway keeps its data.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Engine {
    /// The embedded default.
    Sqlite,
    /// A PostgreSQL server of the run's own.
    Postgres,
}

impl Engine {
    const fn name(self) -> &'static str {
        match self {
            Self::Sqlite => "the embedded engine",
            Self::Postgres => "PostgreSQL",
        }
    }
}

/// A run.
#[derive(Debug, Clone)]
pub struct ChaosSettings {
    /// The gateway's program.
    pub gateway: PathBuf,
    /// How long faults happen under load; at least 10 s. Settling down afterwards takes up to a minute more.
    pub duration: Duration,
    /// Decides the faults.
    pub seed: u64,
    /// Where the gateway keeps its data.
    pub engine: Engine,
    /// With a Redis.
    pub redis: bool,
    /// Api processes, and as many workers; zero is one process with both roles, which the embedded engine needs.
    pub nodes: usize,
    /// Events a second.
    pub rate: f64,
    /// By how much more than a tenth the steady destination's p95 may rise while the other hangs.
    pub isolation_tolerance: Duration,
    /// Whether faults that this machine cannot have may be left out. Otherwise each is a violation.
    pub allow_missing: bool,
    /// An existing folder for data and logs.
    pub folder: PathBuf,
}

/// Everything has to be delivered so long after the last fault.
const SETTLE: Duration = Duration::from_secs(60);
/// A process has to end so long after SIGTERM.
const STOP: Duration = Duration::from_secs(25);
/// So that some attempts are under way whenever a process is killed.
const TROUBLED_ANSWERS_AFTER: Duration = Duration::from_millis(20);
const STEADY: &str = "steady";
const TROUBLED: &str = "troubled";

/// Breaks a gateway for a while and tells what came of it.
///
/// # Errors
/// When the run itself cannot be made, or a process of the gateway does not come back. What the gateway did wrong is in the report.
///
/// # Panics
/// When PostgreSQL or Redis is needed and not installed.
pub async fn run(settings: &ChaosSettings) -> Result<ChaosReport, Failure> {
    let topology = Topology { engine: settings.engine, redis: settings.redis, nodes: settings.nodes };
    let schedule = Schedule::draw(settings.seed, settings.duration, topology);
    let trap = Sink::counting().await;
    let steady = Destination::start(trap.url("/followed"), Duration::ZERO).await;
    let troubled = Destination::start(trap.url("/followed"), TROUBLED_ANSWERS_AFTER).await;
    let mut machines = Machines::start(settings, &steady.url(), &troubled.url()).await?;

    let begun = Instant::now();
    let sender = Sender::start(machines.intake(), settings.rate, settings.seed, begun);
    let (broken, misbehaved) =
        tokio::join!(machines.break_down(&schedule.machines, begun), troubled.misbehave(&schedule.destinations, begun));
    let mut ran = broken?;
    ran.extend(misbehaved);
    tokio::time::sleep_until((begun + settings.duration).into()).await;
    let sent = sender.stop().await?;

    let ids: Vec<&str> = sent.acknowledged.iter().map(|event| event.id.as_str()).collect();
    let settled = wait_for_all(&[&steady, &troubled], &ids, SETTLE).await;
    let (longest_stop, mut violations) = machines.stop().await;
    let stored = machines.stored().await?;
    let logs = Logs::read(&machines.logs())?;
    let clock = sent.clock.widest(steady.clock()).widest(troubled.clock());
    // A process that could not be moved once could not be moved at all.
    ran.retain(|ran| !machines.not_run.contains_key(&ran.kind));
    let clock_offsets_s = (clock.behind, clock.ahead);
    let arrivals = [(STEADY, steady.arrivals()), (TROUBLED, troubled.arrivals())];
    let evidence = Evidence {
        begun,
        acknowledged: &sent.acknowledged,
        arrivals: &arrivals,
        stored: &stored,
        ran: &ran,
        logs: &logs,
    };

    let damaged = steady.damaged() + troubled.damaged();
    if damaged > 0 {
        violations.push(format!("{damaged} requests arrived without their id or with other bytes"));
    }
    if trap.count() > 0 {
        violations.push(format!("{} redirects were followed", trap.count()));
    }
    if longest_stop > STOP {
        violations.push(format!("a process needed {longest_stop:?} to stop"));
    }
    if !settled && evidence.lost().is_empty() {
        violations.push(format!("not everything was delivered within {SETTLE:?} after the last fault"));
    }
    let not_run = std::mem::take(&mut machines.not_run);
    if !settings.allow_missing {
        let missing =
            |(kind, reason): (&FaultKind, &String)| format!("the fault \"{}\" cannot be had: {reason}", kind.name());
        violations.extend(not_run.iter().map(missing));
    }
    let longest_stop_ms = whole_milliseconds(longest_stop);
    Ok(judge(settings, &schedule, &sent, &evidence, not_run, clock_offsets_s, longest_stop_ms, violations))
}

#[expect(clippy::too_many_arguments, reason = "the pieces of one report, gathered in one place")]
fn judge(
    settings: &ChaosSettings,
    schedule: &Schedule,
    sent: &Sent,
    evidence: &Evidence<'_>,
    not_run: BTreeMap<FaultKind, String>,
    clock_offsets_s: (i64, i64),
    longest_stop_ms: u64,
    mut violations: Vec<String>,
) -> ChaosReport {
    if sent.acknowledged.is_empty() {
        violations.push("nothing was acknowledged".to_owned());
    }
    let lost = evidence.lost();
    if !lost.is_empty() {
        let lost: Vec<String> = lost.iter().map(|(id, name)| format!("{id} for {name}")).collect();
        violations.push(examples("acknowledged deliveries are lost", &lost));
    }
    let ended_badly: Vec<String> =
        evidence.stored.ended_badly.iter().map(|(id, name)| format!("{id} for {name}")).collect();
    if !ended_badly.is_empty() {
        violations.push(examples("deliveries are dead or cancelled", &ended_badly));
    }
    let doubled = evidence.doubled_keys();
    if !doubled.is_empty() {
        violations.push(examples("idempotency keys made more than one event", &doubled));
    }
    let (duplicates, unexplained) = evidence.duplicates();
    if !unexplained.is_empty() {
        violations.push(examples("duplicates have no fault that explains them", &unexplained));
    }
    if !evidence.logs.panics.is_empty() {
        violations.push(examples("panics in the logs", &evidence.logs.panics));
    }
    let (calm, hanging) = evidence.isolation(STEADY, schedule);
    let limit = calm.mul_f64(1.1) + settings.isolation_tolerance;
    if calm.is_zero() || hanging > limit {
        violations.push(format!(
            "a hanging destination moved the other one's p95 from {calm:?} to {hanging:?}, over {limit:?}"
        ));
    }
    let mut faults = BTreeMap::new();
    for ran in evidence.ran {
        *faults.entry(ran.kind).or_default() += 1;
    }
    let mut diary: Vec<Entry> = evidence.ran.iter().map(|ran| entry(ran, evidence.begun)).collect();
    diary.sort_by_key(|entry| entry.at_ms);
    let accepted = evidence.arrivals.iter().flat_map(|(_, arrivals)| arrivals.values());
    ChaosReport {
        seed: settings.seed,
        engine: settings.engine,
        redis: settings.redis,
        nodes: settings.nodes,
        acknowledged: sent.acknowledged.len(),
        refused_requests: sent.refused,
        given_up: sent.given_up,
        delivered: accepted.filter(|arrivals| !arrivals.accepted.is_empty()).count(),
        lost: lost.len(),
        pending: evidence.stored.pending.len(),
        duplicates,
        faults,
        not_run,
        longest_outage_ms: whole_milliseconds(evidence.longest_outage()),
        steady_p95_calm_ms: calm.as_secs_f64() * 1e3,
        steady_p95_hanging_ms: hanging.as_secs_f64() * 1e3,
        clock_offsets_s,
        longest_stop_ms,
        diary,
        violations,
    }
}

fn entry(ran: &report::Ran, begun: Instant) -> Entry {
    let (at_ms, lasted_ms) = (whole_milliseconds(ran.begun - begun), whole_milliseconds(ran.ended - ran.begun));
    Entry { kind: ran.kind, at_ms, lasted_ms }
}

fn whole_milliseconds(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}
