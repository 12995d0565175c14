//! A plan for two slots on this host.

#[path = "plans.rs"]
mod plans;

use std::collections::BTreeMap;
use std::sync::Arc;

use async_trait::async_trait;
use serde_json::json;
use spillway_model::Secret;
use spillway_rollout::plan::Plan;
use spillway_rollout::state::{Phase, Progress, Stage, State};
use spillway_rollout::{Slot, Slots};
use spillway_rollout_drivers::secrets::Secrets;

use plans::plan_of;

/// A plan of one step whose slots listen at these addresses.
pub(crate) fn plan(blue: &[String], green: &[String]) -> Plan {
    let mut plan = plan_of(
        "gateway",
        &json!({
            "target": { "host": {
                "nginx": { "file": "unused.conf" },
                "slots": { "blue": { "addresses": ["127.0.0.1:1"] }, "green": { "addresses": ["127.0.0.1:2"] } },
                "candidate": { "revision": "v2" },
            } },
            "steps": [{ "weight": 100, "bake": "60s" }],
            "analysis": { "warmup": "0s" },
        }),
    );
    if let Some(host) = &mut plan.target.host {
        // Some tests have a slot without addresses, which no user has.
        let addresses = Slots { blue, green };
        for slot in Slot::BOTH {
            host.slots.get_mut(slot).addresses = addresses.get(slot).to_vec();
        }
    }
    plan
}

/// Blue is live, green is the candidate at 10 %.
pub(crate) fn progressing() -> State {
    State {
        phase: Phase::Progressing,
        live_slot: Slot::Blue,
        live_revision: Some("v1".to_owned()),
        rollout: Some(Progress {
            ready_at: Some(0),
            stage: Stage::Baking,
            weight: 10,
            ..Progress::new("v2".to_owned(), Slot::Green, 1, 0)
        }),
        ..State::default()
    }
}

/// Secrets that are what they are called, and those that are given.
pub(crate) fn secrets(known: &[(&str, &str)]) -> Arc<dyn Secrets> {
    struct Known(BTreeMap<String, String>);
    #[async_trait]
    impl Secrets for Known {
        async fn resolve(&self, reference: &str) -> Result<Secret, String> {
            match reference.split_once(':') {
                Some(("env", name)) => self.0.get(name).map(Secret::new).ok_or_else(|| format!("{name} is not set")),
                _ => Ok(Secret::new(reference)),
            }
        }
    }
    Arc::new(Known(known.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect()))
}
