//! Who is told of what: by severity, and not of what follows from something worse.

use std::sync::Arc;

use bytes::Bytes;
use http::Request;
use http_body_util::Full;
use serde_json::{Value, json};
use spillway_testkit::wait_until;

use crate::support::{DEADLINE, Stack};

/// Name and severity.
type Alert = (&'static str, &'static str);

/// Something bad, and what is not told beside it.
const WORSE: [(Alert, &[Alert]); 3] = [
    (("IntakeErrorsCritical", "page"), &[("IntakeErrorsHigh", "page"), ("IntakeErrorsElevated", "ticket")]),
    (("AcknowledgementStalled", "page"), &[("AcknowledgementVerySlow", "page"), ("AcknowledgementSlow", "ticket")]),
    (
        ("GatewayDown", "page"),
        &[("DeliveriesLate", "ticket"), ("DeliveriesStuck", "page"), ("SloNotMeasured", "ticket")],
    ),
];
/// The worst, which hides some of those above too.
const STORE: (Alert, &[Alert]) =
    (("StoreDown", "page"), &[("CommitSlow", "page"), ("StoreSlow", "ticket"), ("StorePoolExhausted", "page")]);
/// Told by themselves.
const ALONE: [Alert; 2] = [("ReadyQueueDeep", "ticket"), ("AttemptsFailOnOurSide", "page")];
/// Later than everything else: what was to be told before them has been told when they arrive.
const LAST: [Alert; 2] = [("CertificateExpires", "ticket"), ("DiskFull", "page")];

const WAYS: [&str; 3] = ["alerts", "slack", "pagerduty"];

#[tokio::test(flavor = "multi_thread")]
async fn pages_wake_somebody_tickets_do_not_and_consequences_are_held_back() {
    let stack = Arc::new(Stack::start().await);
    let [alertmanager, receiver] = [stack.address("alertmanager").await, stack.address("receiver").await];
    let mut hidden = Vec::new();
    for cases in [&WORSE[..], &[STORE]] {
        let worse: Vec<Alert> = cases.iter().map(|(worse, _)| *worse).collect();
        fire(&stack, &alertmanager, &worse).await;
        told_everywhere(&stack, &receiver, &worse).await;
        let consequences: Vec<Alert> = cases.iter().flat_map(|(_, hidden)| hidden.iter().copied()).collect();
        fire(&stack, &alertmanager, &consequences).await;
        hidden.extend(consequences);
    }
    let are_held_back = async || {
        let known = stack.get(&format!("http://{alertmanager}/api/v2/alerts")).await;
        let known = known.as_array().cloned().unwrap_or_default();
        hidden.iter().all(|(name, _)| {
            known.iter().any(|one| one["labels"]["alertname"] == *name && one["status"]["state"] == "suppressed")
        })
    };
    wait_until("consequences to be held back", DEADLINE, are_held_back).await;
    for others in [ALONE, LAST] {
        fire(&stack, &alertmanager, &others).await;
        told_everywhere(&stack, &receiver, &others).await;
    }
    let told = told(&stack, &receiver).await;
    for (name, _) in hidden {
        assert!(!told.iter().any(|(_, told)| told == name), "{name} follows from something worse");
    }
    for (ticket, _) in [ALONE[0], LAST[0]] {
        assert!(!told.contains(&("pagerduty".to_owned(), ticket.to_owned())), "the ticket {ticket} wakes nobody");
    }
}

/// Waits until each was told on all of its ways: PagerDuty is for those that wake somebody.
async fn told_everywhere(stack: &Stack, receiver: &str, alerts: &[Alert]) {
    wait_until(&format!("{alerts:?} to be told"), DEADLINE, async || {
        let told = told(stack, receiver).await;
        alerts.iter().all(|(name, severity)| {
            let ways = WAYS.iter().filter(|way| **way != "pagerduty" || *severity == "page");
            ways.into_iter().all(|way| told.contains(&((*way).to_owned(), (*name).to_owned())))
        })
    })
    .await;
}

/// Which alert was told on which way, from each one's own kind of message.
async fn told(stack: &Stack, receiver: &str) -> Vec<(String, String)> {
    let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
    let mut names = Vec::new();
    for (way, body) in stack.told(receiver).await {
        let alerts = body["alerts"].as_array().into_iter().flatten().map(|one| text(&one["labels"]["alertname"]));
        let titles = body["attachments"].as_array().into_iter().flatten().map(|one| text(&one["title"]));
        let of_title = titles.filter_map(|title| title.strip_prefix("FIRING ").map(str::to_owned));
        let summary = text(&body["payload"]["summary"]);
        let of_summary = summary.split_once(": ").map(|(name, _)| name.to_owned());
        names.extend(alerts.chain(of_title).chain(of_summary).map(|name| (way.clone(), name)));
    }
    names
}

async fn fire(stack: &Stack, alertmanager: &str, alerts: &[Alert]) {
    let alerts: Vec<Value> = alerts
        .iter()
        .map(|(name, severity)| {
            json!({
                "labels": { "alertname": name, "severity": severity },
                "annotations": { "summary": format!("{name} of a test"), "runbook_url": "https://example.com/page.md" },
            })
        })
        .collect();
    let request = Request::post(format!("http://{alertmanager}/api/v2/alerts"))
        .header("content-type", "application/json")
        .body(Full::new(Bytes::from(serde_json::to_vec(&alerts).expect("JSON"))))
        .expect("a request");
    let (status, body) = stack.request(request).await.expect("an answer");
    assert_eq!(status, 200, "{}", String::from_utf8_lossy(&body));
}
