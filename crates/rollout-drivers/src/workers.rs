//! Queue workers of a Spillway gateway: the weight is the share of deliveries that each slot takes.
//!
//! The shares are set through the gateway's API, and every worker follows within a second. Processes are treated as on a
//! [host](crate::host): what the controller started it keeps running and stops, what it did not start it leaves alone.

mod api;

use std::path::Path;
use std::sync::Arc;

use async_trait::async_trait;
use spillway_model::{Clock, Secret, SecretResolver};
use spillway_rollout::Plan;
use spillway_rollout::decision::{Desired, DesiredSlot};
use spillway_rollout::observed::{RouterObserved, SlotObserved};
use spillway_rollout::ports::{Capabilities, PortError, Target, TargetObserved};
use spillway_rollout::slot::{Slot, Slots};
use spillway_rollout::spec::WorkersTarget;
use spillway_rollout::state::State;

use crate::host::processes::SlotProcesses;
use crate::host::{UNKNOWN_REVISION, readiness};
use crate::http::HttpClient;
use api::SharesApi;

/// Moves deliveries between two slots of workers.
pub struct WorkersDriver {
    processes: SlotProcesses,
    http: HttpClient,
    secrets: SecretResolver,
}

impl WorkersDriver {
    /// Remembers what it does in `directory`, the controller's [state directory](crate::memory::StateDirectory). `secrets` reads the API
    /// key of the plan, again at each use.
    ///
    /// # Errors
    /// When what is remembered there cannot be read.
    pub fn open(
        directory: &Path,
        clock: Arc<dyn Clock>,
        http: HttpClient,
        secrets: SecretResolver,
    ) -> Result<Self, PortError> {
        Ok(Self { processes: SlotProcesses::open(directory, clock)?, http, secrets })
    }

    fn api(&self, workers: &WorkersTarget) -> Result<SharesApi<'_>, PortError> {
        let key = (self.secrets)(&Secret::new(workers.api_key.clone()))
            .map_err(|error| PortError::Permanent(format!("target.workers.apiKey cannot be read: {error}")))?;
        Ok(SharesApi::new(&self.http, &workers.gateway, key))
    }

    fn slot(&self, workers: &WorkersTarget, state: &State, slot: Slot, live: Slot, ready: &[bool]) -> SlotObserved {
        let is_own = |(position, is_ready): (usize, &bool)| *is_ready && self.processes.may_listen(slot, position);
        let n_ready = ready.iter().enumerate().filter(|each| is_own(*each)).count();
        let (revision, restarts) = self.processes.revision(slot);
        let revision = revision.map(str::to_owned).or_else(|| match &state.live_revision {
            Some(known) => (slot == live).then(|| known.clone()),
            None => (slot == live && n_ready > 0).then(|| UNKNOWN_REVISION.to_owned()),
        });
        if revision.is_none() {
            return SlotObserved::default();
        }
        SlotObserved {
            revision,
            desired_replicas: count(workers.slots.get(slot).addresses.len()),
            ready_replicas: count(n_ready),
            restarts,
            capacity: None,
        }
    }

    /// Lets those of the slots run that the condition names. All are tried; the trouble of each is returned.
    async fn run(
        &mut self,
        workers: &WorkersTarget,
        desired: &Desired,
        weights: Slots<u8>,
        which: impl Fn(Slot) -> bool,
    ) -> Slots<Option<PortError>> {
        let mut troubles = Slots::make(|_| None);
        for slot in Slot::BOTH.into_iter().filter(|slot| which(*slot)) {
            if let DesiredSlot::Running { revision } = desired.slots.get(slot) {
                let (place, takes) = (workers.slots.get(slot), *weights.get(slot) > 0);
                let run = self.processes.run(slot, place, &workers.candidate, revision, takes).await;
                *troubles.get_mut(slot) = run.err();
            }
        }
        troubles
    }
}

#[async_trait]
impl Target for WorkersDriver {
    fn capabilities(&self) -> Capabilities {
        Capabilities { weights: true, mirror: false }
    }

    async fn observe(&mut self, plan: &Plan, state: &State) -> Result<TargetObserved, PortError> {
        let workers = workers(plan)?;
        self.processes.look()?;
        let api = self.api(workers)?;
        let (read, ready) = tokio::join!(api.get(), readiness::probe(&self.http, &workers.slots));
        let mut troubles = Vec::new();
        let shares = match read {
            Ok(read) => Some(read.shares),
            Err(error) => {
                troubles.push(error.to_string());
                None
            }
        };
        // Before anything is remembered, the slot with the larger share is the live one.
        let live = match (&state.live_revision, shares.flatten()) {
            (None, Some(weights)) if weights.green > weights.blue => Slot::Green,
            (None, Some(weights)) if weights.blue > weights.green => Slot::Blue,
            _ => state.live_slot,
        };
        // Not shared yet: the live slot is the one that works, and the first application of the shares makes it so.
        let router = shares.map(|shares| shares.map_or_else(|| RouterObserved::all_to(live), router_of));
        let slots = Slots::make(|slot| self.slot(workers, state, slot, live, ready.get(slot)));
        Ok(TargetObserved { wanted_revision: Some(workers.candidate.revision.clone()), slots, router, troubles })
    }

    async fn apply(&mut self, plan: &Plan, desired: &Desired) -> Result<(), PortError> {
        let workers = workers(plan)?;
        check(desired)?;
        let read = self.api(workers)?.get().await?;
        // While nothing is shared, whoever runs takes deliveries.
        let (before, after) = (read.shares.unwrap_or(Slots { blue: 100, green: 100 }), desired.router.weights);

        // A slot that works on another revision is replaced after its deliveries have left.
        let is_first = |slot: Slot| *before.get(slot) == 0 || *after.get(slot) > 0;
        let mut troubles = self.run(workers, desired, before, is_first).await;
        for slot in Slot::BOTH {
            if after.get(slot) > before.get(slot)
                && let Some(trouble) = troubles.get_mut(slot).take()
            {
                return Err(trouble);
            }
        }
        if read.shares != Some(after) {
            self.api(workers)?.put(after, read.tag.as_deref()).await?;
            tracing::info!(blue = after.blue, green = after.green, "the workers' shares of the deliveries are set");
        }

        let mut trouble = troubles.blue.or(troubles.green);
        for slot in Slot::BOTH {
            if *desired.slots.get(slot) == DesiredSlot::Stopped {
                trouble = trouble.or(self.processes.stop(slot, &workers.candidate).err());
            }
        }
        let late = self.run(workers, desired, after, |slot| !is_first(slot)).await;
        trouble.or(late.blue).or(late.green).map_or(Ok(()), Err)
    }
}

fn workers(plan: &Plan) -> Result<&WorkersTarget, PortError> {
    let workers = plan.target.workers.as_ref();
    workers.ok_or_else(|| PortError::Permanent(format!("{} has no target.workers", plan.name)))
}

/// Refuses what cannot be brought about, before anything is changed.
fn check(desired: &Desired) -> Result<(), PortError> {
    let refused = |text: String| Err(PortError::Permanent(text));
    let Desired { router: RouterObserved { weights, mirror }, slots, .. } = desired;
    if mirror.blue > 0 || mirror.green > 0 {
        return refused("deliveries cannot be copied: a step of target.workers must have no mirror".to_owned());
    }
    if u16::from(weights.blue) + u16::from(weights.green) != 100 {
        return refused(format!("the shares blue {} and green {} are not 100 together", weights.blue, weights.green));
    }
    let stops = |slot: &Slot| *slots.get(*slot) == DesiredSlot::Stopped && *weights.get(*slot) > 0;
    match Slot::BOTH.into_iter().find(stops) {
        Some(slot) => refused(format!("slot {slot} cannot be stopped and take deliveries at once")),
        None => Ok(()),
    }
}

fn router_of(weights: Slots<u8>) -> RouterObserved {
    RouterObserved { weights, mirror: Slots::default() }
}

fn count(n: usize) -> u32 {
    u32::try_from(n).unwrap_or(u32::MAX)
}

#[cfg(test)]
mod tests;
