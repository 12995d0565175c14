//! Replicas follow the weight where no autoscaler sets them.

use kube::api::{Patch, PatchParams};
use serde_json::json;
use spillway_rollout::observed::{Command, CommandAction};
use spillway_rollout::state::Phase;
use spillway_rollout_drivers::kubernetes::give_command;
use spillway_testkit::wait_until;

use crate::shop::{DEADLINE, Shop, spec};

/// A shop of five replicas, in whose Rollout a person has to approve the first step.
async fn shop_of_five() -> Shop {
    let shop = Shop::start().await;
    let scale = json!({ "spec": { "replicas": 5 } });
    let params = PatchParams::default();
    shop.deployments().patch("web", &params, &Patch::Merge(&scale)).await.expect("scale the Deployment");
    let mut spec = spec("web");
    spec["steps"] = json!([{ "weight": 20, "bake": "1s", "approval": true }, { "weight": 100, "bake": "1s" }]);
    shop.create("web", spec).await;
    shop
}

async fn give(shop: &Shop, action: CommandAction) {
    let id = format!("{action:?}").chars().filter(char::is_ascii_alphabetic).collect();
    let command = Command { id, at: 1, by: "ann".to_owned(), action, reason: None };
    give_command(&shop.cluster.client, shop.cluster.namespace(), "web", &command).await.expect("it is taken");
}

async fn waits_for_approval(shop: &Shop) {
    wait_until("the step to wait for a person", DEADLINE, async || {
        shop.status("web").await.held.is_some_and(|held| held.contains("approve"))
    })
    .await;
}

#[tokio::test]
async fn the_candidate_has_its_share_and_the_rest_before_it_gets_the_traffic() {
    let shop = shop_of_five().await;
    let _controller = shop.run().await;
    shop.is_adopted().await;
    shop.release("web:2").await;
    waits_for_approval(&shop).await;
    assert_eq!((shop.replicas("web-green").await, shop.replicas("web-blue").await), (Some(1), Some(5)));

    shop.kubelet.ready_at_most("web:2", 1);
    give(&shop, CommandAction::Approve).await;
    wait_until("the candidate's other replicas", DEADLINE, async || shop.replicas("web-green").await == Some(5)).await;
    assert_eq!(
        shop.weights().await,
        [("web-blue".to_owned(), 80), ("web-green".to_owned(), 20)],
        "not before they are ready"
    );
    shop.kubelet.becomes_ready("web:2");
    wait_until("all traffic at the new version", DEADLINE, async || {
        shop.weights().await == [("web-green".to_owned(), 100)]
    })
    .await;
}

#[tokio::test]
async fn one_that_goes_back_is_stopped_and_the_live_one_never_had_less() {
    let shop = shop_of_five().await;
    let _controller = shop.run().await;
    shop.is_adopted().await;
    shop.release("web:2").await;
    waits_for_approval(&shop).await;
    give(&shop, CommandAction::Abort).await;
    shop.reaches(Phase::Aborted).await;
    wait_until("the candidate to stop", DEADLINE, async || shop.replicas("web-green").await == Some(0)).await;
    assert_eq!(shop.replicas("web-blue").await, Some(5));
}
