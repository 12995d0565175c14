//! What clients of live events cost intake: the same load with none of them, and with thousands.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio::runtime::Runtime;
use tokio::sync::Semaphore;
use tokio::task::JoinSet;

use super::client::{Seen, closed_loop, open_loop};
use super::intake::{OPEN_LOOP_CONNECTIONS, WARM_UP, check};
use super::requests::requests;
use super::setup::{Bench, Plan};
use super::table::{Bar, Figure, Table};
use super::{BenchArgs, Engine, process};
use crate::Failure;

/// Connections that are being opened at once.
const OPENING: usize = 64;
/// Longest time until all clients are there.
const ALL_OPEN: Duration = Duration::from_secs(120);
const READ_BUFFER: usize = 16 * 1_024;

/// Clients and load.
#[derive(Debug, Clone, Copy)]
pub(super) struct Clients {
    pub(super) sockets: usize,
    pub(super) sse: usize,
    /// Events per second of the steady load.
    pub(super) rate: f64,
}

/// A name, a unit, the value of a round, and what it has to reach against the same without clients.
type Measure = (&'static str, &'static str, fn(&Round) -> f64, Option<Bar>);

/// What one round saw.
struct Round {
    steady: Seen,
    steady_cpu: f64,
    flood: Seen,
}

pub(super) async fn run(arguments: &BenchArgs, clients: Clients) -> Result<Table, Failure> {
    crate::load::raise_file_limit();
    let Clients { sockets, sse, rate } = clients;
    let mut table = Table::new(format!(
        "intake beside {sockets} WebSocket and {sse} SSE clients of live events: open loop at {rate}/s, and closed loop, 1 KiB, signed"
    ));
    for engine in arguments.engines() {
        engine_figures(arguments, engine, clients, &mut table).await?;
    }
    Ok(table)
}

async fn engine_figures(
    arguments: &BenchArgs,
    engine: Engine,
    clients: Clients,
    table: &mut Table,
) -> Result<(), Failure> {
    let name = engine.name();
    let (mut alone, mut beside) = (Vec::new(), Vec::new());
    let [mut bytes, mut memory] = <[Vec<f64>; 2]>::default();
    // In turn, so that what changes on the machine meanwhile changes both.
    for _ in 0..arguments.rounds() {
        let bench = Bench::start(arguments, Plan::held(engine)).await?;
        alone.push(round(arguments, &bench, clients.rate).await?);
        bench.stop()?;
        let bench = Bench::start(arguments, Plan::held(engine)).await?;
        let audience = Audience::gather(&bench, clients).await?;
        let (begun, read) = (Instant::now(), audience.read());
        beside.push(round(arguments, &bench, clients.rate).await?);
        bytes.push((audience.read() - read) as f64 / begun.elapsed().as_secs_f64() / 1e6);
        memory.push(process::resident_mb(bench.gateway.pid()));
        audience.check(clients)?;
        drop(audience);
        bench.stop()?;
    }
    let figure = |what: &str, unit, rounds: &[Round], value: fn(&Round) -> f64| {
        Figure::new(format!("{name}: {what}"), unit, rounds.iter().map(value).collect())
    };
    let measures: [Measure; 5] = [
        ("acknowledged, open loop", "/s", |round| round.steady.per_second(), Some(Bar::RatioAtLeast(0.9))),
        ("acknowledged, closed loop", "/s", |round| round.flood.per_second(), Some(Bar::RatioAtLeast(0.9))),
        ("acknowledgement p50, open loop", "ms", |round| round.steady.quantile_ms(0.5), None),
        ("acknowledgement p99, open loop", "ms", |round| round.steady.quantile_ms(0.99), None),
        ("processor time of gateway and store, open loop", "s/s", |round| round.steady_cpu, None),
    ];
    for (what, unit, value, bar) in measures {
        let reference = figure(&format!("{what}, no client"), unit, &alone, value);
        let measured = figure(&format!("{what}, with clients"), unit, &beside, value).against(&reference);
        table.push(reference);
        table.push(match bar {
            Some(bar) => measured.bar(bar),
            None => measured,
        });
    }
    table.push(Figure::new(format!("{name}: sent to clients"), "MB/s", bytes));
    table.push(Figure::new(format!("{name}: resident memory with clients"), "MB", memory));
    Ok(())
}

async fn round(arguments: &BenchArgs, bench: &Bench, rate: f64) -> Result<Round, Failure> {
    let address = bench.address()?;
    open_loop(address, requests(false)?, OPEN_LOOP_CONNECTIONS, rate, WARM_UP).await?;
    let (cpu, begun) = (bench.cpu(), Instant::now());
    let steady = open_loop(address, requests(false)?, OPEN_LOOP_CONNECTIONS, rate, arguments.round()).await?;
    let steady_cpu = (bench.cpu() - cpu).as_secs_f64() / begun.elapsed().as_secs_f64();
    check(&steady)?;
    let flood = closed_loop(address, requests(false)?, arguments.connections, arguments.round()).await?;
    check(&flood)?;
    Ok(Round { steady, steady_cpu, flood })
}

/// Clients that read what they are sent and look at none of it. They end when this is dropped.
struct Audience {
    tasks: JoinSet<Result<(), Failure>>,
    /// A thread of their own, so that the sender is not held up by them.
    runtime: Option<Runtime>,
    /// Bytes that all of them read, and how many of them are there.
    n_bytes: Arc<AtomicU64>,
    n_open: Arc<AtomicU64>,
}

impl Audience {
    async fn gather(bench: &Bench, clients: Clients) -> Result<Self, Failure> {
        let address = bench.address()?;
        // A key of its own, whose rate lets all of them in at once.
        let body = r#"{"name":"streams","scope":"read","rate_limit":"100000/s"}"#;
        let made = bench.ask_with("POST", "/api/v1/keys", body).await?;
        let key = made["key"].as_str().ok_or("the gateway made no key")?.to_owned();
        let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build()?;
        let handle = runtime.handle().clone();
        let mut audience =
            Self { tasks: JoinSet::new(), runtime: Some(runtime), n_bytes: Arc::default(), n_open: Arc::default() };
        let room = Arc::new(Semaphore::new(OPENING));
        for n in 0..clients.sockets + clients.sse {
            let request = if n < clients.sockets { socket_request(&key) } else { sse_request(&key) };
            let client = look(address, request, room.clone(), audience.n_bytes.clone(), audience.n_open.clone());
            audience.tasks.spawn_on(client, &handle);
        }
        let wanted = (clients.sockets + clients.sse) as u64;
        let deadline = Instant::now() + ALL_OPEN;
        while audience.n_open.load(Ordering::Relaxed) < wanted {
            if let Some(ended) = audience.tasks.try_join_next() {
                ended??;
            }
            if Instant::now() > deadline {
                return Err(
                    format!("{} of {wanted} clients were let in", audience.n_open.load(Ordering::Relaxed)).into()
                );
            }
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
        Ok(audience)
    }

    fn read(&self) -> u64 {
        self.n_bytes.load(Ordering::Relaxed)
    }

    /// Figures with fewer clients would be figures of something else.
    fn check(&self, clients: Clients) -> Result<(), Failure> {
        let wanted = clients.sockets + clients.sse;
        if self.tasks.len() < wanted || (wanted > 0 && self.read() == 0) {
            return Err("clients lost their streams, or were sent nothing".into());
        }
        Ok(())
    }
}

impl Drop for Audience {
    fn drop(&mut self) {
        if let Some(runtime) = self.runtime.take() {
            runtime.shutdown_background();
        }
    }
}

/// A client: opens its stream, and reads it until it ends, which it must not.
async fn look(
    address: SocketAddr,
    request: String,
    room: Arc<Semaphore>,
    n_bytes: Arc<AtomicU64>,
    n_open: Arc<AtomicU64>,
) -> Result<(), Failure> {
    let permit = room.acquire_owned().await?;
    let mut stream = open(address, &request).await?;
    n_open.fetch_add(1, Ordering::Relaxed);
    drop(permit);
    let mut buffer = vec![0; READ_BUFFER];
    loop {
        match stream.read(&mut buffer).await? {
            0 => return Err("the gateway closed a stream".into()),
            n => n_bytes.fetch_add(n as u64, Ordering::Relaxed),
        };
    }
}

fn socket_request(key: &str) -> String {
    format!(
        "GET /api/v1/stream HTTP/1.1\r\nhost: 127.0.0.1\r\nauthorization: Bearer {key}\r\nconnection: Upgrade\r\nupgrade: websocket\r\n\
         sec-websocket-version: 13\r\nsec-websocket-key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n"
    )
}

fn sse_request(key: &str) -> String {
    format!("GET /api/v1/events/stream HTTP/1.1\r\nhost: 127.0.0.1\r\nauthorization: Bearer {key}\r\n\r\n")
}

/// Connects and reads the head of the answer.
async fn open(address: SocketAddr, request: &str) -> Result<TcpStream, Failure> {
    let mut stream = TcpStream::connect(address).await?;
    stream.write_all(request.as_bytes()).await?;
    let mut head = Vec::with_capacity(1_024);
    while !head.windows(4).any(|four| four == b"\r\n\r\n") {
        if stream.read_buf(&mut head).await? == 0 {
            return Err("the gateway closed a stream before it began".into());
        }
    }
    match head.get(9..12) {
        Some(b"101" | b"200") => Ok(stream),
        _ => Err(format!("a stream was refused: {}", String::from_utf8_lossy(&head)).into()),
    }
}
