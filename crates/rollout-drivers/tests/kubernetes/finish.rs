//! The end of a Rollout.

use spillway_rollout::state::Phase;
use spillway_testkit::wait_until;

use crate::shop::{DEADLINE, Shop};

/// Waits until the Rollout is gone.
async fn gone(shop: &Shop) {
    wait_until("the Rollout to be gone", DEADLINE, async || {
        shop.rollouts().get_opt("web").await.expect("an answer").is_none()
    })
    .await;
}

#[tokio::test]
async fn a_deleted_rollout_gives_its_workload_everything_back() {
    let shop = Shop::start().await;
    shop.create_rollout().await;
    let controller = shop.run().await;
    shop.is_adopted().await;
    shop.kubelet.never_ready("web:1");
    shop.delete_rollout("web").await;
    wait_until("its replicas", DEADLINE, async || shop.replicas("web").await == Some(2)).await;
    assert_eq!(shop.replicas("web-blue").await, Some(2), "the slot serves until the workload is ready");
    controller.kill().await;

    let _another = shop.run().await;
    shop.kubelet.becomes_ready("web:1");
    gone(&shop).await;
    assert_eq!(shop.replicas("web-blue").await, None);
    assert_eq!(shop.replicas("web-green").await, None);
    let service = shop.services().get("web-blue").await.expect("routes still name the Service");
    let selector = service.spec.and_then(|spec| spec.selector).unwrap_or_default();
    assert_eq!(selector.get("app").map(String::as_str), Some("web"), "and it leads to the workload: {selector:?}");
    assert_eq!(selector.len(), 1, "{selector:?}");
    assert!(service.metadata.owner_references.unwrap_or_default().is_empty(), "nobody takes it away");
}

#[tokio::test]
async fn a_workload_gets_the_live_version_back_not_the_one_that_failed() {
    let shop = Shop::start().await;
    shop.world.candidate_is_bad();
    shop.create_rollout().await;
    let _controller = shop.run().await;
    shop.is_adopted().await;
    shop.release("web:2").await;
    shop.reaches(Phase::RolledBack).await;
    shop.delete_rollout("web").await;
    gone(&shop).await;
    assert_eq!(shop.image("web").await.as_deref(), Some("web:1"));
    assert_eq!(shop.replicas("web").await, Some(2));
}

#[tokio::test]
async fn a_workload_can_be_taken_over_again() {
    let shop = Shop::start().await;
    shop.create_rollout().await;
    let _controller = shop.run().await;
    shop.is_adopted().await;
    shop.delete_rollout("web").await;
    gone(&shop).await;
    shop.create_rollout().await;
    shop.is_adopted().await;
    assert_eq!(shop.weights().await, [("web-blue".to_owned(), 100)]);
    let service = shop.services().get("web-blue").await.expect("the Service");
    let selector = service.spec.and_then(|spec| spec.selector).unwrap_or_default();
    assert_eq!(selector.get("spillway.dev/slot").map(String::as_str), Some("blue"));
}
