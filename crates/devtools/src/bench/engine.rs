//! The engine alone: what storage allows when nothing else is done.

use std::sync::Arc;
use std::time::Instant;

use bytes::Bytes;
use spillway_model::{Event, HeaderBlock, IdGenerator, NewEvent, SystemClock};
use spillway_store::Store;

use super::setup::{Ground, Plan};
use super::table::Figure;
use super::{BenchArgs, Engine};
use crate::Failure;

const BATCH: usize = 256;

/// Batched insert of events with one delivery each, 256 a transaction, flushed, as many at once as the engine takes.
pub(crate) async fn append(engine: Engine, arguments: &BenchArgs) -> Result<Figure, Failure> {
    let mut rounds = Vec::new();
    for _ in 0..arguments.rounds() {
        let ground = Ground::prepare(arguments, Plan::held(engine)).await?;
        let store = ground.open_store().await?;
        rounds.push(round(&store, arguments.round()).await?);
        store.close().await;
    }
    Ok(Figure::new(format!("{}: the engine alone, {BATCH} events a transaction", engine.name()), "/s", rounds))
}

async fn round(store: &Arc<dyn Store>, duration: std::time::Duration) -> Result<f64, Failure> {
    let ids = Arc::new(IdGenerator::random(Arc::new(SystemClock)));
    let begun = Instant::now();
    let lanes: Vec<_> = (0..store.parallel_appends().lanes)
        .map(|_| {
            let (store, ids) = (store.clone(), ids.clone());
            tokio::spawn(async move {
                let (source, destination, connection) = (ids.source(), ids.destination(), ids.connection());
                let headers =
                    HeaderBlock::encode([("content-type", &b"application/json"[..]), ("user-agent", b"bench")]);
                let body = Bytes::from(vec![b'x'; 1_024]);
                let mut stored = 0_usize;
                while begun.elapsed() < duration {
                    let event = |_| {
                        let id = ids.event();
                        let (headers, body) = (headers.clone(), body.clone());
                        let event =
                            Event { quarantine: None, id, source, event_type: None, headers, body, trace: None };
                        let due_at = event.received_at() + 60_000;
                        let id = id.delivery(0);
                        let delivery = spillway_model::NewDelivery {
                            order: None,
                            id,
                            destination,
                            connection,
                            due_at,
                            generation: 1,
                        };
                        NewEvent { event: Arc::new(event), idempotency: None, deliveries: vec![delivery] }
                    };
                    stored += store.append((0..BATCH).map(event).collect()).await?.len();
                }
                Ok::<_, Failure>(stored)
            })
        })
        .collect();
    let mut stored = 0;
    for lane in lanes {
        stored += lane.await??;
    }
    Ok(stored as f64 / begun.elapsed().as_secs_f64())
}
