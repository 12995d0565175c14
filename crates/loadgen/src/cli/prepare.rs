//! From options to what runs: flows and Goose scenarios become workloads; `setup` and `teardown` run around them.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;

use super::Failure;
use crate::flow::{Flow, FlowRun, FlowWorkload};
use crate::generator;
use crate::goose_driver::GooseWorkload;
use crate::goose_scenarios::{Access, BuiltIn, PREFIX, SCENARIOS};
use crate::metrics::Registry;
use crate::options::{Options, Plan, SETUP, ScenarioPlan, TEARDOWN};
use crate::schedule;
use crate::user::Workload;

/// Names that an `exec` may have beside the file's flows.
pub(super) fn built_in() -> Vec<String> {
    SCENARIOS.iter().map(|scenario| format!("{PREFIX}{}", scenario.name)).collect()
}

/// What a plan runs, checked and ready to make users.
pub(super) struct Prepared {
    flows: BTreeMap<String, Flow>,
    setup: Option<Flow>,
    teardown: Option<Flow>,
    access: Access,
}

impl Prepared {
    /// Compiles the flows that the plan's scenarios run. Paths of files in them begin at `folder`.
    pub(super) fn new(options: &Options, plan: &Plan, folder: &Path, access: Access) -> Result<Self, Failure> {
        let compile = |name: &str| match options.flows().get(name) {
            None => Ok(None),
            Some(spec) => Flow::compile(name, spec, plan, folder)
                .map(Some)
                .map_err(|error| Failure::configuration(format!("{}: {error}", options.place(&["flows", name])))),
        };
        let mut flows = BTreeMap::new();
        for scenario in &plan.scenarios {
            if !flows.contains_key(&scenario.exec)
                && let Some(flow) = compile(&scenario.exec)?
            {
                flows.insert(scenario.exec.clone(), flow);
            }
        }
        for scenario in plan.scenarios.iter().filter(|scenario| !flows.contains_key(&scenario.exec)) {
            let place = || options.place(&["scenarios", &scenario.name, "exec"]);
            goose(scenario, plan, &access).map_err(|error| Failure::configuration(format!("{}: {error}", place())))?;
        }
        Ok(Self { flows, setup: compile(SETUP)?, teardown: compile(TEARDOWN)?, access })
    }

    /// Opens a connection to each target, and sees that there is room for those of all users.
    pub(super) async fn probe(&self, plan: &Plan) -> Result<(), Failure> {
        let users: u64 = plan.scenarios.iter().map(|scenario| u64::from(schedule::max_vus(&scenario.executor))).sum();
        generator::make_room_for_files(users).map_err(Failure::configuration)?;
        for flow in self.flows.values().chain(&self.setup).chain(&self.teardown) {
            flow.probe().await.map_err(Failure::scenario)?;
        }
        Ok(())
    }

    /// Runs the flow `setup`, if there is one, and gives what it captured.
    pub(super) async fn set_up(&self, plan: &Plan) -> Result<BTreeMap<String, String>, String> {
        let Some(flow) = &self.setup else { return Ok(BTreeMap::new()) };
        flow.run_once(plan.setup_timeout, &FlowRun::new(plan, Arc::default())).await.map_err(|error| error.to_string())
    }

    /// Runs the flow `teardown`, if there is one.
    pub(super) async fn tear_down(&self, plan: &Plan, captured: BTreeMap<String, String>) -> Result<(), String> {
        let Some(flow) = &self.teardown else { return Ok(()) };
        let run = FlowRun::new(plan, Arc::new(captured));
        flow.run_once(plan.teardown_timeout, &run).await.map(drop).map_err(|error| error.to_string())
    }

    /// The workload of each scenario, by the scenario's name.
    pub(super) fn workloads(
        &self,
        plan: &Plan,
        registry: &Arc<Registry>,
        captured: BTreeMap<String, String>,
    ) -> Result<BTreeMap<String, Arc<dyn Workload>>, Failure> {
        let run = FlowRun::new(plan, Arc::new(captured));
        let workload = |scenario: &ScenarioPlan| -> Result<(String, Arc<dyn Workload>), Failure> {
            let workload: Arc<dyn Workload> = match self.flows.get(&scenario.exec) {
                Some(flow) => Arc::new(FlowWorkload::new(flow, scenario, registry, &run)),
                None => {
                    let (target, goose) = goose(scenario, plan, &self.access).map_err(Failure::configuration)?;
                    let workload = GooseWorkload::new(goose, &scenario.name, target, registry.clone());
                    Arc::new(workload.map_err(Failure::scenario)?)
                }
            };
            Ok((scenario.name.clone(), workload))
        };
        plan.scenarios.iter().map(workload).collect()
    }
}

/// The Goose scenario that a scenario of the plan names, and its target.
fn goose(scenario: &ScenarioPlan, plan: &Plan, access: &Access) -> Result<(url::Url, goose::goose::Scenario), String> {
    let built_in = BuiltIn::named(&scenario.exec)
        .ok_or_else(|| format!("scenario {} runs {}, which is no flow of the file", scenario.name, scenario.exec))?;
    let target =
        plan.target.clone().ok_or("a Goose scenario needs a target: give --target, or `target` in the file")?;
    Ok((target, built_in.scenario(access)?))
}
