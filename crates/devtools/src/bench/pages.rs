//! The console's pages over a large store: how long the server takes for each, compressed as browsers ask for it.

use std::net::SocketAddr;
use std::time::{Duration, Instant};

use super::observe::exchange;
use super::retention;
use super::setup::{Bench, Plan};
use super::table::{Bar, Figure, Table};
use super::{BenchArgs, Engine};
use crate::Failure;

/// Requests for each page in a round, one after the other; the slowest counts.
const REQUESTS: usize = 10;
/// How old the stored events are.
const AGE: Duration = Duration::from_secs(60 * 60);
/// Of so many deliveries one was given up.
const DEAD: usize = 100;
/// Every kind of page; `{event}` is the id of a stored event.
const PAGES: [&str; 24] = [
    "/console",
    "/console/events",
    "/console/events?status=delivered",
    "/console/events?status=dead",
    "/console/events?source=bench&since=24h",
    "/console/events?q=invoice.paid",
    "/console/events/{event}",
    "/console/events/{event}/replay",
    "/console/dead-letters",
    "/console/replays",
    "/console/replays/new",
    "/console/test",
    "/console/sources",
    "/console/sources/bench",
    "/console/destinations",
    "/console/destinations/sink-0",
    "/console/connections",
    "/console/connections/new",
    "/console/dry-run",
    "/console/performance",
    "/console/slos",
    "/console/rollouts",
    "/console/load-tests",
    "/console/keyboard",
];
/// Needs no store.
const BARE: &str = "/healthz";
/// In which a page should be there.
const MOST_MS: f64 = 50.0;

pub(crate) async fn run(arguments: &BenchArgs, stored: usize) -> Result<Table, Failure> {
    let title = format!("pages of the console with {stored} stored events, the slowest of {REQUESTS} requests");
    let mut table = Table::new(title);
    for engine in arguments.engines() {
        for figure in on(arguments, engine, stored).await? {
            table.push(figure);
        }
    }
    Ok(table)
}

async fn on(arguments: &BenchArgs, engine: Engine, stored: usize) -> Result<Vec<Figure>, Failure> {
    let ground = Bench::start(arguments, Plan::held(engine)).await?.stop()?;
    retention::fill(&ground, stored, AGE, Some(DEAD)).await?;
    let bench = ground.start()?;
    let address = bench.address()?;
    let events: serde_json::Value = serde_json::from_str(&bench.ask("GET", "/api/v1/events?limit=1").await?)?;
    let event = events["data"][0]["id"].as_str().ok_or("no event is stored")?;
    let cookie = sign_in(address, bench.admin_key()?).await?;
    let mut figures = Vec::new();
    let bare = slowest(arguments, address, BARE, &cookie).await?;
    figures.push(Figure::new(format!("{}: {BARE}, for comparison", engine.name()), "ms", bare));
    for page in PAGES {
        let took = slowest(arguments, address, &page.replace("{event}", event), &cookie).await?;
        figures.push(Figure::new(format!("{}: {page}", engine.name()), "ms", took).bar(Bar::AtMost(MOST_MS)));
    }
    bench.stop()?;
    Ok(figures)
}

/// The slowest request of each round, in milliseconds.
async fn slowest(arguments: &BenchArgs, address: SocketAddr, path: &str, cookie: &str) -> Result<Vec<f64>, Failure> {
    let headers = format!("cookie: {cookie}\r\naccept-encoding: gzip\r\n");
    let mut rounds = Vec::new();
    for _ in 0..arguments.rounds() {
        let mut slowest = Duration::ZERO;
        for _ in 0..REQUESTS {
            let asked = Instant::now();
            let (head, _) = exchange(address, "GET", path, &headers, "").await?;
            slowest = slowest.max(asked.elapsed());
            if !head.starts_with("HTTP/1.1 200") {
                return Err(format!("{path} was answered {head}").into());
            }
        }
        rounds.push(slowest.as_secs_f64() * 1e3);
    }
    Ok(rounds)
}

/// Returns the session's cookie.
async fn sign_in(address: SocketAddr, key: &str) -> Result<String, Failure> {
    let form = "content-type: application/x-www-form-urlencoded\r\n";
    let (head, _) = exchange(address, "POST", "/console/login", form, &format!("key={key}")).await?;
    let cookie = head.lines().find_map(|line| line.strip_prefix("set-cookie: "));
    let cookie = cookie.and_then(|cookie| cookie.split(';').next());
    Ok(cookie.ok_or_else(|| format!("signing in was answered {head}"))?.to_owned())
}
