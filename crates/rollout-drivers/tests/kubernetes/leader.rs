//! One controller acts.

use k8s_openapi::api::coordination::v1::Lease;
use kube::api::{Patch, PatchParams};
use serde_json::json;
use spillway_testkit::wait_until;

use crate::meter::World;
use crate::shop::{DEADLINE, Shop};

#[tokio::test]
async fn a_controller_that_stops_hands_over() {
    let shop = Shop::start().await;
    shop.create_rollout().await;
    let (one, two) = (World::default(), World::default());
    let first = shop.run_elected("first", &one).await;
    shop.is_adopted().await;
    let _second = shop.run_elected("second", &two).await;
    let samples = one.samples();
    wait_until("some looks of the first", DEADLINE, async || one.samples() > samples + 3).await;
    assert_eq!(two.samples(), 0, "the second one waits");
    first.stop().await;
    shop.release("web:2").await;
    wait_until("the new version to be live", DEADLINE, async || {
        shop.weights().await == [("web-green".to_owned(), 100)]
    })
    .await;
    assert!(two.samples() > 0);
}

#[tokio::test]
async fn a_controller_that_lost_the_lease_without_noticing_writes_nothing() {
    let shop = Shop::start().await;
    shop.create_rollout().await;
    let (old, new) = (World::default(), World::default());
    let _old = shop.run_elected("old", &old).await;
    shop.is_adopted().await;
    // Someone else holds the lease now; the old one looks at it again in some seconds only.
    let now = k8s_openapi::jiff::Timestamp::now();
    let stolen =
        json!({ "spec": { "holderIdentity": "new", "renewTime": format!("{now:.6}"), "leaseDurationSeconds": 20 } });
    let leases = shop.namespaced::<Lease>();
    leases.patch("spillway-rollout", &PatchParams::default(), &Patch::Merge(&stolen)).await.expect("take the lease");
    let (version, told) = (shop.version_of("web").await, old.told());
    let samples = old.samples();
    shop.release("web:2").await;
    wait_until("the old one to look", DEADLINE, async || old.samples() > samples + 1).await;
    assert_eq!(shop.version_of("web").await, version, "it may look, and not write");
    assert_eq!(shop.replicas("web-green").await, None);

    let _new = shop.run_elected("new", &new).await;
    wait_until("the new version to be live", DEADLINE, async || {
        shop.weights().await == [("web-green".to_owned(), 100)]
    })
    .await;
    assert_eq!(old.told(), told, "the old one decided nothing more");
}
