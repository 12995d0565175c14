//! A cluster for tests: a namespace on the API server that all tests share, clients for it, the resource definitions of routers, and a kubelet.
//!
//! Test programs include this file with `#[path = "../support/cluster.rs"]`, and each uses a part of it.
#![allow(dead_code, unreachable_pub, reason = "each test program uses a part")]

pub mod jobs;
mod kubelet;

use std::time::Duration;

use k8s_openapi::api::rbac::v1::{PolicyRule, Role, RoleBinding};
use k8s_openapi::apiextensions_apiserver::pkg::apis::apiextensions::v1::CustomResourceDefinition;
use kube::api::{Api, ApiResource, DynamicObject, GroupVersionKind, ListParams, Patch, PatchParams, PostParams};
use kube::config::{Config, KubeConfigOptions, Kubeconfig};
use kube::runtime::wait;
use kube::{Client, ResourceExt};
use serde_json::{Value, json};
use spillway_testkit::kubernetes::{ClusterAccess, TestNamespace, shared_namespace};

pub use kubelet::Kubelet;

/// Reduced to the fields that routers and tests use.
pub const VIRTUAL_SERVICES: &str = include_str!("crds/virtualservices.yaml");
/// Reduced to the fields that routers and tests use.
pub const HTTP_ROUTES: &str = include_str!("crds/httproutes.yaml");

/// Longest wait for anything in a cluster.
pub const DEADLINE: Duration = Duration::from_secs(20);

/// A namespace of one's own and an administrator's client.
pub struct Cluster {
    pub client: Client,
    namespace: TestNamespace,
}

impl Cluster {
    pub async fn start() -> Self {
        let namespace = shared_namespace().await;
        let client = client(&namespace.kubeconfig()).await;
        Self { client, namespace }
    }

    /// With the resource definitions of Istio's and the Gateway API's routers.
    pub async fn with_routers() -> Self {
        let cluster = Self::start().await;
        for definition in [VIRTUAL_SERVICES, HTTP_ROUTES] {
            install(&cluster.client, definition).await;
        }
        cluster
    }

    pub fn namespace(&self) -> &str {
        self.namespace.name()
    }

    /// An administrator's kubeconfig.
    pub fn kubeconfig(&self) -> String {
        self.namespace.kubeconfig()
    }

    /// A kubeconfig of a user, who may do what [`Cluster::client_with_rights`] gave them.
    pub fn kubeconfig_as(&self, user: &str) -> String {
        self.namespace.kubeconfig_as(user)
    }

    pub fn access(&self) -> &ClusterAccess {
        self.namespace.access()
    }

    /// A client of a user who may do what `rules` of the namespace say and nothing else.
    pub async fn client_with_rights(&self, user: &str, rules: Value) -> Client {
        let rules: Vec<PolicyRule> = serde_json::from_value(rules).expect("rules of a role");
        let role = json!({ "metadata": { "name": user }, "rules": rules });
        let binding = json!({
            "metadata": { "name": user },
            "roleRef": { "apiGroup": "rbac.authorization.k8s.io", "kind": "Role", "name": user },
            "subjects": [{ "apiGroup": "rbac.authorization.k8s.io", "kind": "User", "name": user }],
        });
        let role: Role = serde_json::from_value(role).expect("a role");
        let binding: RoleBinding = serde_json::from_value(binding).expect("a role binding");
        let params = PostParams::default();
        Api::namespaced(self.client.clone(), self.namespace()).create(&params, &role).await.expect("create a role");
        let bindings = Api::namespaced(self.client.clone(), self.namespace());
        bindings.create(&params, &binding).await.expect("create a role binding");
        client(&self.namespace.kubeconfig_as(user)).await
    }

    /// Objects of a kind in this namespace.
    pub fn api(&self, api_version: &str, kind: &str, plural: &str) -> Api<DynamicObject> {
        objects(&self.client, self.namespace(), api_version, kind, plural)
    }

    /// Creates an object from its YAML.
    pub async fn create(&self, api: &Api<DynamicObject>, yaml: &str) -> DynamicObject {
        let object: DynamicObject = serde_saphyr::from_str(yaml).expect("an object");
        api.create(&PostParams::default(), &object).await.expect("create an object")
    }
}

/// Objects of a kind in a namespace.
pub fn objects(client: &Client, namespace: &str, api_version: &str, kind: &str, plural: &str) -> Api<DynamicObject> {
    let (group, version) = api_version.split_once('/').unwrap_or(("", api_version));
    let resource = ApiResource::from_gvk_with_plural(&GroupVersionKind::gvk(group, version, kind), plural);
    Api::namespaced_with(client.clone(), namespace, &resource)
}

/// A client from a kubeconfig.
pub async fn client(kubeconfig: &str) -> Client {
    let kubeconfig = Kubeconfig::from_yaml(kubeconfig).expect("a kubeconfig");
    // Another test of this process may have done so.
    let _ = rustls::crypto::ring::default_provider().install_default();
    let config = Config::from_custom_kubeconfig(kubeconfig, &KubeConfigOptions::default()).await;
    Client::try_from(config.expect("a usable kubeconfig")).expect("a client")
}

/// Installs a resource definition and returns when its objects can be used. Tests that share a server may all install the same one.
pub async fn install(client: &Client, definition: &str) {
    let definition: CustomResourceDefinition = serde_saphyr::from_str(definition).expect("a resource definition");
    let name = definition.name_any();
    let api: Api<CustomResourceDefinition> = Api::all(client.clone());
    let params = PatchParams::apply("spillway-tests").force();
    api.patch(&name, &params, &Patch::Apply(&definition)).await.expect("install a resource definition");
    let established = wait::await_condition(api, &name, wait::conditions::is_crd_established());
    tokio::time::timeout(DEADLINE, established).await.expect("the definition is established in time").expect("watched");
    let names = &definition.spec.names;
    let api_version = format!("{}/{}", definition.spec.group, definition.spec.versions[0].name);
    let objects = objects(client, "default", &api_version, &names.kind, &names.plural);
    // An established definition is served a moment later.
    spillway_testkit::wait_until("the new kind to be served", DEADLINE, async || {
        objects.list(&ListParams::default()).await.is_ok()
    })
    .await;
}
