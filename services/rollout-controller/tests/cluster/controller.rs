//! `spillway-rollout controller` as a process.

use k8s_openapi::api::coordination::v1::Lease;
use k8s_openapi::api::core::v1::ConfigMap;
use serde_json::json;
use spillway_rollout::state::Phase;
use spillway_testkit::wait_until;

use crate::program::{Controller, Program};
use crate::shop::{DEADLINE, Shop, spec};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn it_takes_the_lease_carries_a_rollout_out_and_ends_well() {
    let shop = Shop::start().await;
    let controller = Controller::start(&shop, "controller-1").await;
    let lease = async || shop.namespaced::<Lease>().get_opt("spillway-rollout").await.expect("an answer");
    let holder = async || lease().await?.spec?.holder_identity;
    wait_until("the lease to be held", DEADLINE, async || holder().await.as_deref() == Some("controller-1")).await;

    let mut spec = spec("web");
    // Its pods have no addresses, so nothing of their requests is measured.
    spec["guards"] = json!([{ "name": "restarts", "threshold": { "metric": "restarts", "max": 0 } }]);
    shop.create("web", spec).await;
    shop.is_adopted().await;
    shop.release("web:2").await;
    wait_until("the new version to be live alone", DEADLINE, async || {
        shop.status("web").await.phase == Some(Phase::Idle) && shop.replicas("web-blue").await == Some(0)
    })
    .await;
    assert_eq!(shop.weights().await, [("web-green".to_owned(), 100)]);
    let metrics = controller.get("/metrics").await;
    let idle = format!(
        "spillway_rollout_phase{{namespace=\"{}\",rollout=\"web\",phase=\"idle\"}} 1",
        shop.cluster.namespace()
    );
    assert!(metrics.contains(&idle) && metrics.contains("spillway_rollout_leader 1"), "{metrics}");
    let status = Program::new(&shop).status().await;
    assert_eq!(status["state"]["rollout"]["weight"], 100);

    assert_eq!(controller.stop().await.code(), Some(0));
    assert!(holder().await.is_none_or(|holder| holder.is_empty()), "the next one need not wait for the lease's end");
    assert_eq!(shop.weights().await, [("web-green".to_owned(), 100)], "traffic stays where it is");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_report_of_a_rollout_is_in_a_config_map_that_goes_with_it() {
    let shop = Shop::start().await;
    let _controller = Controller::start(&shop, "controller-1").await;
    let mut spec = spec("web");
    spec["guards"] = json!([{ "name": "restarts", "threshold": { "metric": "restarts", "max": 0 } }]);
    shop.create("web", spec).await;
    shop.is_adopted().await;
    shop.release("web:2").await;
    wait_until("the report", DEADLINE, async || shop.status("web").await.report.is_some()).await;
    let place = shop.status("web").await.report.expect("it was there");
    let key = place.strip_prefix("ConfigMap web-reports, key ").expect("its place").to_owned();
    let reports: ConfigMap = shop.namespaced().get("web-reports").await.expect("the ConfigMap");
    let data = reports.data.expect("it has data");
    assert!(data[&key].contains("<html") && data[&key].len() < 300_000);
    let section = &data["deployment_report.md"];
    assert!(section.starts_with("# Deployment report\n") && section.contains("## web – ✅ "), "{section}");
    let owner = reports.metadata.owner_references.expect("an owner").remove(0);
    let rollout = shop.rollouts().get("web").await.expect("the Rollout");
    assert_eq!(Some(owner.uid), rollout.metadata.uid);
}
