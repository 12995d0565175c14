//! The files: OpenSLO v1, documents of kind `SLO` with an indicator inline.
//!
//! A part of the format that would change what is measured and is not supported is refused, never ignored.

use std::path::Path;
use std::time::Duration;

use serde::Deserialize;
use serde_saphyr::Spanned;
use spillway_slo::duration::Timespan;

use super::{Indicator, Problem, Samples, Slo, WINDOW};
use crate::promql::Query;

const API_VERSION: &str = "openslo/v1";
const SAMPLES_GOOD: &str = "spillway.dev/samples-good";
const SAMPLES_BAD: &str = "spillway.dev/samples-bad";
const SHORTEST_WINDOW: Duration = Duration::from_secs(3_600);
const LONGEST_WINDOW: Duration = Duration::from_secs(90 * 86_400);

#[derive(Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct Document {
    api_version: Spanned<String>,
    kind: Spanned<String>,
    metadata: Metadata,
    spec: Spec,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct Metadata {
    name: Spanned<String>,
    #[serde(default)]
    display_name: Option<String>,
    #[serde(default)]
    annotations: std::collections::BTreeMap<String, String>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct Spec {
    service: Spanned<String>,
    description: Spanned<String>,
    indicator: Spanned<IndicatorDocument>,
    time_window: Vec<TimeWindow>,
    budgeting_method: Spanned<String>,
    objectives: Spanned<Vec<Objective>>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct IndicatorDocument {
    spec: IndicatorSpec,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct IndicatorSpec {
    #[serde(default)]
    ratio_metric: Option<RatioMetric>,
    #[serde(default)]
    threshold_metric: Option<Metric>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct RatioMetric {
    counter: Spanned<bool>,
    #[serde(default)]
    good: Option<Metric>,
    #[serde(default)]
    bad: Option<Metric>,
    total: Metric,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct Metric {
    metric_source: MetricSource,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct MetricSource {
    r#type: Spanned<String>,
    spec: QuerySpec,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct QuerySpec {
    query: Spanned<String>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct TimeWindow {
    duration: Spanned<String>,
    is_rolling: Spanned<bool>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct Objective {
    #[serde(default)]
    display_name: Option<String>,
    #[serde(default)]
    target: Option<Spanned<f64>>,
    #[serde(default)]
    time_slice_target: Option<Spanned<f64>>,
    #[serde(default)]
    time_slice_window: Option<Spanned<String>>,
    #[serde(default)]
    op: Option<Spanned<String>>,
    #[serde(default)]
    value: Option<Spanned<f64>>,
}

/// Reads one file, which may hold several documents.
///
/// # Errors
/// Everything that is wrong with it, each with its line.
pub fn read(file: &Path, text: &str) -> Result<Vec<Slo>, Vec<Problem>> {
    let options = serde_saphyr::options! { with_snippet: false, strict_booleans: true };
    let documents: Vec<Document> = serde_saphyr::from_multiple_with_options(text, options).map_err(|error| {
        let line = error.location().map_or(0, |location| location.line());
        vec![Problem { file: file.to_owned(), line, text: error.to_string() }]
    })?;
    let mut reader = Reader { file, problems: Vec::new(), queries: Vec::new() };
    let slos = documents.iter().filter_map(|document| reader.slo(document)).collect();
    if reader.problems.is_empty() { Ok(slos) } else { Err(reader.problems) }
}

/// Turns documents into objectives and gathers what is wrong.
struct Reader<'a> {
    file: &'a Path,
    problems: Vec<Problem>,
    /// Of the document that is being read.
    queries: Vec<Query>,
}

impl Reader<'_> {
    fn problem<T>(&mut self, at: &Spanned<T>, text: impl Into<String>) {
        let line = at.referenced.line();
        self.problems.push(Problem { file: self.file.to_owned(), line, text: text.into() });
    }

    fn slo(&mut self, document: &Document) -> Option<Slo> {
        let before = self.problems.len();
        let Document { api_version, kind, metadata, spec } = document;
        if api_version.value != API_VERSION {
            self.problem(api_version, format!("apiVersion must be {API_VERSION}, not {:?}", api_version.value));
        }
        if kind.value != "SLO" {
            self.problem(kind, format!("kind must be SLO, not {:?}: other kinds of OpenSLO are not read", kind.value));
        }
        self.name("metadata.name", &metadata.name);
        self.name("spec.service", &spec.service);
        if spec.description.value.trim().is_empty() {
            self.problem(&spec.description, "say in a sentence what is promised");
        }
        let window = self.window(spec);
        let indicator = self.indicator(spec);
        let target = self.target(spec);
        let samples = |name| metadata.annotations.get(name).map(|text| lines(text)).unwrap_or_default();
        let samples = Samples { good: samples(SAMPLES_GOOD), bad: samples(SAMPLES_BAD) };
        if samples.good.is_empty() || (samples.bad.is_empty() && spec.indicator.value.spec.ratio_metric.is_some()) {
            let text = format!(
                "the annotations {SAMPLES_GOOD} and {SAMPLES_BAD} must name a series each, one a line: the tests of the alerts feed them"
            );
            self.problem(&metadata.name, text);
        }
        let name = metadata.name.value.clone();
        let queries = std::mem::take(&mut self.queries);
        let complete = Slo {
            display_name: metadata.display_name.clone().unwrap_or_else(|| name.clone()),
            name,
            service: spec.service.value.clone(),
            description: spec.description.value.trim().to_owned(),
            target: target?,
            window: window?,
            indicator: indicator?,
            samples,
            queries,
        };
        (self.problems.len() == before).then_some(complete)
    }

    fn name(&mut self, what: &str, name: &Spanned<String>) {
        let text = &name.value;
        let fits = (1..=63).contains(&text.len())
            && text.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-')
            && !text.starts_with('-')
            && !text.ends_with('-');
        if !fits {
            let text =
                format!("{what} {text:?} must be 1 to 63 lower-case letters, digits and hyphens, as a DNS label");
            self.problem(name, text);
        }
    }

    fn window(&mut self, spec: &Spec) -> Option<Duration> {
        let [TimeWindow { duration, is_rolling }] = spec.time_window.as_slice() else {
            self.problem(&spec.service, "spec.timeWindow must hold exactly one window");
            return None;
        };
        if !is_rolling.value {
            self.problem(is_rolling, "only rolling windows are supported: set isRolling to true");
        }
        match duration.value.parse::<Timespan>() {
            Ok(Timespan(window)) if (SHORTEST_WINDOW..=LONGEST_WINDOW).contains(&window) => Some(window),
            Ok(_) => {
                self.problem(duration, format!("the window {:?} must be between 1h and 90d", duration.value));
                None
            }
            Err(error) => {
                self.problem(duration, format!("the window {:?} is no duration such as 30d: {error}", duration.value));
                None
            }
        }
    }

    fn target(&mut self, spec: &Spec) -> Option<f64> {
        let [objective] = spec.objectives.value.as_slice() else {
            let text =
                "exactly one objective is supported: write a document for each, so that each has a name of its own";
            self.problem(&spec.objectives, text);
            return None;
        };
        let slices = spec.budgeting_method.value == "Timeslices";
        let _ = &objective.display_name;
        let target = if slices { &objective.time_slice_target } else { &objective.target };
        let field = if slices { "timeSliceTarget" } else { "target" };
        let Some(target) = target else {
            self.problem(&spec.objectives, format!("the objective needs {field}, such as 0.999"));
            return None;
        };
        if !(target.value > 0.0 && target.value < 1.0) {
            let text = format!("{field} {} must be above 0 and below 1: 99.9 % is written 0.999", target.value);
            self.problem(target, text);
            return None;
        }
        Some(target.value)
    }

    fn indicator(&mut self, spec: &Spec) -> Option<Indicator> {
        let IndicatorSpec { ratio_metric, threshold_metric } = &spec.indicator.value.spec;
        match (spec.budgeting_method.value.as_str(), ratio_metric, threshold_metric) {
            ("Occurrences", Some(ratio), None) => self.events(spec, ratio),
            ("Timeslices", None, Some(metric)) => self.minutes(spec, metric),
            ("Occurrences", _, _) => {
                self.problem(
                    &spec.indicator,
                    "budgetingMethod Occurrences needs an indicator with ratioMetric and nothing else",
                );
                None
            }
            ("Timeslices", _, _) => {
                self.problem(
                    &spec.indicator,
                    "budgetingMethod Timeslices needs an indicator with thresholdMetric and nothing else",
                );
                None
            }
            (other, _, _) => {
                self.problem(
                    &spec.budgeting_method,
                    format!("budgetingMethod {other:?} must be Occurrences or Timeslices"),
                );
                None
            }
        }
    }

    fn events(&mut self, spec: &Spec, ratio: &RatioMetric) -> Option<Indicator> {
        if !ratio.counter.value {
            self.problem(&ratio.counter, "counter must be true: the queries increase over the window themselves");
        }
        let total = self.query(&ratio.total, true)?;
        match (&ratio.good, &ratio.bad) {
            (Some(good), None) => {
                let good = self.query(good, true)?;
                Some(Indicator::Events { bad: format!("({total}) - ({good})"), total })
            }
            (None, Some(bad)) => Some(Indicator::Events { bad: self.query(bad, true)?, total }),
            _ => {
                self.problem(&spec.indicator, "ratioMetric needs either good or bad, beside total");
                None
            }
        }
    }

    fn minutes(&mut self, spec: &Spec, metric: &Metric) -> Option<Indicator> {
        let query = self.query(metric, false)?;
        let objective = spec.objectives.value.first()?;
        if objective.time_slice_window.as_ref().is_none_or(|window| window.value != "1m") {
            self.problem(&spec.objectives, "timeSliceWindow must be 1m");
        }
        let Some(value) = &objective.value else {
            self.problem(&spec.objectives, "the objective needs value, which a minute is compared with");
            return None;
        };
        let operator = match objective.op.as_ref().map(|op| op.value.as_str()) {
            Some("gte") => ">=",
            Some("lte") => "<=",
            Some("gt") => ">",
            Some("lt") => "<",
            _ => {
                self.problem(&spec.objectives, "the objective needs op: gte, lte, gt or lt");
                return None;
            }
        };
        Some(Indicator::Minutes { query, operator, value: value.value })
    }

    fn query(
        &mut self,
        Metric { metric_source: MetricSource { r#type, spec } }: &Metric,
        windowed: bool,
    ) -> Option<String> {
        if r#type.value != "Prometheus" {
            self.problem(r#type, format!("the metric source must be Prometheus, not {:?}", r#type.value));
        }
        let query = spec.query.value.split_whitespace().collect::<Vec<_>>().join(" ");
        if query.is_empty() {
            self.problem(&spec.query, "the query is empty");
            return None;
        }
        if windowed && !query.contains(&format!("[{WINDOW}]")) {
            let text = format!("the query must ask over [{WINDOW}], so that it serves every window");
            self.problem(&spec.query, text);
            return None;
        }
        let (file, line) = (self.file.to_owned(), spec.query.referenced.line());
        self.queries.push(Query { file, line, text: query.replace(WINDOW, "5m") });
        Some(query)
    }
}

fn lines(text: &str) -> Vec<String> {
    text.lines().map(str::trim).filter(|line| !line.is_empty()).map(str::to_owned).collect()
}
