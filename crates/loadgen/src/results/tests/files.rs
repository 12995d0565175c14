//! Files for other programs.

use quick_junit::{Report, TestCaseStatus};
use serde_json::Value;

use super::sample::run;
use crate::results::{append_markdown, csv, junit, k6_summary, ndjson};

#[test]
fn the_k6_export_has_k6s_shape() {
    let mut summary = run(1, 120, 1.0);
    summary.snapshot.series.iter_mut().filter(|series| series.tags.check == "is accepted").for_each(|series| {
        "::outer::inner".clone_into(&mut series.tags.group);
    });
    let json: Value = serde_json::from_str(&k6_summary(&summary)).expect("JSON");
    let keys =
        |value: &Value| value.as_object().map(|object| object.keys().cloned().collect::<Vec<_>>()).unwrap_or_default();
    let metrics = &json["metrics"];
    assert_eq!(keys(&metrics["http_req_waiting"]), ["avg", "max", "med", "min", "p(90)", "p(95)"]);
    assert_eq!(keys(&metrics["http_reqs"]), ["count", "rate"]);
    assert_eq!(keys(&metrics["vus"]), ["max", "min", "value"]);
    assert_eq!(keys(&metrics["checks"]), ["fails", "passes", "value"]);
    assert_eq!(metrics["http_req_failed"]["passes"], 20);
    assert_eq!(metrics["http_req_failed"]["fails"], 11_980);
    // In k6's export true means that the threshold was crossed.
    assert_eq!(metrics["http_req_failed"]["thresholds"]["rate<0.001"], true);
    assert_eq!(metrics["http_req_duration"]["thresholds"]["p(95)<250"], false);
    let tagged = &metrics["http_req_duration{name:/in/stripe}"];
    assert!(tagged["avg"].as_f64() > Some(0.0) && tagged["thresholds"]["p(99)<150 over 30s"] == false, "{tagged}");
    let root = &json["root_group"];
    assert_eq!(keys(root), ["checks", "groups", "name", "path"]);
    let check = &root["groups"]["outer"]["groups"]["inner"]["checks"]["is accepted"];
    assert_eq!((check["path"].as_str(), check["fails"].as_u64()), (Some("::outer::inner::is accepted"), Some(20)));
    assert!(root["checks"]["answers within 1 s"].is_object());
}

#[test]
fn junit_has_a_case_for_each_threshold() {
    let mut summary = run(1, 10, 1.0);
    summary.thresholds[0].selector = "http_req_duration{name:<&\"\u{1b}>}".to_owned();
    let report = Report::deserialize_from_str(&junit(&summary)).expect("JUnit XML");
    let suite = &report.test_suites[0];
    assert_eq!((suite.tests, suite.failures, suite.errors), (5, 1, 0));
    let failed = suite.test_cases.iter().find(|case| matches!(case.status, TestCaseStatus::NonSuccess { .. }));
    assert_eq!(failed.map(|case| case.name.as_str()), Some("http_req_failed rate<0.001"));

    summary.generator.invalid = Some("it was busy".to_owned());
    let report = Report::deserialize_from_str(&junit(&summary)).expect("JUnit XML");
    let suite = &report.test_suites[0];
    assert_eq!((suite.failures, suite.errors), (0, 1), "invalid is not failed");
    assert!(suite.test_cases.iter().any(|case| matches!(case.status, TestCaseStatus::Skipped { .. })));
}

#[test]
fn csv_and_ndjson_have_a_row_for_each_second() {
    let summary = run(1, 30, 1.0);
    let csv_text = csv(&summary);
    let mut reader = csv::Reader::from_reader(csv_text.as_bytes());
    let rate = reader.headers().expect("headings").iter().position(|name| name == "rate_per_s").expect("a rate");
    let rows: Vec<_> = reader.records().map(|row| row.expect("a row")).collect();
    assert_eq!(rows.len(), 30);
    assert!(rows.iter().all(|row| row[rate].parse::<f64>() == Ok(100.0)));
    let mut empty = summary.clone();
    empty.timeline.clear();
    assert_eq!(csv(&empty).lines().collect::<Vec<_>>(), [csv_text.lines().next().expect("headings")]);

    let lines: Vec<Value> = ndjson(&summary).lines().map(|line| serde_json::from_str(line).expect("JSON")).collect();
    let of = |kind: &str| lines.iter().filter(|line| line["type"] == kind).count();
    assert_eq!(lines[0]["type"], "run");
    assert_eq!((of("second"), of("threshold"), of("scenario"), of("observed")), (30, 4, 1, 1));
    assert!(of("metric") > 5 && of("series") > of("metric"));
}

#[test]
fn the_deployment_report_grows_by_a_section_and_keeps_what_is_there() {
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("deployment_report.md");
    let mut summary = run(1, 120, 1.0);
    append_markdown(&path, &summary).expect("written");
    let first = std::fs::read_to_string(&path).expect("text");
    assert!(first.starts_with("# Deployment report\n\n## baseline – ❌ failed\n"), "{first}");
    assert!(first.contains("| http\\_req\\_failed rate&lt;0.001 | 0.17 % | ✗ **failed** |"), "{first}");
    assert!(first.contains("| POST /in/github |") && first.contains("| status 503 |"), "{first}");

    summary.meta.name = "x|y\n# <script>".to_owned();
    append_markdown(&path, &summary).expect("written");
    let both = std::fs::read_to_string(&path).expect("text");
    assert_eq!(
        both.strip_prefix(&first).map(|more| more.starts_with("\n## x\\|y \\# &lt;script&gt; – ")),
        Some(true),
        "{both}"
    );
    assert_eq!(std::fs::read_dir(folder.path()).expect("a folder").count(), 1, "no draft is left");

    // Runs that end at the same time lose nothing.
    std::thread::scope(|scope| {
        for _ in 0..8 {
            scope.spawn(|| append_markdown(&path, &summary).expect("written"));
        }
    });
    assert_eq!(std::fs::read_to_string(&path).expect("text").matches("\n## ").count(), 10);
    assert!(append_markdown(&folder.path().join("missing/report.md"), &summary).is_err());
}
