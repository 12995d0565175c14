//! Looks at a gateway from time to time while it is under load.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use hdrhistogram::Histogram;

use super::client::{Connection, histogram};
use super::observe::metrics;
use super::setup::Bench;
use crate::Failure;

/// Between two requests to `/health`.
const HEALTH: Duration = Duration::from_millis(50);
/// Health requests for each scrape of the metrics.
const SCRAPE: usize = 5;
const DEPTH: &str = "spillway_ready_queue_depth ";

/// What was seen.
#[derive(Debug)]
pub(super) struct Looks {
    /// Microseconds from asking `/health` to the whole answer.
    pub(super) health: Histogram<u64>,
    /// Largest `spillway_ready_queue_depth` of the process that delivers.
    pub(super) depth: f64,
}

/// Looks until it is asked for what it saw.
pub(super) struct Probe {
    stop: Arc<AtomicBool>,
    task: tokio::task::JoinHandle<Result<Looks, Failure>>,
}

impl Probe {
    pub(super) fn start(bench: &Bench) -> Result<Self, Failure> {
        let (address, delivering) = (bench.address()?, bench.delivering().address().parse()?);
        let stop = Arc::new(AtomicBool::new(false));
        let task = tokio::spawn(look(address, delivering, stop.clone()));
        Ok(Self { stop, task })
    }

    pub(super) async fn end(self) -> Result<Looks, Failure> {
        self.stop.store(true, Ordering::Relaxed);
        self.task.await?
    }
}

async fn look(address: SocketAddr, delivering: SocketAddr, stop: Arc<AtomicBool>) -> Result<Looks, Failure> {
    let mut connection = Connection::open(address).await?;
    let mut looks = Looks { health: histogram(), depth: 0.0 };
    for n in 1_usize.. {
        if stop.load(Ordering::Relaxed) {
            break;
        }
        let asked = Instant::now();
        if connection.get("/health").await? != 200 {
            return Err("/health was not answered 200".into());
        }
        looks.health.saturating_record(u64::try_from(asked.elapsed().as_micros()).unwrap_or(u64::MAX).max(1));
        if n % SCRAPE == 0 {
            looks.depth = looks.depth.max(depth(&metrics(delivering).await?)?);
        }
        tokio::time::sleep(HEALTH).await;
    }
    Ok(looks)
}

fn depth(metrics: &str) -> Result<f64, Failure> {
    let line =
        metrics.lines().find_map(|line| line.strip_prefix(DEPTH)).ok_or("the depth of the ready queue is missing")?;
    Ok(line.trim().parse()?)
}
