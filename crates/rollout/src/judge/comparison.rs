//! One ratio of bad requests, candidate against live: errors, or requests slower than one boundary.

use serde::{Deserialize, Serialize};

use crate::spec::CompareMetric;

use super::dispersion::{Dispersion, PairedDispersion};
use super::evalue::{Bet, Sample, Tolerance, Window, ln_mean};
use super::past::Past;

/// Multiples of the live error ratio that the rollback test bets on, each with its stake, in 64ths. What is near 1 takes longer than a step
/// to tell, and what is far from it is found soon with any stake: most is staked in between.
const ERROR_RATIOS: [(f64, f64); 7] =
    [(1.25, 2.0), (1.5, 5.0), (2.0, 10.0), (3.0, 16.0), (5.0, 13.0), (10.0, 13.0), (30.0, 5.0)];
/// Odds ratios that it bets on for latency, where the live ratio can be anything from 0 to 1, with equal stakes.
const LATENCY_ODDS: [(f64, f64); 6] = [(1.1, 1.0), (1.25, 1.0), (1.5, 1.0), (2.0, 1.0), (3.0, 1.0), (5.0, 1.0)];
/// What the pass test bets on: multiples of the live ratio, or of its odds.
const PASS: [f64; 3] = [0.8, 1.0, 1.1];
/// A request is slow when it takes longer than most of the live version's: a boundary counts when at most this share of those is beyond it. Below it a
/// difference of microseconds between a busy and an idle slot is proven soon, and matters to nobody.
const MOST_SLOWER: f64 = 0.5;
/// Largest ratio of errors that is bet on.
const MOST_ERRORS: f64 = 0.99;

/// When a ratio counts.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Matters {
    /// Errors, and the last boundary.
    Always,
    /// When at most half of the live requests are beyond the boundary.
    InTheTail,
    /// Faster than anybody asks for.
    Never,
}

/// Both tests of one ratio in one step, and what is known of the live version.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub(super) struct Comparison {
    past: Past,
    dispersion: Dispersion,
    /// Of latency, where slow requests of both slots come together.
    paired: PairedDispersion,
    /// φ, frozen when the step began or enough was known, whichever was later.
    frozen_dispersion: f64,
    /// Whether it counts in this step; decided on the past when the step began, or as soon as there was one.
    counts: Option<bool>,
    /// ln M of each alternative of the rollback test.
    roll_back: Vec<f64>,
    /// ln M⁺ of each alternative of the pass test.
    pass: Vec<f64>,
    /// What was judged in this step.
    candidate: Tally,
    live: Tally,
}

/// Counts of one slot in one step.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(default)]
pub(super) struct Tally {
    pub(super) requests: u64,
    bad: u64,
}

impl Comparison {
    /// Takes a window of the live version that says nothing about the candidate.
    pub(super) fn learn(&mut self, live: Sample, window_ms: u64) {
        self.past.add(live, window_ms);
        self.dispersion.add(live);
    }

    /// Begins a step. The rollback test goes on with its evidence unless it is `fresh`.
    pub(super) fn begin(&mut self, metric: CompareMetric, fresh: bool) {
        self.frozen_dispersion = self.dispersion.estimate();
        self.counts = None;
        if fresh {
            self.roll_back = vec![0.0; alternatives(metric).len()];
        }
        self.pass = vec![0.0; PASS.len()];
        self.candidate = Tally::default();
        self.live = Tally::default();
    }

    /// Takes a window of both slots: bets on what was known before it, then learns from it.
    pub(super) fn look(
        &mut self,
        metric: CompareMetric,
        window: Window,
        window_ms: u64,
        tolerance: Tolerance,
        matters: Matters,
    ) {
        if self.dispersion.is_young() {
            self.frozen_dispersion = self.dispersion.estimate();
        }
        if let Some(live) = self.past.ratio(metric)
            && *self.counts.get_or_insert(match matters {
                Matters::Always => true,
                Matters::InTheTail => live <= MOST_SLOWER,
                Matters::Never => false,
            })
        {
            // Known before this window, as a bet has to be.
            let dispersion = self.dispersion();
            for (ln_e, &(factor, _)) in self.roll_back.iter_mut().zip(alternatives(metric)) {
                *ln_e += window.against_no_worse(bet(metric, factor, live)) / dispersion;
            }
            for (ln_e, factor) in self.pass.iter_mut().zip(PASS) {
                *ln_e += window.against_too_bad(bet(metric, factor, live), tolerance) / dispersion;
            }
            self.candidate.add(window.candidate);
            self.live.add(window.live);
            if metric == CompareMetric::Latency {
                self.paired.add(window);
            }
        }
        self.learn(window.live, window_ms);
    }

    /// ln M, this step's.
    pub(super) fn roll_back(&self, metric: CompareMetric) -> f64 {
        let stakes = alternatives(metric).iter().map(|&(_, stake)| stake);
        ln_mean(stakes.zip(self.roll_back.iter().copied()))
    }

    /// ln M⁺, this step's.
    pub(super) fn pass(&self) -> f64 {
        ln_mean(self.pass.iter().map(|&ln_e| (1.0, ln_e)))
    }

    pub(super) fn dispersion(&self) -> f64 {
        self.paired.estimate(self.frozen_dispersion.max(1.0))
    }

    /// Whether it counts in this step.
    pub(super) fn counts(&self) -> bool {
        self.counts != Some(false)
    }

    pub(super) fn candidate(&self) -> Tally {
        self.candidate
    }

    pub(super) fn live(&self) -> Tally {
        self.live
    }

    /// Milliseconds until one alternative of the rollback test alone has gained enough for ln M to be at `needed`, when windows go on as in this
    /// step of `step_ms`. `None` when none gains.
    ///
    /// At the beginning of a step this is ln(1/(w·α)) / (n_c·KL(p_c‖p0) + n_b·KL(q̂‖p0)), with requests per millisecond and the alternative's
    /// part w of all stakes.
    pub(super) fn until_roll_back(&self, metric: CompareMetric, needed: f64, step_ms: u64) -> Option<f64> {
        let (window, live) = (self.step()?, self.past.ratio(metric)?);
        let all_stakes: f64 = alternatives(metric).iter().map(|(_, stake)| stake).sum();
        let bets = alternatives(metric).iter().zip(&self.roll_back).map(|(&(factor, stake), ln_e)| {
            let missing = needed - (stake / all_stakes).ln() - ln_e;
            (missing, window.against_no_worse(bet(metric, factor, live)))
        });
        self.soonest(bets, step_ms)
    }

    /// The same for the pass test.
    pub(super) fn until_pass(
        &self,
        metric: CompareMetric,
        tolerance: Tolerance,
        needed: f64,
        step_ms: u64,
    ) -> Option<f64> {
        if self.pass() >= needed {
            return Some(0.0);
        }
        let (window, live) = (self.step()?, self.past.ratio(metric)?);
        let bets = PASS.iter().zip(&self.pass).map(|(&factor, ln_e)| {
            let missing = needed + (PASS.len() as f64).ln() - ln_e;
            (missing, window.against_too_bad(bet(metric, factor, live), tolerance))
        });
        self.soonest(bets, step_ms)
    }

    /// The shortest time in which what is missing is gained; given are (missing, gain in `step_ms` before the division by φ).
    fn soonest(&self, bets: impl Iterator<Item = (f64, f64)>, step_ms: u64) -> Option<f64> {
        bets.filter(|&(_, gain)| gain > 0.0)
            .map(|(missing, gain)| (missing.max(0.0) * self.dispersion()) * (step_ms as f64 / gain))
            .min_by(f64::total_cmp)
    }

    /// All that was judged in this step as one window.
    fn step(&self) -> Option<Window> {
        let is_there = self.candidate.requests > 0 && self.live.requests > 0;
        is_there.then(|| Window { candidate: self.candidate.sample(), live: self.live.sample() })
    }
}

impl Tally {
    /// Bad requests among all; `None` without any.
    pub(super) fn ratio(self) -> Option<f64> {
        (self.requests > 0).then(|| self.bad as f64 / self.requests as f64)
    }

    fn add(&mut self, sample: Sample) {
        self.requests = self.requests.saturating_add(sample.requests as u64);
        self.bad = self.bad.saturating_add(sample.bad as u64);
    }

    fn sample(self) -> Sample {
        Sample { requests: self.requests as f64, bad: self.bad.min(self.requests) as f64 }
    }
}

/// What the rollback test bets on, and what is staked on each.
fn alternatives(metric: CompareMetric) -> &'static [(f64, f64)] {
    match metric {
        CompareMetric::Errors => &ERROR_RATIOS,
        CompareMetric::Latency => &LATENCY_ODDS,
    }
}

fn bet(metric: CompareMetric, factor: f64, live: f64) -> Bet {
    let candidate = match metric {
        CompareMetric::Errors => (factor * live).min(MOST_ERRORS),
        CompareMetric::Latency => factor * live / (1.0 - live + factor * live),
    };
    Bet { candidate, live }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Errors of the live version and the candidate, and the median minutes until a rollback in a simulation with 50 requests/s, weight 10 % and
    /// α = 0.01.
    const DELAYS: [(f64, f64, f64); 4] =
        [(0.001, 0.003, 15.5), (0.001, 0.01, 1.8), (0.005, 0.015, 3.2), (0.005, 0.05, 0.5)];

    #[test]
    fn the_expected_delay_is_within_a_factor_of_2_of_the_simulated_one() {
        for (live, candidate, minutes) in DELAYS {
            let sample = |requests: f64, ratio: f64| Sample { requests, bad: requests * ratio };
            let mut comparison = Comparison::default();
            comparison.learn(sample(1e6, live), 0);
            comparison.begin(CompareMetric::Errors, true);
            let hour = Window { candidate: sample(18_000.0, candidate), live: sample(162_000.0, live) };
            let tolerance = Tolerance { ratio: 1.5, difference: 0.001 };
            comparison.look(CompareMetric::Errors, hour, 3_600_000, tolerance, Matters::Always);
            // The ratios are known, and nothing is proven yet.
            comparison.roll_back.fill(0.0);
            comparison.frozen_dispersion = 1.0;
            let expected =
                comparison.until_roll_back(CompareMetric::Errors, 100f64.ln(), 3_600_000).unwrap() / 60_000.0;
            assert!((0.5..2.0).contains(&(expected / minutes)), "{live} → {candidate}: {expected} min, not {minutes}");
        }
    }
}
