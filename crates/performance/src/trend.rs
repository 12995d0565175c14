//! A series over time, in as many points as somebody wants to draw.

use crate::business::Values;
use crate::cell::{Amount, Cell, Last, Level};
use crate::histogram::Histogram;
use crate::metric::{CounterMetric, GaugeMetric, LatencyMetric, MetricKind};
use crate::recorder::Recorder;
use crate::ring::Ring;
use crate::rings::Rings;

/// How far back a trend looks.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum TrendWindow {
    /// An hour.
    Hour,
    /// 24 hours.
    Day,
    /// 30 days.
    Month,
}

impl TrendWindow {
    /// From the shortest to the longest.
    pub const ALL: [Self; 3] = [Self::Hour, Self::Day, Self::Month];

    /// `1h`, `24h` or `30d`.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Hour => "1h",
            Self::Day => "24h",
            Self::Month => "30d",
        }
    }

    /// Its length in seconds.
    #[must_use]
    pub const fn seconds(self) -> i64 {
        match self {
            Self::Hour => 3_600,
            Self::Day => 86_400,
            Self::Month => 30 * 86_400,
        }
    }

    /// The one with this name.
    #[must_use]
    pub fn named(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|window| window.as_str() == name)
    }
}

/// The stretch of time that points are made of.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Span {
    /// Start of the first point.
    pub from_s: i64,
    /// End of the last point, which is later than now when that point is not full yet.
    pub to_s: i64,
    /// Length of a point.
    pub step_s: i64,
}

/// What is known of one point. Without a value nothing was observed: the process did not run, or nothing was measured.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
pub struct Point {
    /// Start of the point.
    pub at_s: i64,
    /// The rate per second of a counter, or of the observations of a latency; the mean of a gauge.
    pub value: Option<f64>,
    /// The largest sample of a gauge.
    pub max: Option<f64>,
    /// The observations of a latency.
    pub durations: Option<Histogram>,
}

/// One series as points.
#[derive(Debug, Clone, PartialEq)]
pub struct Series {
    /// What it measures.
    pub kind: MetricKind,
    /// What it counts or is measured in; empty when its users did not say.
    pub unit: String,
    /// Its stretch of time.
    pub span: Span,
    /// From the oldest to the newest, one for each step of the span.
    pub points: Vec<Point>,
}

impl Recorder {
    /// A series until `now_s` in about `points` points, at most that many and at least one. `None` when nothing has this name.
    #[must_use]
    pub fn trend(&self, name: &str, window: TrendWindow, points: u32, now_s: i64) -> Option<Series> {
        if let Some(metric) = CounterMetric::named(name) {
            let (span, ring) = span(self.counter(metric), window, points, now_s)?;
            let points = span.points(|from, to| self.rate_of(ring.sum(from, to), span, ring.step_s(), from));
            return Some(series(MetricKind::Counter, metric.unit(), span, points));
        }
        if let Some(metric) = GaugeMetric::named(name) {
            let (span, ring) = span(self.levels(metric), window, points, now_s)?;
            let points = span.points(|from, to| level(ring.sum(from, to)));
            return Some(series(MetricKind::Gauge, metric.unit(), span, points));
        }
        if let Some(metric) = LatencyMetric::named(name) {
            let (span, ring) = span(self.latencies(metric), window, points, now_s)?;
            let points = span.points(|from, to| self.durations_of(ring.sum(from, to), span, ring.step_s(), from));
            return Some(series(MetricKind::Latency, metric.unit(), span, points));
        }
        let business = self.business().get(name)?;
        let (kind, span, points) = match &business.values {
            Values::Counter(rings) => {
                let (span, ring) = span(rings, window, points, now_s)?;
                (MetricKind::Counter, span, span.points(|from, to| amount(ring.sum(from, to), span)))
            }
            Values::Gauge(rings) => {
                let (span, ring) = span(rings, window, points, now_s)?;
                (MetricKind::Gauge, span, span.points(|from, to| last(ring, from, to)))
            }
        };
        debug_assert_eq!(kind.as_str(), business.kind().as_str());
        Some(series(kind, &business.unit, span, points))
    }

    /// Seconds of a point in which the process observed. They come from the coarsest ring that is not coarser than the series' own: after a
    /// restart both know the time before it, or neither does.
    fn covered_in(&self, span: Span, ring_step_s: i64, from_s: i64) -> u64 {
        let rings = self.covered_rings();
        let fits = |step: &i64| span.step_s % step == 0 && *step <= ring_step_s;
        let ring = [3_600, 60, 10, 1].into_iter().find(fits).and_then(|step| rings.with_step(step));
        ring.map_or(0, |ring| ring.sum(from_s, from_s + span.step_s))
    }

    fn rate_of(&self, count: u64, span: Span, ring_step_s: i64, from_s: i64) -> Point {
        let covered = self.covered_in(span, ring_step_s, from_s);
        let value = (covered > 0).then(|| count as f64 / covered as f64);
        Point { value, ..Point::default() }
    }

    fn durations_of(&self, durations: Histogram, span: Span, ring_step_s: i64, from_s: i64) -> Point {
        let covered = self.covered_in(span, ring_step_s, from_s);
        let value = (covered > 0).then(|| durations.count() as f64 / covered as f64);
        Point { value, durations: value.map(|_| durations), ..Point::default() }
    }
}

fn series(kind: MetricKind, unit: &str, span: Span, points: Vec<Point>) -> Series {
    Series { kind, unit: unit.to_owned(), span, points }
}

fn level(level: Level) -> Point {
    Point { value: level.mean(), max: level.largest(), ..Point::default() }
}

/// The rate of what users count. That nothing was counted is known only to them.
fn amount(amount: Amount, span: Span) -> Point {
    let value = (!amount.is_empty()).then(|| amount.0 / span.step_s as f64);
    Point { value, ..Point::default() }
}

fn last(ring: &Ring<Last>, from_s: i64, to_s: i64) -> Point {
    let (mut sum, mut n, mut max) = (0.0, 0.0, None::<f64>);
    ring.each(from_s, to_s, |_, last| {
        sum += last.0;
        n += 1.0;
        max = Some(max.map_or(last.0, |max| max.max(last.0)));
    });
    Point { value: (n > 0.0).then(|| sum / n), max, ..Point::default() }
}

/// The step that gives at most `points` points over the window, and the coarsest ring that has it and still reaches back far enough.
fn span<C: Cell>(rings: &Rings<C>, window: TrendWindow, points: u32, now_s: i64) -> Option<(Span, &Ring<C>)> {
    let length = window.seconds();
    let wanted = length.div_euclid(i64::from(points.max(1))).max(1);
    let wanted = if length % i64::from(points.max(1)) == 0 { wanted } else { wanted + 1 };
    // Rings are kept for a while longer than the window that they are for.
    let ring = rings.for_window(length, wanted)?;
    let step_s = (wanted + ring.step_s() - 1) / ring.step_s() * ring.step_s();
    let to_s = (now_s.div_euclid(step_s) + 1) * step_s;
    let n_points = (length + step_s - 1) / step_s;
    Some((Span { from_s: to_s - n_points * step_s, to_s, step_s }, ring))
}

impl Span {
    fn points(self, mut point: impl FnMut(i64, i64) -> Point) -> Vec<Point> {
        let starts = (self.from_s..self.to_s).step_by(usize::try_from(self.step_s).unwrap_or(1).max(1));
        starts.map(|at_s| Point { at_s, ..point(at_s, at_s + self.step_s) }).collect()
    }
}

#[cfg(test)]
mod tests;
