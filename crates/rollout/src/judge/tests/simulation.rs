//! Error rates, small; `cargo xtask bench judge` measures them in earnest.

use super::super::synthetic::{Sampler, Traffic, Version, Windows};
use super::*;

const RUNS: u64 = 400;

/// What a share of all runs may come to by chance: three standard errors more.
fn at_most(share: f64) -> f64 {
    let expected = share * RUNS as f64;
    expected + 3.0 * expected.sqrt()
}

/// In how many of [`RUNS`] rollouts of an hour `is_wrong` says so after some window.
fn wrong(candidate: Version, live: Version, is_wrong: fn(&Judge, &JudgeSettings) -> bool) -> usize {
    let settings = errors_only();
    let traffic = Traffic { requests: 750, window_ms: 15_000, boundaries: Vec::new() };
    let is_wrong_once = |run: &u64| {
        let mut windows = Windows::new(Sampler::new(11, *run), traffic.clone(), candidate, live);
        let mut judge = Judge::default();
        (0..240).for_each(|_| judge.learn(&settings, &windows.next(0.0)));
        judge.begin_step(&settings);
        (0..240).any(|_| {
            judge.look(&settings, &windows.next(0.2));
            is_wrong(&judge, &settings)
        })
    };
    (0..RUNS).filter(is_wrong_once).count()
}

fn version(error_ratio: f64, burst: u64) -> Version {
    Version { error_ratio, burst, latency_median: 0.1, latency_sigma: 1.0 }
}

#[test]
fn a_candidate_at_the_edge_of_the_tolerance_rarely_passes() {
    let settings = errors_only();
    for burst in [1, 5] {
        let passed = wrong(version(0.0025, burst), version(0.001, burst), Judge::passes);
        assert!(passed as f64 <= at_most(settings.beta), "bursts of {burst}: {passed} of {RUNS}");
    }
}

#[test]
fn an_equal_candidate_is_rarely_rolled_back() {
    let settings = errors_only();
    for burst in [1, 5] {
        let version = version(0.005, burst);
        let rolled_back = wrong(version, version, |judge, settings| judge.rolls_back(settings).is_some());
        assert!(rolled_back as f64 <= at_most(settings.alpha), "bursts of {burst}: {rolled_back} of {RUNS}");
    }
}
