use serde_json::{Value, json};

use super::*;

fn job(status: Value) -> Job {
    serde_json::from_value(json!({ "metadata": { "name": "gateway-v2-1-0-load" }, "status": status })).unwrap()
}

fn ended(condition: &str, reason: &str) -> Job {
    job(
        json!({ "conditions": [{ "type": condition, "status": "True", "reason": reason, "message": "said the cluster" }] }),
    )
}

fn exited(code: i32, message: &str) -> Vec<Pod> {
    let state = json!({ "terminated": { "exitCode": code, "message": message } });
    vec![pod(state)]
}

fn pod(state: Value) -> Pod {
    let container =
        json!({ "name": "loadgen", "ready": false, "restartCount": 0, "image": "i", "imageID": "", "state": state });
    serde_json::from_value(json!({ "status": { "containerStatuses": [container] } })).unwrap()
}

fn summary(state: Option<GateState>) -> (&'static str, String) {
    match state.expect("it ended") {
        GateState::Passed { summary, .. } => ("passed", summary),
        GateState::Failed { summary, .. } => ("failed", summary),
        GateState::Broken { summary } => ("broken", summary),
        GateState::Running { progress } => ("running", progress),
    }
}

#[test]
fn exit_codes_of_the_pod_are_the_verdict() {
    let failed = ended("Failed", "BackoffLimitExceeded");
    assert_eq!(summary(outcome(&ended("Complete", ""), &[])).0, "passed");
    let (verdict, text) = summary(outcome(&failed, &exited(99, "table\nfailed: p(95) did not hold\n")));
    assert_eq!((verdict, text.as_str()), ("failed", "the load test failed: failed: p(95) did not hold"));
    assert_eq!(summary(outcome(&failed, &exited(3, ""))).0, "broken");
    assert_eq!(summary(outcome(&failed, &exited(104, "error: no such option"))).0, "broken");
    assert_eq!(summary(outcome(&failed, &exited(137, ""))).0, "broken");
}

#[test]
fn what_never_ran_says_nothing_and_a_deadline_fails() {
    let (verdict, text) = summary(outcome(&ended("Failed", "BackoffLimitExceeded"), &[]));
    assert_eq!((verdict, text.as_str()), ("broken", "Job gateway-v2-1-0-load could not run: said the cluster"));
    assert_eq!(summary(outcome(&ended("Failed", "DeadlineExceeded"), &exited(105, ""))).0, "failed");
}

#[test]
fn a_job_that_runs_or_waits_has_no_outcome() {
    let waits = pod(json!({ "waiting": { "reason": "ImagePullBackOff" } }));
    assert_eq!(outcome(&job(json!({})), &[]), None);
    assert_eq!(outcome(&job(json!({ "active": 1 })), std::slice::from_ref(&waits)), None);
    assert_eq!(progress(&job(json!({ "active": 1 })), &[waits]), "Job gateway-v2-1-0-load waits: ImagePullBackOff");
    assert_eq!(progress(&job(json!({ "active": 1 })), &[]), "Job gateway-v2-1-0-load runs");
    assert_eq!(progress(&job(json!({})), &[]), "Job gateway-v2-1-0-load starts");
}
