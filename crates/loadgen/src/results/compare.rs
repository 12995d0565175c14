//! Did it get faster or slower? Two runs, and what can be said of their difference.
//!
//! # Method
//!
//! Latencies within a run depend on those before them: a slow second follows a slow second. So the percentiles of the pooled samples have
//! no simple interval, and a million requests are not a million observations. What is compared are the points of the time line, one
//! for each second, without the warm-up (a tenth of the run, ten seconds at most).
//!
//! - For a percentile, xᵢ is the logarithm of the percentile within second i, and the estimate is mean(x of the result) − mean(x of the
//!   baseline): the logarithm of the ratio of two geometric means. Multiplied out it is the change in percent of a typical second.
//! - For the rate, the estimate is the logarithm of the ratio of the mean requests per second.
//! - For errors it is the difference of Σ errors / Σ requests, in percentage points, because a share may be zero.
//!
//! The interval is that of a moving-block bootstrap (H. R. Künsch, *The jackknife and the bootstrap for general stationary
//! observations*, Annals of Statistics 17, 1989): of n points, blocks of ⌈√n⌉ neighbours are drawn with replacement, from each run by
//! itself, until they make up n points; 2,000 times, with a fixed seed, so that the same files always give the same answer. The interval
//! holds 95 % of the estimates, and is widened about the estimate by t₀.₉₇₅(b − 1) / 1.96 · √(b / (b − 1)), where b is the number of blocks
//! in the shorter run: few blocks know little about how much they vary, and their mean is their own.
//!
//! Something is *faster* or *slower* when the whole interval lies on one side of no change **and** the estimate exceeds the smallest
//! change that matters: 5 %, or for errors 0.1 percentage points. Everything else is *no evidence*, which is not the same as
//! *no change*: the interval says how large a change may have gone unseen.
//!
//! # Limits
//!
//! - Both runs must put the same load on the target in a steady state; a ramp is compared with its like only when both runs ramp alike.
//! - It tells these two runs apart, not two versions: a noisy neighbour during one run is a difference. Repeat runs, in turn.
//! - Where noise lasts long, blocks are too short for it. Of a thousand simulated pairs of equal runs, with a correlation r between
//!   neighbouring seconds, these were called different: 3 % at r = 0 and 6 % at r = 0.5, both over a minute; 7 % at r = 0.7 over two
//!   minutes and 5 % over five; but 13 % at r = 0.9 over five minutes.
//! - Where a second has few requests its 99th percentile is about its slowest request.
//! - In a long run a point is the worst of several seconds. The finer run is joined alike before they are compared.
//! - Six intervals of 95 % are not one of 95 %: one in twenty comparisons of equal metrics may find a difference, if it exceeds 5 %.

mod bootstrap;

use std::fmt;

use serde::Serialize;

use self::bootstrap::{Estimate, Interval};
use super::{RunSummary, Verdict, points, text};
use crate::metrics::{Metric, Second};

/// Fewer points than this say nothing.
const FEWEST_POINTS: usize = 10;

/// Part of a run that is warm-up.
const WARM_UP: f64 = 0.1;

/// Longest warm-up.
const LONGEST_WARM_UP_MS: f64 = 10_000.0;

/// Smallest change that matters, as a share.
const SMALLEST_CHANGE: f64 = 0.05;

/// Smallest change of the share of failed requests that matters: 0.1 percentage points.
const SMALLEST_ERROR_CHANGE: f64 = 0.001;

/// Two runs of which one was compared with the other.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Comparison {
    /// What holds of the result as a whole: slower if anything is.
    pub change: Change,
    /// Name and start of the run that is compared with.
    pub baseline: String,
    /// Name and start of the run that is compared.
    pub result: String,
    /// Each thing that both runs measured.
    pub metrics: Vec<Compared>,
    /// What makes the comparison doubtful, for people.
    pub notes: Vec<String>,
}

/// One measure of two runs.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Compared {
    /// What was measured.
    pub measure: Measure,
    /// A typical second of the baseline: milliseconds, requests per second, or a share from 0 to 1. None without points.
    pub baseline: Option<f64>,
    /// The same of the result.
    pub result: Option<f64>,
    /// The change in percent; of errors in percentage points. None when nothing can be said.
    pub difference: Option<f64>,
    /// Lower end of the 95 % interval of the change.
    pub low: Option<f64>,
    /// Its upper end.
    pub high: Option<f64>,
    /// What can be said.
    pub change: Change,
    /// Why nothing can be said, where the numbers do not show it.
    pub reason: Option<String>,
}

/// What can be said of a change.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Change {
    /// Better: less latency, a higher rate, fewer errors.
    Faster,
    /// Worse: more latency, a lower rate, more errors.
    Slower,
    /// The data do not show a difference that matters.
    NoEvidence,
}

/// What is compared.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Measure {
    /// Median latency.
    P50,
    /// Its 95th percentile.
    P95,
    /// Its 99th percentile.
    P99,
    /// 99th percentile from the scheduled start, without coordinated omission.
    FromIntendedP99,
    /// Requests per second.
    Rate,
    /// Share of failed requests.
    ErrorRate,
}

impl Measure {
    const ALL: [Self; 6] = [Self::P50, Self::P95, Self::P99, Self::FromIntendedP99, Self::Rate, Self::ErrorRate];

    /// A short name for it.
    pub const fn name(self) -> &'static str {
        match self {
            Self::P50 => "p50",
            Self::P95 => "p95",
            Self::P99 => "p99",
            Self::FromIntendedP99 => "from intended p99",
            Self::Rate => "rate",
            Self::ErrorRate => "errors",
        }
    }

    /// One of its values, for people.
    pub(super) fn text(self, value: Option<f64>) -> String {
        let Some(value) = value else { return text::NONE.to_owned() };
        match self {
            Self::P50 | Self::P95 | Self::P99 | Self::FromIntendedP99 => text::time(value),
            Self::Rate => text::rate(value),
            Self::ErrorRate => text::percent(value),
        }
    }

    /// What it is when it changed so.
    pub const fn word(self, change: Change) -> &'static str {
        match (self, change) {
            (_, Change::NoEvidence) => "no evidence",
            (Self::ErrorRate, Change::Faster) => "fewer",
            (Self::ErrorRate, Change::Slower) => "more",
            (_, Change::Faster) => "faster",
            (_, Change::Slower) => "slower",
        }
    }

    /// Whether larger is better.
    const fn is_better_when_larger(self) -> bool {
        matches!(self, Self::Rate)
    }
}

impl fmt::Display for Change {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Self::Faster => "faster",
            Self::Slower => "slower",
            Self::NoEvidence => "no evidence",
        })
    }
}

impl Comparison {
    /// Whether something got worse.
    pub fn is_slower(&self) -> bool {
        self.change == Change::Slower
    }
}

/// Compares `result` with `baseline`.
pub fn compare(baseline: &RunSummary, result: &RunSummary) -> Comparison {
    let useless = [("baseline", baseline), ("result", result)].into_iter().find_map(|(which, run)| {
        (run.verdict() == Verdict::Invalid).then(|| format!("the {which} is invalid: the generator was the bottleneck"))
    });
    let coarsest = [baseline, result].map(|run| points::usual_length_ms(&run.timeline)).into_iter().fold(0.0, f64::max);
    let [before, after] = [baseline, result].map(|run| steady(run, coarsest));
    let metrics: Vec<Compared> = Measure::ALL
        .into_iter()
        .filter(|measure| {
            let is_there = |seconds: &[Second]| seconds.iter().any(|second| second.from_intended_p99_ms.is_some());
            *measure != Measure::FromIntendedP99 || (is_there(&before) && is_there(&after))
        })
        .map(|measure| match &useless {
            Some(reason) => nothing(measure, Some(reason.clone())),
            None => compared(measure, &before, &after),
        })
        .collect();
    let any = |change| metrics.iter().any(|metric| metric.change == change);
    let change = match () {
        () if any(Change::Slower) => Change::Slower,
        () if any(Change::Faster) => Change::Faster,
        () => Change::NoEvidence,
    };
    let title = |run: &RunSummary| format!("{} {}", run.meta.name, run.meta.started_at).trim_end().to_owned();
    Comparison { change, baseline: title(baseline), result: title(result), metrics, notes: notes(baseline, result) }
}

/// The points of a run after its warm-up, each of about the same length. A last one that is shorter is left out.
fn steady(run: &RunSummary, length_ms: f64) -> Vec<Second> {
    let own = points::usual_length_ms(&run.timeline);
    let together = if own > 0.0 { ((length_ms / own).round() as usize).max(1) } else { 1 };
    let joined: Vec<Second> = run.timeline.chunks(together).map(points::joined).collect();
    let end = joined.last().map_or(0.0, |last| last.at_ms + last.duration_ms);
    let begin = (end * WARM_UP).min(LONGEST_WARM_UP_MS);
    let whole = |second: &Second| second.at_ms >= begin && second.duration_ms >= own * together as f64 / 2.0;
    joined.into_iter().filter(whole).collect()
}

fn nothing(measure: Measure, reason: Option<String>) -> Compared {
    Compared {
        measure,
        baseline: None,
        result: None,
        difference: None,
        low: None,
        high: None,
        change: Change::NoEvidence,
        reason,
    }
}

fn compared(measure: Measure, before: &[Second], after: &[Second]) -> Compared {
    let percentile = |second: &Second| match measure {
        Measure::P50 => second.p50_ms,
        Measure::P95 => second.p95_ms,
        Measure::P99 => second.p99_ms,
        _ => second.from_intended_p99_ms,
    };
    let pairs = |seconds: &[Second]| -> Vec<(f64, f64)> {
        match measure {
            Measure::Rate => seconds.iter().map(|second| (second.rate(), 1.0)).collect(),
            Measure::ErrorRate => seconds.iter().map(|second| (second.errors as f64, second.requests as f64)).collect(),
            // A percentile of nothing is no point; zero has no logarithm, and a microsecond is what a clock tells apart.
            _ => seconds.iter().filter_map(percentile).map(|ms| (ms.max(1e-3).ln(), 1.0)).collect(),
        }
    };
    let estimate = match measure {
        Measure::Rate => Estimate::LogOfRatio,
        _ => Estimate::Difference,
    };
    let (before, after) = (pairs(before), pairs(after));
    let typical = |pairs: &[(f64, f64)]| {
        let mean = bootstrap::ratio(pairs)?;
        Some(if matches!(measure, Measure::Rate | Measure::ErrorRate) { mean } else { mean.exp() })
    };
    let (baseline, result) = (typical(&before), typical(&after));
    let shortest = before.len().min(after.len());
    if shortest < FEWEST_POINTS {
        let reason = format!("{} after the warm-up, at least {FEWEST_POINTS} are needed", points_text(shortest));
        return Compared { baseline, result, ..nothing(measure, Some(reason)) };
    }
    let Some(Interval { estimate, low, high }) = bootstrap::interval(&before, &after, estimate) else {
        return Compared { baseline, result, ..nothing(measure, Some("a run has no requests".to_owned())) };
    };
    let is_error = measure == Measure::ErrorRate;
    let said = |value: f64| 100.0 * if is_error { value } else { value.exp_m1() };
    let matters =
        if is_error { estimate.abs() > SMALLEST_ERROR_CHANGE } else { estimate.exp_m1().abs() > SMALLEST_CHANGE };
    let change = match () {
        () if matters && low > 0.0 => Some(measure.is_better_when_larger()),
        () if matters && high < 0.0 => Some(!measure.is_better_when_larger()),
        () => None,
    };
    Compared {
        measure,
        baseline,
        result,
        difference: Some(said(estimate)),
        low: Some(said(low)),
        high: Some(said(high)),
        change: match change {
            Some(true) => Change::Faster,
            Some(false) => Change::Slower,
            None => Change::NoEvidence,
        },
        reason: None,
    }
}

fn points_text(n: usize) -> String {
    format!("{n} point{} of the time line", if n == 1 { "" } else { "s" })
}

fn notes(baseline: &RunSummary, result: &RunSummary) -> Vec<String> {
    let mut notes = Vec::new();
    let plans = [baseline, result].map(|run| &run.meta.options["scenarios"]);
    if plans[0] != plans[1] {
        notes.push("the scenarios differ: a change may come from the load".to_owned());
    }
    if baseline.meta.system != result.meta.system {
        notes.push(format!(
            "the generators differ: {} before, {} now",
            text::plain(&baseline.meta.system, 60),
            text::plain(&result.meta.system, 60)
        ));
    }
    for (which, run) in [("baseline", baseline), ("result", result)] {
        let dropped = run.counter(Metric::DroppedIterations);
        if dropped > 0 {
            notes.push(format!(
                "the {which} dropped {} iterations: its percentiles are those of the ones that began",
                text::count(dropped)
            ));
        }
        match run.verdict() {
            Verdict::Invalid => notes.push(format!("the {which} is invalid: the generator was the bottleneck")),
            Verdict::Interrupted => notes.push(format!("the {which} was interrupted")),
            Verdict::Passed | Verdict::Failed => {}
        }
    }
    notes
}

#[cfg(test)]
mod tests;
