//! The result as JSON, and back.

use std::path::Path;
use std::time::Duration;

use serde_json::Value;

use super::sample::run;
use crate::results::read::{ReadError, parse};
use crate::results::{RunSummary, merge};

fn back(json: &str) -> Result<RunSummary, ReadError> {
    parse(Path::new("result.json"), json.as_bytes())
}

#[test]
fn a_result_comes_back_without_loss() {
    let summary = run(1, 30, 1.0);
    let json = summary.to_json();
    let again = back(&json).unwrap_or_else(|error| panic!("{error}"));
    assert_eq!(again.snapshot, summary.snapshot);
    assert_eq!(again.thresholds, summary.thresholds);
    assert_eq!(again, summary);
    assert_eq!(again.to_json(), json);
}

#[test]
fn the_json_has_what_scripts_ask_for() {
    let json: Value = serde_json::from_str(&run(1, 120, 1.0).to_json()).expect("JSON");
    assert_eq!(json["schema_version"], 1);
    assert_eq!((json["verdict"].as_str(), json["exit_code"].as_u64()), (Some("failed"), Some(99)));
    assert_eq!(json["meta"]["started_at"], "2026-05-28T20:26:40Z");
    assert_eq!(json["metrics"]["http_reqs"]["count"], 12_000.0);
    assert_eq!(json["metrics"]["http_reqs"]["rate"], 100.0);
    assert_eq!(json["metrics"]["dropped_iterations"]["count"], 70.0);
    let p95 = json["metrics"]["http_req_duration"]["p(95)"].as_f64().expect("p95");
    let p99 = json["metrics"]["http_req_duration"]["p(99)"].as_f64().expect("p99");
    assert!(0.0 < p95 && p95 < p99, "{p95} {p99}");
    let of = |name: &str| -> f64 {
        let series = json["series"].as_array().expect("series").iter().filter(|series| series["tags"]["name"] == name);
        series.filter_map(|series| series["metrics"]["http_reqs"]["count"].as_f64()).sum()
    };
    assert_eq!(of("/api/v1/replays"), 240.0);
    assert_eq!(json["timeline"].as_array().map(Vec::len), Some(120));
    assert_eq!(json["scenarios"]["intake"]["completed"], 12_000);
    assert_eq!(json["observed"][0]["series"][0]["unit"], "percent");
}

#[test]
fn other_files_and_versions_are_refused_with_what_to_do() {
    let json = run(1, 2, 1.0).to_json();
    let says = |json: &str| back(json).expect_err("refused").to_string();
    for other in ["", "[1]", "{}", "vus = 1", "{\"format\": \"x\", \"schema_version\": 1}"] {
        let message = says(other);
        assert!(message.contains("result.json is no result") && message.contains("--out json="), "{other}: {message}");
    }
    let message = says(&json.replacen("\"schema_version\": 1", "\"schema_version\": 2", 1));
    assert!(message.contains("version 2") && message.contains("reads version 1"), "{message}");
    let message = says(&json[..json.len() / 2]);
    assert!(message.contains("result.json is damaged") && message.contains("line"), "{message}");
    let message = says(&json.replacen("\"duration_s\": 2.0", "\"duration_s\": -2.0", 1));
    assert!(message.contains("damaged"), "{message}");
    let message = crate::results::read(Path::new("/nowhere/result.json")).expect_err("refused").to_string();
    assert!(message.contains("cannot read /nowhere/result.json"), "{message}");
}

#[test]
fn merged_parts_are_one_run() {
    let parts = [run(1, 20, 1.0), run(2, 20, 1.0)];
    let merged = merge(&parts).unwrap_or_else(|error| panic!("{error}"));
    assert_eq!(merged.counter(crate::metrics::Metric::HttpReqs), 4_000);
    assert_eq!(merged.duration, Duration::from_secs(20), "they ran at the same time");
    assert_eq!(merged.timeline.len(), 20);
    assert!(merged.timeline.iter().all(|second| second.requests == 200));
    assert_eq!(merged.scenarios["intake"].completed, 4_000);
    assert_eq!(merged.generator.cores, 4);
    // Judged again: none failed, so what each part said of itself no longer holds.
    assert_eq!((merged.thresholds[2].value, merged.thresholds[2].passed), (Some(0.0), true));
    let mut other = parts[1].clone();
    other.scenarios = [("other".to_owned(), other.scenarios["intake"].clone())].into();
    let error = merge(&[parts[0].clone(), other]).expect_err("another test").to_string();
    assert!(error.contains("result 2") && error.contains("other") && error.contains("intake"), "{error}");
    assert!(merge(&[]).is_err());
}
