//! Unit tests of the generated alerts, for `promtool test rules`: each objective is fed an hour of good events, an hour of bad ones, and three
//! hours of good ones. It must stay quiet, page, and recover.

use std::collections::{BTreeMap, BTreeSet};

use serde::Serialize;
use spillway_slo::burn::{self, Severity};
use spillway_slo::duration::Timespan;

use super::Slo;
use super::rules::FAST;

/// A file of tests.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct TestFile {
    rule_files: Vec<String>,
    evaluation_interval: String,
    tests: Vec<Test>,
}

#[derive(Debug, Clone, PartialEq, Serialize)]
struct Test {
    name: String,
    interval: String,
    input_series: Vec<Series>,
    promql_expr_test: Vec<Expected>,
}

#[derive(Debug, Clone, PartialEq, Serialize)]
struct Series {
    series: String,
    values: String,
}

#[derive(Debug, Clone, PartialEq, Serialize)]
struct Expected {
    expr: String,
    eval_time: String,
    exp_samples: Vec<Sample>,
}

#[derive(Debug, Clone, PartialEq, Serialize)]
struct Sample {
    labels: String,
    value: f64,
}

/// What a counter gains in a minute, unless its annotation says otherwise: `SELECTOR +N`, or `SELECTOR =N` for a gauge.
const PER_MINUTE: f64 = 100.0;
const PHASES: [(usize, bool); 3] = [(60, true), (60, false), (180, true)];

/// The test of one objective, on these files of rules, which are named as seen from the test's own file.
#[must_use]
pub fn generate(slo: &Slo, rule_files: Vec<String>) -> TestFile {
    TestFile { rule_files, evaluation_interval: "1m".to_owned(), tests: vec![test(slo)] }
}

fn test(slo: &Slo) -> Test {
    let any = format!("ALERTS{{slo=\"{}\"}}", slo.name);
    let urgent = format!("ALERTS{{slo=\"{}\",alertname=\"{FAST}\",alertstate=\"firing\"}}", slo.name);
    let at = |expr: &str, minute: usize, exp_samples| Expected {
        expr: expr.to_owned(),
        eval_time: format!("{minute}m"),
        exp_samples,
    };
    Test {
        name: format!("{} stays quiet, pages and recovers", slo.name),
        interval: "1m".to_owned(),
        input_series: series(slo),
        promql_expr_test: vec![at(&any, 59, Vec::new()), at(&urgent, 119, pages(slo)), at(&urgent, 299, Vec::new())],
    }
}

/// How a series behaves in a phase.
#[derive(Debug, Clone, Copy, PartialEq)]
enum Course {
    /// A counter gains this much a minute.
    Gains(f64),
    /// A gauge is at this.
    Stays(f64),
}

/// Minute by minute.
fn series(slo: &Slo) -> Vec<Series> {
    let courses = |samples: &[String]| samples.iter().map(|sample| course(sample)).collect::<BTreeMap<_, _>>();
    let (good, bad) = (courses(&slo.samples.good), courses(&slo.samples.bad));
    let names: BTreeSet<&String> = good.keys().chain(bad.keys()).collect();
    let of = |series: &String| {
        let mut value = 0.0;
        let mut values = Vec::new();
        for (minutes, is_good) in PHASES {
            let course = if is_good { &good } else { &bad }.get(series).copied().unwrap_or(Course::Gains(0.0));
            match course {
                Course::Stays(level) => values.push(format!("{level}x{}", minutes - 1)),
                Course::Gains(gain) => {
                    values.push(format!("{value}+{gain}x{}", minutes - 1));
                    #[expect(clippy::cast_precision_loss, reason = "some hundred minutes")]
                    let gained = gain * minutes as f64;
                    value += gained;
                }
            }
        }
        Series { series: series.clone(), values: values.join(" ") }
    };
    names.into_iter().map(of).collect()
}

/// `SELECTOR`, `SELECTOR +N` or `SELECTOR =N`.
fn course(sample: &str) -> (String, Course) {
    let split = |sign: &str| {
        let (selector, number) = sample.rsplit_once(sign)?;
        Some((selector.trim().to_owned(), number.parse().ok()?))
    };
    if let Some((selector, gain)) = split(" +") {
        return (selector, Course::Gains(gain));
    }
    if let Some((selector, level)) = split(" =") {
        return (selector, Course::Stays(level));
    }
    (sample.to_owned(), Course::Gains(PER_MINUTE))
}

/// Both rules that wake somebody, after an hour of bad events.
fn pages(slo: &Slo) -> Vec<Sample> {
    let urgent = burn::rules(slo.window).into_iter().filter(|rule| rule.severity == Severity::Page);
    let Slo { name, service, .. } = slo;
    let firing = |rule: burn::Rule| Sample {
        labels: format!(
            "ALERTS{{alertname=\"{FAST}\",alertstate=\"firing\",long_window=\"{}\",service=\"{service}\",severity=\"page\",slo=\"{name}\"}}",
            Timespan(rule.long)
        ),
        value: 1.0,
    };
    urgent.map(firing).collect()
}
