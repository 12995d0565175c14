//! What the tests of routers share.

use kube::Client;
use kube::api::{Api, DynamicObject};
use serde_json::json;
use spillway_rollout::observed::RouterObserved;
use spillway_rollout::plan::Plan;
use spillway_rollout::ports::PortError;
use spillway_rollout::slot::Slots;
use spillway_rollout::spec::{HttpRouteRouter, NginxConfigMapRouter, VirtualServiceRouter, WorkloadTarget};
use spillway_rollout_drivers::kubernetes::router;

use crate::cluster::Cluster;
use crate::plans::plan_of;

/// The rollout `web`, as far as a router looks at it.
pub(crate) struct Web {
    pub(crate) cluster: Cluster,
    pub(crate) target: WorkloadTarget,
    pub(crate) plan: Plan,
}

impl Web {
    /// Behind the route `main` of the VirtualService `shop`.
    pub(crate) async fn behind_virtual_service() -> Self {
        Self::behind(Cluster::with_routers().await, virtual_service("main"))
    }

    /// Behind the rule `main` of the HTTPRoute `shop`.
    pub(crate) async fn behind_http_route() -> Self {
        Self::behind(Cluster::with_routers().await, http_route("main"))
    }

    pub(crate) fn behind(cluster: Cluster, target: WorkloadTarget) -> Self {
        Self { cluster, target, plan: plan() }
    }

    pub(crate) async fn read(&self) -> Result<RouterObserved, PortError> {
        self.read_with(&self.cluster.client).await
    }

    pub(crate) async fn read_with(&self, client: &Client) -> Result<RouterObserved, PortError> {
        router::read(client, &self.plan, &self.target, self.cluster.namespace()).await
    }

    pub(crate) async fn write(&self, wanted: RouterObserved) -> Result<(), PortError> {
        self.write_with(&self.cluster.client, wanted).await
    }

    pub(crate) async fn write_with(&self, client: &Client, wanted: RouterObserved) -> Result<(), PortError> {
        router::write(client, &self.plan, &self.target, self.cluster.namespace(), &wanted).await
    }

    pub(crate) fn virtual_services(&self) -> Api<DynamicObject> {
        self.cluster.api("networking.istio.io/v1", "VirtualService", "virtualservices")
    }

    pub(crate) fn http_routes(&self) -> Api<DynamicObject> {
        self.cluster.api("gateway.networking.k8s.io/v1", "HTTPRoute", "httproutes")
    }

    pub(crate) fn config_maps(&self) -> Api<DynamicObject> {
        self.cluster.api("v1", "ConfigMap", "configmaps")
    }

    /// The spec of an object of this namespace as the server sends it, to the byte.
    pub(crate) async fn spec_of(&self, plural: &str, name: &str) -> String {
        let group = if plural == "httproutes" { "gateway.networking.k8s.io" } else { "networking.istio.io" };
        let path = format!("/apis/{group}/v1/namespaces/{}/{plural}/{name}", self.cluster.namespace());
        let (status, body) = self.cluster.access().request("GET", &path, "").await.expect("an answer");
        assert_eq!(status, 200, "{body}");
        body.split_once(r#","spec":"#).expect("a spec at the end").1.to_owned()
    }
}

pub(crate) fn virtual_service(route: &str) -> WorkloadTarget {
    let router = VirtualServiceRouter { name: "shop".into(), route: route.into(), mirror_unsafe_methods: false };
    WorkloadTarget { virtual_service: Some(router), ..workload() }
}

pub(crate) fn http_route(rule: &str) -> WorkloadTarget {
    let router = HttpRouteRouter { name: "shop".into(), rule: rule.into(), mirror_unsafe_methods: false };
    WorkloadTarget { http_route: Some(router), ..workload() }
}

pub(crate) fn nginx() -> WorkloadTarget {
    let router = NginxConfigMapRouter { config_map: "proxy".into(), key: "web.conf".into() };
    WorkloadTarget { nginx: Some(router), ..workload() }
}

/// Shares without copies.
pub(crate) fn split(blue: u8, green: u8) -> RouterObserved {
    RouterObserved { weights: Slots { blue, green }, mirror: Slots { blue: 0, green: 0 } }
}

/// Everything to blue, and copies of a share to green.
pub(crate) fn copying(green: u8) -> RouterObserved {
    RouterObserved { weights: Slots { blue: 100, green: 0 }, mirror: Slots { blue: 0, green } }
}

/// The sentence of an error that a person has to do something about.
pub(crate) fn permanent<T: std::fmt::Debug>(result: Result<T, PortError>) -> String {
    match result {
        Err(PortError::Permanent(sentence)) => sentence,
        other => panic!("not a permanent error: {other:?}"),
    }
}

fn workload() -> WorkloadTarget {
    WorkloadTarget {
        deployment: "web".into(),
        port: 8080,
        replicas: None,
        min_replicas: None,
        autoscaler: None,
        virtual_service: None,
        http_route: None,
        nginx: None,
    }
}

fn plan() -> Plan {
    let service = json!({ "name": "shop", "route": "main" });
    plan_of(
        "web",
        &json!({ "target": { "workload": { "deployment": "web", "port": 8080, "virtualService": service } } }),
    )
}
