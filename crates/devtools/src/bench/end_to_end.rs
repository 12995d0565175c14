//! The whole way: sender, gateway, sink.

use std::time::{Duration, Instant};

use super::client::{Requests, Seen, closed_loop, histogram, open_loop};
use super::intake::{check, quantiles};
use super::servers::{self, Sink};
use super::setup::{Bench, OwnRuntime, Plan, requests};
use super::table::{Bar, Figure, Table};
use super::{BenchArgs, Engine, process};
use crate::Failure;

const WARM_UP: Duration = Duration::from_secs(3);
const OPEN_LOOP_CONNECTIONS: usize = 64;
/// What was acknowledged has to arrive within this time after the load.
const ARRIVAL: Duration = Duration::from_secs(60);

/// Closed loop: deliveries that the sink receives each second while senders send as fast as they are answered.
pub(crate) async fn closed(arguments: &BenchArgs) -> Result<Table, Failure> {
    let mut table =
        Table::new(format!("end to end, fan-out 1, closed loop, {} connections, 1 KiB, signed", arguments.connections));
    let (mut rates, mut cpus) = (Vec::new(), Vec::new());
    for _ in 0..arguments.rounds {
        let sink = Sink::default();
        let to = sink.listen().await?;
        let (_runtime, address) = OwnRuntime::start(servers::bare_relay(to))?;
        let cpu = process::cpu(std::process::id(), false);
        let (received, begun) = (sink.received(), Instant::now());
        closed_loop(address, requests(false)?, arguments.connections, arguments.round()).await?;
        rates.push((sink.received() - received) as f64 / begun.elapsed().as_secs_f64());
        // Sender and sink are in this process too, so this is the cost of the whole reference.
        let cpu = process::cpu(std::process::id(), false) - cpu;
        cpus.push(cpu.as_secs_f64() * 1e3 / (sink.received() - received) as f64);
    }
    let relay = Figure::new("bare relay: received by the sink", "/s", rates);
    table.push(relay.clone());
    table.push(Figure::new("bare relay, sender and sink: processor time", "ms/event", cpus));
    for engine in arguments.engines() {
        for figure in closed_on(arguments, engine, &relay).await? {
            table.push(figure);
        }
    }
    Ok(table)
}

async fn closed_on(arguments: &BenchArgs, engine: Engine, relay: &Figure) -> Result<Vec<Figure>, Failure> {
    let [mut delivered, mut acknowledged, mut cpus, mut memory, mut statements] = <[Vec<f64>; 5]>::default();
    for _ in 0..arguments.rounds {
        let sink = Sink::default();
        let to = sink.listen().await?;
        let bench = Bench::start(arguments, Plan::new(engine, Some(to))).await?;
        let requests = requests(false)?;
        closed_loop(bench.address()?, requests.clone(), arguments.connections, WARM_UP).await?;
        let (cpu, received, begun) = (bench.cpu(), sink.received(), Instant::now());
        let settled = bench.queries("settle").await? + bench.queries("claim").await?;
        let seen = closed_loop(bench.address()?, requests.clone(), arguments.connections, arguments.round()).await?;
        let events = sink.received() - received;
        delivered.push(events as f64 / begun.elapsed().as_secs_f64());
        check(&seen)?;
        acknowledged.push(seen.per_second());
        cpus.push((bench.cpu() - cpu).as_secs_f64() * 1e3 / events as f64);
        let settled = bench.queries("settle").await? + bench.queries("claim").await? - settled;
        statements.push(settled / events as f64);
        memory.push(process::resident(bench.gateway.pid()) as f64 / f64::from(1 << 20));
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
        Figure::new(format!("{name}: processor time of gateway and store"), "ms/event", cpus).bar(Bar::AtMost(0.12)),
        Figure::new(format!("{name}: statements of delivery"), "/event", statements).bar(Bar::AtMost(0.1)),
        Figure::new(format!("{name}: resident memory, saturated"), "MiB", memory).bar(Bar::AtMost(120.0)),
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
    for _ in 0..arguments.rounds {
        let sink = Sink::noting();
        let (_runtime, address) = OwnRuntime::start(servers::bare_relay(sink.listen().await?))?;
        let requests = requests(false)?;
        let seen = open_loop(address, requests.clone(), OPEN_LOOP_CONNECTIONS, rate, arguments.round()).await?;
        arrived.push(arrivals(&sink, &seen, &requests, rate).await?);
        acknowledged.push(seen);
    }
    push_all(&mut table, quantiles("bare relay: acknowledgement", &acknowledged));
    push_all(&mut table, quantiles("bare relay: arrival at the sink", &arrived));
    let mut plans: Vec<(String, Plan, f64)> = arguments
        .engines()
        .into_iter()
        .map(|engine| (engine.name().to_owned(), Plan::new(engine, None), 8.0))
        .collect();
    if arguments.engines().contains(&Engine::Postgres) {
        let plan = Plan { two_nodes: true, ..Plan::new(Engine::Postgres, None) };
        plans.push(("postgres, two processes with Redis".to_owned(), plan, 15.0));
    }
    for (name, plan, bar) in plans {
        let [mut acknowledged, mut arrived] = <[Vec<Seen>; 2]>::default();
        for _ in 0..arguments.rounds {
            let (seen, arrivals) = steady_round(arguments, &plan, rate).await?;
            acknowledged.push(seen);
            arrived.push(arrivals);
        }
        let [p50, p99, max] = quantiles(&format!("{name}: acknowledgement"), &acknowledged);
        push_all(&mut table, [p50.bar(Bar::AtMost(0.8)), p99.bar(Bar::AtMost(5.0)), max]);
        let [p50, p99, max] = quantiles(&format!("{name}: arrival at the sink"), &arrived);
        let p50 = if plan.two_nodes { p50 } else { p50.bar(Bar::AtMost(1.0)) };
        push_all(&mut table, [p50, p99.bar(Bar::AtMost(bar)), max]);
    }
    Ok(table)
}

fn push_all(table: &mut Table, figures: [Figure; 3]) {
    figures.into_iter().for_each(|figure| table.push(figure));
}

async fn steady_round(arguments: &BenchArgs, plan: &Plan, rate: f64) -> Result<(Seen, Seen), Failure> {
    let sink = Sink::noting();
    let destinations = vec![format!("http://{}/hooks", sink.listen().await?)];
    let bench = Bench::start(arguments, Plan { destinations, ..plan.clone() }).await?;
    let warm = requests(false)?;
    open_loop(bench.address()?, warm.clone(), OPEN_LOOP_CONNECTIONS, rate, WARM_UP).await?;
    all_arrive(&sink, warm.sent()).await?;
    sink.take_arrivals();
    let requests = requests(false)?;
    let seen = open_loop(bench.address()?, requests.clone(), OPEN_LOOP_CONNECTIONS, rate, arguments.round()).await?;
    check(&seen)?;
    let arrived = arrivals(&sink, &seen, &requests, rate).await?;
    bench.stop()?;
    Ok((seen, arrived))
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
    Ok(Seen { latency, answered: arrived.len() as u64, refused: 0, begun: seen.begun, elapsed: seen.elapsed })
}
