use super::*;

/// What all registries have recorded, by tags and metric.
fn sum(snapshots: &[Snapshot]) -> Vec<SeriesValues> {
    let mut sum: BTreeMap<Tags, BTreeMap<Metric, Values>> = BTreeMap::new();
    for series in snapshots.iter().flat_map(|snapshot| &snapshot.series) {
        for (metric, values) in &series.values {
            let there = sum.entry(series.tags.clone()).or_default();
            match there.get_mut(metric) {
                Some(there) => there.merge(values),
                None => _ = there.insert(*metric, values.clone()),
            }
        }
    }
    sum.into_iter().map(|(tags, values)| SeriesValues { tags, values }).collect()
}

fn requests(snapshot: &Snapshot) -> u64 {
    match snapshot.total(Metric::HttpReqs, &[]) {
        Some(Values::Counter(requests)) => requests,
        other => panic!("{other:?}"),
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn three_shards_measure_what_one_generator_would() {
    let test = Test::new(3, 2)
        .with_threshold("http_req_duration", "p(99)<1000", false)
        .with_threshold("http_req_duration", "max<1", false)
        .with_threshold("http_reqs", "count>0 over 30s", false);
    let running = test.coordinate().await;
    // One asks for its place, as a Kubernetes Indexed Job does.
    let mut parts = vec![test.shard(running.address, Some(2))];
    parts.extend((0..2).map(|_| test.shard(running.address, None)));
    let merged = running.task.await.unwrap().unwrap();
    let mut snapshots = Vec::new();
    let mut places = Vec::new();
    let mut starts = Vec::new();
    for part in parts {
        let end = part.task.await.unwrap().unwrap();
        assert_eq!(end.stopped, None);
        places.push(end.index);
        snapshots.push(part.registry.lock().take().unwrap().snapshot());
        starts.push(part.first.lock().unwrap());
        let given = part.assignment.lock().take().unwrap();
        assert_eq!((given.setup, given.job), (captured(), json!({"file": "peak.toml"})));
        let (from, to) = (["0", "1/3", "2/3"][end.index as usize], ["1/3", "2/3", "1"][end.index as usize]);
        assert_eq!(
            (given.execution_segment, given.execution_segment_sequence.as_str()),
            (format!("{from}:{to}"), "0,1/3,2/3,1")
        );
    }
    places.sort_unstable();
    assert_eq!(places, [0, 1, 2]);
    let apart = starts.iter().max().unwrap().duration_since(*starts.iter().min().unwrap());
    assert!(apart < Duration::from_millis(50), "they started {apart:?} apart");
    assert_eq!(running.around.setups.load(Ordering::SeqCst), 1);
    assert_eq!(*running.around.teardowns.lock(), [captured()]);

    let Merged { outcome, timeline, teardown } = merged;
    assert_eq!(teardown, Ok(()));
    assert_eq!(outcome.snapshot.series, sum(&snapshots), "bucket for bucket");
    let total: u64 = requests(&outcome.snapshot);
    assert!(total > 300, "{total} requests");
    assert_eq!(timeline.iter().map(|second| second.requests).sum::<u64>(), total, "each second of each shard is there");
    assert!(timeline.iter().any(|second| second.vus == 6), "users add up");
    assert_eq!(outcome.scenarios["peak"].started, total);
    assert!(outcome.scenarios["peak"].ended && !outcome.interrupted);
    assert_eq!(outcome.generator.cores, 3 * crate::generator::cores());
    let verdicts: Vec<_> = outcome.thresholds.iter().map(|judged| (judged.passed, judged.aborted)).collect();
    assert_eq!(verdicts, [(true, false), (false, false), (true, false)]);
    assert_eq!(outcome.thresholds[2].value, Some(total as f64), "the window holds the whole run");
    assert!(running.ticks.lock().iter().any(|requests| *requests > 0), "the whole is shown while it runs");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_window_over_all_shards_decides_and_ends_all_of_them() {
    // Six users with 100 requests a second each: two of them, a shard's share, never reach the limit.
    let test = Test::new(3, 60).with_threshold("http_reqs", "count<500 over 2s", true);
    let running = test.coordinate().await;
    let parts: Vec<_> = (0..3).map(|index| test.shard(running.address, Some(index))).collect();
    let begun = Instant::now();
    let merged = running.task.await.unwrap().unwrap();
    assert!(begun.elapsed() < Duration::from_secs(20), "it ended early");
    let judged = &merged.outcome.thresholds[0];
    assert!(judged.aborted && !judged.passed && judged.value > Some(500.0), "{judged:?}");
    assert!(!merged.outcome.interrupted, "nobody stopped it");
    let ended = Stopped { reason: "a threshold ended the run".to_owned(), failed: false };
    for part in parts {
        assert_eq!(part.task.await.unwrap().unwrap().stopped, Some(ended.clone()));
        let own = part.registry.lock().take().unwrap();
        let (values, _) = own.window(&test.thresholds[0]).unwrap();
        assert!(values.aggregate("count".parse().unwrap(), Duration::ZERO) < Some(500.0), "no shard alone: {values:?}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn whoever_is_stopped_the_run_ends_for_all_with_what_was_measured() {
    for at_a_shard in [false, true] {
        let test = Test::new(2, 60);
        let running = test.coordinate().await;
        let parts: Vec<_> = (0..2).map(|index| test.shard(running.address, Some(index))).collect();
        until("the load flows", || parts.iter().all(|part| part.first.lock().is_some())).await;
        if at_a_shard {
            parts[1].stop.cancel()
        } else {
            running.stop.cancel()
        }
        let merged = running.task.await.unwrap().unwrap();
        assert!(merged.outcome.interrupted && requests(&merged.outcome.snapshot) > 0);
        for part in parts {
            part.task.await.unwrap().unwrap();
        }
        assert_eq!(running.around.teardowns.lock().len(), 1);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_control_of_the_coordinator_reaches_all_shards() {
    let (sender, wanted) = watch::channel(Wanted { vus: 2, paused: false });
    let test =
        Test { load: Load { executor: "externally-controlled", ..LOOPING }, wanted: Some(wanted), ..Test::new(2, 60) };
    let running = test.coordinate().await;
    let parts: Vec<_> = (0..2).map(|index| test.shard(running.address, Some(index))).collect();
    let users = |wanted: u64| {
        let parts = &parts;
        move || {
            let gauge = |part: &Part| match part.registry.lock().as_ref()?.snapshot().total(Metric::Vus, &[])? {
                Values::Gauge { value, .. } => Some(value),
                _ => None,
            };
            parts.iter().map(gauge).sum::<Option<u64>>() == Some(wanted)
        }
    };
    until("the users it began with", users(2)).await;
    sender.send_replace(Wanted { vus: 20, paused: false });
    until("more users", users(20)).await;
    let (so_far, elapsed) = running.so_far.read();
    assert!(requests(&so_far) > 0 && elapsed > Duration::ZERO, "the control sees the whole");
    until("the whole is in sight", || running.so_far.read().1 > Duration::ZERO).await;
    assert!(requests(&running.so_far.read().0) > 0, "the control sees the whole");
    sender.send_replace(Wanted { vus: 20, paused: true });
    until("a pause", users(0)).await;
    running.stop.cancel();
    running.task.await.unwrap().unwrap();
}

pub(super) async fn until(what: &str, holds: impl Fn() -> bool) {
    let deadline = Instant::now() + Duration::from_secs(20);
    while !holds() {
        assert!(Instant::now() < deadline, "{what} did not come");
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
}
