//! Slots and router of one Rollout, as the decision sees and wants them.

use async_trait::async_trait;
use k8s_openapi::api::apps::v1::Deployment;
use serde_json::json;
use spillway_rollout::decision::{Desired, DesiredSlot};
use spillway_rollout::observed::RouterObserved;
use spillway_rollout::ports::{Capabilities, PortError, Target, TargetObserved};
use spillway_rollout::spec::WorkloadTarget;
use spillway_rollout::state::State;
use spillway_rollout::{Plan, Slot, Slots};

use super::autoscaler::{self, Source};
use super::call::Cluster;
use super::raw::Raw;
use super::resource::RolloutObject;
use super::router;
use super::slots::Site;
use super::world::{REPLICAS_ANNOTATION, World};

/// Share of the load that a slot can take which has all replicas, percent.
const EVERYTHING: u8 = 100;

/// The cluster as a [`Target`]. Observe before applying.
pub(crate) struct ClusterTarget {
    cluster: Cluster,
    rollout: RolloutObject,
    workload: WorkloadTarget,
    seen: Option<Seen>,
    trouble: Option<String>,
}

struct Seen {
    world: World,
    router: Option<RouterObserved>,
}

impl ClusterTarget {
    /// Slots and router of this Rollout.
    pub(crate) fn new(cluster: Cluster, rollout: RolloutObject, workload: WorkloadTarget) -> Self {
        Self { cluster, rollout, workload, seen: None, trouble: None }
    }

    /// Makes the live slot of a Rollout that has none yet, from the workload as it is. `None` when it is ready; otherwise what it waits for.
    ///
    /// The workload goes on meanwhile: nothing is taken from it.
    pub(crate) async fn adopt(&mut self, slot: Slot) -> Result<Option<String>, PortError> {
        let mut world = World::read(&self.cluster, &self.rollout, &self.workload).await?;
        let Some(wanted) = world.wanted_revision() else {
            return Err(PortError::Permanent(missing(&self.workload)));
        };
        // A slot that runs already, from before the memory was lost, is taken as it is.
        let revision = world.observed(&self.workload, slot).revision.unwrap_or(wanted);
        let site = self.site();
        site.serve().await?;
        site.run(&mut world, slot, &revision, EVERYTHING, true).await?;
        let observed = world.observed(&self.workload, slot);
        Ok((!observed.is_ready()).then(|| {
            format!(
                "the {slot} slot starts from the Deployment {}: {} of {} pods are ready",
                self.workload.deployment, observed.ready_replicas, observed.desired_replicas
            )
        }))
    }

    /// What was left out when it was applied last, and what to do about it.
    pub(crate) fn trouble(&self) -> Option<&str> {
        self.trouble.as_deref()
    }

    /// Takes the workload's replicas away once the live slot has its traffic. They are remembered in an annotation.
    pub(crate) async fn retire_workload(&self, live: Slot) -> Result<(), PortError> {
        let Some(Seen { world, router: Some(router) }) = &self.seen else { return Ok(()) };
        let Some(workload) = &world.workload else { return Ok(()) };
        let slots = Slot::BOTH.into_iter().filter(|slot| *router.weights.get(*slot) > 0);
        let all_served = slots.fold((0, true), |(sum, ready), slot| {
            (
                sum + u32::from(*router.weights.get(slot)),
                ready && world.observed(&self.workload, slot).ready_replicas > 0,
            )
        });
        if workload.replicas() == 0 || all_served != (100, true) || !world.observed(&self.workload, live).is_ready() {
            return Ok(());
        }
        let change = json!({
            "metadata": {
                "resourceVersion": workload.version(),
                "annotations": { REPLICAS_ANNOTATION: workload.replicas().to_string() },
            },
            "spec": { "replicas": 0 },
        });
        let namespace = self.rollout.namespace();
        self.cluster.merge::<Raw<Deployment>>(namespace, &self.workload.deployment, &change).await?;
        Ok(())
    }

    fn site(&self) -> Site<'_> {
        Site { cluster: &self.cluster, rollout: &self.rollout, target: &self.workload }
    }

    async fn run_slots(&self, world: &mut World, desired: &Desired, scaling: &Source) -> Result<(), PortError> {
        let site = self.site();
        for slot in Slot::BOTH {
            let DesiredSlot::Running { revision } = desired.slots.get(slot) else { continue };
            let takes_traffic = *desired.router.weights.get(slot) > 0 || *desired.router.mirror.get(slot) > 0;
            let like = match scaling {
                Source::Named(spec) if takes_traffic => Some(spec),
                _ => None,
            };
            site.run(world, slot, revision, *desired.capacity.get(slot), like.is_some()).await?;
            match like {
                Some(like) => autoscaler::ensure(&site, slot, like).await?,
                None => autoscaler::remove(&site, slot).await?,
            }
        }
        Ok(())
    }

    async fn route(
        &self,
        plan: &Plan,
        world: &World,
        before: Option<&RouterObserved>,
        wanted: &RouterObserved,
    ) -> Result<(), PortError> {
        if before == Some(wanted) {
            return Ok(());
        }
        let had = |slot| before.map_or(0, |before| *before.weights.get(slot));
        for slot in Slot::BOTH {
            let observed = world.observed(&self.workload, slot);
            let others_serve = world.observed(&self.workload, slot.other()).ready_replicas > 0;
            if *wanted.weights.get(slot) > had(slot) && observed.ready_replicas == 0 && others_serve {
                return Err(PortError::Temporary(format!(
                    "the {slot} slot gets no traffic yet: none of its {} pods is ready",
                    observed.desired_replicas
                )));
            }
        }
        self.cluster.may_write().await?;
        router::write(self.cluster.client(), plan, &self.workload, self.rollout.namespace(), wanted).await
    }
}

#[async_trait]
impl Target for ClusterTarget {
    fn capabilities(&self) -> Capabilities {
        // Each of the three kinds splits and copies. What one particular object or cluster cannot hold is refused when it is written.
        Capabilities { weights: true, mirror: true }
    }

    async fn observe(&mut self, plan: &Plan, _state: &State) -> Result<TargetObserved, PortError> {
        let world = World::read(&self.cluster, &self.rollout, &self.workload).await?;
        let mut troubles = Vec::new();
        if world.workload.is_none() {
            troubles.push(missing(&self.workload));
        }
        let router = router::read(self.cluster.client(), plan, &self.workload, self.rollout.namespace()).await;
        let router = router.map_err(|error| troubles.push(error.to_string())).ok();
        let observed = TargetObserved {
            wanted_revision: world.wanted_revision(),
            slots: Slots::make(|slot| world.observed(&self.workload, slot)),
            router,
            troubles,
        };
        self.seen = Some(Seen { world, router });
        Ok(observed)
    }

    async fn apply(&mut self, plan: &Plan, desired: &Desired) -> Result<(), PortError> {
        if self.seen.is_none() {
            self.observe(plan, &State::default()).await?;
        }
        let Some(Seen { mut world, router }) = self.seen.take() else { return Ok(()) };
        let site = self.site();
        let scaling = autoscaler::source(&site).await?;
        site.serve().await?;
        self.run_slots(&mut world, desired, &scaling).await?;
        self.route(plan, &world, router.as_ref(), &desired.router).await?;
        for slot in Slot::BOTH {
            match desired.slots.get(slot) {
                DesiredSlot::Stopped => site.stop(&mut world, slot).await?,
                DesiredSlot::AsIs if *desired.capacity.get(slot) < EVERYTHING => {
                    site.shrink(&mut world, slot, *desired.capacity.get(slot)).await?;
                }
                DesiredSlot::AsIs | DesiredSlot::Running { .. } => {}
            }
        }
        self.seen = Some(Seen { world, router: Some(desired.router) });
        self.trouble = match scaling {
            Source::Missing(trouble) => Some(trouble),
            Source::None | Source::Named(_) => None,
        };
        Ok(())
    }
}

fn missing(workload: &WorkloadTarget) -> String {
    format!("there is no Deployment {}: create it, or correct spec.target.workload.deployment", workload.deployment)
}
