//! Rollouts from their start to their end.

use k8s_openapi::api::events::v1::Event;
use kube::api::ListParams;
use spillway_rollout::Slot;
use spillway_rollout::state::Phase;
use spillway_testkit::wait_until;

use crate::shop::{DEADLINE, Shop};

#[tokio::test]
async fn a_good_version_becomes_live_in_the_slot_where_it_was_tested() {
    let shop = Shop::start().await;
    let foreign = shop.foreign_routes().await;
    shop.create_rollout().await;
    let _controller = shop.run().await;
    shop.is_adopted().await;
    shop.release("web:2").await;
    wait_until("a part of the traffic at the candidate", DEADLINE, async || {
        shop.weights().await == [("web-blue".to_owned(), 80), ("web-green".to_owned(), 20)]
    })
    .await;
    wait_until("the new version to be live alone", DEADLINE, async || {
        shop.status("web").await.phase == Some(Phase::Idle) && shop.replicas("web-blue").await == Some(0)
    })
    .await;
    assert_eq!(shop.weights().await, [("web-green".to_owned(), 100)]);
    assert_eq!(shop.image("web-green").await.as_deref(), Some("web:2"));
    assert_eq!(shop.replicas("web-green").await, Some(2));
    assert_eq!(shop.replicas("web").await, Some(0));
    assert_eq!(shop.foreign_routes().await, foreign, "what is not ours is not touched");
    let status = shop.status("web").await;
    assert_eq!((status.live_slot, status.live_revision), (Some(Slot::Green), status.revision));
    let events = shop.namespaced::<Event>().list(&ListParams::default()).await.expect("a list").items;
    let reasons: Vec<_> = events.iter().filter_map(|event| event.reason.as_deref()).collect();
    assert!(reasons.contains(&"Promoted") && reasons.contains(&"Succeeded"), "{reasons:?}");
}

#[tokio::test]
async fn a_bad_version_goes_back_and_stays_back() {
    let shop = Shop::start().await;
    shop.world.candidate_is_bad();
    shop.create_rollout().await;
    let _controller = shop.run().await;
    shop.is_adopted().await;
    shop.release("web:2").await;
    shop.reaches(Phase::RolledBack).await;
    wait_until("the candidate to stop", DEADLINE, async || shop.replicas("web-green").await == Some(0)).await;
    assert_eq!(shop.weights().await, [("web-blue".to_owned(), 100)]);
    assert_eq!(shop.image("web-blue").await.as_deref(), Some("web:1"));
    let said = shop.says("web", "Degraded", "RolledBack").await;
    assert!(said.contains("errors"), "it names the guard: {said}");
    let status = shop.status("web").await;
    assert!(status.guards.iter().any(|guard| guard.name == "errors" && guard.value > Some(0.05)), "{status:?}");
}

#[tokio::test]
async fn a_version_that_never_gets_ready_gets_no_traffic() {
    let shop = Shop::start().await;
    shop.kubelet.never_ready("web:2");
    let mut spec = crate::shop::spec("web");
    spec["progressDeadline"] = "2s".into();
    shop.create("web", spec).await;
    let _controller = shop.run().await;
    shop.is_adopted().await;
    shop.release("web:2").await;
    shop.reaches(Phase::RolledBack).await;
    assert_eq!(shop.weights().await, [("web-blue".to_owned(), 100)]);
    let history = shop.state().await.history;
    assert!(history.iter().all(|happened| happened.weight == 0), "{history:?}");
}

#[tokio::test]
async fn an_autoscaler_that_the_cluster_does_not_know_is_told_and_holds_nothing() {
    let shop = Shop::start().await;
    let mut spec = crate::shop::spec("web");
    spec["target"]["workload"]["autoscaler"] = "web".into();
    shop.create("web", spec).await;
    let _controller = shop.run().await;
    let said = shop.says("web", "Degraded", "Trouble").await;
    assert!(said.contains("HorizontalPodAutoscaler web") || said.contains("autoscaling/v2"), "{said}");
    shop.release("web:2").await;
    wait_until("the new version to be live", DEADLINE, async || {
        shop.weights().await == [("web-green".to_owned(), 100)]
    })
    .await;
}
