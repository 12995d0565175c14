//! Intake: how many durable acknowledgements, how soon. Each stores an event and a delivery, which waits at a paused destination.

use std::time::Duration;

use super::client::{Seen, closed_loop, open_loop};
use super::reference::{Kind, Reference};
use super::requests::requests;
use super::setup::{Bench, Plan};
use super::table::{Bar, Figure, Table};
use super::{BenchArgs, Engine, disk, engine, process};
use crate::Failure;

/// Connections that keep an open loop on time.
pub(crate) const OPEN_LOOP_CONNECTIONS: usize = 256;
pub(crate) const WARM_UP: Duration = Duration::from_secs(2);

/// Closed loop: each connection sends again as soon as it is answered.
pub(crate) async fn closed(arguments: &BenchArgs, keys: bool) -> Result<Table, Failure> {
    let mut table = Table::new(format!("intake, closed loop, {} connections, 1 KiB, signed", arguments.connections));
    let mut bare = Vec::new();
    for _ in 0..arguments.rounds() {
        let server = Reference::start(Kind::Server)?;
        let seen = closed_loop(server.address, requests(keys)?, arguments.connections, arguments.round()).await?;
        bare.push(seen.per_second());
    }
    let bare = Figure::new("bare axum server", "/s", bare);
    table.push(bare.clone());
    for engine in arguments.engines() {
        let alone = engine::append(engine, arguments).await?;
        let figures = closed_on(arguments, engine, keys).await?;
        let bar = if engine == Engine::Sqlite { 0.30 } else { 0.28 };
        table.push(alone.clone());
        let [rate, cpu, statements, busy, p50, p99] = figures;
        table.push(rate.clone().against(&bare).bar(Bar::RatioAtLeast(bar)));
        let same = Figure { what: format!("{}: the same against the engine alone", engine.name()), ..rate };
        table.push(same.against(&alone).bar(Bar::RatioAtLeast(0.55)));
        table.push(statements.bar(Bar::AtMost(0.05)));
        table.push(cpu);
        table.push(p50);
        table.push(p99);
        table.push(busy.bar(Bar::AtMost(120.0)));
    }
    Ok(table)
}

async fn closed_on(arguments: &BenchArgs, engine: Engine, keys: bool) -> Result<[Figure; 6], Failure> {
    let mut rounds: [Vec<f64>; 6] = Default::default();
    for _ in 0..arguments.rounds() {
        let bench = Bench::start(arguments, Plan { keys, ..Plan::held(engine) }).await?;
        let address = bench.address()?;
        let requests = requests(keys)?;
        closed_loop(address, requests.clone(), arguments.connections, WARM_UP).await?;
        let (cpu, statements) = (bench.cpu(), bench.statements(&["append"]).await?);
        let seen = closed_loop(address, requests, arguments.connections, arguments.round()).await?;
        check(&seen)?;
        let cpu = (bench.cpu() - cpu).as_secs_f64() * 1e3 / seen.answered as f64;
        let statements = (bench.statements(&["append"]).await? - statements) / seen.answered as f64;
        let busy = process::resident_mb(bench.gateway.pid());
        let values = [seen.per_second(), cpu, statements, busy, seen.quantile_ms(0.5), seen.quantile_ms(0.99)];
        for (rounds, value) in rounds.iter_mut().zip(values) {
            rounds.push(value);
        }
        bench.stop()?;
    }
    let name = engine.name();
    let [rate, cpu, statements, busy, p50, p99] = rounds;
    Ok([
        Figure::new(format!("{name}: durable acknowledgements"), "/s", rate),
        Figure::new(format!("{name}: processor time of gateway and store"), "ms/event", cpu),
        Figure::new(format!("{name}: statements of intake"), "/event", statements),
        Figure::new(format!("{name}: resident memory, saturated"), "MB", busy),
        Figure::new(format!("{name}: acknowledgement p50"), "ms", p50),
        Figure::new(format!("{name}: acknowledgement p99"), "ms", p99),
    ])
}

/// Open loop at a steady rate, measured from the scheduled instants.
pub(crate) async fn steady(arguments: &BenchArgs, rate: f64) -> Result<Table, Failure> {
    let mut table =
        Table::new(format!("intake, open loop at {rate}/s, {} s a round, 1 KiB, signed", arguments.seconds));
    let mut rounds = Vec::new();
    for _ in 0..arguments.rounds() {
        let server = Reference::start(Kind::Server)?;
        let (requests, connections) = (requests(false)?, OPEN_LOOP_CONNECTIONS);
        rounds.push(open_loop(server.address, requests, connections, rate, arguments.round()).await?);
    }
    for figure in quantiles("bare axum server", &rounds) {
        table.push(figure);
    }
    disk::flushes(arguments)?.into_iter().chain(disk::pages(arguments)?).for_each(|figure| table.push(figure));
    for engine in arguments.engines() {
        let mut rounds = Vec::new();
        for _ in 0..arguments.rounds() {
            let bench = Bench::start(arguments, Plan::held(engine)).await?;
            let (address, connections) = (bench.address()?, OPEN_LOOP_CONNECTIONS);
            open_loop(address, requests(false)?, connections, rate, WARM_UP).await?;
            let seen = open_loop(address, requests(false)?, connections, rate, arguments.round()).await?;
            check(&seen)?;
            rounds.push(seen);
            bench.stop()?;
        }
        let [p50, p99, max] = quantiles(engine.name(), &rounds);
        table.push(p50.bar(Bar::AtMost(1.0)));
        table.push(p99.bar(Bar::AtMost(8.0)));
        table.push(max);
    }
    Ok(table)
}

pub(crate) fn quantiles(name: &str, rounds: &[Seen]) -> [Figure; 3] {
    [("p50", 0.5), ("p99", 0.99), ("max", 1.0)].map(|(label, quantile)| {
        let values = rounds.iter().map(|seen| seen.quantile_ms(quantile)).collect();
        Figure::new(format!("{name}: {label} from the scheduled instant"), "ms", values)
    })
}

/// A figure of a run with refused requests would be a figure of something else.
pub(crate) fn check(seen: &Seen) -> Result<(), Failure> {
    if seen.refused > 0 || seen.answered == 0 {
        return Err(format!("{} of {} requests were refused", seen.refused, seen.answered).into());
    }
    Ok(())
}
