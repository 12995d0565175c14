//! What a running controller keeps for one Rollout between two looks. All of it can be lost: the memory is elsewhere, and a report that is written
//! after a restart has charts that begin later.

use std::collections::BTreeMap;

use spillway_model::UnixMillis;
use spillway_rollout::Plan;
use spillway_rollout::decision::GateRequest;
use spillway_rollout::observed::{GateState, Reading};
use spillway_rollout::ports::{Gatekeeper, Measured, Meter, PortError};
use spillway_rollout::state::State;

use super::call::Cluster;
use super::resource::RolloutObject;
use super::{Parts, report};
use crate::console::{Publisher, Shown};
use crate::people::{Report, Series, View};

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
    series: Series,
    publisher: Option<Publisher>,
    /// Where the last report is.
    reported: Option<String>,
}

impl Session {
    /// For this plan.
    pub(crate) fn new(parts: &Parts, rollout: &RolloutObject, plan: &Plan) -> Self {
        Self {
            plan: plan.clone(),
            meter: (parts.meter)(plan),
            gatekeeper: (parts.gatekeeper)(plan, rollout.owner_reference()),
            sampled_at: None,
            readings: BTreeMap::new(),
            asked: None,
            gates: BTreeMap::new(),
            trouble: None,
            series: Series::default(),
            publisher: (parts.console)(plan),
            reported: rollout.status().report,
        }
    }

    /// Goes on with another plan: what was measured for the old one says nothing.
    pub(crate) fn follow(&mut self, parts: &Parts, rollout: &RolloutObject, plan: &Plan) {
        if self.plan != *plan {
            let series = std::mem::take(&mut self.series);
            *self = Self { series, ..Self::new(parts, rollout, plan) };
        }
    }

    /// Notes how it stands, for the charts of its report, and shows it at the console.
    pub(crate) fn show(&mut self, view: &View) {
        self.series.record(view);
        if let Some(publisher) = &self.publisher {
            publisher.show(Shown::new(view.clone(), &self.series));
        }
    }

    /// Where the report of the last rollout that ended is; none before the first.
    pub(crate) fn reported(&self) -> Option<&str> {
        self.reported.as_deref()
    }

    /// Writes the report of a rollout that has ended, once. Returns whether one was written.
    pub(crate) async fn report(
        &mut self,
        cluster: &Cluster,
        rollout: &RolloutObject,
        view: &View,
    ) -> Result<bool, PortError> {
        let Some(ended_at) = view.rollout().and_then(|progress| progress.ended_at) else { return Ok(false) };
        let plan = rollout.written().ok().and_then(|written| serde_saphyr::to_string(&written).ok());
        let report = Report { view: view.clone(), series: self.series.clone(), plan: plan.unwrap_or_default() };
        let key = report::page_key(&report, ended_at);
        let place = format!("ConfigMap {}, key {key}", report::config_map_name(rollout.name()));
        if self.reported.as_ref() == Some(&place) {
            return Ok(false);
        }
        report::write(cluster, rollout, &report, &key).await?;
        self.reported = Some(place);
        Ok(true)
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
