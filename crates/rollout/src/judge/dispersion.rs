//! How much bad requests come in bursts.

use serde::{Deserialize, Serialize};

use super::evalue::{Sample, Window};

/// φ of a version of which nothing is known: evidence counts half, so that one burst after a quiet history is no verdict.
const UNKNOWN: f64 = 2.0;
/// Largest φ. An outage in the history must not make the judge blind for good.
const LARGEST: f64 = 100.0;

/// Windows after which φ is known well enough to be frozen: ten minutes of 15 s.
const ENOUGH: u64 = 40;

/// Overdispersion of the live version's windows: 1 says that bad requests come one by one, and 5 that they come five at a time.
///
/// φ is Pearson's χ²/df of each window against the one before it, as in von Neumann's ratio: load and the hour of the day move the ratio of both slots
/// together, which is no burst, and the judge is immune to it.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub(super) struct Dispersion {
    last: Option<(f64, f64)>,
    /// Σ of n₁n₂/(n₁+n₂)·(r₁−r₂)² over neighbours.
    squares: f64,
    /// Σ of r(1−r) over neighbours, r of both together: what the squares would be without bursts.
    variances: f64,
    windows: u64,
    /// Windows with good and bad requests: the only ones that tell something of bursts.
    telling_windows: u64,
}

/// Overdispersion of the difference between both slots: what moves them together, such as a busy machine, cancels out. A difference that
/// lasts does not count either.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub(super) struct PairedDispersion {
    /// Difference of the ratios, its weight n₁n₂/(n₁+n₂), and the variance r(1−r) of one request.
    last: Option<(f64, f64, f64)>,
    squares: f64,
    variances: f64,
    neighbours: u64,
}

impl PairedDispersion {
    /// Neighbours before which nothing is known.
    const ENOUGH: u64 = 10;

    /// Takes a window of both slots. One in which no request or every request is bad says nothing.
    pub(super) fn add(&mut self, window: Window) {
        let Window { candidate, live } = window;
        let requests = candidate.requests + live.requests;
        let weight = candidate.requests * (live.requests / requests);
        let ratio = (candidate.bad + live.bad) / requests;
        let variance = ratio * (1.0 - ratio);
        let difference = candidate.bad / candidate.requests - live.bad / live.requests;
        if !(weight > 0.0 && variance > 0.0 && weight.is_finite() && difference.is_finite()) {
            return;
        }
        if let Some((before, weight_before, variance_before)) = self.last.replace((difference, weight, variance)) {
            let away = difference - before;
            self.squares += weight * (weight_before / (weight + weight_before)) * away * away;
            self.variances += f64::midpoint(variance, variance_before);
            self.neighbours = self.neighbours.saturating_add(1);
        }
    }

    /// φ of the difference, once it is known; before that `alone`, the live version's own.
    pub(super) fn estimate(&self, alone: f64) -> f64 {
        if self.neighbours < Self::ENOUGH || self.variances <= 0.0 {
            return alone;
        }
        let neighbours = self.neighbours as f64;
        let estimate = (neighbours * self.squares / self.variances + alone) / (neighbours + 1.0);
        if estimate.is_finite() { estimate.clamp(1.0, LARGEST) } else { LARGEST }
    }
}

impl Dispersion {
    /// Takes a window; zero requests are none.
    pub(super) fn add(&mut self, sample: Sample) {
        let Sample { requests, bad } = sample;
        if requests <= 0.0 || !requests.is_finite() {
            return;
        }
        if let Some((before, bad_before)) = self.last.replace((requests, bad)) {
            let away = bad / requests - bad_before / before;
            let ratio = (bad + bad_before) / (requests + before);
            self.squares += requests * (before / (requests + before)) * away * away;
            self.variances += ratio * (1.0 - ratio);
        }
        self.windows = self.windows.saturating_add(1);
        let is_telling = bad > 0.0 && bad < requests;
        self.telling_windows = self.telling_windows.saturating_add(u64::from(is_telling));
    }

    /// Whether too few windows are known to freeze φ for a step.
    pub(super) fn is_young(&self) -> bool {
        self.windows < ENOUGH
    }

    /// φ, from 1 to 100. What is not known counts as one telling window with φ = 2: without any history φ is 2, after dozens of windows with
    /// errors it is what was measured.
    pub(super) fn estimate(&self) -> f64 {
        if self.variances <= 0.0 {
            return UNKNOWN;
        }
        let measured = self.squares / self.variances;
        let telling = self.telling_windows as f64;
        let estimate = (telling * measured + UNKNOWN) / (telling + 1.0);
        if estimate.is_finite() { estimate.clamp(1.0, LARGEST) } else { LARGEST }
    }
}
