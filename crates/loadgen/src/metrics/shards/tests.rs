use std::sync::Arc;
use std::time::Duration;

use proptest::collection::vec;
use proptest::prelude::*;

use super::*;
use crate::metrics::{HttpSample, Metric, Registry, RegistrySettings, Tags, Values};

const SHARDS: u32 = 3;

fn registry(shard: Option<u32>) -> Arc<Registry> {
    Registry::new(RegistrySettings { shard, ..RegistrySettings::default() })
}

/// Records something of each kind.
fn record(registry: &Arc<Registry>, name: u8, milliseconds: u64, failed: bool) {
    let tags = Tags { scenario: "peak".to_owned(), name: format!("/{name}"), ..Tags::default() };
    let series = registry.series(&tags);
    let recorder = registry.recorder();
    let waiting = Duration::from_millis(milliseconds);
    recorder.http(&HttpSample { waiting, failed, sent: 10, received: milliseconds, ..HttpSample::new(series) });
    recorder.iteration(series, waiting, Some(Duration::from_micros(milliseconds)), Some(waiting * 2));
    recorder.check(series, !failed);
}

fn ended(snapshot: Snapshot) -> Snapshot {
    Snapshot { last: true, ..snapshot }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(48))]

    #[test]
    fn shards_merge_to_what_one_generator_measures(
        samples in vec((0..SHARDS, 0_u8..3, 0_u64..5_000, any::<bool>()), 0..60),
        early in 0_usize..60,
        order in vec(any::<prop::sample::Index>(), 0..20),
    ) {
        let single = registry(None);
        let parts: Vec<_> = (0..SHARDS).map(|shard| registry(Some(shard))).collect();
        let mut sent = Vec::new();
        for (n, (shard, name, milliseconds, failed)) in samples.into_iter().enumerate() {
            record(&single, name, milliseconds, failed);
            record(&parts[shard as usize], name, milliseconds, failed);
            if n == early {
                sent.extend(parts.iter().map(|part| part.snapshot()));
            }
        }
        sent.extend(parts.iter().map(|part| ended(part.snapshot())));
        // Some come twice, and all in any order.
        let again: Vec<_> = order.iter().map(|which| sent[which.index(sent.len())].clone()).collect();
        sent.extend(again);
        for which in &order {
            let end = sent.len() - 1;
            sent.swap(which.index(end + 1), end);
        }
        let mut shards = Shards::new(0..SHARDS);
        for snapshot in sent {
            let json = serde_json::to_string(&snapshot).unwrap();
            shards.receive(serde_json::from_str(&json).unwrap()).unwrap();
        }
        prop_assert_eq!(shards.merged().unwrap().series, single.snapshot().series);
    }
}

#[test]
fn a_shard_without_its_last_snapshot_is_missing() {
    let mut shards = Shards::new(0..3);
    assert_eq!(shards.missing(), [0, 1, 2]);
    let parts: Vec<_> = (0..3).map(|shard| registry(Some(shard))).collect();
    parts.iter().for_each(|part| record(part, 0, 5, false));
    shards.receive(ended(parts[0].snapshot())).unwrap();
    shards.receive(parts[1].snapshot()).unwrap();
    assert_eq!(shards.merged(), Err(ShardError::Missing { missing: vec![1, 2] }));
    assert_eq!(shards.so_far().total(Metric::HttpReqs, &[]), Some(Values::Counter(2)));
    let error = shards.merged().unwrap_err().to_string();
    assert_eq!(error, "no final results from shard 1, 2: the run is not complete, run it again");

    shards.receive(ended(parts[1].snapshot())).unwrap();
    shards.receive(ended(parts[2].snapshot())).unwrap();
    let merged = shards.merged().unwrap();
    assert_eq!(
        (merged.total(Metric::HttpReqs, &[]), merged.last, merged.shard),
        (Some(Values::Counter(3)), true, None)
    );
}

#[test]
fn a_stranger_is_refused() {
    let mut shards = Shards::new(0..2);
    for shard in [Some(2), None] {
        let error = shards.receive(registry(shard).snapshot());
        assert_eq!(error, Err(ShardError::Unexpected { shard }));
    }
}

#[test]
fn gauges_of_shards_add_up() {
    let mut shards = Shards::new(0..2);
    for shard in 0..2 {
        let part = registry(Some(shard));
        part.set_vus(10 + shard, 50);
        part.tick(tokio::time::Instant::now());
        shards.receive(ended(part.snapshot())).unwrap();
    }
    let merged = shards.merged().unwrap();
    assert_eq!(merged.total(Metric::Vus, &[]), Some(Values::Gauge { value: 21, min: 21, max: 21 }));
    assert_eq!(merged.total(Metric::VusMax, &[]), Some(Values::Gauge { value: 100, min: 100, max: 100 }));
}

#[test]
fn a_snapshot_that_contradicts_itself_is_refused() {
    let part = registry(Some(0));
    record(&part, 0, 5, false);
    let sound = serde_json::to_string(&part.snapshot()).unwrap();
    assert!(serde_json::from_str::<Snapshot>(&sound).is_ok());
    for (from, to, reason) in [
        ("\"schema_version\":1", "\"schema_version\":2", "run the same version of the load generator everywhere"),
        (
            "\"http_reqs\":{\"counter\":1}",
            "\"http_reqs\":{\"rate\":{\"passes\":1,\"total\":1}}",
            "not those of a counter",
        ),
        ("\"http_reqs\"", "\"http_requests\"", "unknown variant"),
        ("\"scenario\":", "\"szenario\":", "unknown field"),
    ] {
        assert!(sound.contains(from), "{sound}");
        let error = serde_json::from_str::<Snapshot>(&sound.replace(from, to)).unwrap_err().to_string();
        assert!(error.contains(reason), "{error}");
    }
}
