//! Synthetic windows of two versions with known ratios: seeded, exact in distribution, and fast enough for thousands of rollouts.

mod sampler;

use spillway_model::UnixMillis;

pub use sampler::Sampler;

use crate::observed::{Block, Counts};

/// How a version behaves.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Version {
    /// Share of requests that fail, from 0 to 1.
    pub error_ratio: f64,
    /// Errors come this many at a time; 1 is one by one. Zero is taken for 1.
    pub burst: u64,
    /// Median of the latency, which is lognormal, seconds.
    pub latency_median: f64,
    /// Standard deviation of the latency's logarithm.
    pub latency_sigma: f64,
}

/// The traffic that both versions share.
#[derive(Debug, Clone, PartialEq)]
pub struct Traffic {
    /// Requests of both slots in each window.
    pub requests: u64,
    /// Length of a window, milliseconds.
    pub window_ms: u64,
    /// Boundaries of the latency histogram, seconds, ascending; may be empty.
    pub boundaries: Vec<f64>,
}

/// Makes windows.
#[derive(Debug, Clone)]
pub struct Windows {
    sampler: Sampler,
    traffic: Traffic,
    candidate: Source,
    live: Source,
    at: UnixMillis,
}

#[derive(Debug, Clone)]
struct Source {
    version: Version,
    /// Share of requests that are slower than each boundary.
    slower: Vec<f64>,
}

impl Version {
    /// Share of its requests that take longer than `boundary` seconds.
    #[must_use]
    pub fn slower_than(&self, boundary: f64) -> f64 {
        0.5 * erfc((boundary / self.latency_median).ln() / (self.latency_sigma * std::f64::consts::SQRT_2))
    }
}

impl Windows {
    /// Windows of these versions; the same sampler gives the same ones.
    #[must_use]
    pub fn new(sampler: Sampler, traffic: Traffic, candidate: Version, live: Version) -> Self {
        let source = |version: Version| Source {
            version,
            slower: traffic.boundaries.iter().map(|&boundary| version.slower_than(boundary)).collect(),
        };
        Self { sampler, candidate: source(candidate), live: source(live), traffic, at: 0 }
    }

    /// The next window, with this share of the requests, from 0 to 1, going to the candidate.
    pub fn next(&mut self, weight: f64) -> Block {
        self.at = self.at.saturating_add_unsigned(self.traffic.window_ms);
        let to_candidate = self.sampler.binomial(self.traffic.requests, weight);
        let to_live = self.traffic.requests - to_candidate;
        Block {
            at: self.at,
            window_ms: self.traffic.window_ms,
            boundaries: self.traffic.boundaries.clone(),
            candidate: Some(self.candidate.counts(&mut self.sampler, to_candidate)),
            live: Some(self.live.counts(&mut self.sampler, to_live)),
        }
    }
}

impl Source {
    fn counts(&self, sampler: &mut Sampler, requests: u64) -> Counts {
        let burst = self.version.burst.max(1);
        let n_bursts = sampler.binomial(requests, self.version.error_ratio / burst as f64);
        let (mut left, mut share_left) = (requests, 1.0);
        let slower = self.slower.iter().map(|&share| {
            left = sampler.binomial(left, if share_left > 0.0 { share / share_left } else { 0.0 });
            share_left = share;
            left
        });
        let slower = slower.collect();
        Counts { requests, errors: (n_bursts * burst).min(requests), timed: requests, slower }
    }
}

/// 1 − erf(x), within 1.2e-7 relative (Numerical Recipes, 6.2: Chebyshev fit).
fn erfc(x: f64) -> f64 {
    const FIT: [f64; 10] = [
        -1.265_512_23,
        1.000_023_68,
        0.374_091_96,
        0.096_784_18,
        -0.186_288_06,
        0.278_868_07,
        -1.135_203_98,
        1.488_515_87,
        -0.822_152_23,
        0.170_872_77,
    ];
    let t = 1.0 / (1.0 + 0.5 * x.abs());
    let fit = FIT.iter().rev().fold(0.0, |sum, &term| sum * t + term);
    let tail = t * (fit - x * x).exp();
    if x >= 0.0 { tail } else { 2.0 - tail }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn shares_above_a_boundary_are_the_normal_distributions() {
        let version = Version { error_ratio: 0.0, burst: 1, latency_median: 1.0, latency_sigma: 1.0 };
        for (deviations, above) in [(0.0, 0.5), (1.0, 0.158_655_25), (-1.0, 0.841_344_75), (3.0, 0.001_349_898)] {
            let share = version.slower_than(f64::exp(deviations));
            assert!((share / above - 1.0).abs() < 1e-6, "{deviations}: {share}, not {above}");
        }
    }

    #[test]
    fn windows_have_the_ratios_that_were_asked_for() {
        let version = Version { error_ratio: 0.01, burst: 5, latency_median: 0.1, latency_sigma: 0.7 };
        let traffic = Traffic { requests: 750, window_ms: 15_000, boundaries: vec![0.05, 0.1, 0.2] };
        let mut windows = Windows::new(Sampler::new(1, 1), traffic, version, version);
        let (mut requests, mut errors, mut slow) = (0, 0, 0);
        for _ in 0..4_000 {
            let counts = windows.next(0.1).candidate.unwrap();
            assert!(counts.errors.is_multiple_of(5) && counts.slower.is_sorted_by(|a, b| a >= b));
            requests += counts.requests;
            errors += counts.errors;
            slow += counts.slower[1];
        }
        let within = |value: u64, of: u64, expected: f64| (value as f64 / of as f64 / expected - 1.0).abs() < 0.05;
        assert!(within(requests, 4_000, 75.0) && within(errors, requests, 0.01) && within(slow, requests, 0.5));
    }
}
