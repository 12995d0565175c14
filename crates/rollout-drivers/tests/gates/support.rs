//! A keeper of gates and what it is asked.

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use spillway_rollout::Slot;
use spillway_rollout::decision::{Gate, GateRequest};
use spillway_rollout::observed::GateState;
use spillway_rollout::plan::Plan;
use spillway_rollout::ports::Gatekeeper;
use spillway_rollout_drivers::gates::{GateSettings, Gates, ProcessLoadTester};
use spillway_rollout_drivers::http::HttpClient;
use spillway_rollout_drivers::meter::HostEndpoints;
use spillway_testkit::wait_until;

pub(crate) const DEADLINE: Duration = Duration::from_secs(20);

/// A keeper that tries again at once and runs `program` as load generator.
pub(crate) fn keeper(program: &Path, reports: &Path) -> Gates {
    Gates::new(
        HttpClient::new(),
        Arc::new(HostEndpoints),
        Arc::new(ProcessLoadTester::new(program, reports)),
        GateSettings { retry_pause: Duration::from_millis(1) },
    )
}

/// A gate of the candidate in the green slot.
pub(crate) fn request(id: &str, gate: Gate) -> GateRequest {
    GateRequest { id: id.to_owned(), slot: Slot::Green, gate, step: 0, revision: "v2".to_owned() }
}

/// Asks again and again for one gate until it has ended.
pub(crate) async fn end(gates: &mut Gates, plan: &Plan, request: &GateRequest) -> GateState {
    let mut ended = None;
    wait_until("the gate's end", DEADLINE, async || {
        let state = gates.tend(plan, std::slice::from_ref(request)).await.remove(&request.id);
        ended = state.filter(|state| !matches!(state, GateState::Running { .. }));
        ended.is_some()
    })
    .await;
    ended.unwrap()
}

/// The word for a state and what it says.
pub(crate) fn told(state: GateState) -> (&'static str, String) {
    match state {
        GateState::Running { progress } => ("running", progress),
        GateState::Passed { summary, .. } => ("passed", summary),
        GateState::Failed { summary, .. } => ("failed", summary),
        GateState::Broken { summary } => ("broken", summary),
    }
}
