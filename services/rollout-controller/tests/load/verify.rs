//! `verify --load-test --auto-rollback-on-loadfail`.

use serde_json::{Value, json};

use crate::rig::Rig;
use crate::support::Ended;

/// How often a load test is run again whose generator says that it was disturbed.
const TRIES: usize = 5;

/// Verifies with a load test, until one says something. Returns its outcome too.
async fn verify(rig: &Rig, more: &[&str]) -> (Ended, Value) {
    let (canary, production) = (rig.candidate.url(""), rig.live.url(""));
    let arguments = ["verify", "--canary-url", &canary, "--production-url", &production, "--load-test", "load.toml"];
    let pace = ["--rate", "50", "--duration", "2s", "--output", "json"];
    for _ in 0..TRIES {
        let ended = rig.folder.run_beside(&[&arguments[..], &pace, more].concat()).await;
        let outcome: Value = serde_json::from_str(&ended.stdout).unwrap_or_else(|error| panic!("{error}: {ended:#?}"));
        if !outcome["loadTest"]["passed"].is_null() {
            return (ended, outcome);
        }
    }
    panic!("no load test of {TRIES} said anything");
}

fn report_of(rig: &Rig, outcome: &Value) -> bool {
    let report = outcome["loadTest"]["report"].as_str().expect("a report");
    rig.folder.path().join(report).is_file()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_failed_load_test_ends_the_rollout_under_way() {
    let rig = Rig::start().await;
    rig.candidate_is_bad();
    rig.plan("v2", "[{ weight: 20, bake: 10m }, { weight: 100, bake: 1s }]");
    let controller = rig.begin();
    rig.reaches("/router/weights/blue", &json!(20)).await;

    // Its health path is fine; only what the load test asks for fails.
    let (ended, outcome) = verify(&rig, &["--auto-rollback-on-loadfail"]).await;
    assert_eq!(ended.code, Some(1), "{ended:#?}");
    assert_eq!(outcome["verdict"], "worse", "{outcome}");
    assert_eq!(outcome["loadTest"]["passed"], false, "{outcome}");
    assert!(report_of(&rig, &outcome));
    assert!(ended.stderr.contains("v1 takes all traffic again"), "it says how the rollout stands now: {ended:#?}");

    assert_eq!(controller.end().await, Some(1));
    let status = rig.status().await;
    assert_eq!((&status["state"]["phase"], &status["state"]["liveRevision"]), (&json!("aborted"), &json!("v1")));
    assert_eq!(status["router"]["weights"], json!({ "blue": 0, "green": 100 }));
    let history = status["state"]["history"].to_string();
    assert!(history.contains("spillway-rollout verify") && history.contains("load test"), "{history}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_candidate_that_keeps_up_passes_and_nothing_is_taken_back() {
    let rig = Rig::start().await;
    let (ended, outcome) = verify(&rig, &["--auto-rollback-on-loadfail"]).await;
    // Two seconds prove little about versions that are alike.
    assert!(matches!(ended.code, Some(0 | 2)), "{ended:#?}");
    assert_eq!(outcome["loadTest"]["passed"], true, "{outcome}");
    assert!(report_of(&rig, &outcome));
    assert_eq!(rig.status().await["state"]["liveRevision"], "v1");
}
