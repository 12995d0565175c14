use super::*;

const MEBIBYTE: f64 = 1_048_576.0;

fn observed() -> Facts {
    Facts { observed_minutes: 60, observed_minutes_of_day: 1_440, ..Facts::default() }
}

fn ids(facts: &Facts) -> Vec<String> {
    recommend(facts).recommendations.into_iter().map(|it| it.id).collect()
}

#[test]
fn the_pool_follows_the_load() {
    for (rate, wanted) in
        [(0.0, 50), (99.9, 50), (100.0, 150), (250.0, 150), (500.0, 150), (500.1, 300), (9_000.0, 300)]
    {
        assert_eq!(pool_for(rate), wanted, "{rate}/s");
        let facts = Facts { events_per_second: Some(rate), pool_max: Some(wanted), ..observed() };
        assert_eq!(ids(&facts), [""; 0], "nothing to change at {rate}/s");
        let advice = recommend(&Facts { pool_max: Some(wanted + 1), ..facts });
        let told = &advice.recommendations[0];
        assert_eq!((told.id.as_str(), told.recommended), ("pool_size", Some(f64::from(wanted))));
    }
}

#[test]
fn a_sentence_has_the_numbers_that_led_to_it() {
    let facts = Facts { events_per_second: Some(42.13), pool_max: Some(100), ..observed() };
    let told = recommend(&facts).recommendations.remove(0);
    assert_eq!(
        told.text,
        "Intake received 42.1 events/s over the last hour, for which are enough 50 connections; the pool has at most 100."
    );
    assert_eq!(told.evidence, [("events_per_second", 42.13), ("observed_minutes", 60.0)]);
    let crowded = Facts { events_per_second: Some(700.0), pool_ratio: Some(0.8), ..facts };
    assert_eq!(recommend(&crowded).recommendations[0].urgency, Urgency::Soon);
}

#[test]
fn another_node_is_recommended_beyond_each_limit_and_not_at_it() {
    let at = |facts: Facts| ids(&facts);
    assert_eq!(at(Facts { cpu_ratio: Some(0.7), ..observed() }), [""; 0]);
    assert_eq!(at(Facts { cpu_ratio: Some(0.71), ..observed() }), ["scale_out_cpu"]);
    assert_eq!(at(Facts { memory_ratio: Some(0.8), ..observed() }), [""; 0]);
    assert_eq!(at(Facts { memory_ratio: Some(0.81), ..observed() }), ["scale_out_memory"]);
    assert_eq!(at(Facts { pool_ratio: Some(0.8), ..observed() }), [""; 0]);
    assert_eq!(at(Facts { pool_ratio: Some(0.81), ..observed() }), ["scale_out_pool"]);
    assert_eq!(at(Facts { api_latency: Some((2.0, 1_000)), ..observed() }), [""; 0]);
    assert_eq!(at(Facts { api_latency: Some((2.1, 1_000)), ..observed() }), ["scale_out_latency"]);
    assert_eq!(at(Facts { api_latency: Some((2.1, 99)), ..observed() }), [""; 0], "too few requests");
    assert_eq!(at(Facts { platform_errors: Some((0.02, 1_000)), ..observed() }), [""; 0]);
    assert_eq!(at(Facts { platform_errors: Some((0.021, 1_000)), ..observed() }), ["scale_out_errors"]);
    assert_eq!(at(Facts { platform_errors: Some((0.5, 99)), ..observed() }), [""; 0], "too few requests");
}

#[test]
fn sizes_are_what_is_used_and_headroom() {
    let facts = |limit: f64, used: f64| Facts { cpu_cores: Some(limit), cpu_cores_used: Some(used), ..observed() };
    let told = recommend(&facts(4.0, 1.0)).recommendations.remove(0);
    assert_eq!((told.id.as_str(), told.recommended, told.urgency), ("cpu_size", Some(1.2), Urgency::Advice));
    let told = recommend(&facts(1.0, 1.0)).recommendations;
    assert_eq!(told, [], "20 % is within the tolerance");
    let told = recommend(&facts(1.0, 1.02)).recommendations.remove(0);
    assert_eq!((told.recommended, told.urgency), (Some(1.3), Urgency::Soon));
    assert_eq!(recommend(&facts(2.0, 0.0)).recommendations[0].recommended, Some(0.1), "never nothing");

    let memory = Facts { memory_limit: Some(512.0 * MEBIBYTE), memory_used: Some(100.0 * MEBIBYTE), ..observed() };
    let told = recommend(&memory).recommendations.remove(0);
    assert_eq!((told.id.as_str(), told.recommended), ("memory_size", Some(150.0 * MEBIBYTE)));
    assert_eq!(
        told.text,
        "95 % of the minutes of the last day used at most 100 MiB; with 50 % more that is 150 MiB, and there are 512 MiB."
    );
    let small = Facts { memory_used: Some(MEBIBYTE), ..memory };
    assert_eq!(recommend(&small).recommendations[0].recommended, Some(64.0 * MEBIBYTE));
}

#[test]
fn caches_and_queries_are_judged_by_enough_of_them() {
    let caches = |lookups, hits| ids(&Facts { caches: vec![("lists", lookups, hits)], ..observed() });
    assert_eq!(caches(999, 0), [""; 0]);
    assert_eq!(caches(1_000, 800), [""; 0]);
    assert_eq!(caches(1_000, 799), ["cache_ttl_lists"]);
    let queries = |p95, n| ids(&Facts { queries: vec![(LatencyMetric::StoreClaim, p95, n)], ..observed() });
    assert_eq!(queries(0.2, 99), [""; 0]);
    assert_eq!(queries(0.1, 100), [""; 0]);
    assert_eq!(queries(0.11, 100), ["slow_query_claim"]);
}

#[test]
fn without_enough_data_it_says_what_is_missing() {
    let facts = Facts {
        observed_minutes: 12,
        observed_minutes_of_day: 59,
        events_per_second: Some(9_000.0),
        pool_max: Some(10),
        cpu_ratio: Some(0.99),
        cpu_cores: Some(1.0),
        cpu_cores_used: Some(0.99),
        ..Facts::default()
    };
    let advice = recommend(&facts);
    assert_eq!(advice.recommendations, []);
    let waiting: Vec<_> = advice.waiting.iter().map(|it| (it.id, it.reason.as_str())).collect();
    assert_eq!(
        waiting,
        [
            ("pool_size", "needs 30 minutes of observation, has 12"),
            ("scale_out", "needs 30 minutes of observation, has 12"),
            ("cpu_size", "needs 60 minutes of observation, has 59"),
        ]
    );
    assert_eq!(recommend(&Facts::default()).recommendations, []);
}

#[test]
fn what_is_urgent_comes_first() {
    let facts = Facts { caches: vec![("lists", 1_000, 1)], cpu_ratio: Some(0.9), ..observed() };
    let facts = Facts { events_per_second: Some(1.0), pool_max: Some(100), ..facts };
    assert_eq!(ids(&facts), ["scale_out_cpu", "pool_size", "cache_ttl_lists"]);
}
