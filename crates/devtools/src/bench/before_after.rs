//! What the quick return is worth: the gateway as it is against its synchronous mode, in which a webhook is answered when its deliveries have
//! been attempted. Same load, same destination, in turn.

use std::time::{Duration, Instant};

use super::client::{Seen, closed_loop, open_loop};
use super::end_to_end::{WARM_UP, all_arrive};
use super::intake::check;
use super::process;
use super::requests::requests;
use super::servers::Sink;
use super::setup::{Bench, Ground, Plan};
use super::table::{Bar, Figure, Table};
use super::{BenchArgs, Engine};
use crate::Failure;

/// Connections of the load at a steady rate.
const STEADY_CONNECTIONS: usize = 64;
/// Requests to the destination at once, in both modes: in the overload it takes fewer than are offered.
const AT_ONCE: usize = 256;
const AT_ONCE_OVERLOADED: usize = 16;
/// Senders that are overloading give up after this time.
const PATIENCE: Duration = Duration::from_secs(1);

/// The load.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Load {
    /// Requests per second of the steady part.
    pub(crate) rate: f64,
    /// What the destination takes for a request.
    pub(crate) destination: Duration,
}

/// How the gateway is run.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Mode {
    /// Answers when the deliveries have been attempted.
    Synchronous,
    /// Answers when the event is stored; the same process delivers.
    Quick,
    /// The same, and another process delivers. Needs PostgreSQL.
    QuickTwoProcesses,
}

impl Mode {
    const fn name(self) -> &'static str {
        match self {
            Self::Synchronous => "synchronous",
            Self::Quick => "quick",
            Self::QuickTwoProcesses => "quick, two processes",
        }
    }

    const fn setting(self) -> &'static str {
        match self {
            Self::Synchronous => "synchronous",
            Self::Quick | Self::QuickTwoProcesses => "quick",
        }
    }
}

/// The figures of one mode, a value for each round.
#[derive(Debug, Default)]
struct Rounds {
    p95_ms: Vec<f64>,
    per_second: Vec<f64>,
    /// Of all processes and the store, until everything was delivered.
    cpu_ms: Vec<f64>,
    /// Of the process that answers, until everything was delivered.
    answering_cpu_ms: Vec<f64>,
    /// Of requests that were offered beyond what the destination takes.
    failed_percent: Vec<f64>,
}

pub(crate) async fn run(arguments: &BenchArgs, load: Load) -> Result<Table, Failure> {
    let Load { rate, destination } = load;
    if !(rate > 0.0 && rate * destination.as_secs_f64() < STEADY_CONNECTIONS as f64) {
        let most = STEADY_CONNECTIONS as f64 / destination.as_secs_f64();
        return Err(format!("--rate must be above 0 and below {most:.0}/s, which synchronous senders reach").into());
    }
    let mut table = Table::new(format!(
        "quick return against the synchronous mode, a destination that takes {} ms, 1 KiB, signed; steady at {rate}/s, closed loop \
         of {} connections, overload of {:.0}/s on a destination that takes {:.0}/s; {} s each",
        destination.as_millis(),
        arguments.connections,
        overload(load),
        overload(load) / OVERLOAD,
        arguments.seconds,
    ));
    for engine in arguments.engines() {
        let modes: &[Mode] = match engine {
            Engine::Sqlite => &[Mode::Synchronous, Mode::Quick],
            Engine::Postgres => &[Mode::Synchronous, Mode::Quick, Mode::QuickTwoProcesses],
        };
        let mut measured: Vec<Rounds> = modes.iter().map(|_| Rounds::default()).collect();
        for _ in 0..arguments.rounds() {
            // In turn, so that whatever else changes on the machine changes for all.
            for (mode, rounds) in modes.iter().zip(&mut measured) {
                loaded(arguments, engine, *mode, load, rounds).await?;
                overloaded(arguments, engine, *mode, load, rounds).await?;
            }
        }
        let mut measured = modes.iter().copied().zip(measured);
        let Some((_, before)) = measured.next() else { continue };
        let before = figures(engine, Mode::Synchronous, before);
        let mut afters = Vec::new();
        for (mode, after) in measured {
            let after = compared(&before, figures(engine, mode, after));
            table.title.push_str(&in_short(engine, mode, &after));
            afters.extend(after);
        }
        before.into_iter().chain(afters).for_each(|figure| table.push(figure));
    }
    Ok(table)
}

/// Times as much as the destination takes is offered.
const OVERLOAD: f64 = 3.0;

/// Requests per second of the overload.
fn overload(load: Load) -> f64 {
    OVERLOAD * AT_ONCE_OVERLOADED as f64 / load.destination.as_secs_f64()
}

async fn start(
    arguments: &BenchArgs,
    engine: Engine,
    mode: Mode,
    sink: &Sink,
    at_once: usize,
    patience: Option<Duration>,
) -> Result<Bench, Failure> {
    let more = format!("per_destination = {at_once}\n[intake]\nmode = \"{}\"\n", mode.setting());
    let two_nodes = mode == Mode::QuickTwoProcesses;
    let ground = Ground::prepare(arguments, Plan { more, two_nodes, ..Plan::to(engine, sink.listen().await?) }).await?;
    if let Some(patience) = patience {
        let section = format!("[server]\nrequest_timeout = \"{}ms\"\n", patience.as_millis());
        ground.edit_settings("[server]\n", &section)?;
    }
    ground.start()
}

/// A load that both modes carry: percentile at a steady rate; then rate and processor time of senders that go as fast as they are answered.
async fn loaded(
    arguments: &BenchArgs,
    engine: Engine,
    mode: Mode,
    load: Load,
    rounds: &mut Rounds,
) -> Result<(), Failure> {
    let sink = Sink::taking(load.destination);
    let bench = start(arguments, engine, mode, &sink, AT_ONCE, None).await?;
    let address = bench.address()?;
    let warm = requests(false)?;
    open_loop(address, warm.clone(), STEADY_CONNECTIONS, load.rate, WARM_UP).await?;
    let mut sent = warm.sent();
    all_arrive(&sink, sent).await?;

    let steady = requests(false)?;
    let seen = open_loop(address, steady.clone(), STEADY_CONNECTIONS, load.rate, arguments.round()).await?;
    check(&seen)?;
    rounds.p95_ms.push(seen.quantile_ms(0.95));
    sent += steady.sent();
    all_arrive(&sink, sent).await?;

    let busy = requests(false)?;
    let (all, answering) = (bench.cpu(), process::cpu(bench.gateway.pid(), false));
    let seen = closed_loop(address, busy.clone(), arguments.connections, arguments.round()).await?;
    check(&seen)?;
    all_arrive(&sink, sent + busy.sent()).await?;
    let per_request = |used: Duration| used.as_secs_f64() * 1e3 / seen.answered as f64;
    rounds.per_second.push(seen.per_second());
    rounds.cpu_ms.push(per_request(bench.cpu().saturating_sub(all)));
    let used = process::cpu(bench.gateway.pid(), false).saturating_sub(answering);
    rounds.answering_cpu_ms.push(per_request(used));
    bench.stop()?;
    Ok(())
}

/// More than the destination takes.
async fn overloaded(
    arguments: &BenchArgs,
    engine: Engine,
    mode: Mode,
    load: Load,
    rounds: &mut Rounds,
) -> Result<(), Failure> {
    let sink = Sink::taking(load.destination);
    let bench = start(arguments, engine, mode, &sink, AT_ONCE_OVERLOADED, Some(PATIENCE)).await?;
    let rate = overload(load);
    // Enough for all that wait for an answer at once, and some that are on their way.
    let connections = (rate * PATIENCE.as_secs_f64() * 1.25) as usize;
    let begun = Instant::now();
    let seen = open_loop(bench.address()?, requests(false)?, connections, rate, arguments.round()).await?;
    let late = begun.elapsed().saturating_sub(arguments.round());
    if late > PATIENCE * 2 {
        return Err(format!("the load of {rate:.0}/s came {late:?} late: this machine cannot offer it").into());
    }
    rounds.failed_percent.push(failed_percent(mode, &seen)?);
    // What waits for its delivery is of no interest any more.
    bench.gateway.kill();
    Ok(())
}

fn failed_percent(mode: Mode, seen: &Seen) -> Result<f64, Failure> {
    if seen.answered == 0 || seen.refused != seen.server_errors {
        return Err(format!("{} of {} requests were refused", seen.refused, seen.answered).into());
    }
    if mode == Mode::Synchronous && seen.server_errors == 0 {
        return Err("the overload was none: the synchronous gateway refused nothing".into());
    }
    Ok(seen.server_errors as f64 * 100.0 / seen.answered as f64)
}

fn figures(engine: Engine, mode: Mode, rounds: Rounds) -> [Figure; 5] {
    let named = |what: &str| format!("{}, {}: {what}", engine.name(), mode.name());
    [
        Figure::new(named("acknowledgement p95 at the steady rate"), "ms", rounds.p95_ms),
        Figure::new(named("acknowledgements, closed loop"), "/s", rounds.per_second),
        Figure::new(named("processor time, all of it, until delivered"), "ms/request", rounds.cpu_ms),
        Figure::new(named("processor time of the process that answers"), "ms/request", rounds.answering_cpu_ms),
        Figure::new(named("answers 5xx in the overload"), "%", rounds.failed_percent),
    ]
}

/// The figures after, with their ratio to those before, and what was promised of it.
fn compared(before: &[Figure; 5], after: [Figure; 5]) -> [Figure; 5] {
    let [p95, rate, all, answering, failed] = after;
    [
        p95.against(&before[0]).bar(Bar::RatioAtMost(0.4)),
        rate.against(&before[1]).bar(Bar::RatioAtLeast(3.0)),
        all.against(&before[2]),
        answering.against(&before[3]).bar(Bar::RatioAtMost(0.6)),
        failed.against(&before[4]).bar(Bar::RatioAtMost(0.5)),
    ]
}

/// The four figures in a line, as changes.
fn in_short(engine: Engine, mode: Mode, [p95, rate, _, answering, failed]: &[Figure; 5]) -> String {
    let change =
        |figure: &Figure| figure.ratio.map_or_else(String::new, |ratio| format!("{:+.0} %", (ratio - 1.0) * 100.0));
    format!(
        "\n{}, {}: p95 {}, throughput × {:.1}, processor time per request {}, answers 5xx in the overload {}",
        engine.name(),
        mode.name(),
        change(p95),
        rate.ratio.unwrap_or(f64::NAN),
        change(answering),
        change(failed),
    )
}
