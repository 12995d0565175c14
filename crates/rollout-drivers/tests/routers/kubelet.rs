//! The test kubelet itself.

use k8s_openapi::api::apps::v1::Deployment;
use k8s_openapi::api::core::v1::Pod;
use kube::api::{Api, ListParams, Patch, PatchParams, PostParams};
use serde_json::json;
use spillway_testkit::wait_until;

use crate::cluster::{Cluster, DEADLINE, Kubelet};

#[tokio::test]
async fn replicas_become_ready_unless_their_image_never_does_and_pods_count_restarts() {
    let cluster = Cluster::start().await;
    let deployments: Api<Deployment> = Api::namespaced(cluster.client.clone(), cluster.namespace());
    let pods: Api<Pod> = Api::namespaced(cluster.client.clone(), cluster.namespace());
    let web = serde_json::from_value(json!({
        "metadata": { "name": "web" },
        "spec": {
            "replicas": 2,
            "selector": { "matchLabels": { "app": "web" } },
            "template": { "metadata": { "labels": { "app": "web" } }, "spec": { "containers": [{ "name": "web", "image": "web:1" }] } },
        },
    }));
    deployments.create(&PostParams::default(), &web.expect("a Deployment")).await.expect("create a Deployment");
    let kubelet = Kubelet::start(cluster.client.clone(), cluster.namespace()).with_pods();
    let ready = async || {
        let web = deployments.get("web").await.expect("there");
        let status = web.status.unwrap_or_default();
        (status.observed_generation == web.metadata.generation).then(|| status.ready_replicas.unwrap_or(0))
    };
    wait_until("two ready replicas", DEADLINE, async || ready().await == Some(2)).await;

    kubelet.restarts("web:1", 3);
    let restarts = async || {
        let pods = pods.list(&ListParams::default().labels("app=web")).await.expect("a list");
        let containers = pods.items.into_iter().flat_map(|pod| pod.status?.container_statuses).flatten();
        containers.map(|container| container.restart_count).collect::<Vec<_>>()
    };
    wait_until("two pods with three restarts", DEADLINE, async || restarts().await == [3, 3]).await;

    kubelet.never_ready("web:2");
    let next = json!({ "spec": { "replicas": 1, "template": { "spec": { "containers": [{ "name": "web", "image": "web:2" }] } } } });
    deployments.patch("web", &PatchParams::default(), &Patch::Strategic(next)).await.expect("a new version");
    wait_until("a version that is not ready", DEADLINE, async || ready().await == Some(0)).await;
    wait_until("one pod without restarts", DEADLINE, async || restarts().await == [0]).await;
    kubelet.becomes_ready("web:2");
    wait_until("a version that is ready after all", DEADLINE, async || ready().await == Some(1)).await;
}
