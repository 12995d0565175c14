//! The promise of an e-value: an expectation of at most 1 while the hypothesis holds. Computed exactly, by summing over all outcomes.

use proptest::prelude::*;

use super::super::evalue::{Bet, Sample, Tolerance, Window};

/// P(k of n) for each k.
fn binomial(n: u32, p: f64) -> Vec<f64> {
    let mut chances = vec![1.0];
    for _ in 0..n {
        let mut next = vec![0.0; chances.len() + 1];
        for (k, chance) in chances.iter().enumerate() {
            next[k] += chance * (1.0 - p);
            next[k + 1] += chance * p;
        }
        chances = next;
    }
    chances
}

/// The e-value's expectation when the true ratios are these.
fn expectation(n_c: u32, n_b: u32, truth: Bet, ln_e: impl Fn(Window) -> f64) -> f64 {
    let (candidate, live) = (binomial(n_c, truth.candidate), binomial(n_b, truth.live));
    let sample = |requests: u32, bad: usize| Sample { requests: f64::from(requests), bad: bad as f64 };
    let outcomes = candidate.iter().enumerate().flat_map(|c| live.iter().enumerate().map(move |b| (c, b)));
    outcomes
        .map(|((bad_c, p_c), (bad_b, p_b))| {
            p_c * p_b * ln_e(Window { candidate: sample(n_c, bad_c), live: sample(n_b, bad_b) }).exp()
        })
        .sum()
}

const ROUNDING: f64 = 1e-9;

#[test]
fn rollback_expects_at_most_1_of_versions_that_are_no_worse() {
    for (n_c, n_b) in [(1, 1), (1, 9), (9, 1), (5, 20), (12, 12)] {
        for live in [0.0, 0.001, 0.01, 0.2, 0.5, 0.99, 1.0] {
            for candidate in [live, live * 0.5] {
                for bet_live in [1e-6_f64, 0.001, 0.05, 0.4] {
                    for factor in [1.25_f64, 2.0, 10.0] {
                        let bet = Bet { candidate: (bet_live * factor).min(0.99), live: bet_live };
                        let e = expectation(n_c, n_b, Bet { candidate, live }, |window| window.against_no_worse(bet));
                        assert!(e <= 1.0 + ROUNDING, "{n_c} {n_b}, true {candidate} {live}, {bet:?}: {e}");
                    }
                }
            }
        }
    }
}

#[test]
fn a_rollback_bet_that_is_right_gains() {
    let bet = Bet { candidate: 0.3, live: 0.1 };
    assert!(expectation(10, 10, bet, |window| window.against_no_worse(bet)) > 1.5);
}

#[test]
fn a_pass_bet_that_is_right_gains_and_one_that_is_too_bad_itself_says_nothing() {
    let tolerance = Tolerance { ratio: 1.5, difference: 0.01 };
    let right = Bet { candidate: 0.2, live: 0.2 };
    assert!(expectation(20, 20, right, |window| window.against_too_bad(right, tolerance)) > 1.1);
    let too_bad = Bet { candidate: 0.31, live: 0.2 };
    let e = expectation(20, 20, right, |window| window.against_too_bad(too_bad, tolerance));
    assert!((e - 1.0).abs() < ROUNDING, "{e}");
}

proptest! {
    #[test]
    fn rollback_expects_at_most_1_for_any_bet(
        n_c in 1u32..15, n_b in 1u32..15, live in 0.0..1.0f64, better in 0.0..1.0f64,
        bet_live in 1e-6..0.9f64, bet_worse in 0.001..0.99f64,
    ) {
        let truth = Bet { candidate: live * better, live };
        let bet = Bet { candidate: bet_live + (0.999 - bet_live) * bet_worse, live: bet_live };
        let e = expectation(n_c, n_b, truth, |window| window.against_no_worse(bet));
        prop_assert!(e <= 1.0 + ROUNDING, "{e}");
    }

    #[test]
    fn pass_expects_at_most_1_of_versions_that_are_too_bad(
        n_c in 1u32..15, n_b in 1u32..15, live in 0.0..1.0f64, worse in 0.0..1.0f64,
        bet_candidate in 1e-6..0.999f64, bet_live in 1e-6..0.999f64,
        ratio in 1.0..3.0f64, difference in 0.0..0.2f64,
    ) {
        let live = live * (1.0 - difference) / ratio;
        let edge = ratio * live + difference;
        let truth = Bet { candidate: edge + (1.0 - edge) * worse * worse, live };
        let bet = Bet { candidate: bet_candidate, live: bet_live };
        let e = expectation(n_c, n_b, truth, |window| window.against_too_bad(bet, Tolerance { ratio, difference }));
        prop_assert!(e <= 1.0 + 1e-6, "{e}");
    }
}
