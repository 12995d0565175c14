//! The gateway's own metrics, as it writes them.

use std::collections::BTreeMap;
use std::time::Duration;

use axum::Router;
use axum::routing::get;
use spillway_rollout::observed::Reading;
use spillway_rollout::ports::Meter;
use spillway_rollout::spec::{Guard, Threshold, ThresholdMetric};
use spillway_telemetry::{Metrics, PoolState, TraceContext};

use crate::plan::{plan, progressing};
use crate::slots::meter;

async fn serve(metrics: &Metrics) -> String {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap().to_string();
    let metrics = metrics.clone();
    let router = Router::new().route(
        "/metrics",
        get(move || async move { ([("content-type", spillway_telemetry::CONTENT_TYPE)], metrics.encode().unwrap()) }),
    );
    tokio::spawn(async move { axum::serve(listener, router).await });
    address
}

#[tokio::test]
async fn the_usual_series_are_the_gateways() {
    let [live, candidate] = [(); 2].map(|()| Metrics::new("1.2.3", "abc"));
    let mut plan = plan(&[serve(&live).await], &[serve(&candidate).await]);
    let threshold = |metric| Some(Threshold { metric: Some(metric), max: 1.0, ..Threshold::default() });
    plan.guards = [("pool", ThresholdMetric::PoolUsage), ("memory", ThresholdMetric::MemoryBytes)]
        .map(|(name, metric)| Guard { name: name.to_owned(), threshold: threshold(metric), ..Guard::default() })
        .into();
    let mut meter = meter();
    let fresh = meter.sample(&plan, &progressing(), 1).await;
    assert_eq!(fresh.troubles, Vec::<String>::new(), "a process without requests has none, and that is known");

    let traced = TraceContext::parse(b"00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01");
    let route = candidate.http_requests.for_route("POST", "/in/{source}");
    for (status, milliseconds) in [(202, 1), (202, 7), (404, 1), (503, 150)] {
        route.observe(status, Duration::from_millis(milliseconds), traced);
    }
    candidate.store_pool_connections.get(PoolState::Used).set(3.0);
    candidate.store_pool_connections.get(PoolState::Max).set(4.0);
    let measured = meter.sample(&plan, &progressing(), 2).await;
    assert_eq!(measured.troubles, Vec::<String>::new());
    let block = &measured.blocks[0];
    let (candidate, live) = (block.candidate.as_ref().unwrap(), block.live.as_ref().unwrap());
    assert_eq!((candidate.requests, candidate.errors, candidate.timed), (4, 1, 4));
    assert_eq!((live.requests, live.errors, live.timed), (0, 0, 0));
    let slower: BTreeMap<String, u64> =
        block.boundaries.iter().map(ToString::to_string).zip(candidate.slower.iter().copied()).collect();
    assert_eq!((slower["0.0025"], slower["0.008"], slower["0.1"], slower["0.2"]), (2, 1, 1, 0));
    assert!(matches!(measured.readings["pool"], Reading::Value { value: 0.75, .. }), "{:?}", measured.readings);
    assert!(matches!(measured.readings["memory"], Reading::Value { value, .. } if value > 1e6));
}
