//! What observing costs: metrics by themselves, and traces at intake.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use axum::Router;
use axum::extract::State;
use axum::routing::post;
use bytes::Bytes;
use tokio::net::TcpListener;

use super::client::closed_loop;
use super::intake::{WARM_UP, check};
use super::requests::requests;
use super::setup::{Bench, Plan};
use super::table::{Figure, Table};
use super::{BenchArgs, Engine, metrics};
use crate::Failure;

/// Whether traces are exported, and how many are recorded.
#[derive(Debug, Clone, Copy)]
enum Tracing {
    Off,
    Sampled(f64),
}

pub(crate) async fn run(arguments: &BenchArgs) -> Result<Table, Failure> {
    let connections = arguments.connections;
    let mut table = Table::new(format!(
        "what observing costs: metrics alone, and intake with trace export, closed loop, {connections} connections"
    ));
    for figure in metrics::figures(arguments.rounds()) {
        table.push(figure);
    }
    let collector = Collector::default();
    let address = collector.listen().await?;
    for engine in arguments.engines() {
        let [mut off, mut none, mut all, mut cpu_off, mut cpu_none, mut cpu_all] = <[Vec<f64>; 6]>::default();
        for _ in 0..arguments.rounds() {
            // In turn, so that whatever else changes on the machine changes for all.
            let before = collector.bytes();
            for (tracing, rates, cpus) in [
                (Tracing::Off, &mut off, &mut cpu_off),
                (Tracing::Sampled(0.0), &mut none, &mut cpu_none),
                (Tracing::Sampled(1.0), &mut all, &mut cpu_all),
            ] {
                let (rate, cpu) = round(arguments, engine, address, tracing).await?;
                rates.push(rate);
                cpus.push(cpu);
            }
            if collector.bytes() == before {
                return Err("the collector received no spans".into());
            }
        }
        let name = engine.name();
        let off = Figure::new(format!("{name}: acknowledgements, no export"), "/s", off);
        let none = Figure::new(format!("{name}: acknowledgements, export, none sampled"), "/s", none).against(&off);
        let all = Figure::new(format!("{name}: acknowledgements, export, all sampled"), "/s", all).against(&off);
        [off, none, all].into_iter().for_each(|figure| table.push(figure));
        let off = Figure::new(format!("{name}: processor time, no export"), "ms/event", cpu_off);
        let none =
            Figure::new(format!("{name}: processor time, export, none sampled"), "ms/event", cpu_none).against(&off);
        let all =
            Figure::new(format!("{name}: processor time, export, all sampled"), "ms/event", cpu_all).against(&off);
        [off, none, all].into_iter().for_each(|figure| table.push(figure));
    }
    Ok(table)
}

/// Acknowledgements a second, and milliseconds of processor time of gateway and store for each.
async fn round(
    arguments: &BenchArgs,
    engine: Engine,
    collector: SocketAddr,
    tracing: Tracing,
) -> Result<(f64, f64), Failure> {
    let more = match tracing {
        Tracing::Off => String::new(),
        Tracing::Sampled(ratio) => format!(
            "[telemetry]\notlp_endpoint = \"http://{collector}\"\notlp_protocol = \"http\"\nsample_ratio = {ratio:.1}\n"
        ),
    };
    let bench = Bench::start(arguments, Plan { more, ..Plan::held(engine) }).await?;
    let (address, requests) = (bench.address()?, requests(false)?);
    closed_loop(address, requests.clone(), arguments.connections, WARM_UP).await?;
    let cpu = bench.cpu();
    let seen = closed_loop(address, requests, arguments.connections, arguments.round()).await?;
    check(&seen)?;
    let cpu = (bench.cpu() - cpu).as_secs_f64() * 1e3 / seen.answered as f64;
    bench.stop()?;
    Ok((seen.per_second(), cpu))
}

/// A collector that reads what it is sent and keeps nothing.
#[derive(Debug, Clone, Default)]
struct Collector {
    bytes: Arc<AtomicU64>,
}

impl Collector {
    fn bytes(&self) -> u64 {
        self.bytes.load(Ordering::Relaxed)
    }

    /// Listens on the current runtime, until that ends.
    async fn listen(&self) -> Result<SocketAddr, Failure> {
        let listener = TcpListener::bind(("127.0.0.1", 0)).await?;
        let address = listener.local_addr()?;
        let take = |State(bytes): State<Arc<AtomicU64>>, body: Bytes| async move {
            bytes.fetch_add(body.len() as u64, Ordering::Relaxed);
        };
        let router = Router::new()
            .route("/v1/traces", post(take))
            .layer(axum::extract::DefaultBodyLimit::disable())
            .with_state(self.bytes.clone());
        tokio::spawn(async move { axum::serve(listener, router).await });
        Ok(address)
    }
}
