use std::collections::VecDeque;
use std::time::Duration;

use spillway_slo::threshold::Selector;
use tokio::time::Instant;

use super::metric::Metric;
use super::trend::Sparse;
use super::values::Values;

/// Slices of a window: it moves on by this part of its length, but never more often than each second.
const SLICES: u32 = 30;

/// Time between two ticks.
const SECOND: Duration = Duration::from_secs(1);

/// The newest samples of a selector, for thresholds like `p(95)<500 over 30s`.
#[derive(Debug)]
pub(crate) struct Window {
    pub(crate) metric: Metric,
    pub(crate) selector: Selector,
    length: Duration,
    ended: VecDeque<Slice>,
    /// The slice that samples go to.
    current: Values,
    began: Instant,
    ticked: Instant,
}

#[derive(Debug)]
struct Slice {
    began: Instant,
    ended: Instant,
    values: Kept,
}

/// Values at rest.
#[derive(Debug)]
enum Kept {
    Plain(Values),
    Trend(Sparse),
}

impl Window {
    pub(crate) fn new(metric: Metric, selector: Selector, length: Duration, now: Instant) -> Self {
        let current = Values::new(metric.kind());
        Self { metric, selector, length, ended: VecDeque::new(), current, began: now, ticked: now }
    }

    pub(crate) fn is(&self, selector: &Selector, length: Duration) -> bool {
        self.selector == *selector && self.length == length
    }

    pub(crate) fn begin(&mut self, now: Instant) {
        (self.began, self.ticked) = (now, now);
    }

    pub(crate) fn record(&mut self, value: u64) {
        self.current.record(value);
    }

    /// Begins a new slice if this one is long enough, and drops those older than the window, except the newest. A tick may come a little early.
    pub(crate) fn tick(&mut self, now: Instant) {
        self.ticked = now;
        if now.saturating_duration_since(self.began) + SECOND / 2 >= (self.length / SLICES).max(SECOND) {
            let values = match &mut self.current {
                Values::Trend(trend) => {
                    let kept = Kept::Trend(Sparse::from(&*trend));
                    trend.clear();
                    kept
                }
                plain => Kept::Plain(std::mem::replace(plain, Values::new(self.metric.kind()))),
            };
            self.ended.push_back(Slice { began: self.began, ended: now, values });
            self.began = now;
        }
        while self.ended.len() > 1
            && let Some(oldest) = self.ended.front()
            && now.saturating_duration_since(oldest.ended) + SECOND / 2 >= self.length
        {
            self.ended.pop_front();
        }
    }

    /// The samples in it.
    pub(crate) fn values(&self) -> Values {
        let mut total = self.current.clone();
        for slice in &self.ended {
            match (&mut total, &slice.values) {
                (Values::Trend(trend), Kept::Trend(sparse)) => trend.merge_sparse(sparse),
                (total, Kept::Plain(values)) => total.merge(values),
                (_, Kept::Trend(_)) => {}
            }
        }
        total
    }

    /// How much of the run lies in it.
    pub(crate) fn covered(&self) -> Duration {
        let began = self.ended.front().map_or(self.began, |oldest| oldest.began);
        self.ticked.saturating_duration_since(began)
    }
}
