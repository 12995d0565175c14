//! The same from a real Prometheus.

use std::collections::BTreeMap;
use std::time::Duration;

use spillway_model::{Clock, SystemClock};
use spillway_rollout::observed::{Block, Reading};
use spillway_rollout::plan::Plan;
use spillway_rollout::ports::Meter;
use spillway_rollout::spec::{AnalysisSource, Guard, PrometheusSource, Threshold, ThresholdMetric};
use spillway_testkit::{Prometheus, PrometheusOptions, ScrapeTarget, free_port, wait_until};

use crate::plan::{plan, progressing};
use crate::process::Process;
use crate::slots::meter;

/// Both slots, scraped.
struct Rig {
    blue: Process,
    green: Process,
    _prometheus: Prometheus,
    plan: Plan,
}

async fn rig() -> Rig {
    let (blue, green) = (Process::start().await, Process::start().await);
    let target = |process: &Process, slot: &str| ScrapeTarget {
        address: process.address.clone(),
        labels: BTreeMap::from([("slot".to_owned(), slot.to_owned()), ("app".to_owned(), "gateway".to_owned())]),
    };
    blue.set(|shown| shown.fast = 1_000);
    green.set(|shown| shown.fast = 10);
    let targets = vec![target(&blue, "blue"), target(&green, "green")];
    let prometheus = Prometheus::start(&PrometheusOptions { targets, ..PrometheusOptions::default() }).await;
    let mut plan = plan(&[], &[]);
    plan.analysis.source = AnalysisSource::Prometheus;
    plan.analysis.prometheus = Some(PrometheusSource {
        url: prometheus.url(),
        labels: BTreeMap::from([("app".to_owned(), "gateway".to_owned())]),
        ..PrometheusSource::default()
    });
    Rig { blue, green, _prometheus: prometheus, plan }
}

/// Adds up windows until the candidate has so many requests.
async fn until(meter: &mut impl Meter, plan: &Plan, requests: u64) -> (Vec<Block>, BTreeMap<String, Reading>) {
    let (mut blocks, mut readings) = (Vec::new(), BTreeMap::new());
    wait_until("the requests in Prometheus", Duration::from_secs(60), async || {
        let measured = meter.sample(plan, &progressing(), SystemClock.now()).await;
        blocks.extend(measured.blocks);
        readings = measured.readings;
        total(&blocks, |block| block.candidate.as_ref().map(|counts| counts.requests)) >= requests
    })
    .await;
    (blocks, readings)
}

fn total(blocks: &[Block], of: impl Fn(&Block) -> Option<u64>) -> u64 {
    blocks.iter().filter_map(of).sum()
}

async fn settled(meter: &mut impl Meter, plan: &Plan) {
    wait_until("a first scrape of both slots", Duration::from_secs(60), async || {
        let measured = meter.sample(plan, &progressing(), SystemClock.now()).await;
        measured.troubles.is_empty()
            && measured.blocks.iter().any(|block| block.candidate.is_some() && block.live.is_some())
    })
    .await;
}

#[tokio::test]
async fn counters_are_exact_across_a_restart() {
    let rig = rig().await;
    let mut meter = meter();
    let mut plan = rig.plan.clone();
    for (name, metric) in [("pool", ThresholdMetric::PoolUsage), ("memory", ThresholdMetric::MemoryBytes)] {
        let threshold = Threshold { metric: Some(metric), max: 1.0, ..Threshold::default() };
        plan.guards.push(Guard { name: name.to_owned(), threshold: Some(threshold), ..Guard::default() });
    }
    settled(&mut meter, &plan).await;
    rig.green.set(|shown| (shown.fast, shown.slow) = (15, 2));
    rig.blue.set(|shown| shown.fast = 1_003);
    let (mut blocks, readings) = until(&mut meter, &plan, 7).await;
    assert!(matches!(readings["pool"], Reading::Value { value: 0.1, .. }), "{readings:?}");
    assert!(matches!(readings["memory"], Reading::Value { value: 1_000.0, .. }), "{readings:?}");
    // A new process in its place; its errors appear with their first.
    rig.green.set(|shown| (shown.fast, shown.slow, shown.fast_errors, shown.started) = (17, 2, 3, 2_000.0));
    blocks.extend(until(&mut meter, &plan, 22).await.0);
    let sum =
        |of: fn(&spillway_rollout::observed::Counts) -> u64| total(&blocks, |block| block.candidate.as_ref().map(of));
    assert_eq!((sum(|counts| counts.requests), sum(|counts| counts.errors), sum(|counts| counts.timed)), (29, 3, 29));
    assert_eq!(sum(|counts| counts.slower.first().copied().unwrap_or(0)), 4, "slower than 0.1 s");
    assert_eq!(total(&blocks, |block| block.live.as_ref().map(|counts| counts.requests)), 3);
    assert!(blocks.iter().all(|block| block.boundaries == [0.1, 1.0]));
}

#[tokio::test]
async fn what_prometheus_does_not_know_is_trouble_and_no_zero() {
    let rig = rig().await;
    let mut meter = meter();
    settled(&mut meter, &rig.plan).await;
    let mut plan = rig.plan.clone();
    let source = plan.analysis.prometheus.as_mut().unwrap();
    source.slot_label = Some("colour".to_owned());
    let measured = meter.sample(&plan, &progressing(), SystemClock.now()).await;
    assert_eq!(measured.troubles.len(), 2, "{:?}", measured.troubles);
    let expected =
        r#"Prometheus has no series http_server_request_duration_seconds_count{app="gateway",colour="green"}"#;
    assert!(measured.troubles[1].contains(expected), "{:?}", measured.troubles);

    plan.analysis.prometheus.as_mut().unwrap().url = format!("http://127.0.0.1:{}", free_port());
    let measured = meter.sample(&plan, &progressing(), SystemClock.now()).await;
    assert_eq!(measured.blocks, [], "another source is no base");
    assert!(measured.troubles.iter().all(|trouble| trouble.contains("is not reachable")), "{:?}", measured.troubles);
    let measured = meter.sample(&plan, &progressing(), SystemClock.now() + 1).await;
    assert!(measured.blocks.iter().all(|block| block.candidate.is_none() && block.live.is_none()));
}
