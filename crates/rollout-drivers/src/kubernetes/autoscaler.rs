//! Autoscalers: a copy of the named one for each slot that takes traffic.

use k8s_openapi::api::autoscaling::v2::HorizontalPodAutoscaler;
use serde_json::{Value, json};
use spillway_rollout::Slot;
use spillway_rollout::ports::PortError;

use super::call::call;
use super::raw::Raw;
use super::slots::Site;

type Autoscaler = Raw<HorizontalPodAutoscaler>;

/// What there is to copy.
pub(crate) enum Source {
    /// The plan names none.
    None,
    /// The spec of the named one.
    Named(Value),
    /// It cannot be copied, and what to do. Slots have fixed replicas then.
    Missing(String),
}

/// Reads the autoscaler that the plan names.
pub(crate) async fn source(site: &Site<'_>) -> Result<Source, PortError> {
    let Some(name) = &site.target.autoscaler else { return Ok(Source::None) };
    match site.cluster.get::<Autoscaler>(site.rollout.namespace(), name).await? {
        Some(autoscaler) => Ok(Source::Named(autoscaler.spec)),
        None if !is_served(site).await => Ok(Source::Missing(
            "the cluster has no autoscaling/v2, so slots are not scaled: give spec.target.workload.replicas instead of \
             autoscaler, or use Kubernetes 1.23 or newer"
                .to_owned(),
        )),
        None => Ok(Source::Missing(format!(
            "there is no HorizontalPodAutoscaler {name}, so slots are not scaled: create it, or leave out \
             spec.target.workload.autoscaler"
        ))),
    }
}

/// Makes a slot's autoscaler like the named one.
pub(crate) async fn ensure(site: &Site<'_>, slot: Slot, like: &Value) -> Result<(), PortError> {
    let (namespace, name) = (site.rollout.namespace(), site.name(slot));
    let mut spec = like.clone();
    spec["scaleTargetRef"] = json!({ "apiVersion": "apps/v1", "kind": "Deployment", "name": name });
    let mut wanted = json!({
        "apiVersion": "autoscaling/v2",
        "kind": "HorizontalPodAutoscaler",
        "metadata": site.metadata(slot),
        "spec": spec,
    });
    if let Some(existing) = site.cluster.get::<Autoscaler>(namespace, &name).await? {
        site.must_belong("HorizontalPodAutoscaler", &existing)?;
        if existing.has(&wanted) {
            return Ok(());
        }
        wanted["metadata"]["resourceVersion"] = Value::from(existing.version());
    }
    site.cluster.apply::<Autoscaler>(namespace, &name, &wanted).await?;
    Ok(())
}

/// Removes a slot's autoscaler, if there is one.
pub(crate) async fn remove(site: &Site<'_>, slot: Slot) -> Result<(), PortError> {
    let (namespace, name) = (site.rollout.namespace(), site.name(slot));
    match site.cluster.get::<Autoscaler>(namespace, &name).await? {
        Some(existing) if existing.belongs_to(site.rollout) => {
            site.cluster.delete::<Autoscaler>(namespace, &name, existing.metadata.uid).await
        }
        _ => Ok(()),
    }
}

async fn is_served(site: &Site<'_>) -> bool {
    let resources = site.cluster.client().list_api_group_resources("autoscaling/v2");
    call("ask for autoscaling/v2", resources).await.is_ok()
}

#[cfg(test)]
mod tests {
    use spillway_rollout::spec::WorkloadTarget;

    use super::*;
    use crate::kubernetes::call::Cluster;
    use crate::kubernetes::fake::FakeApi;
    use crate::kubernetes::fence::Fence;
    use crate::kubernetes::resource::RolloutObject;

    const AUTOSCALERS: &str = "/apis/autoscaling/v2/namespaces/shop/horizontalpodautoscalers";

    struct Shop {
        api: FakeApi,
        cluster: Cluster,
        rollout: RolloutObject,
        target: WorkloadTarget,
    }

    impl Shop {
        fn new() -> Self {
            let api = FakeApi::default();
            let cluster = Cluster::new(api.client(), Fence::open());
            let rollout = json!({ "metadata": { "name": "web", "namespace": "shop", "uid": "1" }, "spec": {} });
            let target = json!({ "deployment": "web", "port": 80, "autoscaler": "web" });
            Self {
                api,
                cluster,
                rollout: serde_json::from_value(rollout).expect("a Rollout"),
                target: serde_json::from_value(target).expect("a target"),
            }
        }

        fn site(&self) -> Site<'_> {
            Site { cluster: &self.cluster, rollout: &self.rollout, target: &self.target }
        }
    }

    fn named() -> Value {
        json!({
            "metadata": { "name": "web" },
            "spec": {
                "scaleTargetRef": { "apiVersion": "apps/v1", "kind": "Deployment", "name": "web" },
                "minReplicas": 2,
                "maxReplicas": 9,
                "metrics": [{ "type": "Resource", "resource": { "name": "cpu", "target": { "type": "Utilization", "averageUtilization": 70 } } }],
            },
        })
    }

    #[tokio::test]
    async fn a_slots_autoscaler_is_the_named_one_for_another_deployment() {
        let shop = Shop::new();
        shop.api.put(&format!("{AUTOSCALERS}/web"), named());
        let Source::Named(like) = source(&shop.site()).await.expect("it is read") else { panic!("it is there") };
        ensure(&shop.site(), Slot::Green, &like).await.expect("it is written");
        let made = shop.api.get(&format!("{AUTOSCALERS}/web-green")).expect("it is there");
        assert_eq!(made["spec"]["scaleTargetRef"]["name"], "web-green");
        assert_eq!(made["spec"]["metrics"], named()["spec"]["metrics"]);
        assert_eq!(made["metadata"]["labels"]["spillway.dev/slot"], "green");
        assert_eq!(shop.api.take_writes().len(), 1);

        ensure(&shop.site(), Slot::Green, &like).await.expect("it is right");
        assert_eq!(shop.api.take_writes(), Vec::<String>::new(), "nothing is written twice");
        remove(&shop.site(), Slot::Green).await.expect("it goes");
        assert_eq!(shop.api.get(&format!("{AUTOSCALERS}/web-green")), None);
        assert!(shop.api.get(&format!("{AUTOSCALERS}/web")).is_some(), "the named one stays");
    }

    #[tokio::test]
    async fn an_autoscaler_of_someone_else_is_not_touched() {
        let shop = Shop::new();
        shop.api.put(&format!("{AUTOSCALERS}/web-blue"), named());
        let refused = ensure(&shop.site(), Slot::Blue, &named()["spec"]).await;
        assert!(matches!(refused, Err(PortError::Permanent(text)) if text.contains("is not this Rollout's")));
        remove(&shop.site(), Slot::Blue).await.expect("it is left alone");
        assert_eq!(shop.api.take_writes(), Vec::<String>::new());
    }

    #[tokio::test]
    async fn a_missing_autoscaler_and_a_missing_api_are_told_apart() {
        let shop = Shop::new();
        let text = async || match source(&shop.site()).await.expect("it is asked for") {
            Source::Missing(text) => text,
            Source::None | Source::Named(_) => panic!("it is not there"),
        };
        assert!(text().await.contains("no autoscaling/v2"));
        shop.api.put("/apis/autoscaling/v2", json!({ "groupVersion": "autoscaling/v2", "resources": [] }));
        assert!(text().await.contains("no HorizontalPodAutoscaler web"));
    }
}
