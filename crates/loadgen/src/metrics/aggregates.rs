use std::collections::{BTreeMap, HashMap};
use std::str::FromStr;
use std::sync::Arc;
use std::time::Duration;

use spillway_slo::threshold::{MetricKind, Selector, Threshold};
use tokio::time::Instant;

use super::metric::Metric;
use super::recorder::Entry;
use super::snapshot::SeriesValues;
use super::tags::{Series, Tags};
use super::timeline::Timeline;
use super::trend::micros;
use super::values::Values;
use super::window::Window;

/// Everything that was folded so far.
#[derive(Debug)]
pub(crate) struct Aggregates {
    routes: Vec<Route>,
    cells: Vec<Cell>,
    /// Where the phases of a scenario's requests gather that no threshold looks at more closely.
    phases: HashMap<(Metric, String), usize>,
    /// Metrics and tags that thresholds name.
    selectors: Vec<(Metric, Selector)>,
    windows: Vec<Window>,
    pub(crate) timeline: Timeline,
}

/// Where the samples of a series go.
#[derive(Debug)]
struct Route {
    tags: Arc<Tags>,
    /// By the metric's number; `None` until its first sample.
    cells: [Option<u32>; Metric::ALL.len()],
    /// Windows that want a metric of this series.
    windows: Vec<(Metric, usize)>,
}

/// The samples of a metric that have the same tags.
#[derive(Debug)]
struct Cell {
    metric: Metric,
    tags: Arc<Tags>,
    values: Values,
}

impl Aggregates {
    pub(crate) fn new(thresholds: &[Threshold], now: Instant) -> Self {
        let mut selectors = Vec::new();
        let mut windows: Vec<Window> = Vec::new();
        for threshold in thresholds {
            let Ok(metric) = Metric::from_str(&threshold.selector.metric) else { continue };
            selectors.push((metric, threshold.selector.clone()));
            if let Some(length) = threshold.expression.window
                && metric.kind() != MetricKind::Gauge
                && !windows.iter().any(|window| window.is(&threshold.selector, length))
            {
                windows.push(Window::new(metric, threshold.selector.clone(), length, now));
            }
        }
        Self {
            routes: Vec::new(),
            cells: Vec::new(),
            phases: HashMap::new(),
            selectors,
            windows,
            timeline: Timeline::new(now),
        }
    }

    pub(crate) fn begin(&mut self, now: Instant) {
        self.timeline.begin(now);
        self.windows.iter_mut().for_each(|window| window.begin(now));
    }

    pub(crate) fn open_series(&mut self, tags: Arc<Tags>) -> Series {
        let windows = self.windows.iter().enumerate().filter(|(_, window)| tags.matches(&window.selector.tags));
        let windows = windows.map(|(at, window)| (window.metric, at)).collect();
        self.routes.push(Route { tags, cells: [None; Metric::ALL.len()], windows });
        Series(u32::try_from(self.routes.len() - 1).unwrap_or(Series::OTHER.0))
    }

    pub(crate) fn fold(&mut self, entry: &Entry) {
        match entry {
            Entry::Http(sample) => {
                let series = sample.series;
                self.observe(Metric::HttpReqs, series, 1);
                self.observe(Metric::HttpReqFailed, series, u64::from(sample.failed));
                self.observe(Metric::HttpReqDuration, series, micros(sample.duration()));
                self.observe(Metric::HttpReqBlocked, series, micros(sample.blocked));
                self.observe(Metric::HttpReqConnecting, series, micros(sample.connecting));
                self.observe(Metric::HttpReqTlsHandshaking, series, micros(sample.tls));
                self.observe(Metric::HttpReqSending, series, micros(sample.sending));
                self.observe(Metric::HttpReqWaiting, series, micros(sample.waiting));
                self.observe(Metric::HttpReqReceiving, series, micros(sample.receiving));
                self.observe(Metric::DataSent, series, sample.sent);
                self.observe(Metric::DataReceived, series, sample.received);
            }
            Entry::Iteration { series, duration, start_delay, from_intended } => {
                self.observe(Metric::Iterations, *series, 1);
                self.observe(Metric::IterationDuration, *series, micros(*duration));
                if let Some(start_delay) = start_delay {
                    self.observe(Metric::IterationStartDelay, *series, micros(*start_delay));
                }
                if let Some(from_intended) = from_intended {
                    self.observe(Metric::ResponseFromIntended, *series, micros(*from_intended));
                }
            }
            Entry::Value { metric, series, value } => self.observe(*metric, *series, *value),
        }
    }

    pub(crate) fn observe(&mut self, metric: Metric, series: Series, value: u64) {
        self.timeline.observe(metric, value);
        // A series of another registry has no meaning here.
        let at = if (series.0 as usize) < self.routes.len() { series.0 as usize } else { Series::OTHER.0 as usize };
        let cell = match self.routes[at].cells[metric as usize] {
            Some(cell) => cell as usize,
            None => self.open_cell(at, metric),
        };
        self.cells[cell].values.record(value);
        for &(wanted, window) in &self.routes[at].windows {
            if wanted == metric {
                self.windows[window].record(value);
            }
        }
    }

    #[cold]
    fn open_cell(&mut self, at: usize, metric: Metric) -> usize {
        let own = self.routes[at].tags.clone();
        let fresh = self.cells.len();
        let (tags, cell) = if metric.is_phase() && !self.is_watched(metric, &own) {
            let tags = Arc::new(Tags::scenario(&own.scenario, &BTreeMap::new()));
            (tags, *self.phases.entry((metric, own.scenario.clone())).or_insert(fresh))
        } else {
            (own, fresh)
        };
        if cell == fresh {
            self.cells.push(Cell { metric, tags, values: Values::new(metric.kind()) });
        }
        self.routes[at].cells[metric as usize] = u32::try_from(cell).ok();
        cell
    }

    /// Whether a threshold tells this series from others of its scenario.
    fn is_watched(&self, metric: Metric, tags: &Tags) -> bool {
        self.selectors.iter().any(|(wanted, selector)| {
            *wanted == metric && selector.tags.iter().any(|(tag, _)| tag != "scenario") && tags.matches(&selector.tags)
        })
    }

    pub(crate) fn tick(&mut self, now: Instant, vus: u32) {
        self.timeline.tick(now, vus);
        self.windows.iter_mut().for_each(|window| window.tick(now));
    }

    /// The samples in a threshold's window, and how much of the run lies in it.
    pub(crate) fn window(&self, threshold: &Threshold) -> Option<(Values, Duration)> {
        let length = threshold.expression.window?;
        let window = self.windows.iter().find(|window| window.is(&threshold.selector, length))?;
        Some((window.values(), window.covered()))
    }

    pub(crate) fn value(&self, threshold: &Threshold, elapsed: Duration) -> Option<f64> {
        let metric = Metric::from_str(&threshold.selector.metric).ok()?;
        let aggregation = threshold.expression.aggregation;
        if threshold.expression.window.is_some() && metric.kind() != MetricKind::Gauge {
            let (values, covered) = self.window(threshold)?;
            return values.aggregate(aggregation, covered);
        }
        let matching =
            self.cells.iter().filter(|cell| cell.metric == metric && cell.tags.matches(&threshold.selector.tags));
        Values::total(metric.kind(), matching.map(|cell| &cell.values))?.aggregate(aggregation, elapsed)
    }

    /// A copy of all values, by their tags.
    pub(crate) fn series(&self) -> Vec<SeriesValues> {
        let mut series: BTreeMap<&Tags, BTreeMap<Metric, Values>> = BTreeMap::new();
        for cell in &self.cells {
            series.entry(&cell.tags).or_default().insert(cell.metric, cell.values.clone());
        }
        series.into_iter().map(|(tags, values)| SeriesValues { tags: tags.clone(), values }).collect()
    }
}
