//! Each part is killed while webhooks flow: the right alert reaches people with a runbook, and nothing that was acknowledged is lost.

use std::sync::Arc;

use serde_json::Value;
use spillway_testkit::wait_until;

use crate::sender::Sender;
use crate::support::{DEADLINE, Stack, root};

const PAGES: &str = "https://github.com/spillway-dev/spillway/blob/main/";

/// What the death of a part raises.
struct Death {
    part: &'static str,
    alert: &'static str,
    severity: &'static str,
    /// A label that names the part; `instance` stands for its address.
    label: &'static str,
    value: &'static str,
}

const DEATHS: [Death; 7] = [
    // First: a node says for a minute after its return that the store was down.
    Death { part: "postgres", alert: "StoreDown", severity: "page", label: "severity", value: "page" },
    Death { part: "api-1", alert: "GatewayDown", severity: "page", label: "instance", value: "" },
    Death { part: "api-2", alert: "GatewayDown", severity: "page", label: "instance", value: "" },
    Death { part: "worker", alert: "GatewayDown", severity: "page", label: "instance", value: "" },
    Death { part: "redis", alert: "CoordinationDegraded", severity: "ticket", label: "severity", value: "ticket" },
    Death { part: "nginx", alert: "DependencyDown", severity: "page", label: "job", value: "nginx" },
    Death { part: "pushgateway", alert: "DependencyDown", severity: "page", label: "job", value: "pushgateway" },
];

#[tokio::test(flavor = "multi_thread")]
async fn each_part_that_dies_raises_its_alert_and_loses_no_webhook() {
    let stack = Arc::new(Stack::start().await);
    let sender = Sender::start(&stack).await;
    sender.flows().await;
    let receiver = stack.address("receiver").await;
    let mut told_of = Vec::new();
    for death in &DEATHS {
        let value = match death.value {
            "" => stack.address(death.part).await,
            value => value.to_owned(),
        };
        stack.kill(death.part).await;
        let Death { part, alert, severity, label, .. } = death;
        let what = format!("{alert} ({label} {value}) to be told, as {part} is dead");
        let mut told = Value::Null;
        wait_until(&what, DEADLINE, async || {
            told = find(&stack, &receiver, alert, label, &value, "firing").await;
            told.is_object()
        })
        .await;
        assert_eq!(told["labels"]["severity"], *severity, "{told}");
        assert_has_runbook(&told);
        assert_eq!(stack.part(part).await["health"], "dead");
        wait_until(&format!("{alert} on its other ways"), DEADLINE, async || {
            let told = stack.told(&receiver).await;
            let has = |to: &str| told.iter().any(|(at, body)| at == to && body.to_string().contains(alert));
            has("slack") && has("pagerduty") == (*severity == "page")
        })
        .await;
        stack.up().await;
        assert_eq!(stack.part(part).await["health"], "healthy");
        sender.flows().await;
        told_of.push((death, value));
    }
    for (Death { part, alert, label, .. }, value) in told_of {
        let what = format!("the end of {alert} ({label} {value}) to be told, as {part} is back");
        wait_until(&what, DEADLINE * 2, async || {
            find(&stack, &receiver, alert, label, &value, "resolved").await.is_object()
        })
        .await;
    }
    assert!(sender.stop_and_find_all().await > 100);
}

#[tokio::test(flavor = "multi_thread")]
async fn the_heartbeat_stops_when_those_who_tell_are_dead() {
    let stack = Arc::new(Stack::start().await);
    let sender = Sender::start(&stack).await;
    let [receiver, prometheus] = [stack.address("receiver").await, stack.address("prometheus").await];
    let beats = async || {
        let last = stack.get(&format!("http://{receiver}/received/heartbeat")).await;
        last["seconds_ago"].as_f64().is_some_and(|seconds| seconds < 8.0)
    };
    wait_until("the first heartbeat", DEADLINE, beats).await;

    stack.kill("alertmanager").await;
    let down = async || {
        let alerts = stack.get(&format!("http://{prometheus}/api/v1/alerts")).await;
        let alerts = alerts["data"]["alerts"].as_array().cloned().unwrap_or_default();
        alerts.into_iter().find(|alert| {
            alert["labels"]["alertname"] == "DependencyDown"
                && alert["labels"]["job"] == "alertmanager"
                && alert["state"] == "firing"
        })
    };
    wait_until("Prometheus to know that Alertmanager is down", DEADLINE, async || down().await.is_some()).await;
    assert_has_runbook(&down().await.expect("it fires"));
    wait_until("the heartbeat to stop, as Alertmanager is dead", DEADLINE, async || !beats().await).await;
    stack.up().await;
    wait_until("the heartbeat to come back", DEADLINE, beats).await;

    stack.kill("prometheus").await;
    wait_until("the heartbeat to stop, as Prometheus is dead", DEADLINE, async || !beats().await).await;
    let mut told = Value::Null;
    wait_until("Alertmanager to tell that nothing beats any more", DEADLINE, async || {
        told = find(&stack, &receiver, "Heartbeat", "severity", "heartbeat", "resolved").await;
        told.is_object()
    })
    .await;
    assert_has_runbook(&told);
    stack.up().await;
    wait_until("the heartbeat to come back", DEADLINE, beats).await;
    sender.stop_and_find_all().await;
    // Long enough to be sure that it beats by itself, and not from before.
    assert!(stack.part("prometheus").await["uptime_s"].as_u64().is_some_and(|uptime| uptime < 60));
}

/// The alert with this label that the webhook of alerts, or the watcher of heartbeats, was last told of, if it was told with this status.
async fn find(stack: &Stack, receiver: &str, alert: &str, label: &str, value: &str, status: &str) -> Value {
    let told = stack.told(receiver).await;
    let bodies = told.iter().rev().filter(|(to, _)| to == "alerts" || to == "heartbeat").map(|(_, body)| body);
    let mut alerts = bodies.flat_map(|body| body["alerts"].as_array().into_iter().flatten());
    let is_it = |one: &&Value| one["labels"]["alertname"] == alert && one["labels"][label] == value;
    let last = alerts.find(is_it);
    last.filter(|last| last["status"] == status).cloned().unwrap_or_default()
}

fn assert_has_runbook(alert: &Value) {
    let summary = alert["annotations"]["summary"].as_str().unwrap_or_default();
    assert!(summary.len() > 10, "{alert}");
    let url = alert["annotations"]["runbook_url"].as_str().unwrap_or_default();
    let page = url.strip_prefix(PAGES).unwrap_or_else(|| panic!("no link to a page: {alert}"));
    assert!(root().join(page).is_file(), "{page} is a page");
}
