//! Percentiles of a histogram.

/// A percentile: where it is, or that it lies beyond the last boundary.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) enum Percentile {
    /// About this many seconds.
    At(f64),
    /// More than the last boundary; how much more is not known.
    Beyond(f64),
}

/// The value below which the share `q` of `timed` requests lies, by linear interpolation within its bucket as Prometheus does it; the first
/// bucket begins at 0. `None` without requests, and when the numbers do not belong together.
pub(super) fn percentile(q: f64, timed: u64, slower: &[u64], boundaries: &[f64]) -> Option<Percentile> {
    if timed == 0 || slower.is_empty() || slower.len() != boundaries.len() {
        return None;
    }
    let rank = q * count(timed);
    let mut below = (0.0, 0.0);
    for (boundary, slower) in boundaries.iter().zip(slower) {
        let faster = count(timed.saturating_sub(*slower));
        if faster >= rank {
            let (from, faster_before) = below;
            let within = faster - faster_before;
            let share = if within > 0.0 { ((rank - faster_before) / within).clamp(0.0, 1.0) } else { 1.0 };
            let value = from + (boundary - from) * share;
            return value.is_finite().then_some(Percentile::At(value));
        }
        below = (*boundary, faster);
    }
    boundaries.last().filter(|last| last.is_finite()).map(|last| Percentile::Beyond(*last))
}

#[expect(clippy::cast_precision_loss, reason = "a share of more than 2^53 requests is exact enough")]
fn count(requests: u64) -> f64 {
    requests as f64
}

#[cfg(test)]
mod tests {
    use super::*;

    const BOUNDARIES: [f64; 3] = [0.1, 0.5, 1.0];

    #[test]
    fn it_is_interpolated_within_its_bucket() {
        // 50 up to 0.1 s, 40 up to 0.5 s, 10 up to 1 s.
        let at = |q| percentile(q, 100, &[50, 10, 0], &BOUNDARIES);
        assert_eq!(at(0.25), Some(Percentile::At(0.05)));
        assert_eq!(at(0.5), Some(Percentile::At(0.1)));
        assert_eq!(at(0.7), Some(Percentile::At(0.1 + 0.4 * 0.5)));
        assert_eq!(at(1.0), Some(Percentile::At(1.0)));
    }

    #[test]
    fn beyond_the_last_boundary_nothing_is_known_but_that() {
        assert_eq!(percentile(0.99, 100, &[50, 10, 2], &BOUNDARIES), Some(Percentile::Beyond(1.0)));
        assert_eq!(percentile(0.97, 100, &[50, 10, 2], &BOUNDARIES), Some(Percentile::At(0.5 + 0.5 * 7.0 / 8.0)));
    }

    #[test]
    fn without_requests_or_a_histogram_there_is_none() {
        assert_eq!(percentile(0.5, 0, &[0, 0, 0], &BOUNDARIES), None);
        assert_eq!(percentile(0.5, 10, &[], &[]), None);
        assert_eq!(percentile(0.5, 10, &[1], &BOUNDARIES), None);
    }
}
