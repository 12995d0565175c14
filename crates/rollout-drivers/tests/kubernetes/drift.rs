//! What others change of a Rollout's own objects is put right.

use kube::api::{DeleteParams, Patch, PatchParams};
use serde_json::{Value, json};
use spillway_testkit::wait_until;

use crate::shop::{DEADLINE, Shop};

async fn adopted() -> (Shop, crate::shop::Controller) {
    let shop = Shop::start().await;
    shop.create_rollout().await;
    let controller = shop.run().await;
    shop.is_adopted().await;
    (shop, controller)
}

async fn change_slot(shop: &Shop, change: Value) {
    let params = PatchParams::default();
    shop.deployments().patch("web-blue", &params, &Patch::Strategic(&change)).await.expect("change the slot");
}

#[tokio::test]
async fn slots_are_put_right() {
    let (shop, _controller) = adopted().await;
    change_slot(&shop, json!({ "spec": { "replicas": 5 } })).await;
    wait_until("its replicas", DEADLINE, async || shop.replicas("web-blue").await == Some(2)).await;

    let container = |name: &str, image: &str| json!({ "name": name, "image": image });
    let pods = |containers: Value| json!({ "spec": { "template": { "spec": { "containers": containers } } } });
    change_slot(&shop, pods(json!([container("web", "evil:1")]))).await;
    wait_until("its image", DEADLINE, async || shop.image("web-blue").await.as_deref() == Some("web:1")).await;

    change_slot(&shop, pods(json!([container("more", "evil:1")]))).await;
    wait_until("its only container", DEADLINE, async || {
        let slot = shop.deployments().get("web-blue").await.expect("the slot");
        let containers = slot.spec.and_then(|spec| spec.template.spec).map(|pod| pod.containers.len());
        containers == Some(1)
    })
    .await;
}

#[tokio::test]
async fn services_and_weights_are_put_right() {
    let (shop, _controller) = adopted().await;
    let services = shop.services();
    let change = json!({ "spec": { "selector": { "app": "evil" } } });
    services.patch("web-blue", &PatchParams::default(), &Patch::Merge(&change)).await.expect("change the Service");
    wait_until("its selector", DEADLINE, async || {
        let service = services.get("web-blue").await.expect("the Service");
        service.spec.and_then(|spec| spec.selector).is_some_and(|selector| !selector.contains_key("app"))
    })
    .await;

    services.delete("web-green", &DeleteParams::default()).await.expect("delete the Service");
    wait_until("the Service", DEADLINE, async || services.get_opt("web-green").await.expect("an answer").is_some())
        .await;

    let mut routes = shop.routes().get("shop").await.expect("the VirtualService").data["spec"]["http"].clone();
    for route in routes.as_array_mut().expect("routes") {
        if route["name"] == "main" {
            for destination in route["route"].as_array_mut().expect("destinations") {
                let is_green = destination["destination"]["host"].as_str().is_some_and(|host| host.contains("green"));
                destination["weight"] = if is_green { 100 } else { 0 }.into();
            }
        }
    }
    let change = json!({ "spec": { "http": routes } });
    shop.routes().patch("shop", &PatchParams::default(), &Patch::Merge(&change)).await.expect("change the weights");
    wait_until("the weights", DEADLINE, async || shop.weights().await == [("web-blue".to_owned(), 100)]).await;
}

#[tokio::test]
async fn nothing_is_written_while_nothing_changes() {
    let (shop, _controller) = adopted().await;
    let versions = async || {
        let blue = shop.deployments().get("web-blue").await.expect("the slot").metadata.resource_version;
        let web = shop.deployments().get("web").await.expect("the workload").metadata.resource_version;
        let service = shop.services().get("web-blue").await.expect("the Service").metadata.resource_version;
        let route = shop.routes().get("shop").await.expect("the VirtualService").metadata.resource_version;
        [blue, web, service, route]
    };
    let looks = async |n: usize| {
        let samples = shop.world.samples();
        wait_until("some more looks", DEADLINE, async || shop.world.samples() >= samples + n).await;
    };
    looks(3).await;
    let before = versions().await;
    looks(5).await;
    assert_eq!(versions().await, before);
}
