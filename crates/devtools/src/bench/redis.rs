//! Round trips through Redis, as two nodes make them.

use std::cell::RefCell;
use std::sync::Arc;
use std::time::{Duration, Instant};

use bytes::Bytes;
use hdrhistogram::Histogram;
use spillway_coordination::{Coordination, RedisSettings, redis};
use spillway_model::{Claimed, Event, HeaderBlock, IdGenerator, Rate, SystemClock};
use spillway_testkit::Redis;

use super::BenchArgs;
use super::client::histogram;
use super::table::{Bar, Figure, Table};
use crate::Failure;

/// Keys whose rate is checked, as there are sources and clients.
const KEYS: u64 = 100;
const WARM_UP: Duration = Duration::from_secs(1);
/// What was handed over has to arrive so long after the load.
const PATIENCE: Duration = Duration::from_secs(10);

pub(crate) async fn run(arguments: &BenchArgs, rate: f64) -> Result<Table, Failure> {
    let mut table = Table::new(format!("Redis, {rate} rate checks/s and {rate} hand-overs/s side by side"));
    let [mut checks, mut hand_overs] = <[Vec<Histogram<u64>>; 2]>::default();
    for _ in 0..arguments.rounds() {
        let server = Redis::start().await;
        let one = redis(&RedisSettings::at(server.url())).await?;
        let other = redis(&RedisSettings::at(server.url())).await?;
        if !one.ready.is_healthy() || !other.ready.is_healthy() {
            return Err("a node does not reach its Redis".into());
        }
        round(&one, &other, rate, WARM_UP).await?;
        let (check, hand_over) = round(&one, &other, rate, arguments.round()).await?;
        checks.push(check);
        hand_overs.push(hand_over);
    }
    for (name, rounds) in [("rate check", checks), ("hand-over of a 1 KiB delivery to another node", hand_overs)] {
        let of = |quantile| rounds.iter().map(|seen| seen.value_at_quantile(quantile) as f64 / 1e3).collect();
        table.push(Figure::new(format!("{name}: p50"), "ms", of(0.5)));
        table.push(Figure::new(format!("{name}: p95"), "ms", of(0.95)).bar(Bar::AtMost(5.0)));
    }
    Ok(table)
}

/// Microseconds of each rate check, and of each delivery from one node to the other.
async fn round(
    one: &Coordination,
    other: &Coordination,
    rate: f64,
    duration: Duration,
) -> Result<(Histogram<u64>, Histogram<u64>), Failure> {
    let n_operations = (rate * duration.as_secs_f64()) as u64;
    let begun = Instant::now();
    let at = |n: u64| begun + Duration::from_secs_f64(n as f64 / rate);
    let limit: Rate = "1000000/s".parse()?;
    let check = async {
        let mut seen = histogram();
        for n in 0..n_operations {
            tokio::time::sleep_until(at(n).into()).await;
            let asked = Instant::now();
            one.rate.check(&format!("bench-{}", n % KEYS), limit).await;
            record(&mut seen, asked);
        }
        seen
    };
    let (template, pushed_at) = (delivery(), RefCell::new(Vec::new()));
    let push = async {
        for n in 0..n_operations {
            tokio::time::sleep_until(at(n).into()).await;
            let room = one.ready.try_reserve(1, template.event.body.len()).ok_or("the ready queue is full")?;
            // The generation tells one from the other.
            let delivery = Claimed { generation: u32::try_from(n)?, ..template.clone() };
            pushed_at.borrow_mut().push(Instant::now());
            one.ready.push(room, vec![delivery]).await;
        }
        Ok::<_, Failure>(())
    };
    let pop = async {
        let mut seen = histogram();
        while seen.len() < n_operations {
            for delivery in other.ready.pop(64).await {
                record(&mut seen, pushed_at.borrow()[delivery.generation as usize]);
            }
        }
        seen
    };
    let (check, pushed, popped) = tokio::join!(check, push, tokio::time::timeout(duration + PATIENCE, pop));
    pushed?;
    Ok((check, popped.map_err(|_| "deliveries were lost on their way")?))
}

fn record(seen: &mut Histogram<u64>, since: Instant) {
    seen.saturating_record(u64::try_from(since.elapsed().as_micros()).unwrap_or(u64::MAX).max(1));
}

fn delivery() -> Claimed {
    let ids = IdGenerator::random(Arc::new(SystemClock));
    let event = Event {
        quarantine: None,
        id: ids.event(),
        source: ids.source(),
        event_type: None,
        headers: HeaderBlock::encode([("content-type", &b"application/json"[..])]),
        body: Bytes::from(vec![b'x'; 1_024]),
        trace: None,
    };
    Claimed {
        order: None,
        id: event.id.delivery(0),
        destination: ids.destination(),
        connection: ids.connection(),
        generation: 1,
        attempts: 0,
        lease_until: i64::MAX,
        event: Arc::new(event),
        received: None,
    }
}
