//! Processes on one host behind nginx.
//!
//! A slot is an upstream group of nginx. What the controller started itself it keeps running, adopts after its own restart and stops by
//! process, never by name. What it did not start it neither restarts nor stops.

mod nginx;
pub(crate) mod proc;
pub(crate) mod processes;
pub(crate) mod readiness;
mod records;
mod router;
pub mod router_file;

use std::path::Path;
use std::sync::Arc;

use async_trait::async_trait;
use spillway_model::Clock;
use spillway_rollout::decision::{Desired, DesiredSlot};
use spillway_rollout::observed::{RouterObserved, SlotObserved};
use spillway_rollout::ports::{Capabilities, PortError, Target, TargetObserved};
use spillway_rollout::slot::{Slot, Slots};
use spillway_rollout::state::State;
use spillway_rollout::{Plan, spec};
use tokio::sync::Notify;

use crate::http::HttpClient;
use processes::SlotProcesses;
use router::Router;

/// The revision of a live slot whose processes someone else started, before it is known.
pub const UNKNOWN_REVISION: &str = "unknown";

/// Moves traffic between two slots on one host.
pub struct HostTarget {
    processes: SlotProcesses,
    router: Router,
    http: HttpClient,
    /// What the router did at the last observation.
    seen: Option<RouterObserved>,
}

impl HostTarget {
    /// Remembers what it does in `directory`, the controller's [state directory](crate::memory::StateDirectory).
    ///
    /// # Errors
    /// When what is remembered there cannot be read.
    pub fn open(directory: &Path, clock: Arc<dyn Clock>, http: HttpClient) -> Result<Self, PortError> {
        let processes = SlotProcesses::open(directory, clock)?;
        Ok(Self { processes, router: Router::open(directory), http, seen: None })
    }

    /// Notifies `wake` when a process that it keeps running has ended, so that the controller looks at once. Needs a tokio runtime.
    #[must_use]
    pub fn waking(mut self, wake: Arc<Notify>) -> Self {
        self.processes.wake_on_ends(wake);
        self
    }

    async fn observe_slots(&self, host: &spec::HostTarget, state: &State) -> Slots<SlotObserved> {
        let ready = readiness::probe(&self.http, &host.slots).await;
        // Before anything is remembered, the slot that has the traffic is the live one.
        let weights = self.seen.map(|router| router.weights);
        let first_live = match weights.filter(|weights| weights.green != weights.blue) {
            Some(weights) if weights.green > weights.blue => Slot::Green,
            Some(_) => Slot::Blue,
            None => state.live_slot,
        };
        Slots::make(|slot| {
            let is_own = |(position, is_ready): (usize, &bool)| *is_ready && self.processes.may_listen(slot, position);
            let n_ready = ready.get(slot).iter().enumerate().filter(|each| is_own(*each)).count();
            let (revision, restarts) = self.processes.revision(slot);
            let revision = revision.map(str::to_owned).or_else(|| match &state.live_revision {
                Some(live) => (slot == state.live_slot).then(|| live.clone()),
                None => (n_ready > 0 && slot == first_live).then(|| UNKNOWN_REVISION.to_owned()),
            });
            if revision.is_none() {
                return SlotObserved::default();
            }
            SlotObserved {
                revision,
                desired_replicas: count(host.slots.get(slot).addresses.len()),
                ready_replicas: count(n_ready),
                restarts,
                capacity: None,
            }
        })
    }

    /// Starts what shall run in slots that the condition names. The first trouble is returned; the others are tried nevertheless.
    async fn run(
        &mut self,
        host: &spec::HostTarget,
        desired: &Desired,
        before: RouterObserved,
        which: impl Fn(Slot) -> bool,
    ) -> Slots<Option<PortError>> {
        let mut troubles = Slots::make(|_| None);
        for slot in Slot::BOTH.into_iter().filter(|slot| which(*slot)) {
            if let DesiredSlot::Running { revision } = desired.slots.get(slot) {
                let place = host.slots.get(slot);
                let takes_traffic = takes_traffic(&before, slot);
                let run = self.processes.run(slot, place, &host.candidate, revision, takes_traffic).await;
                *troubles.get_mut(slot) = run.err();
            }
        }
        troubles
    }
}

#[async_trait]
impl Target for HostTarget {
    fn capabilities(&self) -> Capabilities {
        Capabilities { weights: true, mirror: true }
    }

    async fn observe(&mut self, plan: &Plan, state: &State) -> Result<TargetObserved, PortError> {
        let host = host(plan)?;
        let mut troubles = Vec::new();
        self.processes.look()?;
        let router = match self.router.observe(&host.nginx).await {
            Ok(router) => Some(router),
            Err(error) => {
                troubles.push(error.to_string());
                None
            }
        };
        self.seen = router;
        let slots = self.observe_slots(host, state).await;
        Ok(TargetObserved { wanted_revision: Some(host.candidate.revision.clone()), slots, router, troubles })
    }

    async fn apply(&mut self, plan: &Plan, desired: &Desired) -> Result<(), PortError> {
        let host = host(plan)?;
        let nothing = RouterObserved { weights: Slots::default(), mirror: Slots::default() };
        let before = self.seen.or_else(|| self.router.last_known()).unwrap_or(nothing);
        if let Some(slot) = Slot::BOTH
            .into_iter()
            .find(|slot| *desired.slots.get(*slot) == DesiredSlot::Stopped && takes_traffic(&desired.router, *slot))
        {
            return Err(PortError::Permanent(format!("slot {slot} cannot be stopped and take traffic at once")));
        }

        // A slot that serves another revision is replaced after its traffic has left.
        let is_first = |slot| !takes_traffic(&before, slot) || takes_traffic(&desired.router, slot);
        let mut troubles = self.run(host, desired, before, is_first).await;
        for slot in Slot::BOTH {
            let gains = desired.router.weights.get(slot) > before.weights.get(slot);
            if gains && let Some(trouble) = troubles.get_mut(slot).take() {
                return Err(trouble);
            }
        }
        self.seen = None;
        self.router.apply(&plan.name, host, desired.router).await?;
        self.seen = Some(desired.router);

        let mut trouble = troubles.blue.or(troubles.green);
        let is_drained = self.router.is_drained(&host.nginx).await?;
        for slot in Slot::BOTH.into_iter().filter(|_| is_drained) {
            if *desired.slots.get(slot) == DesiredSlot::Stopped {
                trouble = trouble.or(self.processes.stop(slot, &host.candidate).err());
            }
        }
        if is_drained {
            let late = self.run(host, desired, desired.router, |slot| !is_first(slot)).await;
            trouble = trouble.or(late.blue).or(late.green);
        }
        trouble.map_or(Ok(()), Err)
    }
}

fn host(plan: &Plan) -> Result<&spec::HostTarget, PortError> {
    let host = plan.target.host.as_ref();
    host.ok_or_else(|| {
        PortError::Permanent(format!("{} has no target.host: this controller works on one host", plan.name))
    })
}

fn takes_traffic(router: &RouterObserved, slot: Slot) -> bool {
    *router.weights.get(slot) > 0 || *router.mirror.get(slot) > 0
}

fn count(n: usize) -> u32 {
    u32::try_from(n).unwrap_or(u32::MAX)
}
