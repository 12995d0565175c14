//! What one source measured so far, in bounded memory.

use std::time::Duration;

use tokio::time::Instant;

use super::{Observed, ObservedSeries, ObservedUnit};
use crate::metrics::MOST_SECONDS;

/// Different warnings of one source that are kept.
const MOST_WARNINGS: usize = 16;

/// The series and warnings of one source.
#[derive(Debug)]
pub(super) struct Recording {
    source: String,
    series: Vec<Series>,
    warnings: Vec<String>,
}

#[derive(Debug)]
struct Series {
    name: String,
    unit: ObservedUnit,
    points: Points,
}

impl Recording {
    pub(super) fn new(source: String) -> Self {
        Self { source, series: Vec::new(), warnings: Vec::new() }
    }

    /// Adds a point to the series `name`. `at` is the time from the start of the run. A value that is no number is left out.
    pub(super) fn record(&mut self, name: &str, unit: ObservedUnit, at: Duration, value: f64) {
        if !value.is_finite() {
            return;
        }
        let place = self.series.iter().position(|series| series.name == name).unwrap_or_else(|| {
            self.series.push(Series { name: name.to_owned(), unit, points: Points::default() });
            self.series.len() - 1
        });
        self.series[place].points.push(at.as_secs_f64() * 1_000.0, value);
    }

    /// Keeps a warning, unless it is known.
    pub(super) fn warn(&mut self, warning: impl Into<String>) {
        let warning = warning.into();
        if self.warnings.len() < MOST_WARNINGS && !self.warnings.contains(&warning) {
            self.warnings.push(warning);
        }
    }

    pub(super) fn end(self) -> Observed {
        let series = self.series.into_iter().map(|Series { name, unit, points }| ObservedSeries {
            name,
            unit,
            points: points.points,
        });
        Observed { source: self.source, series: series.collect(), warnings: self.warnings }
    }
}

/// Points that become fewer when there are too many: neighbours are joined into the first one's time and the larger value.
#[derive(Debug)]
struct Points {
    points: Vec<(f64, f64)>,
    /// Values in a point.
    stride: u32,
    /// Values in the newest point.
    filled: u32,
}

impl Default for Points {
    fn default() -> Self {
        Self { points: Vec::new(), stride: 1, filled: 1 }
    }
}

impl Points {
    fn push(&mut self, at_ms: f64, value: f64) {
        if self.filled < self.stride
            && let Some((_, newest)) = self.points.last_mut()
        {
            *newest = newest.max(value);
            self.filled += 1;
            return;
        }
        if self.points.len() == MOST_SECONDS {
            let joined = |pair: &[(f64, f64)]| {
                let most = pair.iter().map(|&(_, value)| value).fold(f64::NEG_INFINITY, f64::max);
                (pair.first().map_or(0.0, |&(at, _)| at), most)
            };
            self.points = self.points.chunks(2).map(joined).collect();
            self.stride *= 2;
        }
        self.points.push((at_ms, value));
        self.filled = 1;
    }
}

/// What a counter gained per second.
#[derive(Debug, Default)]
pub(super) struct Rate {
    last: Option<(Instant, f64)>,
}

/// A step of a counter.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) enum Step {
    /// The first reading, or a second one of the same instant.
    First,
    /// Gain per second since the last reading.
    Gained(f64),
    /// The counter is smaller than it was: it began again.
    Fell,
}

impl Rate {
    pub(super) fn step(&mut self, now: Instant, value: f64) -> Step {
        let Some((then, before)) = self.last.replace((now, value)) else { return Step::First };
        let seconds = now.saturating_duration_since(then).as_secs_f64();
        match value - before {
            gain if gain < 0.0 => Step::Fell,
            _ if seconds <= 0.0 => Step::First,
            gain => Step::Gained(gain / seconds),
        }
    }

    /// The gain per second; none for a first reading, or one that fell.
    pub(super) fn gained(&mut self, now: Instant, value: f64) -> Option<f64> {
        match self.step(now, value) {
            Step::Gained(gained) => Some(gained),
            Step::First | Step::Fell => None,
        }
    }
}

#[cfg(test)]
mod tests;
