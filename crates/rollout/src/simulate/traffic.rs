//! Made-up requests: how many, how many fail, how long they take.

use crate::observed::{Block, Counts, RouterObserved};
use crate::slot::{Slot, Slots};

/// The buckets of OpenTelemetry's HTTP conventions, seconds.
const BOUNDARIES: [f64; 14] = [0.005, 0.01, 0.025, 0.05, 0.075, 0.1, 0.25, 0.5, 0.75, 1.0, 2.5, 5.0, 7.5, 10.0];
/// How steep the latencies' distribution (log-logistic) is: the 99th percentile is about three times the median.
const STEEPNESS: f64 = 4.0;
/// Above this mean a normal distribution stands for Poisson's.
const MANY: f64 = 50.0;

/// How requests to one version go.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct SlotTraffic {
    /// Share of requests that fail.
    pub error_ratio: f64,
    /// Median latency, seconds.
    pub latency: f64,
}

/// Requests that come at random, repeatably.
#[derive(Debug, Clone)]
pub struct Traffic {
    requests_per_second: f64,
    random: SplitMix,
}

impl Traffic {
    /// Requests at a mean rate. The same seed gives the same requests.
    #[must_use]
    pub fn new(requests_per_second: f64, seed: u64) -> Self {
        Self { requests_per_second: requests_per_second.max(0.0), random: SplitMix(seed) }
    }

    /// What happens within a window that ends at `at`.
    pub fn block(
        &mut self,
        at: i64,
        window_ms: u64,
        router: &RouterObserved,
        live: Slot,
        versions: &Slots<Option<SlotTraffic>>,
    ) -> Block {
        #[expect(clippy::cast_precision_loss, reason = "a window is not that long")]
        let all = self.requests_per_second * window_ms as f64 / 1000.0;
        let live_share = f64::from(*router.weights.get(live)) / 100.0;
        let mut counts = |slot: Slot| {
            let copied = f64::from(*router.mirror.get(slot)) / 100.0 * live_share;
            let share = f64::from(*router.weights.get(slot)) / 100.0 + copied;
            versions.get(slot).as_ref().map(|version| self.counts(all * share, version))
        };
        let live_counts = counts(live);
        Block { at, window_ms, boundaries: BOUNDARIES.to_vec(), candidate: counts(live.other()), live: live_counts }
    }

    fn counts(&mut self, mean: f64, version: &SlotTraffic) -> Counts {
        let good = self.random.poisson(mean * (1.0 - version.error_ratio));
        let errors = self.random.poisson(mean * version.error_ratio);
        // Requests fall into buckets independently of each other: each bucket's number is Poisson's, too.
        let requests = good + errors;
        let mut left = requests;
        let mut above = 1.0;
        let slower = BOUNDARIES.map(|boundary| {
            let slower = 1.0 / (1.0 + (boundary / version.latency.max(1e-6)).powf(STEEPNESS));
            let stays = if above > 0.0 { slower / above } else { 0.0 };
            above = slower;
            left = self.random.binomial(left, stays);
            left
        });
        Counts { requests, errors, timed: requests, slower: slower.to_vec() }
    }
}

/// Sebastiano Vigna's SplitMix64: the same numbers on every machine and in every release.
#[derive(Debug, Clone)]
struct SplitMix(u64);

impl SplitMix {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let z = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    /// Between 0 and 1, neither of them.
    #[expect(clippy::cast_precision_loss, reason = "53 bits are exact")]
    fn unit(&mut self) -> f64 {
        ((self.next() >> 11) as f64 + 0.5) / (1_u64 << 53) as f64
    }

    /// By Box and Muller.
    fn normal(&mut self) -> f64 {
        (-2.0 * self.unit().ln()).sqrt() * (std::f64::consts::TAU * self.unit()).cos()
    }

    fn poisson(&mut self, mean: f64) -> u64 {
        if mean > MANY {
            return rounded(mean + mean.sqrt() * self.normal());
        }
        let limit = (-mean).exp();
        let mut product = self.unit();
        let mut n = 0;
        while product > limit {
            product *= self.unit();
            n += 1;
        }
        n
    }

    /// How many of `n` stay, each with the same chance.
    #[expect(clippy::cast_precision_loss, reason = "a window does not have 2^53 requests")]
    fn binomial(&mut self, n: u64, chance: f64) -> u64 {
        let (mean, deviation) = (n as f64 * chance, (n as f64 * chance * (1.0 - chance)).sqrt());
        if mean > MANY && n as f64 - mean > MANY {
            return rounded(mean + deviation * self.normal()).min(n);
        }
        if mean <= MANY && n > 1000 {
            return self.poisson(mean).min(n);
        }
        (0..n).filter(|_| self.unit() < chance).count() as u64
    }
}

#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "a cast saturates, which is what a count needs"
)]
fn rounded(number: f64) -> u64 {
    number.round().max(0.0) as u64
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_same_seed_gives_the_same_requests_near_their_mean() {
        let version = Some(SlotTraffic { error_ratio: 0.01, latency: 0.08 });
        let router = RouterObserved { weights: Slots { blue: 90, green: 10 }, mirror: Slots { blue: 0, green: 0 } };
        let block = |seed| {
            Traffic::new(1000.0, seed).block(
                60_000,
                60_000,
                &router,
                Slot::Blue,
                &Slots { blue: version, green: version },
            )
        };
        assert_eq!(block(7), block(7));
        assert_ne!(block(7), block(8));
        let (live, candidate) = (block(7).live.unwrap(), block(7).candidate.unwrap());
        assert!((53_000..55_000).contains(&live.requests), "{live:?}");
        assert!((5_700..6_300).contains(&candidate.requests), "{candidate:?}");
        assert!((450..630).contains(&live.errors), "{live:?}");
        assert!(live.slower.is_sorted_by(|a, b| a >= b), "{live:?}");
    }
}
