//! Taking a workload over.

use spillway_rollout::Slot;
use spillway_rollout::state::Phase;
use spillway_testkit::wait_until;

use crate::shop::{DEADLINE, Shop};

#[tokio::test]
async fn a_workload_is_taken_over_without_losing_a_ready_pod() {
    let shop = Shop::start().await;
    shop.kubelet.never_ready("web:1");
    shop.create_rollout().await;
    let controller = shop.run().await;
    let said = shop.says("web", "Ready", "Adopting").await;
    assert!(said.contains("0 of 2 pods"), "{said}");
    assert_eq!(shop.replicas("web").await, Some(2), "nothing is taken from it while the slot is not ready");
    assert_eq!(shop.weights().await, [("web".to_owned(), 100)], "its traffic stays");

    shop.kubelet.becomes_ready("web:1");
    shop.is_adopted().await;
    assert_eq!(shop.weights().await, [("web-blue".to_owned(), 100)]);
    assert_eq!(shop.replicas("web-blue").await, Some(2));
    assert_eq!(shop.replicas("web-green").await, None, "the idle slot is not made before it is needed");
    let status = shop.status("web").await;
    assert_eq!((status.phase, status.live_slot), (Some(Phase::Idle), Some(Slot::Blue)));
    shop.says("web", "Ready", "Live").await;
    controller.stop().await;
}

#[tokio::test]
async fn replicas_that_come_back_to_the_workload_are_the_slots() {
    let shop = Shop::start().await;
    shop.create_rollout().await;
    let _controller = shop.run().await;
    shop.is_adopted().await;
    let scale = serde_json::json!({ "spec": { "replicas": 3 } });
    let params = kube::api::PatchParams::default();
    shop.deployments().patch("web", &params, &kube::api::Patch::Merge(&scale)).await.expect("scale the Deployment");
    wait_until("the live slot to have three replicas", DEADLINE, async || {
        shop.replicas("web-blue").await == Some(3) && shop.replicas("web").await == Some(0)
    })
    .await;
}
