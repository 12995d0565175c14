//! What a running controller keeps for one Rollout between two looks. All of it can be lost: the memory is elsewhere.

use std::collections::BTreeMap;

use spillway_model::UnixMillis;
use spillway_rollout::Plan;
use spillway_rollout::decision::GateRequest;
use spillway_rollout::observed::{GateState, Reading};
use spillway_rollout::ports::{Gatekeeper, Measured, Meter, PortError};
use spillway_rollout::state::State;

use super::Parts;
use super::call::Cluster;

/// A meter and a gatekeeper for one plan, and what they said last.
pub(crate) struct Session {
    plan: Plan,
    meter: Box<dyn Meter>,
    gatekeeper: Box<dyn Gatekeeper>,
    sampled_at: Option<UnixMillis>,
    readings: BTreeMap<String, Reading>,
    asked: Option<Vec<GateRequest>>,
    /// How they stood right after they were asked for.
    gates: BTreeMap<String, GateState>,
    /// What could not be done at the last look.
    pub(crate) trouble: Option<String>,
}

impl Session {
    /// For this plan.
    pub(crate) fn new(parts: &Parts, plan: &Plan) -> Self {
        Self {
            plan: plan.clone(),
            meter: (parts.meter)(plan),
            gatekeeper: (parts.gatekeeper)(plan),
            sampled_at: None,
            readings: BTreeMap::new(),
            asked: None,
            gates: BTreeMap::new(),
            trouble: None,
        }
    }

    /// Goes on with another plan: what was measured for the old one says nothing.
    pub(crate) fn follow(&mut self, parts: &Parts, plan: &Plan) {
        if self.plan != *plan {
            *self = Self::new(parts, plan);
        }
    }

    /// Measures, once in each interval: looks in between, after a change of the cluster, see the last readings and no new window.
    pub(crate) async fn sample(&mut self, state: &State, now: UnixMillis) -> Measured {
        let interval = i64::try_from(self.plan.analysis.interval.as_millis()).unwrap_or(i64::MAX);
        // Looks come a little early or late; a tenth does not make another window.
        let is_due = self.sampled_at.is_none_or(|at| now < at || now - at >= interval - interval / 10);
        if !is_due {
            return Measured { readings: self.readings.clone(), ..Measured::default() };
        }
        let measured = self.meter.sample(&self.plan, state, now).await;
        self.sampled_at = Some(now);
        self.readings.clone_from(&measured.readings);
        measured
    }

    /// How the gates stand that were asked for at the last look. Nothing is started or stopped before this process has decided once.
    pub(crate) async fn gates(&mut self, cluster: &Cluster) -> Result<BTreeMap<String, GateState>, PortError> {
        match &self.asked {
            Some(asked) if !asked.is_empty() => {
                cluster.may_write().await?;
                Ok(self.gatekeeper.tend(&self.plan, asked).await)
            }
            _ => Ok(self.gates.clone()),
        }
    }

    /// Starts and stops gates as decided. After a restart the first decision stops what is not asked for any more.
    pub(crate) async fn ask(&mut self, cluster: &Cluster, gates: &[GateRequest]) -> Result<(), PortError> {
        if self.asked.as_deref() == Some(gates) {
            return Ok(());
        }
        cluster.may_write().await?;
        self.gates = self.gatekeeper.tend(&self.plan, gates).await;
        self.asked = Some(gates.to_vec());
        Ok(())
    }
}
