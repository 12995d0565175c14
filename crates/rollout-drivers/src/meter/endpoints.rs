//! Where the processes of a slot are.

use async_trait::async_trait;
use spillway_rollout::ports::PortError;
use spillway_rollout::spec::HostSlot;
use spillway_rollout::{Plan, Slot, Slots};

/// Finds the processes of a slot.
#[async_trait]
pub trait Endpoints: Send + Sync {
    /// Addresses of the metrics of every process of the slot, one URL each. They name the processes: a process keeps its address.
    ///
    /// # Errors
    /// When they are not known.
    async fn of(&self, plan: &Plan, slot: Slot) -> Result<Vec<String>, PortError>;

    /// Base address under which the slot answers requests, without a slash at its end: where smoke checks and load tests go.
    ///
    /// # Errors
    /// When it is not known.
    async fn base(&self, plan: &Plan, slot: Slot) -> Result<String, PortError>;
}

/// The addresses that a plan for a host or for workers names.
#[derive(Debug, Clone, Copy, Default)]
pub struct HostEndpoints;

#[async_trait]
impl Endpoints for HostEndpoints {
    async fn of(&self, plan: &Plan, slot: Slot) -> Result<Vec<String>, PortError> {
        let slot = slots(plan)?.get(slot);
        let path = slot.metrics_path.as_deref().unwrap_or("/metrics");
        Ok(slot.addresses.iter().map(|address| format!("{}{path}", url(address))).collect())
    }

    async fn base(&self, plan: &Plan, slot: Slot) -> Result<String, PortError> {
        let first = slots(plan)?.get(slot).addresses.first();
        first
            .map(|address| url(address))
            .ok_or_else(|| PortError::Permanent(format!("the {slot} slot has no address: give slots.{slot}.addresses")))
    }
}

fn slots(plan: &Plan) -> Result<&Slots<HostSlot>, PortError> {
    let target = &plan.target;
    let of_host = target.host.as_ref().map(|host| &host.slots);
    of_host.or_else(|| target.workers.as_ref().map(|workers| &workers.slots)).ok_or_else(|| {
        PortError::Permanent("the plan names no addresses: its target is no host and no workers".to_owned())
    })
}

/// Addresses are `HOST:PORT`; whoever writes a scheme means it.
fn url(address: &str) -> String {
    let address = address.trim_end_matches('/');
    if address.contains("://") { address.to_owned() } else { format!("http://{address}") }
}
