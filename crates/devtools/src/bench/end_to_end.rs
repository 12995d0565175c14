//! The whole way: sender, gateway, sink.

use std::time::{Duration, Instant};

use super::client::{Requests, Seen, closed_loop, histogram, open_loop};
use super::intake::{check, quantiles};
use super::probe::{Looks, Probe};
use super::reference::{Kind, Reference};
use super::requests::requests;
use super::servers::Sink;
use super::setup::{Bench, Plan};
use super::table::{Bar, Figure, Table};
use super::{BenchArgs, Engine, disk, process};
use crate::Failure;

pub(crate) const WARM_UP: Duration = Duration::from_secs(3);
const OPEN_LOOP_CONNECTIONS: usize = 64;
/// After its start a gateway is idle: what only the start took has been handed back.
const IDLE: Duration = Duration::from_secs(5);
/// Statements that deliveries take.
const DELIVERY: [&str; 3] = ["settle", "claim", "renew"];
/// What was acknowledged has to arrive within this time after the load.
const ARRIVAL: Duration = Duration::from_secs(60);
/// Deliveries that may wait for a worker in normal operation.
const READY_QUEUE: f64 = 49.0;

/// Closed loop: deliveries that the sink receives each second while senders send as fast as they are answered.
pub(crate) async fn closed(arguments: &BenchArgs) -> Result<Table, Failure> {
    let mut table =
        Table::new(format!("end to end, fan-out 1, closed loop, {} connections, 1 KiB, signed", arguments.connections));
    let (mut rates, mut cpus) = (Vec::new(), Vec::new());
    for _ in 0..arguments.rounds() {
        let sink = Sink::default();
        let to = sink.listen().await?;
        let relay = Reference::start(Kind::Relay { to })?;
        let requests = requests(false)?;
        closed_loop(relay.address, requests.clone(), arguments.connections, WARM_UP).await?;
        let (cpu, received, begun) = (relay.cpu(), sink.received(), Instant::now());
        closed_loop(relay.address, requests, arguments.connections, arguments.round()).await?;
        let events = (sink.received() - received) as f64;
        rates.push(events / begun.elapsed().as_secs_f64());
        cpus.push((relay.cpu() - cpu).as_secs_f64() * 1e3 / events);
    }
    let relay = Figure::new("bare relay: received by the sink", "/s", rates);
    table.push(relay.clone());
    let relay_cpu = Figure::new("bare relay: processor time", "ms/event", cpus);
    table.push(relay_cpu.clone());
    for engine in arguments.engines() {
        for figure in closed_on(arguments, engine, &relay, &relay_cpu).await? {
            table.push(figure);
        }
    }
    Ok(table)
}

async fn closed_on(
    arguments: &BenchArgs,
    engine: Engine,
    relay: &Figure,
    relay_cpu: &Figure,
) -> Result<Vec<Figure>, Failure> {
    let [mut delivered, mut acknowledged, mut cpus, mut idle, mut memory, mut statements] = <[Vec<f64>; 6]>::default();
    for _ in 0..arguments.rounds() {
        let sink = Sink::default();
        let to = sink.listen().await?;
        let bench = Bench::start(arguments, Plan::to(engine, to)).await?;
        tokio::time::sleep(IDLE).await;
        idle.push(process::resident_mb(bench.gateway.pid()));
        let requests = requests(false)?;
        closed_loop(bench.address()?, requests.clone(), arguments.connections, WARM_UP).await?;
        let (cpu, received, begun) = (bench.cpu(), sink.received(), Instant::now());
        let executed = bench.statements(&DELIVERY).await?;
        let seen = closed_loop(bench.address()?, requests.clone(), arguments.connections, arguments.round()).await?;
        let events = sink.received() - received;
        delivered.push(events as f64 / begun.elapsed().as_secs_f64());
        check(&seen)?;
        acknowledged.push(seen.per_second());
        cpus.push((bench.cpu() - cpu).as_secs_f64() * 1e3 / events as f64);
        statements.push((bench.statements(&DELIVERY).await? - executed) / events as f64);
        memory.push(process::resident_mb(bench.gateway.pid()));
        all_arrive(&sink, requests.sent()).await?;
        bench.stop()?;
    }
    let name = engine.name();
    let least = if engine == Engine::Sqlite { 14_000.0 } else { 10_000.0 };
    let delivered = Figure::new(format!("{name}: received by the sink"), "/s", delivered).against(relay);
    let share = Figure { what: format!("{name}: the same against the relay"), ..delivered.clone() };
    Ok(vec![
        delivered.bar(Bar::AtLeast(least)),
        share.bar(Bar::RatioAtLeast(0.35)),
        Figure::new(format!("{name}: acknowledged meanwhile"), "/s", acknowledged),
        Figure::new(format!("{name}: processor time of gateway and store"), "ms/event", cpus)
            .against(relay_cpu)
            .bar(Bar::AtMost(0.12)),
        Figure::new(format!("{name}: statements of delivery"), "/event", statements).bar(Bar::AtMost(0.1)),
        Figure::new(format!("{name}: resident memory, idle"), "MB", idle).bar(Bar::AtMost(25.0)),
        Figure::new(format!("{name}: resident memory, saturated"), "MB", memory).bar(Bar::AtMost(120.0)),
    ])
}

/// Waits for what was acknowledged but not delivered yet.
pub(crate) async fn all_arrive(sink: &Sink, sent: u64) -> Result<(), Failure> {
    let deadline = Instant::now() + ARRIVAL;
    while sink.received() < sent {
        if Instant::now() > deadline {
            return Err(format!("{} of {sent} events arrived", sink.received()).into());
        }
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    Ok(())
}

/// Open loop at a steady rate: acknowledgement and arrival, both from the scheduled instant.
pub(crate) async fn steady(arguments: &BenchArgs, rate: f64) -> Result<Table, Failure> {
    let mut table =
        Table::new(format!("end to end, open loop at {rate}/s, {} s a round, 1 KiB, signed", arguments.seconds));
    let [mut acknowledged, mut arrived] = <[Vec<Seen>; 2]>::default();
    for _ in 0..arguments.rounds() {
        let sink = Sink::noting();
        let relay = Reference::start(Kind::Relay { to: sink.listen().await? })?;
        let requests = requests(false)?;
        let seen = open_loop(relay.address, requests.clone(), OPEN_LOOP_CONNECTIONS, rate, arguments.round()).await?;
        arrived.push(arrivals(&sink, &seen, &requests, rate).await?);
        acknowledged.push(seen);
    }
    push_all(&mut table, quantiles("bare relay: acknowledgement", &acknowledged));
    push_all(&mut table, quantiles("bare relay: arrival at the sink", &arrived));
    disk::flushes(arguments)?.into_iter().chain(disk::pages(arguments)?).for_each(|figure| table.push(figure));
    let mut setups: Vec<_> =
        arguments.engines().into_iter().map(|engine| (engine.name(), engine, false, 8.0)).collect();
    if arguments.engines().contains(&Engine::Postgres) {
        setups.push(("postgres, two processes with Redis", Engine::Postgres, true, 15.0));
    }
    for (name, engine, two_nodes, bar) in setups {
        let [mut acknowledged, mut arrived] = <[Vec<Seen>; 2]>::default();
        let [mut health, mut depth] = <[Vec<f64>; 2]>::default();
        for _ in 0..arguments.rounds() {
            let (seen, arrivals, looks) = steady_round(arguments, engine, two_nodes, rate).await?;
            acknowledged.push(seen);
            arrived.push(arrivals);
            health.push(looks.health.value_at_quantile(0.95) as f64 / 1e3);
            depth.push(looks.depth);
        }
        let [p50, p99, max] = quantiles(&format!("{name}: acknowledgement"), &acknowledged);
        push_all(&mut table, [p50.bar(Bar::AtMost(0.8)), p99.bar(Bar::AtMost(5.0)), max]);
        let [p50, p99, max] = quantiles(&format!("{name}: arrival at the sink"), &arrived);
        let p50 = if two_nodes { p50 } else { p50.bar(Bar::AtMost(1.0)) };
        push_all(&mut table, [p50, p99.bar(Bar::AtMost(bar)), max]);
        let depth = Figure::new(format!("{name}: ready queue, deepest of all samples"), "", depth);
        table.push(depth.bar(Bar::AtMost(READY_QUEUE)));
        let health = Figure::new(format!("{name}: /health p95"), "ms", health);
        table.push(health.bar(Bar::AtMost(100.0)));
    }
    Ok(table)
}

fn push_all(table: &mut Table, figures: [Figure; 3]) {
    figures.into_iter().for_each(|figure| table.push(figure));
}

async fn steady_round(
    arguments: &BenchArgs,
    engine: Engine,
    two_nodes: bool,
    rate: f64,
) -> Result<(Seen, Seen, Looks), Failure> {
    let sink = Sink::noting();
    let bench = Bench::start(arguments, Plan { two_nodes, ..Plan::to(engine, sink.listen().await?) }).await?;
    let warm = requests(false)?;
    open_loop(bench.address()?, warm.clone(), OPEN_LOOP_CONNECTIONS, rate, WARM_UP).await?;
    all_arrive(&sink, warm.sent()).await?;
    sink.take_arrivals();
    let requests = requests(false)?;
    let probe = Probe::start(&bench)?;
    let seen = open_loop(bench.address()?, requests.clone(), OPEN_LOOP_CONNECTIONS, rate, arguments.round()).await?;
    let looks = probe.end().await?;
    check(&seen)?;
    let arrived = arrivals(&sink, &seen, &requests, rate).await?;
    bench.stop()?;
    Ok((seen, arrived, looks))
}

/// Waits until all has come, and measures each arrival from its scheduled instant.
async fn arrivals(sink: &Sink, seen: &Seen, requests: &Requests, rate: f64) -> Result<Seen, Failure> {
    let deadline = Instant::now() + ARRIVAL;
    let mut arrived = Vec::new();
    while (arrived.len() as u64) < requests.sent() {
        if Instant::now() > deadline {
            return Err(format!("{} of {} events arrived", arrived.len(), requests.sent()).into());
        }
        tokio::time::sleep(Duration::from_millis(20)).await;
        arrived.extend(sink.take_arrivals());
    }
    let mut latency = histogram();
    for arrival in &arrived {
        let intended = seen.begun + Duration::from_secs_f64(arrival.number as f64 / rate);
        let microseconds = arrival.at.saturating_duration_since(intended).as_micros();
        latency.saturating_record(u64::try_from(microseconds).unwrap_or(u64::MAX).max(1));
    }
    let answered = arrived.len() as u64;
    Ok(Seen { latency, answered, refused: 0, server_errors: 0, begun: seen.begun, elapsed: seen.elapsed })
}
