use super::*;
use crate::results::tests::sample::{Noise, run};

/// A run whose seconds have latencies about `ms`, each depending on the one before.
fn noisy(seed: u64, seconds: usize, ms: f64, correlation: f64) -> RunSummary {
    noisy_like(&run(1, 1, 1.0), seed, seconds, ms, correlation)
}

fn noisy_like(base: &RunSummary, seed: u64, seconds: usize, ms: f64, correlation: f64) -> RunSummary {
    let mut summary = base.clone();
    let mut noise = Noise::new(seed);
    let spread = 0.15 * (1.0 - correlation * correlation).sqrt();
    let mut mood = 0.15 * noise.normal();
    summary.timeline = (0..seconds)
        .map(|at| {
            mood = correlation * mood + spread * noise.normal();
            let ms = ms * mood.exp();
            Second {
                at_ms: at as f64 * 1e3,
                duration_ms: 1e3,
                requests: 100,
                p50_ms: Some(ms),
                p95_ms: Some(ms * 3.0),
                p99_ms: Some(ms * 5.0 * (0.05 * noise.normal()).exp()),
                ..Second::default()
            }
        })
        .collect();
    summary
}

fn change(comparison: &Comparison, measure: Measure) -> Change {
    comparison.metrics.iter().find(|metric| metric.measure == measure).map(|metric| metric.change).expect("compared")
}

#[test]
fn equal_runs_are_no_evidence_of_anything() {
    let run = noisy(1, 120, 20.0, 0.5);
    let comparison = compare(&run, &run);
    assert_eq!(comparison.change, Change::NoEvidence);
    assert!(comparison.metrics.iter().all(|metric| metric.change == Change::NoEvidence && metric.reason.is_none()));
    assert_eq!(comparison.metrics[0].difference, Some(0.0));
}

#[test]
fn a_fifth_more_is_slower_and_a_fifth_less_faster() {
    let (before, after) = (noisy(1, 120, 20.0, 0.5), noisy(2, 120, 24.0, 0.5));
    for measure in [Measure::P50, Measure::P95, Measure::P99] {
        assert_eq!(change(&compare(&before, &after), measure), Change::Slower, "{measure:?}");
        assert_eq!(change(&compare(&after, &before), measure), Change::Faster, "{measure:?}");
    }
    let comparison = compare(&before, &after);
    assert!(comparison.is_slower());
    let p95 = &comparison.metrics[1];
    let (low, high) = (p95.low.expect("low"), p95.high.expect("high"));
    assert!(low < 20.0 && high > 20.0, "the interval holds the truth: {low} {high}");
}

#[test]
fn a_change_that_does_not_matter_is_no_evidence() {
    let before = noisy(1, 3_000, 20.0, 0.0);
    let mut after = before.clone();
    after.timeline.iter_mut().for_each(|second| second.p95_ms = second.p95_ms.map(|ms| ms * 1.03));
    let comparison = compare(&before, &after);
    assert!(comparison.metrics[1].low > Some(0.0), "it is there");
    assert_eq!(change(&comparison, Measure::P95), Change::NoEvidence, "and too small");
}

#[test]
fn noise_that_lasts_is_not_mistaken_for_a_change() {
    for (correlation, seconds) in [(0.0, 60), (0.5, 60), (0.7, 300)] {
        let base = run(1, 1, 1.0);
        let points = |seed| steady(&noisy_like(&base, seed, seconds, 20.0, correlation), 1e3);
        let is_found = |seed: &u64| {
            compared(Measure::P50, &points(2 * seed + 1), &points(2 * seed + 2)).change != Change::NoEvidence
        };
        let found = (0..200).filter(is_found).count();
        assert!(found <= 20, "{found} of 200 with correlation {correlation} over {seconds} s");
    }
}

#[test]
fn rates_and_errors_have_their_own_words() {
    let before = noisy(1, 60, 20.0, 0.0);
    let mut after = before.clone();
    for (at, second) in after.timeline.iter_mut().enumerate() {
        second.requests = 80 + at as u64 % 5;
        second.errors = 2 + at as u64 % 2;
    }
    let comparison = compare(&before, &after);
    assert_eq!(change(&comparison, Measure::Rate), Change::Slower);
    assert_eq!(change(&comparison, Measure::ErrorRate), Change::Slower);
    assert_eq!(Measure::ErrorRate.word(Change::Slower), "more");
    assert_eq!(change(&compare(&after, &before), Measure::ErrorRate), Change::Faster);
    let errors = comparison.metrics.last().expect("errors");
    assert!((2.5..4.0).contains(&errors.difference.expect("points")), "percentage points: {errors:?}");
}

#[test]
fn too_little_is_no_evidence_and_says_why() {
    let (short, long) = (noisy(1, 9, 20.0, 0.0), noisy(2, 60, 40.0, 0.0));
    for metric in compare(&short, &long).metrics {
        assert_eq!(metric.change, Change::NoEvidence);
        assert!(metric.reason.is_some_and(|reason| reason.contains("at least 10")), "{:?}", metric.measure);
    }
    let mut invalid = noisy(3, 60, 80.0, 0.0);
    invalid.generator.invalid = Some("busy".to_owned());
    let comparison = compare(&long, &invalid);
    assert_eq!(comparison.change, Change::NoEvidence);
    assert!(
        comparison.metrics.iter().all(|metric| metric.reason.as_deref().is_some_and(|why| why.contains("invalid")))
    );
    let mut idle = long.clone();
    idle.timeline
        .iter_mut()
        .for_each(|second| *second = Second { at_ms: second.at_ms, duration_ms: 1e3, ..Second::default() });
    assert_eq!(compare(&idle, &idle).change, Change::NoEvidence, "no requests at all");
    idle.timeline.clear();
    assert_eq!(compare(&idle, &long).change, Change::NoEvidence);
}

#[test]
fn a_long_run_is_compared_with_a_short_one_at_its_own_grain() {
    let fine = noisy(1, 600, 20.0, 0.0);
    let mut coarse = noisy(1, 1, 20.0, 0.0);
    coarse.timeline = noisy(2, 2_400, 20.0, 0.0).timeline.chunks(4).map(points::joined).collect();
    // Points that are the worst of four seconds are higher: without joining this would be slower.
    assert_eq!(change(&compare(&fine, &coarse), Measure::P50), Change::NoEvidence);
}
