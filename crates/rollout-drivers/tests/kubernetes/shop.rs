//! A shop with a Deployment `web` behind a VirtualService, and controllers for it.

use std::time::Duration;

use k8s_openapi::api::apps::v1::Deployment;
use k8s_openapi::api::core::v1::Service;
use kube::api::{Api, DeleteParams, DynamicObject, ListParams, Patch, PatchParams, PostParams};
use kube::{Client, Resource, ResourceExt as _};
use serde::Deserialize as _;
use serde_json::{Value, json};
use spillway_rollout::state::{Phase, State};
use spillway_rollout_drivers::kubernetes::{
    self, KubernetesError, KubernetesSettings, LeaseSettings, RolloutObject, RolloutStatus, crd,
};
use spillway_testkit::wait_until;
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

use crate::cluster::{Cluster, Kubelet};
use crate::meter::World;

/// Longest wait for a rollout in these tests. On an idle machine it takes some seconds.
pub(crate) const DEADLINE: Duration = Duration::from_secs(90);
const RBAC: &str = include_str!("../../../../infra/kubernetes/rollout-controller/rbac.yaml");
/// The name in the manifest's role for leases.
const LEASE: &str = "spillway-rollout";

pub(crate) struct Shop {
    pub(crate) cluster: Cluster,
    pub(crate) kubelet: Kubelet,
    pub(crate) world: World,
}

/// A controller that runs; it is killed on drop.
pub(crate) struct Controller {
    task: JoinHandle<Result<(), KubernetesError>>,
    stop: CancellationToken,
}

impl Shop {
    /// With the Deployment `web` of two replicas and the VirtualService `shop`, whose route `main` leads to it.
    pub(crate) async fn start() -> Self {
        let cluster = Cluster::with_routers().await;
        install_rollouts(&cluster).await;
        let kubelet = Kubelet::start(cluster.client.clone(), cluster.namespace());
        let shop = Self { cluster, kubelet, world: World::default() };
        shop.create_workload("web").await;
        shop.create_routes(&["main"]).await;
        shop
    }

    pub(crate) async fn create_workload(&self, name: &str) {
        let web = json!({
            "metadata": { "name": name },
            "spec": {
                "replicas": 2,
                "selector": { "matchLabels": { "app": name } },
                "template": template("web:1"),
            },
        });
        let mut web: Deployment = serde_json::from_value(web).expect("a Deployment");
        let spec = web.spec.as_mut().expect("it has a spec");
        spec.template.metadata.get_or_insert_default().labels.get_or_insert_default().insert("app".into(), name.into());
        self.deployments().create(&PostParams::default(), &web).await.expect("create a Deployment");
    }

    /// The VirtualService `shop` with these routes to the Service `web` and one more that nobody may touch.
    pub(crate) async fn create_routes(&self, names: &[&str]) {
        let foreign = json!({
            "name": "foreign",
            "match": [{ "uri": { "prefix": "/other" } }],
            "route": [{ "destination": { "host": "other" }, "weight": 100 }],
        });
        let own = names.iter().map(|name| json!({ "name": name, "route": [{ "destination": { "host": "web" } }] }));
        let routes: Vec<Value> = std::iter::once(foreign).chain(own).collect();
        let object = json!({
            "apiVersion": "networking.istio.io/v1",
            "kind": "VirtualService",
            "metadata": { "name": "shop" },
            "spec": { "hosts": ["shop"], "http": routes },
        });
        let params = PatchParams::apply("the shop").force();
        self.routes().patch("shop", &params, &Patch::Apply(&object)).await.expect("make the routes");
    }

    /// Rights of the manifest, and no others, in this namespace.
    pub(crate) async fn controllers_client(&self, user: &str) -> Client {
        self.cluster.client_with_rights(user, Value::Array(manifest_rules())).await
    }

    /// A controller without an election.
    pub(crate) async fn run(&self) -> Controller {
        let user = format!("controller-{:08x}", fastrand());
        let client = self.controllers_client(&user).await;
        self.run_with(client, None)
    }

    /// A controller that takes part in an election.
    pub(crate) async fn run_elected(&self, identity: &str, world: &World) -> Controller {
        let client = self.controllers_client(identity).await;
        let lease = LeaseSettings {
            namespace: self.cluster.namespace().to_owned(),
            name: LEASE.to_owned(),
            identity: identity.to_owned(),
            duration: Duration::from_secs(20),
        };
        self.spawn(client, Some(lease), world)
    }

    pub(crate) fn run_with(&self, client: Client, lease: Option<LeaseSettings>) -> Controller {
        self.spawn(client, lease, &self.world)
    }

    fn spawn(&self, client: Client, lease: Option<LeaseSettings>, world: &World) -> Controller {
        let namespaces = vec![self.cluster.namespace().to_owned()];
        let settings = KubernetesSettings { namespaces, lease, listen: None, concurrency: 2 };
        let stop = CancellationToken::new();
        let task = tokio::spawn(kubernetes::run(client, settings, world.parts(), stop.clone()));
        Controller { task, stop }
    }

    /// Creates the Rollout `web` for the Deployment `web`, which waits at nothing.
    pub(crate) async fn create_rollout(&self) {
        self.create("web", spec("web")).await;
    }

    pub(crate) async fn create(&self, name: &str, spec: Value) {
        let object = json!({ "metadata": { "name": name }, "spec": spec });
        let rollout: RolloutObject = serde_json::from_value(object).expect("a Rollout");
        self.rollouts().create(&PostParams::default(), &rollout).await.expect("create a Rollout");
    }

    /// A new version of the workload.
    pub(crate) async fn release(&self, image: &str) {
        let change = json!({ "spec": { "template": template(image) } });
        let params = PatchParams::default();
        self.deployments().patch("web", &params, &Patch::Strategic(&change)).await.expect("change the Deployment");
    }

    pub(crate) async fn delete_rollout(&self, name: &str) {
        self.rollouts().delete(name, &DeleteParams::default()).await.expect("delete the Rollout");
    }

    pub(crate) async fn status(&self, name: &str) -> RolloutStatus {
        self.rollouts().get(name).await.expect("the Rollout").status()
    }

    pub(crate) async fn state(&self) -> State {
        let (_, state) =
            kubernetes::read_state(&self.cluster.client, self.cluster.namespace(), "web").await.expect("a memory");
        state
    }

    /// Waits until the Rollout `web` is in a phase.
    pub(crate) async fn reaches(&self, phase: Phase) {
        wait_until(&format!("the phase {phase:?}"), DEADLINE, async || self.status("web").await.phase == Some(phase))
            .await;
    }

    /// Waits until the workload was taken over and has no replicas of its own left.
    pub(crate) async fn is_adopted(&self) {
        wait_until("the workload to be taken over", DEADLINE, async || {
            self.status("web").await.phase == Some(Phase::Idle) && self.replicas("web").await == Some(0)
        })
        .await;
    }

    /// Waits until a Rollout has a condition, and returns what it says.
    pub(crate) async fn says(&self, rollout: &str, type_: &str, reason: &str) -> String {
        let said = async || {
            let conditions = self.status(rollout).await.conditions;
            conditions.into_iter().find(|each| each.type_ == type_ && each.reason == reason)
        };
        wait_until(&format!("{type_} because of {reason}"), DEADLINE, async || said().await.is_some()).await;
        said().await.expect("it still says so").message
    }

    /// Weights of the destinations of the route `main`, by host.
    pub(crate) async fn weights(&self) -> Vec<(String, u64)> {
        let shop = self.routes().get("shop").await.expect("the VirtualService");
        let routes = shop.data["spec"]["http"].as_array().cloned().unwrap_or_default();
        let main = routes.into_iter().find(|route| route["name"] == "main").expect("the route");
        let destinations = main["route"].as_array().cloned().unwrap_or_default();
        let weight = |each: &Value| {
            let host = each["destination"]["host"].as_str().unwrap_or_default();
            let host = host.split('.').next().unwrap_or_default().to_owned();
            (host, each["weight"].as_u64().unwrap_or(100))
        };
        destinations.iter().map(weight).filter(|(_, weight)| *weight > 0).collect()
    }

    /// Replicas of a Deployment that shall be there; `None` without the Deployment.
    pub(crate) async fn replicas(&self, name: &str) -> Option<i32> {
        let deployment = self.deployments().get_opt(name).await.expect("read a Deployment")?;
        deployment.spec.and_then(|spec| spec.replicas)
    }

    /// Image of a Deployment's pods.
    pub(crate) async fn image(&self, name: &str) -> Option<String> {
        let deployment = self.deployments().get_opt(name).await.expect("read a Deployment")?;
        deployment.spec?.template.spec?.containers.first()?.image.clone()
    }

    /// The VirtualService without the route `main`.
    pub(crate) async fn foreign_routes(&self) -> Value {
        let mut shop = self.routes().get("shop").await.expect("the VirtualService").data;
        if let Some(routes) = shop["spec"]["http"].as_array_mut() {
            routes.retain(|route| route["name"] != "main");
        }
        shop["spec"].clone()
    }

    pub(crate) fn deployments(&self) -> Api<Deployment> {
        self.namespaced()
    }

    pub(crate) fn services(&self) -> Api<Service> {
        self.namespaced()
    }

    pub(crate) fn rollouts(&self) -> Api<RolloutObject> {
        self.namespaced()
    }

    pub(crate) fn routes(&self) -> Api<DynamicObject> {
        self.cluster.api("networking.istio.io/v1", "VirtualService", "virtualservices")
    }

    pub(crate) fn namespaced<K>(&self) -> Api<K>
    where
        K: Resource<Scope = kube::core::NamespaceResourceScope, DynamicType = ()>,
    {
        Api::namespaced(self.cluster.client.clone(), self.cluster.namespace())
    }

    /// Version of an object, which changes with each write to it.
    pub(crate) async fn version_of(&self, rollout: &str) -> Option<String> {
        self.rollouts().get(rollout).await.expect("the Rollout").resource_version()
    }
}

impl Controller {
    /// As SIGKILL: at whatever it was doing.
    pub(crate) async fn kill(mut self) {
        self.task.abort();
        // It was ended, so there is no result.
        let _ = (&mut self.task).await;
    }

    /// As SIGTERM.
    pub(crate) async fn stop(mut self) {
        self.stop.cancel();
        (&mut self.task).await.expect("it does not panic").expect("it ends well");
    }
}

impl Drop for Controller {
    fn drop(&mut self) {
        self.task.abort();
    }
}

/// Installs the definition of Rollouts, unless another test did. A server that is too old for its rules leaves them out, but only when it is created.
async fn install_rollouts(cluster: &Cluster) {
    match Api::all(cluster.client.clone()).create(&PostParams::default(), &crd()).await {
        Ok(_) => {}
        Err(kube::Error::Api(status)) if status.code == 409 => {}
        Err(error) => panic!("install the definition of Rollouts: {error}"),
    }
    let rollouts: Api<RolloutObject> = Api::namespaced(cluster.client.clone(), cluster.namespace());
    wait_until("Rollouts to be served", DEADLINE, async || rollouts.list(&ListParams::default()).await.is_ok()).await;
}

/// A plan for a Deployment: 20 %, then everything.
pub(crate) fn spec(deployment: &str) -> Value {
    json!({
        "target": {
            "workload": {
                "deployment": deployment,
                "port": 8080,
                "virtualService": { "name": "shop", "route": "main" },
            },
        },
        "steps": [{ "weight": 20, "bake": "1s" }, { "weight": 100, "bake": "1s" }],
        "guards": [{
            "name": "errors",
            "threshold": { "metric": "errorRatio", "max": 0.05, "window": "300ms", "windows": 1 },
        }],
        "analysis": { "interval": "300ms", "warmup": "0s" },
        "observation": "1s",
    })
}

fn template(image: &str) -> Value {
    json!({
        "metadata": { "labels": { "app": "web" } },
        "spec": { "containers": [{ "name": "web", "image": image }] },
    })
}

/// The rules of all roles of the manifest.
fn manifest_rules() -> Vec<Value> {
    let documents = RBAC.split("\n---\n").map(|text| serde_saphyr::from_str::<Value>(text).expect("a manifest"));
    let rules = documents.filter_map(|document| Vec::<Value>::deserialize(document.get("rules")?).ok());
    rules.flatten().collect()
}

fn fastrand() -> u32 {
    use std::hash::{BuildHasher as _, RandomState};
    u32::try_from(RandomState::new().hash_one(0) & u64::from(u32::MAX)).unwrap_or(0)
}
