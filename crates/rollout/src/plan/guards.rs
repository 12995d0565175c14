//! What is watched.

use std::collections::BTreeSet;
use std::time::Duration;

use spillway_slo::duration::Timespan;

use super::problems::Problems;
use super::{HOUR, MINUTE, PlanAnalysis, PlanStep, is_url};
use crate::spec::{Alerts, AlertsFrom, Budget, Compare, CompareMetric, Guard, RolloutSpec, Threshold, ThresholdMetric};

const MOST_GUARDS: usize = 50;

/// The guards, and those of them that may be without data.
#[derive(Debug)]
pub(super) struct Completed {
    pub(super) guards: Vec<Guard>,
    pub(super) optional: BTreeSet<String>,
}

pub(super) fn complete(
    spec: &RolloutSpec,
    steps: &[PlanStep],
    analysis: &PlanAnalysis,
    problems: &mut Problems,
) -> Completed {
    let shortest = steps.iter().filter(|step| step.has_traffic()).map(|step| step.bake).min();
    if spec.guards.is_empty() {
        return usual(shortest.unwrap_or(HOUR), analysis.interval);
    }
    problems.at_most("spec.guards", spec.guards.len(), MOST_GUARDS);
    let mut guards = spec.guards.clone();
    let mut names = BTreeSet::new();
    let mut compared: Vec<CompareMetric> = Vec::new();
    for (position, guard) in guards.iter_mut().enumerate() {
        let at = format!("spec.guards[{position}]");
        if guard.name.trim().is_empty() || guard.name.chars().count() > 63 {
            problems.add(format!("{at}.name"), "has to have 1 to 63 characters");
        } else if !names.insert(guard.name.clone()) {
            let text = format!("is `{}`, as another guard is: give it a name of its own", guard.name);
            problems.add(format!("{at}.name"), text);
        }
        let kinds =
            [guard.compare.is_some(), guard.threshold.is_some(), guard.alerts.is_some(), guard.budget.is_some()];
        if kinds.into_iter().filter(|given| *given).count() != 1 {
            problems.add(&at, "has to be exactly one of compare, threshold, alerts and budget");
        }
        if let Some(compare) = &guard.compare {
            if compared.contains(&compare.metric) {
                problems.add(format!("{at}.compare.metric"), "is compared by another guard already: leave one out");
            }
            compared.push(compare.metric);
        }
        if let Some(threshold) = &mut guard.threshold {
            complete_threshold(&format!("{at}.threshold"), threshold, shortest, analysis, problems);
        }
        if let Some(alerts) = &mut guard.alerts {
            complete_alerts(&format!("{at}.alerts"), alerts, analysis, problems);
        }
        if let Some(budget) = &mut guard.budget {
            complete_budget(&format!("{at}.budget"), budget, analysis, problems);
        }
    }
    Completed { guards, optional: BTreeSet::new() }
}

/// Errors above 1 % or a 99th percentile above 10 s in five minutes in a row, a restart, an exhausted pool, and the judge. With bakes of
/// less than five minutes the windows are a fifth of the shortest bake.
fn usual(shortest_bake: Duration, interval: Duration) -> Completed {
    let window = MINUTE.min(shortest_bake / 5).max(interval);
    let threshold = |name: &str, metric, max, windows| Guard {
        name: name.to_owned(),
        threshold: Some(Threshold {
            metric: Some(metric),
            query: None,
            max,
            window: Some(Timespan(window)),
            windows: Some(windows),
        }),
        ..Guard::default()
    };
    let compare = |name: &str, metric| Guard {
        name: name.to_owned(),
        compare: Some(Compare { metric, fast_enough: None }),
        ..Guard::default()
    };
    let pool = "pool";
    Completed {
        guards: vec![
            compare("errors", CompareMetric::Errors),
            compare("latency", CompareMetric::Latency),
            threshold("error-ratio", ThresholdMetric::ErrorRatio, 0.01, 5),
            threshold("latency-p99", ThresholdMetric::LatencyP99, 10.0, 5),
            threshold("restarts", ThresholdMetric::Restarts, 0.0, 1),
            threshold(pool, ThresholdMetric::PoolUsage, 0.99, 2),
        ],
        optional: BTreeSet::from([pool.to_owned()]),
    }
}

fn complete_threshold(
    at: &str,
    threshold: &mut Threshold,
    shortest_bake: Option<Duration>,
    analysis: &PlanAnalysis,
    problems: &mut Problems,
) {
    match (&threshold.metric, &threshold.query) {
        (None, None) | (Some(_), Some(_)) => problems.add(at, "has to have exactly one of metric and query"),
        (None, Some(query)) => {
            problems.filled(format!("{at}.query"), query, "a PromQL query for one number");
            needs_prometheus(&format!("{at}.query"), analysis, problems);
        }
        (Some(metric), None) => {
            let share = matches!(metric, ThresholdMetric::ErrorRatio | ThresholdMetric::PoolUsage);
            if share && !(0.0..=1.0).contains(&threshold.max) {
                let text = format!("is {}: this is a share from 0 to 1, so that 1 % is written 0.01", threshold.max);
                problems.add(format!("{at}.max"), text);
            }
        }
    }
    if !threshold.max.is_finite() {
        problems.add(format!("{at}.max"), "is no number");
    } else if threshold.metric.is_some() && threshold.max < 0.0 {
        problems.add(format!("{at}.max"), format!("is {}: no value is ever less than 0", threshold.max));
    }
    let window = problems.span(
        format!("{at}.window"),
        threshold.window,
        MINUTE.max(analysis.interval),
        analysis.interval,
        24 * HOUR,
    );
    threshold.window = Some(Timespan(window));
    let windows = *threshold.windows.get_or_insert(1);
    if !(1..=100).contains(&windows) {
        problems.add(format!("{at}.windows"), format!("is {windows}: write a number from 1 to 100"));
    }
    if let Some(bake) = shortest_bake.filter(|bake| *bake < window && counts_requests(threshold.metric)) {
        let text = format!(
            "is {}, but a step bakes for {} only and would see no whole window: shorten the window or lengthen the bake",
            Timespan(window),
            Timespan(bake)
        );
        problems.add(format!("{at}.window"), text);
    }
}

/// Whether the value is made of the requests of a window.
fn counts_requests(metric: Option<ThresholdMetric>) -> bool {
    use ThresholdMetric::{ErrorRatio, LatencyP50, LatencyP95, LatencyP99};
    matches!(metric, Some(ErrorRatio | LatencyP50 | LatencyP95 | LatencyP99))
}

fn complete_alerts(at: &str, alerts: &mut Alerts, analysis: &PlanAnalysis, problems: &mut Problems) {
    let default = analysis.prometheus.as_ref().filter(|_| alerts.from == AlertsFrom::Prometheus);
    if let Some(prometheus) = default.filter(|_| alerts.url.is_none()) {
        alerts.url = Some(prometheus.url.clone());
    }
    match &alerts.url {
        Some(url) if !is_url(url) => {
            problems.add(format!("{at}.url"), format!("is `{url}`: write http://… or https://…"));
        }
        Some(_) => {}
        None => problems.add(format!("{at}.url"), "is missing: write who is asked for alerts"),
    }
}

fn complete_budget(at: &str, budget: &mut Budget, analysis: &PlanAnalysis, problems: &mut Problems) {
    if !(budget.target > 0.0 && budget.target < 1.0) {
        let text = format!("is {}: write a share between 0 and 1, such as 0.999", budget.target);
        problems.add(format!("{at}.target"), text);
    }
    problems.filled(format!("{at}.bad"), &budget.bad, "PromQL for the number of bad events");
    problems.filled(format!("{at}.total"), &budget.total, "PromQL for the number of all events");
    needs_prometheus(at, analysis, problems);
    let window = problems.span(format!("{at}.window"), budget.window, 720 * HOUR, HOUR, 90 * 24 * HOUR);
    budget.window = Some(Timespan(window));
    budget.minimum_events.get_or_insert(1000);
}

fn needs_prometheus(at: &str, analysis: &PlanAnalysis, problems: &mut Problems) {
    if analysis.prometheus.is_none() {
        problems.add(at, "asks a Prometheus: give analysis.prometheus.url");
    }
}
