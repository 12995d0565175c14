//! The run as JUnit XML, which CI systems show.

use quick_junit::{NonSuccessKind, Property, Report, TestCase, TestCaseStatus, TestSuite};

use super::{RunSummary, Verdict, text};
use crate::metrics::Metric;

/// A suite with a case for each threshold, and one for the run itself, which fails when the run was interrupted or is invalid.
pub fn junit(summary: &RunSummary) -> String {
    let mut suite = TestSuite::new(format!("load test {}", summary.meta.name));
    suite.set_time(summary.duration);
    for (name, value) in [
        ("file", summary.meta.file.clone()),
        ("started_at", summary.meta.started_at.clone()),
        ("version", summary.meta.version.clone()),
        ("requests", summary.counter(Metric::HttpReqs).to_string()),
        ("dropped_iterations", summary.counter(Metric::DroppedIterations).to_string()),
        ("p95", text::time_or_none(summary.latency(95.0))),
        ("p99", text::time_or_none(summary.latency(99.0))),
    ] {
        suite.add_property(Property::new(name, value));
    }
    let verdict = summary.verdict();
    let status = match verdict {
        Verdict::Passed | Verdict::Failed => TestCaseStatus::success(),
        Verdict::Invalid | Verdict::Interrupted => {
            let mut status = TestCaseStatus::non_success(NonSuccessKind::Error);
            status.set_type(verdict.name()).set_message(summary.reason());
            status
        }
    };
    let mut run = TestCase::new("the run is complete and the generator kept up", status);
    run.set_classname(summary.meta.name.clone()).set_time(summary.duration);
    suite.add_test_case(run);
    for threshold in &summary.thresholds {
        let value = text::threshold_value(&threshold.selector, &threshold.expression, threshold.value);
        let status = match () {
            () if threshold.passed => TestCaseStatus::success(),
            // What the generator held up says nothing of the target.
            () if verdict == Verdict::Invalid => TestCaseStatus::skipped(),
            () => {
                let mut status = TestCaseStatus::non_success(NonSuccessKind::Failure);
                let aborted = if threshold.aborted { ", and ended the run" } else { "" };
                status.set_type("threshold");
                status.set_message(format!("{} is {value}, not {}{aborted}", threshold.selector, threshold.expression));
                status
            }
        };
        let mut case = TestCase::new(format!("{} {}", threshold.selector, threshold.expression), status);
        case.set_classname(summary.meta.name.clone()).set_system_out(format!("value: {value}"));
        suite.add_test_case(case);
    }
    let mut report = Report::new("spillway-loadgen");
    report.set_time(summary.duration).add_test_suite(suite);
    // Every text is XML once the characters that XML lacks are gone, and the writer takes them out.
    report.to_string().unwrap_or_default()
}
