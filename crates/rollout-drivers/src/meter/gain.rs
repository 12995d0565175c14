//! What happened between two samples: differences of counters, with resets accounted for.
//!
//! A process that restarted counts from zero. A process that is new counts from its own first sample. A series that is new in a known
//! process counts from zero: it was made by its first event.

use std::collections::{BTreeMap, BTreeSet};

use spillway_model::UnixMillis;
use spillway_rollout::observed::Counts;

use super::sample::{Limit, Point, ProcessSample, Series, SlotSample};

/// Some programs compute their start anew at each look.
const START_JITTER_S: f64 = 1.0;

/// What a slot counted between two samples.
#[derive(Debug, Clone, PartialEq, Default)]
pub(super) struct Gain {
    requests: u64,
    errors: u64,
    /// Each series of the histogram: events at or below each limit.
    histograms: Vec<BTreeMap<Limit, u64>>,
}

/// The gain of all processes.
pub(super) fn gain(before: &SlotSample, after: &SlotSample) -> Gain {
    let mut all = Gain::default();
    for (name, process) in &after.processes {
        let earlier = before.processes.get(name);
        let resets = resets(earlier, process);
        let known = earlier.map(|earlier| earlier.newest);
        let of = |series: &Series, earlier: Option<&Series>| -> u64 {
            let each = series
                .iter()
                .map(|(labels, points)| count(earlier.and_then(|earlier| earlier.get(labels)), points, known, &resets));
            each.sum()
        };
        all.requests += of(&process.requests, earlier.map(|earlier| &earlier.requests));
        all.errors += of(&process.errors, earlier.map(|earlier| &earlier.errors));
        for (labels, buckets) in &process.histograms {
            let earlier = earlier.and_then(|earlier| earlier.histograms.get(labels));
            let each = buckets.iter().map(|(limit, points)| {
                (*limit, count(earlier.and_then(|earlier| earlier.get(limit)), points, known, &resets))
            });
            all.histograms.push(each.collect());
        }
    }
    all
}

/// The limits that every series of all these has, without +Inf, ascending.
pub(super) fn boundaries<'a>(gains: impl Iterator<Item = &'a Gain>) -> Vec<f64> {
    let mut common: Option<BTreeSet<Limit>> = None;
    for histogram in gains.flat_map(|gain| &gain.histograms) {
        common = Some(match common {
            None => histogram.keys().copied().collect(),
            Some(mut common) => {
                common.retain(|limit| histogram.contains_key(limit));
                common
            }
        });
    }
    common.unwrap_or_default().into_iter().map(|Limit(limit)| limit).filter(|limit| limit.is_finite()).collect()
}

impl Gain {
    /// Whether there is a histogram.
    pub(super) fn has_histogram(&self) -> bool {
        !self.histograms.is_empty()
    }

    /// The counts at these limits.
    pub(super) fn counts(&self, boundaries: &[f64]) -> Counts {
        let at = |limit: f64| -> u64 {
            self.histograms.iter().map(|histogram| histogram.get(&Limit(limit)).copied().unwrap_or(0)).sum()
        };
        let timed = at(f64::INFINITY);
        // A process counts on while it writes its metrics: a bucket may be ahead of the whole.
        let slower = boundaries.iter().map(|&limit| timed.saturating_sub(at(limit))).collect();
        Counts { requests: self.requests, errors: self.errors.min(self.requests), timed, slower }
    }
}

/// Whether the process began anew after the sample `before`.
pub(super) fn has_reset(before: &ProcessSample, after: &ProcessSample) -> bool {
    !resets(Some(before), after).is_empty()
}

/// Times at which all counters of the process began anew. One that fell is enough: the others may have passed their old value already.
fn resets(before: Option<&ProcessSample>, after: &ProcessSample) -> BTreeSet<UnixMillis> {
    let mut resets = BTreeSet::new();
    let mut find = |before: Option<&Vec<Point>>, points: &[Point], is_reset: fn(f64, f64) -> bool| {
        let mut last = before.and_then(|points| points.last());
        for point in points {
            match last {
                Some(last) if point.at <= last.at => continue,
                Some(last) if is_reset(last.value, point.value) => {
                    resets.insert(point.at);
                }
                _ => {}
            }
            last = Some(point);
        }
    };
    let fell = |last: f64, now: f64| now < last;
    find(before.map(|before| &before.started), &after.started, |last, now| (now - last).abs() > START_JITTER_S);
    for (labels, points) in &after.requests {
        find(before.and_then(|before| before.requests.get(labels)), points, fell);
    }
    for (labels, points) in &after.errors {
        find(before.and_then(|before| before.errors.get(labels)), points, fell);
    }
    for (labels, buckets) in &after.histograms {
        let before = before.and_then(|before| before.histograms.get(labels));
        for (limit, points) in buckets {
            find(before.and_then(|before| before.get(limit)), points, fell);
        }
    }
    resets
}

/// Gain of one counter. `known` is the newest point of its process in the sample before; `None` for a new process.
fn count(
    before: Option<&Vec<Point>>,
    points: &[Point],
    known: Option<UnixMillis>,
    resets: &BTreeSet<UnixMillis>,
) -> u64 {
    let base = before.and_then(|points| points.last()).copied();
    let base = base.or_else(|| points.iter().rfind(|point| known.is_some_and(|known| point.at <= known)).copied());
    let from = base.map(|base| base.at).or(known).unwrap_or(UnixMillis::MIN);
    let mut last = base.map(|base| base.value).or(known.map(|_| 0.0));
    let mut gained = 0.0;
    for point in points.iter().filter(|point| point.at > from) {
        if let Some(last) = last {
            let is_reset = point.value < last || resets.contains(&point.at);
            gained += if is_reset { point.value } else { point.value - last };
        }
        last = Some(point.value);
    }
    gained.round() as u64
}

#[cfg(test)]
mod tests;
