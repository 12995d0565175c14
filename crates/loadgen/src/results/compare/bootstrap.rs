//! The moving-block bootstrap of a difference between two runs; see the [method](super).

use rand::rngs::StdRng;
use rand::{RngExt, SeedableRng};

/// Estimates that are drawn.
const RESAMPLES: usize = 2_000;

/// The same data give the same interval.
const SEED: u64 = 0x5e11_0ad5;

/// Share of the estimates that the interval holds.
const CONFIDENCE: f64 = 0.95;

/// The quantile of the normal distribution that belongs to [`CONFIDENCE`].
const NORMAL_QUANTILE: f64 = 1.959_963_984_540_054;

/// What is estimated of Σa / Σb of the two runs, where each point is a pair (a, b).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Estimate {
    /// The second one minus the first one.
    Difference,
    /// The logarithm of the second one by the first one.
    LogOfRatio,
}

/// An estimate, and where the true value lies with 95 % confidence.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Interval {
    pub(super) estimate: f64,
    pub(super) low: f64,
    pub(super) high: f64,
}

/// Σa / Σb; none when Σb is zero. With b = 1 it is the mean.
pub(super) fn ratio(points: &[(f64, f64)]) -> Option<f64> {
    let (a, b) = points.iter().fold((0.0, 0.0), |(a, b), point| (a + point.0, b + point.1));
    (b > 0.0).then(|| a / b)
}

/// None when a run has no such ratio, or its logarithm does not exist.
pub(super) fn interval(before: &[(f64, f64)], after: &[(f64, f64)], estimate: Estimate) -> Option<Interval> {
    let of = |before: f64, after: f64| match estimate {
        Estimate::Difference => after - before,
        Estimate::LogOfRatio => (after / before).ln(),
    };
    let center = of(ratio(before)?, ratio(after)?);
    let (before, after) = (Blocks::new(before), Blocks::new(after));
    let mut random = StdRng::seed_from_u64(SEED);
    let mut drawn: Vec<f64> = (0..RESAMPLES)
        .filter_map(|_| Some(of(before.draw(&mut random)?, after.draw(&mut random)?)))
        .filter(|value| value.is_finite())
        .collect();
    if !center.is_finite() || drawn.len() < RESAMPLES / 2 {
        return None;
    }
    drawn.sort_by(f64::total_cmp);
    let quantile = |share: f64| drawn[((drawn.len() - 1) as f64 * share).round() as usize];
    let tail = (1.0 - CONFIDENCE) / 2.0;
    let wider = before.widening().max(after.widening());
    Some(Interval {
        estimate: center,
        low: center + (quantile(tail) - center) * wider,
        high: center + (quantile(1.0 - tail) - center) * wider,
    })
}

/// The 97.5 % quantile of Student's t, by the expansion of Cornish and Fisher: within 1.2 % from three degrees of freedom on. Fewer
/// than two count as two.
fn t_quantile(degrees: f64) -> f64 {
    let n = degrees.max(2.0);
    let z = NORMAL_QUANTILE;
    z + (z.powi(3) + z) / (4.0 * n)
        + (5.0 * z.powi(5) + 16.0 * z.powi(3) + 3.0 * z) / (96.0 * n.powi(2))
        + (3.0 * z.powi(7) + 19.0 * z.powi(5) + 17.0 * z.powi(3) - 15.0 * z) / (384.0 * n.powi(3))
}

/// All blocks of neighbours, as sums up to each point, so that a block costs two look-ups.
struct Blocks {
    sums: Vec<(f64, f64)>,
    length: usize,
}

impl Blocks {
    fn new(points: &[(f64, f64)]) -> Self {
        let sum = |sum: &mut (f64, f64), point: &(f64, f64)| {
            *sum = (sum.0 + point.0, sum.1 + point.1);
            Some(*sum)
        };
        let sums = std::iter::once((0.0, 0.0)).chain(points.iter().scan((0.0, 0.0), sum)).collect();
        Self { sums, length: ((points.len() as f64).sqrt().ceil() as usize).max(1) }
    }

    fn points(&self) -> usize {
        self.sums.len() - 1
    }

    /// What few blocks do not know of how much they vary: see the method.
    fn widening(&self) -> f64 {
        let blocks = self.points() as f64 / self.length as f64;
        t_quantile(blocks - 1.0) / NORMAL_QUANTILE * (blocks / (blocks - 1.0).max(0.5)).sqrt()
    }

    /// Σa / Σb of as many drawn blocks as make up the run; the last one is cut.
    fn draw(&self, random: &mut StdRng) -> Option<f64> {
        let (mut a, mut b, mut left) = (0.0, 0.0, self.points());
        while left > 0 {
            let begin = random.random_range(0..=self.points() - self.length);
            let (from, to) = (self.sums[begin], self.sums[begin + self.length.min(left)]);
            a += to.0 - from.0;
            b += to.1 - from.1;
            left -= self.length.min(left);
        }
        (b > 0.0).then(|| a / b)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_t_quantile_is_that_of_the_tables() {
        for (degrees, quantile) in [(3.0, 3.182), (5.0, 2.571), (10.0, 2.228), (30.0, 2.042)] {
            let own = t_quantile(degrees);
            assert!((own - quantile).abs() < 0.012 * quantile, "{degrees}: {own}");
        }
    }

    #[test]
    fn an_interval_lies_about_the_difference() {
        let points = |mean: f64| (0..100).map(|n| (mean + f64::from(n * 37 % 100) / 100.0, 1.0)).collect::<Vec<_>>();
        let Interval { estimate, low, high } = interval(&points(1.0), &points(3.0), Estimate::Difference).unwrap();
        assert!((estimate - 2.0).abs() < 1e-9 && low < 2.0 && high > 2.0 && high - low < 0.5, "{low} {high}");
        assert_eq!(interval(&[(1.0, 0.0); 20], &points(1.0), Estimate::Difference), None, "no requests at all");
        assert_eq!(interval(&[(0.0, 1.0); 20], &points(1.0), Estimate::LogOfRatio), None, "no rate to compare with");
    }
}
