//! Weights and copies of requests in a cluster: one named route of an Istio VirtualService, one named rule of a Gateway API HTTPRoute, or one key
//! of a ConfigMap that an nginx includes.
//!
//! These objects belong to somebody else. Only what a weight needs is changed, by a JSON patch that first tests that the object is still the
//! one that was read; when it is not, it is read again.

mod changes;
mod http_route;
mod nginx;
mod trouble;
mod virtual_service;

use std::time::Duration;

use kube::api::{Api, ApiResource, DynamicObject, GroupVersionKind, Patch, PatchParams};
use serde_json::Value;
use spillway_rollout::observed::RouterObserved;
use spillway_rollout::plan::Plan;
use spillway_rollout::ports::PortError;
use spillway_rollout::slot::Slot;
use spillway_rollout::spec::{HttpRouteRouter, NginxConfigMapRouter, VirtualServiceRouter, WorkloadTarget};

use changes::Changes;
use trouble::Place;

/// Name under which the server notes our changes.
const FIELD_MANAGER: &str = "spillway-rollout";
/// Longest time for a read or a write with all its repetitions. The client alone would try for many minutes.
const DEADLINE: Duration = Duration::from_secs(10);
/// How often a write starts again because somebody else wrote meanwhile.
const MAX_ATTEMPTS: u32 = 20;
/// Pause before the first repetition; the tenth waits ten times as long.
const PAUSE: Duration = Duration::from_millis(10);

/// Name of the Service of a slot, `<rollout>-blue` or `<rollout>-green`.
#[must_use]
pub fn service_name(rollout: &str, slot: Slot) -> String {
    format!("{rollout}-{slot}")
}

/// Reads how the router splits requests now. Both weights are 0 when it does not lead to the slots yet; their sum is less than 100 when a part of
/// the traffic goes elsewhere.
///
/// # Errors
/// Permanent when the object, the route or rule in it, its resource definition or the right to read it is missing, temporary when the server cannot be
/// asked.
pub async fn read(
    client: &kube::Client,
    plan: &Plan,
    target: &WorkloadTarget,
    namespace: &str,
) -> Result<RouterObserved, PortError> {
    let router = Router::new(client, plan, target, namespace)?;
    router.place.within(DEADLINE, async { router.object.observed(&router.slots, &router.get().await?.data) }).await
}

/// Makes the router split as `wanted`, and changes nothing when it does already. When it does not lead to the slots yet, the destinations of the named
/// route or rule are replaced by them; everything else stays as it is, byte for byte.
///
/// # Errors
/// As [`read`]. Permanent too when the router cannot do it: copies to both slots, copies where others copy already, copies of requests with unsafe
/// methods that nobody allowed, a share of copies that this cluster's Gateway API does not know, an answer of the server that refuses the
/// change. Temporary when others change the object all the time. The traffic is then where it was before.
pub async fn write(
    client: &kube::Client,
    plan: &Plan,
    target: &WorkloadTarget,
    namespace: &str,
    wanted: &RouterObserved,
) -> Result<(), PortError> {
    let router = Router::new(client, plan, target, namespace)?;
    router.place.within(DEADLINE, router.write(wanted)).await
}

/// An object that routes, and how it is reached.
struct Router<'a> {
    object: Object<'a>,
    slots: SlotServices<'a>,
    api: Api<DynamicObject>,
    place: Place,
}

/// The kinds of objects that route.
enum Object<'a> {
    VirtualService(&'a VirtualServiceRouter),
    HttpRoute(&'a HttpRouteRouter),
    Nginx(&'a NginxConfigMapRouter),
}

/// The Services that requests are split over.
struct SlotServices<'a> {
    rollout: &'a str,
    namespace: &'a str,
    port: u16,
}

impl SlotServices<'_> {
    fn name(&self, slot: Slot) -> String {
        service_name(self.rollout, slot)
    }
}

impl<'a> Router<'a> {
    fn new(
        client: &kube::Client,
        plan: &'a Plan,
        target: &'a WorkloadTarget,
        namespace: &'a str,
    ) -> Result<Self, PortError> {
        let (object, name, kind) = match (&target.virtual_service, &target.http_route, &target.nginx) {
            (Some(router), None, None) => {
                let kind = ("networking.istio.io", "v1", "VirtualService", "virtualservices");
                (Object::VirtualService(router), &router.name, kind)
            }
            (None, Some(router), None) => {
                let kind = ("gateway.networking.k8s.io", "v1", "HTTPRoute", "httproutes");
                (Object::HttpRoute(router), &router.name, kind)
            }
            (None, None, Some(router)) => {
                (Object::Nginx(router), &router.config_map, ("", "v1", "ConfigMap", "configmaps"))
            }
            _ => {
                return Err(PortError::Permanent("give exactly one router: virtualService, httpRoute or nginx".into()));
            }
        };
        let (group, version, kind, plural) = kind;
        let resource = ApiResource::from_gvk_with_plural(&GroupVersionKind::gvk(group, version, kind), plural);
        Ok(Self {
            object,
            slots: SlotServices { rollout: &plan.name, namespace, port: target.port },
            api: Api::namespaced_with(client.clone(), namespace, &resource),
            place: Place { resource, name: name.clone(), namespace: namespace.to_owned() },
        })
    }

    async fn get(&self) -> Result<DynamicObject, PortError> {
        match self.api.get(&self.place.name).await {
            Ok(object) => Ok(object),
            Err(kube::Error::Api(status)) if status.code == 404 => Err(self.place.missing(&self.api).await),
            Err(error) => Err(self.place.trouble("get", &error)),
        }
    }

    async fn write(&self, wanted: &RouterObserved) -> Result<(), PortError> {
        if u16::from(wanted.weights.blue) + u16::from(wanted.weights.green) != 100 {
            return Err(PortError::Permanent("the weights of the two slots do not add up to 100".into()));
        }
        let mut refused: Option<(Option<String>, PortError)> = None;
        for attempt in 0..MAX_ATTEMPTS {
            tokio::time::sleep(PAUSE * attempt).await;
            let object = self.get().await?;
            // The server says the same for a test that failed and for a change that it does not accept.
            if let Some((_, error)) = refused.take_if(|(version, _)| *version == object.metadata.resource_version) {
                return Err(error);
            }
            let changes = self.object.changes(&self.slots, &object.data, wanted)?;
            if changes.is_empty() {
                return Ok(());
            }
            match self.patch(&object, &changes, wanted).await? {
                Sent::Done => return Ok(()),
                Sent::Refused(error) => refused = Some((object.metadata.resource_version, error)),
            }
        }
        Err(PortError::Temporary(format!(
            "{} was changed by others {MAX_ATTEMPTS} times while it was written",
            self.place
        )))
    }

    /// Sends changes for the object as it was read.
    async fn patch(
        &self,
        object: &DynamicObject,
        changes: &Changes,
        wanted: &RouterObserved,
    ) -> Result<Sent, PortError> {
        let version = object.metadata.resource_version.as_deref().unwrap_or_default();
        // A cluster drops fields that its resource definition does not know: without its share, a copy would be one of every request.
        let has_copies = [wanted.mirror.blue, wanted.mirror.green].iter().any(|&share| share > 0);
        let rehearsals: &[bool] = if has_copies { &[true, false] } else { &[false] };
        for &dry_run in rehearsals {
            let params =
                PatchParams { dry_run, field_manager: Some(FIELD_MANAGER.to_owned()), ..PatchParams::default() };
            match self.api.patch(&self.place.name, &params, &Patch::Json::<()>(changes.patch(version))).await {
                Ok(after) if dry_run && self.object.observed(&self.slots, &after.data)? != *wanted => {
                    return Err(PortError::Permanent(format!(
                        "{} cannot hold this share of copies: the cluster's resource definition is older and drops it; \
                         update it, or use mirror: 100",
                        self.place
                    )));
                }
                Ok(_) => {}
                Err(kube::Error::Api(status)) if matches!(status.code, 409 | 422) => {
                    return Ok(Sent::Refused(self.place.refused(&status)));
                }
                Err(error) => return Err(self.place.trouble("patch", &error)),
            }
        }
        Ok(Sent::Done)
    }
}

/// What became of a patch.
enum Sent {
    Done,
    /// The object is not the one that was read, or the server does not accept the change.
    Refused(PortError),
}

impl Object<'_> {
    fn observed(&self, slots: &SlotServices, object: &Value) -> Result<RouterObserved, PortError> {
        match self {
            Self::VirtualService(router) => virtual_service::observed(router, slots, object),
            Self::HttpRoute(router) => http_route::observed(router, slots, object),
            Self::Nginx(router) => Ok(nginx::observed(router, slots, object)),
        }
    }

    /// What has to be changed so that the object splits as wanted; nothing when it does.
    fn changes(&self, slots: &SlotServices, object: &Value, wanted: &RouterObserved) -> Result<Changes, PortError> {
        match self {
            Self::VirtualService(router) => virtual_service::changes(router, slots, object, wanted),
            Self::HttpRoute(router) => http_route::changes(router, slots, object, wanted),
            Self::Nginx(router) => nginx::changes(router, slots, object, wanted),
        }
    }
}
