//! A finished run, and its JSON.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::time::Duration;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use serde_json::json;
use spillway_slo::threshold::Aggregation;

use super::Meta;
use super::figures::{figures, percentile};
use super::text;
use crate::engine::{Judged, Outcome};
use crate::executor::Progress;
use crate::generator::Health;
use crate::metrics::{Metric, Second, Snapshot, Values};
use crate::observe::Observed;

/// Version of the JSON of a result. Another version is refused; fields may be added within a version.
pub const SCHEMA_VERSION: u32 = 1;

/// Tells a result from other JSON.
pub(super) const FORMAT: &str = "spillway-loadgen-result";

/// A finished run and everything that was measured.
#[derive(Debug, Clone, PartialEq)]
pub struct RunSummary {
    /// What was run.
    pub meta: Meta,
    /// From the start to the end of the last scenario.
    pub duration: Duration,
    /// Whether it was stopped from outside.
    pub interrupted: bool,
    /// Each threshold, in the order of the plan.
    pub thresholds: Vec<Judged>,
    /// Each scenario, by name.
    pub scenarios: BTreeMap<String, Progress>,
    /// How the generator fared.
    pub generator: Health,
    /// What the target used. Empty unless somebody looked.
    pub observed: Vec<Observed>,
    /// The seconds of the run.
    pub timeline: Vec<Second>,
    /// Everything that was measured, without loss.
    pub snapshot: Snapshot,
}

/// How a run is judged.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Verdict {
    /// It ran to its end, the generator kept up, and all thresholds held.
    Passed,
    /// A threshold did not hold.
    Failed,
    /// The generator was the bottleneck: whatever the thresholds say is worth nothing.
    Invalid,
    /// It was stopped from outside, so that it is not the test that was meant.
    Interrupted,
}

impl Verdict {
    /// The word for it.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Passed => "passed",
            Self::Failed => "failed",
            Self::Invalid => "invalid",
            Self::Interrupted => "interrupted",
        }
    }

    /// The process's exit code for it.
    pub const fn exit_code(self) -> u8 {
        match self {
            Self::Passed => 0,
            Self::Failed => 99,
            Self::Invalid => 3,
            Self::Interrupted => 105,
        }
    }

    /// A shape that tells it without colour.
    pub(super) const fn mark(self) -> char {
        match self {
            Self::Passed => '✓',
            Self::Failed => '✗',
            Self::Invalid | Self::Interrupted => '!',
        }
    }
}

impl RunSummary {
    /// The summary of a run that is over. `observed` is empty and can be set. Times of the time line are rounded to nanoseconds.
    pub fn new(outcome: &Outcome, mut timeline: Vec<Second>, mut meta: Meta) -> Self {
        timeline.iter_mut().for_each(round);
        // A time that no calendar has stays unsaid.
        meta.started_at = Timestamp::try_from(outcome.started_at)
            .and_then(|at| Timestamp::from_millisecond(at.as_millisecond()))
            .map(|at| at.to_string())
            .unwrap_or_default();
        Self {
            meta,
            duration: outcome.duration,
            interrupted: outcome.interrupted,
            thresholds: outcome.thresholds.clone(),
            scenarios: outcome.scenarios.clone(),
            generator: outcome.generator.clone(),
            observed: Vec::new(),
            timeline,
            snapshot: outcome.snapshot.clone(),
        }
    }

    /// The judgement. What was interrupted is not the test that was meant, and what the generator held up is no measurement: both come
    /// before the thresholds.
    pub fn verdict(&self) -> Verdict {
        match () {
            () if self.interrupted => Verdict::Interrupted,
            () if self.generator.invalid.is_some() => Verdict::Invalid,
            () if self.thresholds.iter().any(|threshold| !threshold.passed) => Verdict::Failed,
            () => Verdict::Passed,
        }
    }

    /// 0 passed, 99 failed, 3 invalid, 105 interrupted.
    pub fn exit_code(&self) -> u8 {
        self.verdict().exit_code()
    }

    /// Why it is judged so, in a sentence without the verdict's word.
    pub fn reason(&self) -> String {
        let failed: Vec<&Judged> = self.thresholds.iter().filter(|threshold| !threshold.passed).collect();
        let all = self.thresholds.len();
        match (self.verdict(), failed.as_slice()) {
            (Verdict::Interrupted, _) => {
                let planned = self.meta.description.duration;
                let of =
                    planned.map_or_else(String::new, |planned| format!(" of {}", text::span(milliseconds(planned))));
                format!("stopped from outside after {}{of}", text::span(milliseconds(self.duration)))
            }
            (Verdict::Invalid, _) => self.generator.invalid.clone().unwrap_or_default(),
            (_, []) => match all {
                0 => "ran to its end; there are no thresholds".to_owned(),
                1 => "the threshold held".to_owned(),
                all => format!("all {all} thresholds held"),
            },
            (_, [first, ..]) => {
                let value = text::threshold_value(&first.selector, &first.expression, first.value);
                let aborted =
                    if failed.iter().any(|threshold| threshold.aborted) { ", which ended the run" } else { "" };
                let first = format!("{} {} ({value})", first.selector, first.expression);
                match (failed.len(), all) {
                    (1, 1) => format!("the threshold did not hold: {first}{aborted}"),
                    (1, all) => format!("1 of {all} thresholds did not hold: {first}{aborted}"),
                    (n, all) => format!("{n} of {all} thresholds did not hold, the first is {first}{aborted}"),
                }
            }
        }
    }

    /// A metric over all of the run.
    pub(super) fn total(&self, metric: Metric) -> Option<Values> {
        self.snapshot.total(metric, &[])
    }

    /// A counter; zero if nothing was counted.
    pub(super) fn counter(&self, metric: Metric) -> u64 {
        match self.total(metric) {
            Some(Values::Counter(sum)) => sum,
            _ => 0,
        }
    }

    /// Requests per second of the whole run; zero for a run without length.
    pub(super) fn rate(&self) -> f64 {
        let requests = Values::Counter(self.counter(Metric::HttpReqs));
        requests.aggregate(Aggregation::Rate, self.duration).unwrap_or(0.0)
    }

    /// Requests that failed, and their share from 0 to 1; none without requests.
    pub(super) fn failed(&self) -> Option<(u64, f64)> {
        match self.total(Metric::HttpReqFailed)? {
            Values::Rate { passes, total } if total > 0 => Some((passes, passes as f64 / total as f64)),
            _ => None,
        }
    }

    /// A percentile of `http_req_duration` in milliseconds; none without requests.
    pub(super) fn latency(&self, percent: f64) -> Option<f64> {
        percentile(self.total(Metric::HttpReqDuration).as_ref(), percent)
    }

    /// The result as JSON: for people the figures of each metric and series, for programs the snapshot without loss. Times are in
    /// milliseconds, except in `snapshot` (microseconds) and where a name says otherwise.
    pub fn to_json(&self) -> String {
        let stats = &self.meta.trend_stats;
        let metrics: BTreeMap<&str, BTreeMap<String, f64>> = Metric::ALL
            .into_iter()
            .filter_map(|metric| {
                let is_used = self.snapshot.series.iter().any(|series| series.values.contains_key(&metric));
                let values = self.total(metric).filter(|_| is_used)?;
                Some((metric.name(), figures(&values, self.duration, stats)))
            })
            .collect();
        let series: Vec<_> = self
            .snapshot
            .series
            .iter()
            .map(|series| {
                let values = series.values.iter();
                let values = values.map(|(metric, values)| (metric.name(), figures(values, self.duration, stats)));
                json!({ "tags": series.tags, "metrics": values.collect::<BTreeMap<_, _>>() })
            })
            .collect();
        let verdict = self.verdict();
        let mut document = Document::default();
        document.pretty("format", &FORMAT);
        document.pretty("schema_version", &SCHEMA_VERSION);
        document.pretty("verdict", &verdict);
        document.pretty("reason", &self.reason());
        document.pretty("exit_code", &verdict.exit_code());
        document.pretty("meta", &self.meta);
        document.pretty("duration_s", &self.duration.as_secs_f64());
        document.pretty("interrupted", &self.interrupted);
        document.pretty("thresholds", &self.thresholds);
        document.pretty("scenarios", &self.scenarios);
        document.pretty("metrics", &metrics);
        document.lines("series", &series);
        document.pretty("generator", &self.generator);
        let mut observed = self.observed.clone();
        let values =
            observed.iter_mut().flat_map(|observed| &mut observed.series).flat_map(|series| &mut series.points);
        values.for_each(|(at, value)| (*at, *value) = (rounded(*at), rounded(*value)));
        document.lines("observed", &observed);
        document.lines("timeline", &self.timeline);
        document.compact("snapshot", &self.snapshot);
        document.end()
    }
}

/// What comes of arithmetic has digits that nobody measured, and that not every reader of JSON gets right.
fn round(second: &mut Second) {
    (second.at_ms, second.duration_ms) = (rounded(second.at_ms), rounded(second.duration_ms));
    let percentiles = [&mut second.p50_ms, &mut second.p95_ms, &mut second.p99_ms, &mut second.from_intended_p99_ms];
    percentiles.into_iter().flatten().for_each(|value| *value = rounded(*value));
}

/// Six decimal places.
fn rounded(value: f64) -> f64 {
    (value * 1e6).round() / 1e6
}

/// An object whose members are laid out each as is best to read.
#[derive(Default)]
struct Document(String);

impl Document {
    fn pretty(&mut self, name: &str, value: &impl Serialize) {
        let value = serde_json::to_string_pretty(value).unwrap_or_else(|_| "null".to_owned());
        self.member(name, &value.replace('\n', "\n  "));
    }

    /// A list with a line for each element.
    fn lines(&mut self, name: &str, values: &[impl Serialize]) {
        let lines = values.iter().map(|value| serde_json::to_string(value).unwrap_or_else(|_| "null".to_owned()));
        let lines = lines.collect::<Vec<_>>().join(",\n    ");
        self.member(name, &if lines.is_empty() { "[]".to_owned() } else { format!("[\n    {lines}\n  ]") });
    }

    fn compact(&mut self, name: &str, value: &impl Serialize) {
        self.member(name, &serde_json::to_string(value).unwrap_or_else(|_| "null".to_owned()));
    }

    fn member(&mut self, name: &str, value: &str) {
        let separator = if self.0.is_empty() { "{" } else { "," };
        // Writing to a text cannot fail.
        let _ = write!(self.0, "{separator}\n  \"{name}\": {value}");
    }

    fn end(self) -> String {
        self.0 + "\n}\n"
    }
}

pub(super) fn milliseconds(duration: Duration) -> f64 {
    duration.as_secs_f64() * 1e3
}
