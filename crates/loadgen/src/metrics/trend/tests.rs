use hdrhistogram::Histogram;
use proptest::collection::vec;
use proptest::prelude::*;

use super::*;

const ENDLESS: &str = r#""count":18446744073709551615,"sum":0,"min":0,"max":0,"buckets":[0,18446744073709551615]"#;

fn trend(samples: &[u64]) -> Trend {
    let mut trend = Trend::new();
    samples.iter().for_each(|sample| trend.record_micros(*sample));
    trend
}

/// Linear interpolation on the raw samples.
fn exact_percentile(samples: &[u64], percent: f64) -> f64 {
    let mut sorted = samples.to_vec();
    sorted.sort_unstable();
    let rank = percent / 100.0 * (sorted.len() - 1) as f64;
    let (below, above) = (sorted[rank.floor() as usize] as f64, sorted[rank.ceil() as usize] as f64);
    below + (above - below) * rank.fract()
}

fn times() -> impl Strategy<Value = u64> {
    (0_u32..32).prop_flat_map(|bits| 0..=(1_u64 << bits).min(HIGHEST_MICROS))
}

#[test]
fn the_reference_samples_have_the_reference_percentiles() {
    let mut trend = Trend::new();
    for milliseconds in [0, 100, 30, 80, 70, 60, 50, 40, 90, 20] {
        trend.record(Duration::from_millis(milliseconds));
    }
    for (percent, low, high) in [(50.0, 45.0, 55.0), (90.0, 91.0, 91.0), (95.0, 95.5, 95.5), (99.0, 99.1, 99.1)] {
        let value = trend.percentile(percent).unwrap() / 1_000.0;
        assert!((low * 0.999..=high * 1.001).contains(&value), "p({percent}) = {value}");
    }
    assert_eq!((trend.percentile(0.0), trend.percentile(100.0)), (Some(0.0), Some(100_000.0)));
    assert_eq!((trend.count(), trend.sum(), trend.min(), trend.max()), (10, 540_000, Some(0), Some(100_000)));
    assert_eq!(trend.mean(), Some(54_000.0));
}

#[test]
fn without_samples_there_is_no_number() {
    let empty = Trend::new();
    assert_eq!((empty.min(), empty.max(), empty.mean(), empty.percentile(50.0)), (None, None, None, None));
    assert_eq!(empty.count(), 0);
}

#[test]
fn beyond_an_hour_only_percentiles_are_cut_off() {
    let day = 86_400_000_000;
    let trend = trend(&[1, day - 1, day]);
    assert_eq!((trend.sum(), trend.max(), trend.percentile(100.0)), (2 * day, Some(day), Some(day as f64)));
    let cut = trend.percentile(50.0).unwrap();
    assert!((cut / HIGHEST_MICROS as f64 - 1.0).abs() < 1e-3, "{cut}");
    assert_eq!(Trend::new(), serde_json::from_value(serde_json::to_value(Trend::new()).unwrap()).unwrap());
}

#[test]
fn times_are_rounded_to_microseconds() {
    for (nanoseconds, expected) in [(0, 0), (499, 0), (500, 1), (1_499, 1), (999_999_999, 1_000_000)] {
        assert_eq!(micros(Duration::from_nanos(nanoseconds)), expected, "{nanoseconds} ns");
    }
    assert_eq!(micros(Duration::MAX), u64::MAX);
}

#[test]
fn cleared_it_is_as_good_as_new() {
    let mut used = trend(&[5, 7_000, 3_000_000]);
    used.clear();
    assert_eq!(used, Trend::new());
    used.record_micros(9);
    assert_eq!(used, trend(&[9]));
}

#[test]
fn json_that_no_trend_could_have_become_is_refused() {
    let sound = r#"{"count":3,"sum":2050,"min":1,"max":2048,"buckets":[1,2,2046,1]}"#;
    assert_eq!(serde_json::from_str::<Trend>(sound).unwrap(), trend(&[1, 1, 2_048]));
    assert_eq!(serde_json::to_string(&trend(&[1, 1, 2_048])).unwrap(), sound);
    for (from, to) in [
        ("\"count\":3", "\"count\":4"),
        (r#""count":3,"sum":2050,"min":1,"max":2048,"buckets":[1,2,2046,1]"#, ENDLESS),
        ("\"sum\":2050", "\"sum\":2"),
        ("\"min\":1", "\"min\":0"),
        ("\"max\":2048", "\"max\":9000"),
        ("[1,2,2046,1]", "[1,2,2046]"),
        ("[1,2,2046,1]", "[1,2,0,0,2045,1]"),
        ("[1,2,2046,1]", "[1,2,18446744073709551615,1]"),
        ("[1,2,2046,1]", "[1,18446744073709551615,2046,1]"),
        ("[1,2,2046,1]", "[1,2,30000,1]"),
        ("[1,2,2046,1]", "[]"),
    ] {
        let broken = sound.replace(from, to);
        assert!(serde_json::from_str::<Trend>(&broken).is_err(), "{broken}");
    }
}

#[test]
fn a_bucket_counts_beyond_32_bits() {
    let many = u64::from(u32::MAX) - 1;
    let mut trend: Trend = serde_json::from_value(
        serde_json::json!({"count": many, "sum": many, "min": 1, "max": 1, "buckets": [1, many]}),
    )
    .unwrap();
    trend.record_micros(1);
    trend.record_micros(1);
    let copy = trend.clone();
    trend.merge(&copy);
    trend.merge_sparse(&Sparse::from(&copy));
    assert!(trend.buckets().eq([Bucket { low: 1, high: 1, count: 3 * (many + 2) }]));
    assert_eq!((trend.count(), trend.percentile(99.0)), (3 * (many + 2), Some(1.0)));
    trend.clear();
    assert_eq!(trend, Trend::new());
}

proptest! {
    #[test]
    fn percentiles_are_within_a_thousandth_of_the_exact_ones(samples in vec(times(), 1..300), percent in 0.0..=100.0) {
        let exact = exact_percentile(&samples, percent);
        let ours = trend(&samples).percentile(percent).unwrap();
        prop_assert!((ours - exact).abs() <= exact * 0.001 + 1e-9, "{} is not {}", ours, exact);
    }

    #[test]
    fn buckets_are_those_of_hdrhistogram(sample in times()) {
        let reference = Histogram::<u64>::new_with_bounds(1, HIGHEST_MICROS, 3).unwrap();
        let bucket = trend(&[sample]).buckets().next().unwrap();
        let expected = (reference.lowest_equivalent(sample), reference.highest_equivalent(sample), 1);
        prop_assert_eq!((bucket.low, bucket.high, bucket.count), expected);
    }

    #[test]
    fn merged_trends_equal_one_of_all_samples(parts in vec(vec(times(), 0..50), 0..6)) {
        let whole = trend(&parts.concat());
        let (mut merged, mut sparse) = (Trend::new(), Trend::new());
        for part in parts.iter().rev() {
            merged.merge(&trend(part));
            sparse.merge_sparse(&Sparse::from(&trend(part)));
        }
        prop_assert_eq!(&merged, &whole);
        prop_assert_eq!(&sparse, &whole);
        prop_assert!(merged.buckets().eq(whole.buckets()));
    }

    #[test]
    fn json_loses_nothing(samples in vec(times(), 0..100)) {
        let trend = trend(&samples);
        let read: Trend = serde_json::from_str(&serde_json::to_string(&trend).unwrap()).unwrap();
        prop_assert_eq!(read, trend);
    }
}
