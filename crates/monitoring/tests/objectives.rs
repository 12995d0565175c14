//! Files of objectives that cannot be used: each error says file, line and what to do.

use std::path::Path;

use spillway_monitoring::slo::{document, promtool, read_folder, rules};

const GOOD: &str = r#"apiVersion: openslo/v1
kind: SLO
metadata:
  name: shop-availability
  annotations:
    spillway.dev/samples-good: requests_total{code="200"}
    spillway.dev/samples-bad: requests_total{code="500"}
spec:
  service: shop
  description: Requests are answered.
  budgetingMethod: Occurrences
  timeWindow:
    - { duration: 30d, isRolling: true }
  indicator:
    spec:
      ratioMetric:
        counter: true
        bad:
          metricSource: { type: Prometheus, spec: { query: 'sum(increase(requests_total{code="500"}[{{.window}}]))' } }
        total:
          metricSource: { type: Prometheus, spec: { query: 'sum(increase(requests_total[{{.window}}]))' } }
  objectives:
    - target: 0.999
"#;

fn problems(text: &str) -> Vec<String> {
    document::read(Path::new("shop.yaml"), text)
        .expect_err("it cannot be used")
        .iter()
        .map(ToString::to_string)
        .collect()
}

#[test]
fn what_is_wrong_is_named_with_its_line_and_what_to_do() {
    let cases = [
        (
            "target: 0.999",
            "target: 99.9",
            "shop.yaml:23: target 99.9 must be above 0 and below 1: 99.9 % is written 0.999",
        ),
        ("duration: 30d", "duration: 1y", "shop.yaml:13: the window \"1y\" is no duration such as 30d"),
        ("duration: 30d", "duration: 5m", "shop.yaml:13: the window \"5m\" must be between 1h and 90d"),
        ("isRolling: true", "isRolling: false", "shop.yaml:13: only rolling windows are supported"),
        ("requests_total[{{.window}}]", "requests_total[5m]", "shop.yaml:21: the query must ask over [{{.window}}]"),
        ("kind: SLO", "kind: Service", "shop.yaml:2: kind must be SLO"),
        ("name: shop-availability", "name: Shop", "shop.yaml:4: metadata.name \"Shop\" must be 1 to 63 lower-case"),
        (
            "Occurrences",
            "RatioTimeslices",
            "shop.yaml:11: budgetingMethod \"RatioTimeslices\" must be Occurrences or Timeslices",
        ),
        (
            "type: Prometheus, spec: { query: 'sum(increase(requests_total[",
            "type: Datadog, spec: { query: 'sum(increase(requests_total[",
            "shop.yaml:21: the metric source must be Prometheus",
        ),
        ("  description: Requests are answered.", "  descripton: Requests are answered.", "shop.yaml:10:"),
    ];
    for (right, wrong, expected) in cases {
        let text = GOOD.replacen(right, wrong, 1);
        assert_ne!(text, GOOD, "{right}");
        let found = problems(&text);
        assert!(found.iter().any(|problem| problem.starts_with(expected)), "{wrong}: {found:#?}");
    }
}

#[test]
fn an_objective_without_samples_is_refused_because_its_alert_could_not_be_tested() {
    let text: String =
        GOOD.lines().filter(|line| !line.contains("samples-bad")).map(|line| format!("{line}\n")).collect();
    let found = problems(&text);
    assert!(found[0].contains("spillway.dev/samples-bad must name a series"), "{found:?}");
}

#[test]
fn a_name_is_taken_once_over_all_files() {
    let folder = tempfile::tempdir().expect("a folder");
    std::fs::write(folder.path().join("a.yaml"), GOOD).expect("a file");
    std::fs::write(folder.path().join("b.yaml"), GOOD).expect("a file");
    let found = read_folder(folder.path()).expect_err("a name twice");
    assert!(found[0].to_string().contains("b.yaml: the name shop-availability is taken by"), "{found:?}");
    assert!(found[0].text.contains("a.yaml"), "{found:?}");
}

#[test]
fn rules_count_events_and_never_average_ratios() {
    let slos = document::read(Path::new("shop.yaml"), GOOD).expect("an objective");
    let group = &rules::recording(&slos[0]).groups[0];
    let expr = |name: &str| {
        let rule = group.rules.iter().find(|rule| rule.record.as_deref() == Some(name));
        rule.unwrap_or_else(|| panic!("{name} is recorded")).expr.clone()
    };
    assert_eq!(
        expr("slo:sli_error:ratio_1h"),
        "(sum(increase(requests_total{code=\"500\"}[1h]))) / ((sum(increase(requests_total[1h]))) > 0)"
    );
    assert_eq!(
        expr("slo:sli_error:ratio_30d"),
        "(sum_over_time(slo:events_bad:increase5m{slo=\"shop-availability\"}[30d:5m])) / \
         ((sum_over_time(slo:events_total:increase5m{slo=\"shop-availability\"}[30d:5m])) > 0)"
    );
    assert_eq!(expr("slo:error_budget:ratio"), "vector(0.001)");
    assert_eq!(expr("slo:error_budget_used:ratio"), "slo:sli_error:ratio_30d{slo=\"shop-availability\"} / 0.001");
}

#[test]
fn each_objective_brings_the_test_of_its_alert() {
    let slos = document::read(Path::new("shop.yaml"), GOOD).expect("an objective");
    let test = serde_json::to_value(promtool::generate(&slos[0], vec!["rules.yml".to_owned()])).expect("a test");
    let series = &test["tests"][0]["input_series"];
    assert_eq!(series[0]["values"], "0+100x59 6000+0x59 6000+100x179", "good, nothing, good");
    assert_eq!(series[1]["values"], "0+0x59 0+100x59 6000+0x179", "nothing, bad, nothing");
    let expected = &test["tests"][0]["promql_expr_test"];
    assert_eq!([expected[0]["eval_time"].as_str(), expected[1]["eval_time"].as_str()], [Some("59m"), Some("119m")]);
    assert_eq!(expected[1]["exp_samples"].as_array().map(Vec::len), Some(2), "both pairs of windows page");
}
