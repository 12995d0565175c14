//! What cannot be carried out is shown, and traffic stays where it was.

use kube::api::{DeleteParams, Patch, PatchParams};
use serde_json::json;
use spillway_testkit::wait_until;

use crate::shop::{DEADLINE, Shop, spec};

#[tokio::test]
async fn the_second_rollout_of_a_workload_waits_for_the_first_to_go() {
    let shop = Shop::start().await;
    shop.create_rollout().await;
    let _controller = shop.run().await;
    shop.is_adopted().await;
    shop.create("again", spec("web")).await;
    let said = shop.says("again", "Ready", "WorkloadTaken").await;
    assert!(said.contains("the Rollout web has the Deployment web"), "{said}");
    assert_eq!(shop.replicas("again-blue").await, None);
    shop.delete_rollout("web").await;
    wait_until("the second one to take over", DEADLINE, async || {
        shop.weights().await == [("again-blue".to_owned(), 100)] && shop.replicas("web").await == Some(0)
    })
    .await;
}

#[tokio::test]
async fn without_its_route_nothing_is_taken_from_the_workload() {
    let shop = Shop::start().await;
    shop.routes().delete("shop", &DeleteParams::default()).await.expect("delete the VirtualService");
    shop.create_rollout().await;
    let _controller = shop.run().await;
    let said = shop.says("web", "Ready", "RouterUnreadable").await;
    assert!(said.contains("shop"), "it names the VirtualService: {said}");
    shop.create_routes(&["another"]).await;
    wait_until("the route to be missed", DEADLINE, async || {
        let conditions = shop.status("web").await.conditions;
        conditions.iter().any(|each| each.type_ == "Ready" && each.message.contains("main"))
    })
    .await;
    assert_eq!(shop.replicas("web").await, Some(2));
    shop.create_routes(&["main"]).await;
    shop.is_adopted().await;
}

#[tokio::test]
async fn a_workload_that_is_missing_is_waited_for() {
    let shop = Shop::start().await;
    shop.create("web", spec("later")).await;
    let _controller = shop.run().await;
    let said = shop.says("web", "Ready", "WorkloadMissing").await;
    assert!(said.contains("no Deployment later: create it"), "{said}");
    shop.create_workload("later").await;
    wait_until("it to be taken over", DEADLINE, async || shop.replicas("later").await == Some(0)).await;
}

#[tokio::test]
async fn a_wrong_plan_is_shown_and_a_right_one_goes_on() {
    let shop = Shop::start().await;
    let mut wrong = spec("web");
    wrong["steps"] = json!([{ "weight": 50, "bake": "1s" }, { "weight": 10, "bake": "1s" }]);
    shop.create("web", wrong).await;
    let _controller = shop.run().await;
    let said = shop.says("web", "InvalidPlan", "InvalidPlan").await;
    assert!(said.contains("steps"), "it names the place: {said}");
    assert_eq!(shop.replicas("web-blue").await, None);
    let right = json!({ "spec": { "steps": spec("web")["steps"] } });
    shop.rollouts().patch("web", &PatchParams::default(), &Patch::Merge(&right)).await.expect("correct the plan");
    shop.is_adopted().await;
    shop.says("web", "InvalidPlan", "Valid").await;
}

#[tokio::test]
async fn an_object_of_someone_else_is_not_taken() {
    let shop = Shop::start().await;
    shop.create_workload("web-blue").await;
    shop.create_rollout().await;
    let _controller = shop.run().await;
    let said = shop.says("web", "Ready", "NameTaken").await;
    assert!(said.contains("the Deployment web-blue is not this Rollout's"), "{said}");
    assert_eq!(shop.image("web-blue").await.as_deref(), Some("web:1"));
    assert_eq!(shop.weights().await, [("web".to_owned(), 100)]);
}

#[tokio::test]
async fn missing_rights_are_named() {
    let shop = Shop::start().await;
    shop.create_rollout().await;
    let rules = json!([
        { "apiGroups": ["spillway.dev"], "resources": ["rollouts"], "verbs": ["get", "list", "watch", "patch"] },
        { "apiGroups": ["spillway.dev"], "resources": ["rollouts/status"], "verbs": ["update"] },
    ]);
    let client = shop.cluster.client_with_rights("poor", rules).await;
    let _controller = shop.run_with(client, None);
    let said = shop.says("web", "Ready", "Refused").await;
    assert!(said.contains("rbac.yaml") && said.contains("is forbidden"), "{said}");
    assert_eq!(shop.replicas("web").await, Some(2));
}
