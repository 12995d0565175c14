//! The load test of a step decides, and what it found is kept.

use serde_json::json;

use crate::rig::Rig;

const STEPS: &str = "[{ weight: 20, bake: 1s, loadTest: { file: load.toml } }, { weight: 100, bake: 1s }]";

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_load_test_that_passes_lets_the_step_go_on_and_its_report_is_kept() {
    let rig = Rig::start().await;
    let before = rig.candidate.count();
    rig.plan("v2", STEPS);
    let ended = rig.run().await.text();
    assert!(rig.candidate.count() >= before + 30, "the candidate itself was asked");
    let status = rig.status().await;
    assert_eq!(status["state"]["liveRevision"], "v2", "{status}");
    let gate = &status["state"]["rollout"]["gates"][0];
    assert_eq!((&gate["name"], &gate["verdict"]), (&json!("load test"), &json!("good")), "{status}");
    let summary = gate["summary"].as_str().expect("a sentence");
    assert!(summary.starts_with("the load test passed: "), "{summary}");
    let report = rig.folder.path().join(gate["report"].as_str().expect("a report"));
    let page = std::fs::read_to_string(&report).expect("the load test's own report");
    assert!(page.contains("<html") && page.contains("http_req_failed"), "{}", report.display());
    let deployment = rig.folder.path().join("rollout-reports/deployment_report.md");
    let deployment = std::fs::read_to_string(deployment).expect("the deployment report");
    assert!(deployment.contains("| load test | 1 | ✓ the load test passed: "), "{deployment}");
    assert!(ended.contains("report: rollout-reports/web-v2-1.html"), "{ended}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_load_test_that_fails_takes_the_candidate_back() {
    let rig = Rig::start().await;
    rig.candidate_is_bad();
    rig.plan("v2", STEPS);
    let ended = rig.run().await;
    assert_eq!(ended.code, Some(1), "{ended:#?}");
    let status = rig.status().await;
    assert_eq!((&status["state"]["phase"], &status["state"]["liveRevision"]), (&json!("rolledBack"), &json!("v1")));
    assert_eq!(status["router"]["weights"], json!({ "blue": 0, "green": 100 }));
    let failure = status["state"]["rollout"]["failure"].as_str().expect("a reason");
    assert!(failure.contains("load test failed") && failure.contains("http_req_failed"), "{failure}");
    let report = rig.folder.path().join(status["state"]["rollout"]["gates"][0]["report"].as_str().expect("a report"));
    assert!(report.is_file(), "the report of a failed test is kept, for whoever looks for the reason");
}
