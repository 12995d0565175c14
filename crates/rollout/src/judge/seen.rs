//! What of a measured window can be compared.

use crate::observed::{Block, Counts};
use crate::spec::CompareMetric;

use super::evalue::Sample;

/// Boundaries that are compared at most; of more, every n-th is.
const MAX_BOUNDARIES: usize = 64;

/// A window as one metric sees it: for errors one ratio, for latency one for each boundary. Slots without requests, or with counts that do not fit
/// the boundaries, are `None`.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Seen {
    pub(super) window_ms: u64,
    /// Empty for errors.
    pub(super) boundaries: Vec<f64>,
    pub(super) candidate: Option<Vec<Sample>>,
    pub(super) live: Option<Vec<Sample>>,
}

impl Seen {
    pub(super) fn new(metric: CompareMetric, block: &Block) -> Self {
        let window_ms = block.window_ms;
        match metric {
            CompareMetric::Errors => {
                let samples =
                    |counts: &Counts| (counts.requests > 0).then(|| vec![sample(counts.requests, counts.errors)]);
                Self {
                    window_ms,
                    boundaries: Vec::new(),
                    candidate: block.candidate.as_ref().and_then(samples),
                    live: block.live.as_ref().and_then(samples),
                }
            }
            CompareMetric::Latency => {
                let chosen = chosen(&block.boundaries);
                let samples = |counts: &Counts| {
                    let fits = counts.timed > 0 && counts.slower.len() == block.boundaries.len() && !chosen.is_empty();
                    fits.then(|| chosen.iter().map(|&k| sample(counts.timed, counts.slower[k])).collect())
                };
                Self {
                    window_ms,
                    boundaries: chosen.iter().map(|&k| block.boundaries[k]).collect(),
                    candidate: block.candidate.as_ref().and_then(samples),
                    live: block.live.as_ref().and_then(samples),
                }
            }
        }
    }
}

/// More bad requests than requests are all of them.
fn sample(requests: u64, bad: u64) -> Sample {
    Sample { requests: requests as f64, bad: bad.min(requests) as f64 }
}

/// Positions of the boundaries that are compared; none when they are no ascending numbers.
fn chosen(boundaries: &[f64]) -> Vec<usize> {
    let are_ascending = boundaries.iter().all(|each| each.is_finite()) && boundaries.is_sorted_by(|a, b| a < b);
    if !are_ascending {
        return Vec::new();
    }
    let n = boundaries.len().min(MAX_BOUNDARIES);
    (0..n).map(|k| k * boundaries.len() / n).collect()
}
