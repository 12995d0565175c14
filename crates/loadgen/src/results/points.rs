//! Time lines with fewer points.

use crate::metrics::Second;

/// At most `most` points: neighbours are joined, and of their percentiles and users the worst counts.
pub(super) fn fewer(timeline: &[Second], most: usize) -> Vec<Second> {
    timeline.chunks(timeline.len().div_ceil(most.max(1)).max(1)).map(joined).collect()
}

/// At most `most` pairs: of neighbours the largest value counts.
pub(super) fn fewer_pairs(points: &[(f64, f64)], most: usize) -> Vec<(f64, f64)> {
    let largest = |points: &[(f64, f64)]| points.iter().copied().max_by(|one, other| one.1.total_cmp(&other.1));
    points.chunks(points.len().div_ceil(most.max(1)).max(1)).filter_map(largest).collect()
}

/// The length that most points have (the median), in milliseconds; zero without points.
pub(super) fn usual_length_ms(timeline: &[Second]) -> f64 {
    let mut lengths: Vec<f64> = timeline.iter().map(|second| second.duration_ms).collect();
    lengths.sort_by(f64::total_cmp);
    lengths.get(lengths.len() / 2).copied().unwrap_or(0.0)
}

/// Neighbours as one point, the same way that a long run joins its seconds.
pub(super) fn joined(neighbours: &[Second]) -> Second {
    let worst =
        |percentile: fn(&Second) -> Option<f64>| neighbours.iter().filter_map(percentile).max_by(f64::total_cmp);
    let sum = |counter: fn(&Second) -> u64| neighbours.iter().map(counter).fold(0, u64::saturating_add);
    Second {
        at_ms: neighbours.first().map_or(0.0, |first| first.at_ms),
        duration_ms: neighbours.iter().map(|second| second.duration_ms).sum(),
        requests: sum(|second| second.requests),
        errors: sum(|second| second.errors),
        iterations: sum(|second| second.iterations),
        dropped: sum(|second| second.dropped),
        vus: neighbours.iter().map(|second| second.vus).max().unwrap_or(0),
        p50_ms: worst(|second| second.p50_ms),
        p95_ms: worst(|second| second.p95_ms),
        p99_ms: worst(|second| second.p99_ms),
        from_intended_p99_ms: worst(|second| second.from_intended_p99_ms),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn fewer_points_keep_the_sums_and_the_worst() {
        let timeline: Vec<Second> = (0..1_001)
            .map(|second| Second {
                at_ms: f64::from(second) * 1e3,
                duration_ms: 1e3,
                requests: 10,
                vus: u32::from(second == 500),
                p99_ms: (second != 7).then_some(if second == 333 { 900.0 } else { 10.0 }),
                ..Second::default()
            })
            .collect();
        let fewer = fewer(&timeline, 600);
        assert!(fewer.len() <= 600);
        assert_eq!(fewer.iter().map(|second| second.requests).sum::<u64>(), 10_010);
        assert_eq!(fewer.iter().filter_map(|second| second.p99_ms).fold(0.0, f64::max), 900.0);
        assert_eq!(fewer.iter().map(|second| second.vus).max(), Some(1));
        assert_eq!(super::fewer(&timeline[..5], 600), timeline[..5]);
        assert_eq!(fewer_pairs(&[(0.0, 1.0), (1.0, 5.0), (2.0, 3.0)], 2), [(1.0, 5.0), (2.0, 3.0)]);
        assert!(super::fewer(&[], 600).is_empty() && fewer_pairs(&[], 2).is_empty());
    }
}
