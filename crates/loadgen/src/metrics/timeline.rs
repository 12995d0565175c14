use std::time::Duration;

use serde::{Deserialize, Serialize};
use tokio::time::Instant;

use super::metric::Metric;
use super::trend::Trend;

/// Points of a time line at most. When there are as many, each two neighbours become one, so that a day has as many points as an hour.
pub const MOST_SECONDS: usize = 4_000;

/// The rest of a second at a run's end that is shorter belongs to the point before it: its few requests are no point of a curve.
const SHORTEST_MS: f64 = 500.0;

/// What happened in one second of a run, or in several that were joined because the run is long.
///
/// In a joined point percentiles and users are those of its worst second; percentiles of different seconds are never averaged.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct Second {
    /// Start, from the start of the run.
    pub at_ms: f64,
    /// Length.
    pub duration_ms: f64,
    /// Requests that ended.
    pub requests: u64,
    /// Requests that failed.
    pub errors: u64,
    /// Iterations that ran to their end.
    pub iterations: u64,
    /// Iterations that were due and never began.
    pub dropped: u64,
    /// Users that iterated at its end.
    pub vus: u32,
    /// Median of `http_req_duration`; none without requests.
    pub p50_ms: Option<f64>,
    /// Its 95th percentile.
    pub p95_ms: Option<f64>,
    /// Its 99th percentile.
    pub p99_ms: Option<f64>,
    /// 99th percentile of `response_from_intended`; none without arrivals.
    pub from_intended_p99_ms: Option<f64>,
}

impl Second {
    /// Requests per second; zero for a point without length.
    pub fn rate(&self) -> f64 {
        if self.duration_ms > 0.0 { self.requests as f64 * 1_000.0 / self.duration_ms } else { 0.0 }
    }

    /// Takes in the point that follows.
    fn join(&mut self, next: &Self) {
        self.duration_ms += next.duration_ms;
        self.vus = self.vus.max(next.vus);
        self.add(next);
    }

    /// Takes in what another generator did at the same time: what was counted adds up, users too, percentiles are those of the worse one.
    pub(crate) fn overlay(&mut self, other: &Self) {
        self.at_ms = self.at_ms.min(other.at_ms);
        self.duration_ms = self.duration_ms.max(other.duration_ms);
        self.vus = self.vus.saturating_add(other.vus);
        self.add(other);
    }

    fn add(&mut self, other: &Self) {
        // Where one has no samples the other one counts: `None` is smaller than any number.
        let worse = |own: &mut Option<f64>, other: Option<f64>| {
            if *own < other {
                *own = other;
            }
        };
        self.requests = self.requests.saturating_add(other.requests);
        self.errors = self.errors.saturating_add(other.errors);
        self.iterations = self.iterations.saturating_add(other.iterations);
        self.dropped = self.dropped.saturating_add(other.dropped);
        worse(&mut self.p50_ms, other.p50_ms);
        worse(&mut self.p95_ms, other.p95_ms);
        worse(&mut self.p99_ms, other.p99_ms);
        worse(&mut self.from_intended_p99_ms, other.from_intended_p99_ms);
    }
}

/// The seconds of a run, and the one that has not ended.
#[derive(Debug)]
pub(crate) struct Timeline {
    began: Instant,
    ticked: Instant,
    open: Second,
    duration: Trend,
    from_intended: Trend,
    last: Second,
    points: Points,
}

/// Seconds in their order, or several joined to one when there are more than [`MOST_SECONDS`].
#[derive(Debug)]
pub(crate) struct Points {
    points: Vec<Second>,
    /// Seconds in a point.
    stride: u32,
    /// Seconds in the newest point.
    filled: u32,
}

impl Default for Points {
    fn default() -> Self {
        Self { points: Vec::new(), stride: 1, filled: 1 }
    }
}

impl Points {
    pub(crate) fn push(&mut self, second: &Second) {
        if second.duration_ms < SHORTEST_MS
            && let Some(newest) = self.points.last_mut()
        {
            newest.join(second);
            return;
        }
        if self.filled < self.stride
            && let Some(newest) = self.points.last_mut()
        {
            newest.join(second);
            self.filled += 1;
            return;
        }
        if self.points.len() == MOST_SECONDS {
            self.points = self.points.chunks(2).map(joined).collect();
            self.stride *= 2;
        }
        self.points.push(second.clone());
        self.filled = 1;
    }

    pub(crate) fn seconds(&self) -> Vec<Second> {
        self.points.clone()
    }
}

impl Timeline {
    pub(crate) fn new(now: Instant) -> Self {
        Self {
            began: now,
            ticked: now,
            open: Second::default(),
            duration: Trend::new(),
            from_intended: Trend::new(),
            last: Second::default(),
            points: Points::default(),
        }
    }

    pub(crate) fn begin(&mut self, now: Instant) {
        (self.began, self.ticked) = (now, now);
    }

    pub(crate) fn observe(&mut self, metric: Metric, value: u64) {
        let add = |sum: &mut u64, value| *sum = sum.saturating_add(value);
        match metric {
            Metric::HttpReqs => add(&mut self.open.requests, value),
            Metric::HttpReqFailed => add(&mut self.open.errors, value),
            Metric::HttpReqDuration => self.duration.record_micros(value),
            Metric::Iterations => add(&mut self.open.iterations, value),
            Metric::DroppedIterations => add(&mut self.open.dropped, value),
            Metric::ResponseFromIntended => self.from_intended.record_micros(value),
            _ => {}
        }
    }

    pub(crate) fn tick(&mut self, now: Instant, vus: u32) {
        let milliseconds = |time: Duration| time.as_secs_f64() * 1_000.0;
        let percentile = |trend: &Trend, percent| trend.percentile(percent).map(|micros| micros / 1_000.0);
        self.last = Second {
            at_ms: milliseconds(self.ticked.saturating_duration_since(self.began)),
            duration_ms: milliseconds(now.saturating_duration_since(self.ticked)),
            vus,
            p50_ms: percentile(&self.duration, 50.0),
            p95_ms: percentile(&self.duration, 95.0),
            p99_ms: percentile(&self.duration, 99.0),
            from_intended_p99_ms: percentile(&self.from_intended, 99.0),
            ..std::mem::take(&mut self.open)
        };
        self.duration.clear();
        self.from_intended.clear();
        self.ticked = now;
        self.points.push(&self.last);
    }

    pub(crate) fn last(&self) -> &Second {
        &self.last
    }

    pub(crate) fn seconds(&self) -> Vec<Second> {
        self.points.seconds()
    }
}

fn joined(neighbours: &[Second]) -> Second {
    let (first, rest) =
        neighbours.split_first().map_or((Second::default(), &[][..]), |(first, rest)| (first.clone(), rest));
    rest.iter().fold(first, |mut joined, next| {
        joined.join(next);
        joined
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECOND: Duration = Duration::from_secs(1);

    #[test]
    fn a_second_says_what_happened_in_it() {
        let began = Instant::now();
        let mut timeline = Timeline::new(began);
        for value in [10_000, 20_000, 30_000] {
            timeline.observe(Metric::HttpReqs, 1);
            timeline.observe(Metric::HttpReqDuration, value);
        }
        timeline.observe(Metric::HttpReqFailed, 1);
        timeline.observe(Metric::Iterations, 2);
        timeline.observe(Metric::DroppedIterations, 5);
        timeline.observe(Metric::ResponseFromIntended, 90_000);
        timeline.tick(began + 2 * SECOND, 7);
        let first = timeline.last().clone();
        assert_eq!(
            first,
            Second {
                at_ms: 0.0,
                duration_ms: 2_000.0,
                requests: 3,
                errors: 1,
                iterations: 2,
                dropped: 5,
                vus: 7,
                p50_ms: first.p50_ms,
                p95_ms: first.p95_ms,
                p99_ms: first.p99_ms,
                from_intended_p99_ms: Some(90.0),
            }
        );
        assert!((first.rate() - 1.5).abs() < 1e-9);
        assert!((first.p50_ms.unwrap() / 20.0 - 1.0).abs() < 1e-3 && (first.p95_ms.unwrap() / 29.0 - 1.0).abs() < 1e-3);

        timeline.tick(began + 3 * SECOND, 0);
        let second = timeline.last();
        assert_eq!((second.at_ms, second.requests, second.p99_ms), (2_000.0, 0, None));
        assert_eq!(timeline.seconds().len(), 2);
    }

    #[test]
    fn the_rest_of_a_second_belongs_to_the_one_before() {
        let began = Instant::now();
        let mut timeline = Timeline::new(began);
        timeline.observe(Metric::HttpReqs, 10);
        timeline.tick(began + SECOND, 2);
        timeline.observe(Metric::HttpReqs, 1);
        timeline.tick(began + SECOND + SECOND / 100, 0);
        let points = timeline.seconds();
        assert_eq!(points.len(), 1);
        assert_eq!((points[0].requests, points[0].duration_ms, points[0].vus), (11, 1_010.0, 2));
    }

    #[test]
    fn a_day_keeps_every_request_in_a_bounded_number_of_points() {
        let began = Instant::now();
        let mut timeline = Timeline::new(began);
        let day = 86_400;
        for second in 0..day {
            timeline.observe(Metric::HttpReqs, 10);
            timeline.observe(Metric::HttpReqDuration, if second == 40_000 { 9_000_000 } else { 1_000 });
            timeline.tick(began + (second + 1) * SECOND, second % 50);
        }
        let points = timeline.seconds();
        assert!((MOST_SECONDS / 2..=MOST_SECONDS).contains(&points.len()), "{} points", points.len());
        assert_eq!(points.iter().map(|point| point.requests).sum::<u64>(), u64::from(day) * 10);
        assert_eq!(points.iter().map(|point| point.duration_ms).sum::<f64>(), f64::from(day) * 1_000.0);
        assert!(
            points.windows(2).all(|pair| pair[0].at_ms + pair[0].duration_ms == pair[1].at_ms),
            "no gap, no overlap"
        );
        let slow: Vec<_> = points.iter().filter(|point| point.p99_ms > Some(8_999.0)).collect();
        assert_eq!(slow.len(), 1, "the worst second stays visible");
        assert!((slow[0].at_ms..slow[0].at_ms + slow[0].duration_ms).contains(&40_000_000.0));
    }
}
