use std::{collections::BTreeSet, time::Duration};

use spillway_model::TraceContext;

use super::*;
use crate::AttemptClass;

fn metrics() -> Metrics {
    Metrics::new("1.2.3", "abc")
}

fn encoded(metrics: &Metrics) -> String {
    metrics.encode().unwrap()
}

/// Each metric observed once, so that every one of them has a sample.
fn everything(metrics: &Metrics) {
    metrics.intake_for_source("github").record(IntakeOutcome::Accepted);
    metrics.http_requests.for_route("GET", "/healthz").observe(200, Duration::from_millis(1), None);
    metrics.intake_queue_depth.set(1.0);
    metrics.ready_queue_depth.set(1.0);
    metrics.pending_deliveries.set(1.0);
    metrics.oldest_due.set(1.0);
    metrics.breaker_open.set(1.0);
    metrics.budget_waiting.set(1.0);
    metrics.worker_share.set(1.0);
    metrics.coordination_degraded.set(0.0);
    for cache in CacheName::ALL {
        metrics.cache_bytes.get(*cache).set(1.0);
    }
    for state in PoolState::ALL {
        metrics.store_pool_connections.get(*state).set(1.0);
    }
    metrics.alert_active.get(AlertName::Cpu).set(0.0);
    metrics.stream_clients.get(StreamKind::ALL[0]).set(0.0);
    metrics.business_metrics.set("orders", 1.0);
}

#[test]
fn counts_can_be_read_without_an_encoder() {
    let metrics = metrics();
    for millis in [1, 1, 50, 51, 120_000] {
        metrics.intake_ack.observe(Duration::from_millis(millis));
    }
    let counts = metrics.intake_ack.counts();
    let at = |bound: f64| LatencyHistogram::BOUNDS.iter().position(|it| *it == bound).unwrap();
    assert_eq!(
        (counts[at(0.001)], counts[at(0.05)], counts[at(0.1)], counts[LatencyHistogram::BUCKETS - 1]),
        (2, 1, 1, 1)
    );
    assert_eq!(counts.iter().sum::<u64>(), 5);

    metrics.intake_for_source("a").record(IntakeOutcome::Accepted);
    metrics.intake_for_source("b").record(IntakeOutcome::Accepted);
    assert_eq!(metrics.intake_requests.totals()[IntakeOutcome::Accepted.index()], 2);

    metrics.http_requests.for_route("GET", "/healthz").observe(200, Duration::from_millis(1), None);
    metrics.http_requests.for_route("GET", "/healthz").observe(503, Duration::from_millis(1), None);
    let mut seen = Vec::new();
    metrics.http_requests.visit(|method, route, status, histogram| {
        seen.push((method.to_owned(), route.to_owned(), status, histogram.counts().iter().sum::<u64>()));
    });
    assert_eq!(seen, [("GET".into(), "/healthz".into(), 200, 1), ("GET".into(), "/healthz".into(), 503, 1)]);
}

#[test]
fn names_of_users_are_bounded() {
    let metrics = metrics();
    for n in 0..1_001 {
        metrics.business_metrics.set(&format!("name_{n}"), f64::from(n));
    }
    metrics.business_metrics.set("name_7", 7.5);
    let text = encoded(&metrics);
    assert!(text.contains("spillway_business_metric{name=\"name_7\"} 7.5"), "{text}");
    assert!(!text.contains("name_1000"));
    metrics.business_metrics.retain(|name| name == "name_7");
    assert_eq!(encoded(&metrics).matches("spillway_business_metric{").count(), 1);
}

#[test]
fn the_text_holds_exactly_the_catalogue() {
    let metrics = metrics();
    everything(&metrics);
    let text = encoded(&metrics);
    assert!(text.ends_with("\n# EOF\n"));

    let declared: Vec<String> = text.lines().filter(|line| line.starts_with("# TYPE ")).map(str::to_owned).collect();
    let expected: Vec<String> = catalogue()
        .iter()
        .map(|metric| {
            let name = metric.name.trim_end_matches("_total").trim_end_matches("_info");
            format!("# TYPE {name} {}", metric.kind)
        })
        .collect();
    assert_eq!(declared, expected);

    let sampled: BTreeSet<&str> = text
        .lines()
        .filter(|line| !line.starts_with('#'))
        .map(|line| line.split(['{', ' ']).next().unwrap_or_default())
        .map(|name| ["_bucket", "_sum", "_count"].iter().find_map(|suffix| name.strip_suffix(suffix)).unwrap_or(name))
        .collect();
    let named: BTreeSet<&str> = catalogue().iter().map(|metric| metric.name).collect();
    assert!(sampled.is_subset(&named), "{:?}", sampled.difference(&named));
    // Containers may hide some of /proc; everything else must have a sample.
    let missing: Vec<_> = named.difference(&sampled).filter(|name| !name.starts_with("process_")).collect();
    assert!(missing.is_empty(), "{missing:?}");
}

#[test]
fn every_metric_has_help_and_its_unit_as_the_end_of_its_name() {
    let text = encoded(&metrics());
    for metric in catalogue() {
        let stem = metric.name.trim_end_matches("_total").trim_end_matches("_info");
        assert!(metric.help.ends_with('.') && metric.help.len() > 5, "{}", metric.name);
        assert!(text.contains(&format!("# HELP {stem} {}\n", metric.help)), "{}", metric.name);
        if let Some(unit) = metric.unit {
            assert!(text.contains(&format!("# UNIT {stem} {unit}\n")), "{}", metric.name);
        }
    }
}

#[test]
fn the_markdown_table_lists_each_metric_with_its_labels() {
    let table = catalogue_markdown();
    assert_eq!(table.lines().count(), catalogue().len() + 2);
    assert!(table.contains("| `spillway_cache_requests_total` | counter | `cache`: `keys`, "), "{table}");
    assert!(table.contains("| `spillway_build_info` | info | `version`; `commit` | "), "{table}");
}

#[test]
fn closed_series_exist_at_zero_before_the_first_observation() {
    let metrics = metrics();
    let text = encoded(&metrics);
    for line in [
        "spillway_deliveries_total{outcome=\"delivered\"} 0\n",
        "spillway_attempts_total{class=\"platform\"} 0\n",
        "spillway_cache_requests_total{cache=\"lists\",result=\"miss\"} 0\n",
        "spillway_store_query_seconds_count{query=\"settle\"} 0\n",
        "spillway_build_info{version=\"1.2.3\",commit=\"abc\"} 1\n",
    ] {
        assert!(text.contains(line), "{line}{text}");
    }
}

#[test]
fn every_label_finds_its_own_series() {
    let metrics = metrics();
    for class in AttemptClass::ALL {
        metrics.attempts.get(*class).inc();
    }
    for labels in <(CacheName, CacheResult)>::all() {
        metrics.cache_requests.get(labels).inc();
    }
    let text = encoded(&metrics);
    let counts: Vec<_> = text
        .lines()
        .filter(|line| {
            line.starts_with("spillway_attempts_total{") || line.starts_with("spillway_cache_requests_total{")
        })
        .collect();
    assert_eq!(counts.len(), AttemptClass::ALL.len() + CacheName::ALL.len() * CacheResult::ALL.len());
    assert!(counts.iter().all(|line| line.ends_with(" 1")), "{counts:?}");
}

#[test]
fn a_sampled_observation_leaves_an_exemplar_and_an_unsampled_one_does_not() {
    let metrics = metrics();
    let sampled = TraceContext { trace_id: 0x4bf9, span_id: 2, flags: 1 };
    metrics.intake_ack.observe_traced(Duration::from_millis(3), Some(sampled));
    metrics.attempt.observe_traced(Duration::from_millis(3), Some(TraceContext { flags: 0, ..sampled }));
    let text = encoded(&metrics);
    let bucket =
        "spillway_intake_ack_seconds_bucket{le=\"0.005\"} 1 # {trace_id=\"00000000000000000000000000004bf9\"} 0.003\n";
    assert!(text.contains(bucket), "{text}");
    assert!(text.contains("spillway_attempt_seconds_bucket{le=\"0.005\"} 1\n"), "{text}");
}

#[test]
fn label_values_are_escaped() {
    let metrics = metrics();
    metrics.intake_for_source("a\"b\\c\nd").record(IntakeOutcome::TooLarge);
    let line = "spillway_intake_requests_total{source=\"a\\\"b\\\\c\\nd\",outcome=\"too_large\"} 1\n";
    assert!(encoded(&metrics).contains(line));
}

#[test]
fn handles_of_one_source_share_their_counters() {
    let metrics = metrics();
    metrics.intake_for_source("github").record(IntakeOutcome::Accepted);
    let again = metrics.intake_for_source("github");
    again.record(IntakeOutcome::Accepted);
    assert_eq!(again.count(IntakeOutcome::Accepted), 2);
}

#[test]
fn sources_are_bounded_and_removed_ones_disappear() {
    let metrics = metrics();
    for n in 0..3_000 {
        metrics.intake_for_source(&format!("s{n}")).record(IntakeOutcome::Accepted);
    }
    assert_eq!(metrics.intake_for_source("one-more").count(IntakeOutcome::Accepted), 1_000, "counted as _other");
    metrics.intake_requests.retain(|source| source == "s7");
    let text = encoded(&metrics);
    let accepted: Vec<_> = text.lines().filter(|line| line.contains("outcome=\"accepted\"")).collect();
    assert_eq!(accepted.len(), 2, "{accepted:?}");
    assert!(accepted.iter().any(|line| line.contains("source=\"s7\"")), "{accepted:?}");
}

#[test]
fn a_gauge_without_a_value_is_absent_and_a_sampled_one_is_read_at_the_scrape() {
    let metrics = metrics();
    assert!(!encoded(&metrics).contains("\nspillway_ready_queue_depth "));
    let depth = Arc::new(std::sync::atomic::AtomicU32::new(3));
    let sampled = Arc::clone(&depth);
    let sample = move || Some(f64::from(sampled.load(std::sync::atomic::Ordering::Relaxed)));
    metrics.ready_queue_depth.sample_with(sample);
    assert!(encoded(&metrics).contains("\nspillway_ready_queue_depth 3.0\n"));
    depth.store(4, std::sync::atomic::Ordering::Relaxed);
    assert!(encoded(&metrics).contains("\nspillway_ready_queue_depth 4.0\n"));
}

#[test]
fn http_requests_are_labelled_by_method_route_and_status() {
    let metrics = metrics();
    let route = metrics.http_requests.for_route("GET", "/api/v1/sources/{id}");
    route.observe(200, Duration::from_millis(2), None);
    route.observe(404, Duration::from_millis(2), None);
    metrics.http_requests.for_route("BREW", "").observe(405, Duration::from_millis(2), None);
    let text = encoded(&metrics);
    let count = |method, route, status| {
        format!(
            "http_server_request_duration_seconds_count{{http_request_method=\"{method}\",http_route=\"{route}\",\
             http_response_status_code=\"{status}\"}} 1\n"
        )
    };
    for line in
        [count("GET", "/api/v1/sources/{id}", 200), count("GET", "/api/v1/sources/{id}", 404), count("_OTHER", "", 405)]
    {
        assert!(text.contains(&line), "{line}{text}");
    }
}

#[cfg(target_os = "linux")]
#[test]
fn the_process_is_measured() {
    let metrics = metrics();
    let _ = encoded(&metrics);
    assert!(metrics.process_resident_memory.get().is_some_and(|bytes| bytes > 100_000.0));
    assert!(metrics.process_threads.get().is_some_and(|threads| threads >= 1.0));
    assert!(metrics.process_open_fds.get().is_some_and(|fds| fds >= 1.0));
    assert!(metrics.process_start_time.get().is_some_and(|start| start > 1_600_000_000.0));
}
