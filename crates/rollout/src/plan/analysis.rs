//! Where measurements come from.

use std::collections::BTreeMap;
use std::time::Duration;

use regex::Regex;

use super::problems::Problems;
use super::target::Router;
use super::{HOUR, PlanAnalysis, PlanStep, SECOND, is_reference, is_url};
use crate::judge::JudgeSettings;
use crate::spec::{Analysis, AnalysisSource, CompareMetric, Guard, Latency, PrometheusSource, Series};

const HTTP: &str = "http_server_request_duration_seconds";

pub(super) fn complete(written: &Analysis, router: Router, problems: &mut Problems) -> PlanAnalysis {
    let at = "spec.analysis";
    if written.source == AnalysisSource::Prometheus && written.prometheus.is_none() {
        problems.add(format!("{at}.prometheus"), "is missing: `source: prometheus` needs prometheus.url");
    }
    let prometheus = written.prometheus.as_ref().map(|source| complete_prometheus(source, router, problems));
    let (requests, errors, latency) = defaults(router);
    let requests = written.requests.clone().unwrap_or(requests);
    let errors = written.errors.clone().unwrap_or(errors);
    let latency = written.latency.clone().unwrap_or(latency);
    check_series(&format!("{at}.requests"), &requests.metric, &requests.labels, problems);
    check_series(&format!("{at}.errors"), &errors.metric, &errors.labels, problems);
    check_series(&format!("{at}.latency"), &latency.metric, &latency.labels, problems);
    if latency.metric.ends_with("_bucket") {
        let text = format!("is `{}`: write the histogram's name without `_bucket`", latency.metric);
        problems.add(format!("{at}.latency.metric"), text);
    }
    let interval = problems.span(
        format!("{at}.interval"),
        written.interval,
        15 * SECOND,
        Duration::from_millis(100),
        10 * 60 * SECOND,
    );
    let warmup = problems.span(format!("{at}.warmup"), written.warmup, 30 * SECOND, Duration::ZERO, HOUR);
    PlanAnalysis { source: written.source, prometheus, interval, warmup, requests, errors, latency }
}

/// Below it the load of a slot makes a larger difference than most changes of a program.
const FAST_ENOUGH: Duration = Duration::from_millis(10);

/// The judge's numbers; it compares what the guards ask it to.
pub(super) fn judge(
    written: &Analysis,
    guards: &[Guard],
    steps: &[PlanStep],
    problems: &mut Problems,
) -> JudgeSettings {
    let compared = steps.iter().filter(|step| step.compares()).count();
    let mut metrics: Vec<CompareMetric> = Vec::new();
    let compares = || guards.iter().filter_map(|guard| guard.compare.as_ref());
    for compare in compares() {
        if !metrics.contains(&compare.metric) {
            metrics.push(compare.metric);
        }
    }
    let fast_enough = compares().filter_map(|compare| compare.fast_enough).max().map_or(FAST_ENOUGH, Duration::from);
    JudgeSettings {
        metrics,
        alpha: problems.number("spec.analysis.alpha", written.alpha, 0.01, 0.000_001, 0.2),
        beta: problems.number("spec.analysis.beta", written.beta, 0.05, 0.000_001, 0.2),
        tolerated_ratio: problems.number("spec.analysis.toleratedRatio", written.tolerated_ratio, 1.5, 1.0, 10.0),
        tolerated_difference: problems.number(
            "spec.analysis.toleratedDifference",
            written.tolerated_difference,
            0.001,
            0.0,
            0.1,
        ),
        fast_enough: fast_enough.as_secs_f64(),
        n_steps: u32::try_from(compared).unwrap_or(u32::MAX),
    }
}

/// Requests, errors and latency of a process that says what OpenTelemetry's conventions say; for workers what Spillway's own say.
fn defaults(router: Router) -> (Series, Series, Latency) {
    let labels = |name: &str, value: &str| BTreeMap::from([(name.to_owned(), value.to_owned())]);
    let series = |metric: &str, labels| Series { metric: metric.to_owned(), labels };
    if router.is_workers {
        let attempts = "spillway_attempts_total";
        let latency = Latency { metric: "spillway_attempt_seconds".to_owned(), labels: BTreeMap::new() };
        return (series(attempts, BTreeMap::new()), series(attempts, labels("class", "platform")), latency);
    }
    let count = format!("{HTTP}_count");
    (
        series(&count, BTreeMap::new()),
        series(&count, labels("http_response_status_code", "5..")),
        Latency { metric: HTTP.to_owned(), labels: BTreeMap::new() },
    )
}

fn complete_prometheus(source: &PrometheusSource, router: Router, problems: &mut Problems) -> PrometheusSource {
    let at = "spec.analysis.prometheus";
    let mut source = source.clone();
    if !is_url(&source.url) {
        problems.add(format!("{at}.url"), format!("is `{}`: write http://… or https://…", source.url));
    }
    if source.token.as_ref().is_some_and(|token| !is_reference(token, router)) {
        problems.add(format!("{at}.token"), "names no place: write `env:NAME` or `file:PATH`, never the token itself");
    }
    let label = source.slot_label.get_or_insert_with(|| "slot".to_owned());
    if !is_label_name(label) {
        problems.add(format!("{at}.slotLabel"), format!("is `{label}`: that is no name of a label"));
    }
    source
}

fn check_series(at: &str, metric: &str, labels: &BTreeMap<String, String>, problems: &mut Problems) {
    if !is_metric_name(metric) {
        let text = format!("is `{metric}`: a metric's name has letters, digits, `_` and `:`");
        problems.add(format!("{at}.metric"), text);
    }
    for (label, pattern) in labels {
        let at = format!("{at}.labels.{label}");
        if !is_label_name(label) {
            problems.add(at, "is no name of a label: letters, digits and `_`");
        } else if Regex::new(&format!("^(?:{pattern})$")).is_err() {
            problems.add(at, format!("is `{pattern}`, which is no regular expression"));
        }
    }
}

fn is_metric_name(text: &str) -> bool {
    let rest = |c: char| c.is_ascii_alphanumeric() || c == '_' || c == ':';
    text.chars().next().is_some_and(|c| rest(c) && !c.is_ascii_digit()) && text.chars().all(rest)
}

fn is_label_name(text: &str) -> bool {
    is_metric_name(text) && !text.contains(':')
}
