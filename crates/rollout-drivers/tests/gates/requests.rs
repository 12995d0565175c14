//! Smoke checks and webhooks.

use std::collections::BTreeMap;
use std::path::Path;
use std::time::Duration;

use serde_json::{Value, json};
use spillway_rollout::decision::{Gate, GateRequest};
use spillway_rollout::observed::GateState;
use spillway_rollout::ports::Gatekeeper;
use spillway_rollout::spec::{HttpCheck, Webhook};
use spillway_rollout_drivers::gates::Gates;
use spillway_slo::duration::Timespan;
use spillway_testkit::{Answer, Sink, free_port};

use crate::plan::plan;
use crate::support::{DEADLINE, end, keeper, request, told};

fn gates() -> Gates {
    keeper(Path::new("/nonexistent"), Path::new("/nonexistent"))
}

fn check(path: &str) -> HttpCheck {
    HttpCheck { path: path.to_owned(), ..HttpCheck::default() }
}

async fn smoke(candidate: &Sink, checks: Vec<HttpCheck>) -> (&'static str, String) {
    let plan = plan(&[], &[candidate.address().to_string()]);
    told(end(&mut gates(), &plan, &request("smoke", Gate::Smoke(checks))).await)
}

#[tokio::test]
async fn checks_run_in_order_against_the_candidate_or_a_whole_address() {
    let (candidate, other) = (Sink::start().await, Sink::start().await);
    candidate.on("/made", Answer::status(201).body("id 7"));
    let post = HttpCheck {
        method: Some("post".to_owned()),
        headers: BTreeMap::from([("x-test".to_owned(), "yes".to_owned())]),
        body: Some("hello".to_owned()),
        status: Some(201),
        contains: Some("id 7".to_owned()),
        ..check("made")
    };
    let result = smoke(&candidate, vec![check("/healthz"), post, check(&other.url("/else"))]).await;
    assert_eq!(result, ("passed", "all 3 checks passed".to_owned()));
    let [first, second] = candidate.requests().try_into().unwrap();
    assert_eq!((first.method.as_str(), first.path.as_str()), ("GET", "/healthz"));
    assert_eq!((second.method.as_str(), second.path.as_str()), ("POST", "/made"));
    assert_eq!((second.header("x-test"), &*second.body), (Some("yes"), &b"hello"[..]));
    assert_eq!(other.requests_to("/else").len(), 1);
}

#[tokio::test]
async fn a_check_is_tried_three_times() {
    let candidate = Sink::start().await;
    candidate.script("/healthz", [Answer::status(503), Answer::reset(), Answer::status(204)]);
    assert_eq!(smoke(&candidate, vec![check("/healthz")]).await, ("passed", "the check passed".to_owned()));
    candidate.on("/healthz", Answer::status(503));
    let (verdict, text) = smoke(&candidate, vec![check("/healthz?key=s3cret"), check("/never")]).await;
    assert_eq!(verdict, "failed");
    assert_eq!(text, "GET /healthz failed 3 times: answered 503 Service Unavailable instead of 2xx");
    assert_eq!(candidate.requests_to("/healthz").len(), 6);
    assert_eq!(candidate.requests_to("/never").len(), 0, "the next check waits for this one");
}

#[tokio::test]
async fn a_wrong_answer_fails_and_a_wrong_check_says_nothing() {
    let candidate = Sink::start().await;
    candidate.on("/text", Answer::status(200).body("all is\nbad"));
    candidate.on("/hang", Answer::hang());
    let contains = HttpCheck { contains: Some("well".to_owned()), ..check("/text") };
    let (verdict, text) = smoke(&candidate, vec![contains]).await;
    assert_eq!(
        (verdict, text.as_str()),
        ("failed", "GET /text failed 3 times: the answer does not contain `well`, it begins with `all is bad`")
    );
    let slow = HttpCheck { timeout: Some(Timespan(Duration::from_millis(20))), ..check("/hang") };
    let (verdict, text) = smoke(&candidate, vec![slow]).await;
    assert!(verdict == "failed" && text.ends_with("did not answer within 20 ms"), "{text}");
    let wrong = HttpCheck { method: Some("G T".to_owned()), ..check("/text") };
    assert_eq!(smoke(&candidate, vec![wrong]).await.0, "broken");
    let nowhere = told(end(&mut gates(), &plan(&[], &[]), &request("smoke", Gate::Smoke(vec![check("/")]))).await);
    assert!(nowhere.0 == "broken" && nowhere.1.contains("give slots.green.addresses"), "{nowhere:?}");
}

fn webhook(url: String, retries: Option<u32>) -> Webhook {
    Webhook { name: "approve".to_owned(), url, retries, ..Webhook::default() }
}

async fn ask(webhook: Webhook) -> (&'static str, String) {
    let mut plan = plan(&[], &[]);
    plan.namespace = Some("shop".to_owned());
    told(end(&mut gates(), &plan, &request("v2-1-0-webhook", Gate::Webhook(webhook))).await)
}

#[tokio::test]
async fn any_2xx_passes_and_the_payload_is_flaggers() {
    let sink = Sink::start().await;
    for status in [200, 202, 204, 299] {
        sink.on("/gate", Answer::status(status));
        assert_eq!(ask(webhook(sink.url("/gate"), None)).await.0, "passed", "{status}");
    }
    let metadata = BTreeMap::from([("team".to_owned(), "edge".to_owned())]);
    ask(Webhook { metadata, ..webhook(sink.url("/gate"), None) }).await;
    let requests = sink.requests();
    let payload = |place: usize| serde_json::from_slice::<Value>(&requests[place].body).unwrap();
    let mut expected = json!({ "name": "gateway", "namespace": "shop", "phase": "Progressing", "checksum": "v2" });
    assert_eq!(payload(0), expected);
    expected["metadata"] = json!({ "team": "edge" });
    assert_eq!(payload(4), expected);
    assert_eq!((requests[0].method.as_str(), requests[0].header("content-type")), ("POST", Some("application/json")));
}

#[tokio::test]
async fn another_answer_fails_after_its_retries_with_what_it_said() {
    let sink = Sink::start().await;
    sink.script("/gate", [Answer::status(500), Answer::status(302), Answer::status(200)]);
    assert_eq!(ask(webhook(sink.url("/gate"), None)).await.0, "passed");
    sink.on("/gate", Answer::status(403).body("not on\nFridays"));
    let told = ask(webhook(sink.url("/gate"), Some(0))).await;
    assert_eq!(told, ("failed", "webhook approve answered 403 Forbidden: not on Fridays".to_owned()));
    assert_eq!(sink.count(), 4);
}

#[tokio::test]
async fn no_answer_at_all_says_nothing() {
    let sink = Sink::start().await;
    sink.on("/gate", Answer::hang());
    let timeout = Some(Timespan(Duration::from_millis(20)));
    let told = ask(Webhook { timeout, ..webhook(sink.url("/gate"), Some(1)) }).await;
    assert_eq!(told, ("broken", "webhook approve: it did not answer within 20 ms".to_owned()));
    let gone = format!("http://me:s3cret@127.0.0.1:{}/s3cret", free_port());
    let (verdict, text) = ask(webhook(gone, Some(0))).await;
    assert!(verdict == "broken" && text.contains("not reachable") && !text.contains("s3cret"), "{text}");
    assert_eq!(ask(webhook("no address".to_owned(), Some(0))).await.0, "broken");
}

#[tokio::test]
async fn gates_run_once_side_by_side_and_are_remembered_until_nobody_asks() {
    let sink = Sink::start().await;
    sink.on("/slow", Answer::hang());
    let plan = plan(&[], &[]);
    let mut gates = gates();
    let of = |id: &str, path: &str| request(id, Gate::Webhook(webhook(sink.url(path), Some(0))));
    let both = [of("slow", "/slow"), of("quick", "/quick")];
    let begun = gates.tend(&plan, &both).await;
    assert!(begun.values().all(|state| matches!(state, GateState::Running { .. })), "tend waits for nothing");
    end_of(&mut gates, &plan, &both, "quick").await;
    for _ in 0..10 {
        assert!(matches!(gates.tend(&plan, &both).await["quick"], GateState::Passed { .. }));
    }
    assert_eq!(sink.requests_to("/quick").len(), 1, "a gate that passed is not asked again");
    assert!(gates.tend(&plan, &[]).await.is_empty());
    end_of(&mut gates, &plan, &both, "quick").await;
    assert_eq!(sink.requests_to("/quick").len(), 2, "once forgotten it is a new one");
}

#[tokio::test]
async fn too_many_gates_are_refused() {
    let sink = Sink::start().await;
    sink.on("/slow", Answer::hang());
    let requests: Vec<GateRequest> =
        (0..70).map(|n| request(&format!("g{n}"), Gate::Webhook(webhook(sink.url("/slow"), Some(0))))).collect();
    let states = gates().tend(&plan(&[], &[]), &requests).await;
    assert_eq!(states.len(), 70);
    assert_eq!(states.values().filter(|state| matches!(state, GateState::Broken { .. })).count(), 6);
}

async fn end_of(gates: &mut Gates, plan: &spillway_rollout::Plan, requests: &[GateRequest], id: &str) {
    spillway_testkit::wait_until("the gate's end", DEADLINE, async || {
        !matches!(gates.tend(plan, requests).await[id], GateState::Running { .. })
    })
    .await;
}
