//! Prometheus rules that follow from the objectives.
//!
//! Recording rules count events: `slo:events_bad:increase5m` and `slo:events_total:increase5m`, and from counts the share of bad ones over each
//! window, `slo:sli_error:ratio_WINDOW`. Over windows of a day and less the counts come from the metrics themselves, over longer ones from the
//! counts of five minutes: no ratio is ever averaged. Alerts compare two windows each (Google's SRE workbook, chapter 5), and the budget's use with
//! the policy of [`spillway_slo::budget`].

use std::collections::BTreeMap;
use std::time::Duration;

use serde::{Deserialize, Serialize};
use spillway_slo::budget::{EMERGENCY_AT, FREEZES_AT, WARNS_AT};
use spillway_slo::burn::{self, Severity};
use spillway_slo::duration::Timespan;

use super::{Indicator, Slo, WINDOW};

/// Windows above this are summed up from the counts of [`STEP`].
const LONGEST_DIRECT: Duration = Duration::from_secs(86_400);
const STEP: Duration = Duration::from_secs(300);

/// A file of rules.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct RuleFile {
    /// Its groups.
    pub groups: Vec<Group>,
}

/// Rules that are evaluated one after the other.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Group {
    /// Unique in its file.
    pub name: String,
    /// How often, such as `1m`; `None` is the server's default.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub interval: Option<String>,
    /// The rules.
    pub rules: Vec<Rule>,
}

/// A recording rule or an alert.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
pub struct Rule {
    /// The series that it records.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub record: Option<String>,
    /// The alert that it raises.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub alert: Option<String>,
    /// What it evaluates.
    pub expr: String,
    /// How long an alert must hold.
    #[serde(default, rename = "for", skip_serializing_if = "Option::is_none")]
    pub hold: Option<String>,
    /// Labels that it adds.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub labels: BTreeMap<String, String>,
    /// Texts of an alert.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub annotations: BTreeMap<String, String>,
}

/// The alert of windows that wake somebody.
pub const FAST: &str = "SloErrorBudgetBurnFast";
/// The alert of windows that somebody looks at during working hours.
pub const SLOW: &str = "SloErrorBudgetBurnSlow";

/// Where the page of an alert is found.
#[must_use]
pub fn runbook_url(page: &str) -> String {
    format!("{RUNBOOKS}{page}.md")
}

/// Where all pages of alerts are found.
pub const RUNBOOKS: &str = "https://github.com/spillway-dev/spillway/blob/main/runbooks/alerts/";

/// The recording rules of one objective.
#[must_use]
pub fn recording(slo: &Slo) -> RuleFile {
    RuleFile { groups: vec![records(slo)] }
}

/// The alerts of all objectives: a rule serves every objective with the same window.
#[must_use]
pub fn alerting(slos: &[Slo]) -> RuleFile {
    RuleFile { groups: vec![Group { name: "slo-alerts".to_owned(), interval: None, rules: alerts(slos) }] }
}

fn records(slo: &Slo) -> Group {
    let mut rules = vec![
        record(slo, "slo:objective:ratio", format!("vector({})", slo.target)),
        record(slo, "slo:error_budget:ratio", format!("vector({})", budget(slo))),
    ];
    if let Indicator::Minutes { query, operator, value } = &slo.indicator {
        rules.push(record(slo, "slo:minute_good:bool", format!("({query}) {operator} bool {value}")));
    }
    let (bad, total) = counts(slo, STEP);
    rules.push(record(slo, "slo:events_bad:increase5m", bad));
    rules.push(record(slo, "slo:events_total:increase5m", total));
    for window in windows(slo) {
        let (bad, total) = counts(slo, window);
        // Without events there is no ratio: nothing is recorded, and no alert fires.
        rules.push(record(slo, &ratio(window), format!("({bad}) / (({total}) > 0)")));
    }
    let used = format!("{}{{{}}} / {}", ratio(slo.window), selector(slo), budget(slo));
    rules.push(record(slo, "slo:error_budget_used:ratio", used));
    Group { name: format!("slo-{}", slo.name), interval: Some("1m".to_owned()), rules }
}

/// `1 − target`, without the digits that floating point adds.
fn budget(slo: &Slo) -> f64 {
    ((1.0 - slo.target) * 1e9).round() / 1e9
}

/// The series of a window's share of bad events.
fn ratio(window: Duration) -> String {
    format!("slo:sli_error:ratio_{}", Timespan(window))
}

fn selector(slo: &Slo) -> String {
    format!("slo=\"{}\"", slo.name)
}

fn record(slo: &Slo, name: &str, expr: String) -> Rule {
    let labels = [("slo", &slo.name), ("service", &slo.service)];
    let labels = labels.into_iter().map(|(name, value)| (name.to_owned(), value.clone())).collect();
    Rule { record: Some(name.to_owned()), expr, labels, ..Rule::default() }
}

/// Every window that a rule needs, the shortest first.
fn windows(slo: &Slo) -> Vec<Duration> {
    let mut windows: Vec<Duration> = burn::rules(slo.window).iter().flat_map(|rule| [rule.short, rule.long]).collect();
    windows.push(slo.window);
    windows.sort_unstable();
    windows.dedup();
    windows
}

/// Bad and all events over the window.
fn counts(slo: &Slo, window: Duration) -> (String, String) {
    let span = Timespan(window);
    let selector = selector(slo);
    if window > LONGEST_DIRECT {
        let summed = |name: &str| format!("sum_over_time({name}{{{selector}}}[{span}:{}])", Timespan(STEP));
        return (summed("slo:events_bad:increase5m"), summed("slo:events_total:increase5m"));
    }
    match &slo.indicator {
        Indicator::Events { bad, total } => {
            let over = |query: &str| query.replace(WINDOW, &span.to_string());
            (over(bad), over(total))
        }
        Indicator::Minutes { .. } => {
            let minutes = format!("slo:minute_good:bool{{{selector}}}[{span}]");
            (format!("count_over_time({minutes}) - sum_over_time({minutes})"), format!("count_over_time({minutes})"))
        }
    }
}

fn alerts(slos: &[Slo]) -> Vec<Rule> {
    let mut by_window: BTreeMap<Duration, Vec<&Slo>> = BTreeMap::new();
    for slo in slos {
        by_window.entry(slo.window).or_default().push(slo);
    }
    let mut rules: Vec<Rule> =
        by_window.keys().flat_map(|window| burn::rules(*window)).map(|rule| burning(&rule)).collect();
    rules.extend(by_window.values().map(|slos| absent(slos)));
    let policy = [
        ("SloErrorBudgetWarning", WARNS_AT, "ticket", "90 % of the error budget of {{ $labels.slo }} is spent"),
        (
            "SloErrorBudgetSpent",
            FREEZES_AT,
            "ticket",
            "the error budget of {{ $labels.slo }} is spent: releases are frozen",
        ),
        ("SloErrorBudgetEmergency", EMERGENCY_AT, "page", "the error budget of {{ $labels.slo }} is overspent by half"),
    ];
    for (name, share, severity, summary) in policy {
        rules.push(alert(name, format!("slo:error_budget_used:ratio >= {share}"), severity, summary, "slo_budget"));
    }
    rules
}

fn burning(rule: &burn::Rule) -> Rule {
    let (name, severity) = match rule.severity {
        Severity::Page => (FAST, "page"),
        Severity::Ticket => (SLOW, "ticket"),
    };
    let exceeds = |window: Duration| {
        format!("{} > on (slo, service) group_left () ({} * slo:error_budget:ratio)", ratio(window), rule.factor)
    };
    let expr = format!("({}) and on (slo, service) ({})", exceeds(rule.long), exceeds(rule.short));
    let summary = format!(
        "{{{{ $labels.slo }}}} of {{{{ $labels.service }}}} spends its error budget more than {} times too fast, over {} and over {}",
        rule.factor,
        Timespan(rule.long),
        Timespan(rule.short),
    );
    let mut alert = alert(name, expr, severity, &summary, "slo_burn");
    alert.labels.insert("long_window".to_owned(), Timespan(rule.long).to_string());
    alert
}

/// An objective without any event in the longest window that is asked directly is not kept: it is not measured. A service of which nothing was
/// measured in the whole window is not there, such as those of the sample platform, and is not missed.
fn absent(slos: &[&Slo]) -> Rule {
    let names: Vec<&str> = slos.iter().map(|slo| slo.name.as_str()).collect();
    let window = slos.first().map_or(burn::WINDOW, |slo| slo.window);
    let expr = format!(
        "(slo:objective:ratio{{slo=~\"{}\"}} unless on (slo) {}) and on (service) {}",
        names.join("|"),
        ratio(burn::rules(window)[2].long),
        ratio(window),
    );
    let summary = "{{ $labels.slo }} of {{ $labels.service }} counts no event";
    let mut rule = alert("SloNotMeasured", expr, "ticket", summary, "slo_not_measured");
    rule.hold = Some("1h".to_owned());
    rule
}

fn alert(name: &str, expr: String, severity: &str, summary: &str, page: &str) -> Rule {
    Rule {
        alert: Some(name.to_owned()),
        expr,
        labels: [("severity".to_owned(), severity.to_owned())].into(),
        annotations: [("summary".to_owned(), summary.to_owned()), ("runbook_url".to_owned(), runbook_url(page))].into(),
        ..Rule::default()
    }
}
