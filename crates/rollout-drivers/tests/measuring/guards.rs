//! What guards read of Prometheus and Alertmanager.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use spillway_rollout::Plan;
use spillway_rollout::observed::Reading;
use spillway_rollout::ports::Meter;
use spillway_rollout::spec::{Alerts, AlertsFrom, Budget, Guard, PrometheusSource, Threshold, ThresholdMetric};
use spillway_rollout::state::State;
use spillway_rollout_drivers::http::HttpClient;
use spillway_rollout_drivers::meter::{HostEndpoints, HttpMeter};
use spillway_testkit::{Alertmanager, Answer, Prometheus, PrometheusOptions, Sink, free_port, wait_until};

use crate::plan::{plan, progressing, secrets};
use crate::process::Process;
use crate::slots::meter;

fn query(name: &str, query: &str) -> Guard {
    let threshold = Threshold { query: Some(query.to_owned()), max: 1.0, ..Threshold::default() };
    Guard { name: name.to_owned(), threshold: Some(threshold), ..Guard::default() }
}

fn budget(name: &str, bad: &str, total: &str) -> Guard {
    let budget =
        Budget { target: 0.999, window: None, bad: bad.to_owned(), total: total.to_owned(), minimum_events: None };
    Guard { name: name.to_owned(), budget: Some(budget), ..Guard::default() }
}

fn alerts(name: &str, from: AlertsFrom, url: Option<String>, labels: &[(&str, &str)]) -> Guard {
    let labels = labels.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect();
    Guard { name: name.to_owned(), alerts: Some(Alerts { from, url, labels }), ..Guard::default() }
}

async fn readings(plan: &Plan, state: &State) -> BTreeMap<String, Reading> {
    meter().sample(plan, state, 7).await.readings
}

fn reason(reading: &Reading) -> &str {
    match reading {
        Reading::Nothing { reason, at: 7 } => reason,
        other => panic!("{other:?}"),
    }
}

fn firing(reading: &Reading) -> Vec<&str> {
    match reading {
        Reading::Alerts { firing, at: 7 } => firing.iter().map(String::as_str).collect(),
        other => panic!("{other:?}"),
    }
}

fn with_prometheus(url: String, guards: Vec<Guard>) -> Plan {
    let mut plan = plan(&[], &[]);
    plan.analysis.prometheus = Some(PrometheusSource { url, ..PrometheusSource::default() });
    plan.guards = guards;
    plan
}

#[tokio::test]
async fn a_query_is_one_number_or_a_reason() {
    let prometheus = Prometheus::start(&PrometheusOptions::default()).await;
    let guards = vec![
        query(
            "number",
            r#"count(label_replace(vector(1), "slot", "green", "", "") and on(slot) label_replace(vector(1), "slot", "{slot}", "", ""))"#,
        ),
        query("scalar", "scalar(vector(0.5))"),
        query("absent", "no_such_metric"),
        query("many", r#"vector(1) or label_replace(vector(2), "a", "b", "", "")"#),
        query("nan", "vector(0) / vector(0)"),
        query("wrong", "sum(("),
        query("range", "vector(1)[1m:]"),
        budget("spent", "vector(3) + (sum(count_over_time(no_such[{window}])) or vector(0))", "vector(1000)"),
        budget("unknown", "no_such_metric", "vector(1)"),
    ];
    let plan = with_prometheus(prometheus.url(), guards);
    let read = readings(&plan, &progressing()).await;
    assert_eq!(read["number"], Reading::Value { value: 1.0, at: 7 }, "the candidate's slot is filled in");
    assert_eq!(read["scalar"], Reading::Value { value: 0.5, at: 7 });
    assert!(reason(&read["absent"]).contains("`no_such_metric` has no data"));
    assert!(reason(&read["many"]).contains("gives 2 numbers instead of one"));
    assert!(reason(&read["nan"]).contains("says nothing"));
    assert!(reason(&read["wrong"]).starts_with("Prometheus refuses: "), "{:?}", read["wrong"]);
    assert!(reason(&read["range"]).contains("range instead of one number"), "{:?}", read["range"]);
    let Reading::Budget { reading, at: 7 } = &read["spent"] else { panic!("{:?}", read["spent"]) };
    assert_eq!((reading.bad, reading.total), (3.0, 1_000.0));
    assert!(reason(&read["unknown"]).contains("or vector(0)"));

    let idle = readings(&plan, &State::default()).await;
    assert_eq!(idle.keys().collect::<Vec<_>>(), ["spent", "unknown"], "there is no candidate to ask about");
}

#[tokio::test]
async fn alerts_of_prometheus_count_when_they_fire_and_match() {
    let rules = "groups:\n  - name: test\n    rules:\n\
                 \x20     - { alert: Bad, expr: vector(1), labels: { severity: critical } }\n\
                 \x20     - { alert: Minor, expr: vector(1), labels: { severity: info } }\n\
                 \x20     - { alert: Slow, expr: vector(1), for: 1h, labels: { severity: critical } }\n";
    let prometheus =
        Prometheus::start(&PrometheusOptions { rules: rules.to_owned(), ..PrometheusOptions::default() }).await;
    let guards = vec![
        alerts("critical", AlertsFrom::Prometheus, None, &[("severity", "critical")]),
        alerts("all", AlertsFrom::Prometheus, Some(prometheus.url()), &[]),
        alerts("none", AlertsFrom::Prometheus, None, &[("severity", "page")]),
    ];
    let plan = with_prometheus(prometheus.url(), guards);
    let mut read = BTreeMap::new();
    wait_until("alerts that fire", Duration::from_secs(20), async || {
        read = readings(&plan, &State::default()).await;
        firing(&read["all"]).len() == 2
    })
    .await;
    assert_eq!(firing(&read["critical"]), ["Bad"], "a pending alert does not fire");
    assert_eq!(firing(&read["all"]), ["Bad", "Minor"]);
    assert_eq!(firing(&read["none"]), Vec::<&str>::new());
}

#[tokio::test]
async fn a_silenced_alert_does_not_count() {
    let alertmanager = Alertmanager::start().await;
    alertmanager.fire(&[("alertname", "Bad"), ("severity", "critical"), ("team", "a \"quoted\" one")]).await;
    alertmanager.fire(&[("alertname", "Minor"), ("severity", "info")]).await;
    let url = Some(alertmanager.url());
    let mut plan = plan(&[], &[]);
    plan.guards = vec![
        alerts("all", AlertsFrom::Alertmanager, url.clone(), &[]),
        alerts(
            "critical",
            AlertsFrom::Alertmanager,
            url.clone(),
            &[("severity", "critical"), ("team", "a \"quoted\" one")],
        ),
        alerts("none", AlertsFrom::Alertmanager, url, &[("severity", "page")]),
    ];
    let mut read = BTreeMap::new();
    wait_until("alerts that fire", Duration::from_secs(10), async || {
        read = readings(&plan, &State::default()).await;
        firing(&read["all"]) == ["Bad", "Minor"]
    })
    .await;
    assert_eq!(firing(&read["critical"]), ["Bad"]);
    assert_eq!(firing(&read["none"]), Vec::<&str>::new());
    alertmanager.silence("alertname", "Bad", "2000-01-01T00:00:00Z", "2999-01-01T00:00:00Z").await;
    wait_until("the silence", Duration::from_secs(10), async || {
        read = readings(&plan, &State::default()).await;
        firing(&read["critical"]).is_empty()
    })
    .await;
    assert_eq!(firing(&read["all"]), ["Minor"]);
}

#[tokio::test]
async fn who_cannot_be_asked_gives_a_reason_and_leaves_the_rest_alone() {
    let process = Process::start().await;
    process.set(|shown| (shown.fast, shown.pool, shown.memory) = (1, (9, 10), 5_000));
    let gone = format!("http://127.0.0.1:{}", free_port());
    let of_metric = |name: &str, metric| Guard {
        name: name.to_owned(),
        threshold: Some(Threshold { metric: Some(metric), max: 1.0, ..Threshold::default() }),
        ..Guard::default()
    };
    let mut plan = plan(std::slice::from_ref(&process.address), std::slice::from_ref(&process.address));
    plan.guards = vec![
        query("query", "vector(1)"),
        alerts("alerts", AlertsFrom::Alertmanager, Some(gone.clone()), &[]),
        alerts("unknown", AlertsFrom::Alertmanager, None, &[]),
        of_metric("pool", ThresholdMetric::PoolUsage),
        of_metric("memory", ThresholdMetric::MemoryBytes),
        of_metric("errors", ThresholdMetric::ErrorRatio),
    ];
    let read = readings(&plan, &progressing()).await;
    assert!(reason(&read["query"]).contains("give analysis.prometheus.url"));
    assert!(reason(&read["alerts"]).contains("is not reachable"));
    assert!(reason(&read["unknown"]).contains("give alerts.url"));
    assert_eq!(read["pool"], Reading::Value { value: 0.9, at: 7 });
    assert_eq!(read["memory"], Reading::Value { value: 5_000.0, at: 7 });
    assert!(!read.contains_key("errors"), "that comes from blocks");

    process.set(|shown| shown.text = Some((200, "http_server_request_duration_seconds_count 1\n".to_owned())));
    plan.analysis.prometheus = Some(PrometheusSource { url: gone, ..PrometheusSource::default() });
    let read = readings(&plan, &progressing()).await;
    assert!(reason(&read["query"]).contains("is not reachable"));
    assert!(reason(&read["pool"]).contains("the candidate (green) tells no usage of a database pool"));
}

#[tokio::test]
async fn the_token_goes_to_its_own_server_only() {
    let (own, other) = (Sink::start().await, Sink::start().await);
    let none = || {
        Answer::status(200).body(r#"{"status":"success","data":{"alerts":[],"resultType":"scalar","result":[1,"1"]}}"#)
    };
    for sink in [&own, &other] {
        sink.respond_with(move |_| none());
    }
    let mut plan = with_prometheus(
        own.url(""),
        vec![
            query("query", "1"),
            alerts("own", AlertsFrom::Prometheus, None, &[]),
            alerts("other", AlertsFrom::Prometheus, Some(other.url("")), &[]),
        ],
    );
    plan.analysis.prometheus.as_mut().unwrap().token = Some("env:TOKEN".to_owned());
    let meter = |known: &[(&str, &str)]| HttpMeter::new(HttpClient::new(), Arc::new(HostEndpoints), secrets(known));
    let read = meter(&[("TOKEN", "s3cret")]).sample(&plan, &progressing(), 7).await.readings;
    assert_eq!(read["query"], Reading::Value { value: 1.0, at: 7 });
    assert!(own.requests().iter().all(|request| request.header("authorization") == Some("Bearer s3cret")));
    assert_eq!((own.count(), other.count()), (2, 1));
    assert_eq!(other.requests()[0].header("authorization"), None);

    let read = meter(&[]).sample(&plan, &progressing(), 7).await.readings;
    assert_eq!(reason(&read["query"]), "the token of Prometheus is not there: TOKEN is not set");
}
