//! The load test of a step as a Job of the cluster, which the test's own Job controller ends.

use k8s_openapi::api::batch::v1::Job;
use kube::api::ListParams;
use serde_json::{Value, json};
use spillway_rollout::state::{GateStatus, Phase, Verdict};
use spillway_testkit::wait_until;

use crate::cluster::jobs::{Jobs, Outcome};
use crate::program::Controller;
use crate::shop::{DEADLINE, Shop, spec};

fn tested() -> Value {
    let mut spec = spec("web");
    spec["guards"] = json!([{ "name": "restarts", "threshold": { "metric": "restarts", "max": 0 } }]);
    spec["steps"][0]["loadTest"] = json!({
        "file": "load.toml", "configMap": "load-tests", "image": "spillway-loadgen:1", "arguments": ["--scale", "0.1"], "timeout": "10m",
    });
    spec
}

/// The shop with a load test in the first step, after its Job has ended so and the rollout came to `phase`.
async fn rolled_out(outcome: Outcome, phase: Phase) -> (Shop, GateStatus, Job) {
    let shop = Shop::start().await;
    let _jobs = Jobs::start(&shop.cluster, outcome);
    let controller = Controller::start(&shop, "controller-1").await;
    shop.create("web", tested()).await;
    shop.is_adopted().await;
    shop.release("web:2").await;
    let ended =
        async || shop.status("web").await.gates.first().cloned().filter(|gate| gate.verdict != Verdict::Inconclusive);
    wait_until("the gate to end", DEADLINE, async || ended().await.is_some()).await;
    let gate = ended().await.expect("it has ended");
    shop.reaches(phase).await;
    assert_eq!(controller.stop().await.code(), Some(0));
    let jobs = shop.namespaced::<Job>().list(&ListParams::default()).await.expect("a list").items;
    let [job] = <[Job; 1]>::try_from(jobs).expect("one Job");
    (shop, gate, job)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_job_that_completes_lets_the_step_go_on() {
    let (shop, gate, job) = rolled_out(Outcome::Completes, Phase::Idle).await;
    let name = job.metadata.name.clone().expect("a name");
    assert_eq!((gate.name.as_str(), gate.verdict), ("load test", Verdict::Good));
    assert_eq!(gate.report, Some(format!("Job {name}")));
    assert_eq!(shop.weights().await, [("web-green".to_owned(), 100)]);
    let owner = job.metadata.owner_references.expect("an owner").remove(0);
    let rollout = shop.rollouts().get("web").await.expect("the Rollout");
    assert_eq!(Some(owner.uid), rollout.metadata.uid, "it goes with the Rollout, whose next namesake tests anew");
    let container = &job.spec.expect("a spec").template.spec.expect("a pod").containers[0];
    let target = format!("http://web-green.{}.svc:8080", shop.cluster.namespace());
    let expected = ["run", "/test/load.toml", "--target", &target, "--scale", "0.1"];
    assert_eq!(container.args.as_deref(), Some(expected.map(str::to_owned).as_slice()));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_job_whose_thresholds_fail_takes_the_candidate_back() {
    let said = "p(95)<250: 412 ms\nfailed: 1 of 3 thresholds did not hold: http_req_duration\n";
    let outcome = Outcome::Exits { code: 99, message: said.to_owned() };
    let (shop, gate, _) = rolled_out(outcome, Phase::RolledBack).await;
    assert_eq!(gate.verdict, Verdict::Failed);
    let summary = "the load test failed: failed: 1 of 3 thresholds did not hold: http_req_duration";
    assert_eq!(gate.summary, summary);
    assert_eq!(shop.weights().await, [("web-blue".to_owned(), 100)]);
    let degraded = shop.says("web", "Degraded", "RolledBack").await;
    assert!(degraded.contains("1 of 3 thresholds did not hold"), "{degraded}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_job_that_cannot_run_says_nothing_and_holds() {
    let shop = Shop::start().await;
    let _jobs = Jobs::start(&shop.cluster, Outcome::Exits { code: 104, message: "error: no flow `pay`".to_owned() });
    let _controller = Controller::start(&shop, "controller-1").await;
    shop.create("web", tested()).await;
    shop.is_adopted().await;
    shop.release("web:2").await;
    let held = shop.says("web", "Held", "Held").await;
    assert!(held.contains("could not run (exit code 104): error: no flow `pay`"), "{held}");
    assert_eq!(
        shop.weights().await,
        [("web-blue".to_owned(), 80), ("web-green".to_owned(), 20)],
        "it stays where it is"
    );
}
