//! From a flow's description to what its users run.

mod program;

use std::collections::BTreeMap;
use std::fmt;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use super::error::{FlowError, Place};
use super::request::Origins;
use super::run::{Bound, FlowRun};
use super::series::{RequestSeries, SocketSeries};
use super::spec::FlowSpec;
use super::user::User;
use crate::http::{ClientSettings, Origin, Transport};
use crate::metrics::{Registry, RegistrySettings};
use crate::options::Plan;

pub(super) use program::{Program, checks, group, tags};

/// How long [`Flow::probe`] waits for one server.
const PROBE_TIMEOUT: Duration = Duration::from_secs(10);

/// A flow that was checked and made ready.
pub struct Flow {
    name: String,
    transport: Arc<Transport>,
    settings: ClientSettings,
    origins: Vec<Arc<Origin>>,
    /// One for each set of environment values among the flow's scenarios; the first has none of its own.
    programs: Vec<(BTreeMap<String, String>, Arc<Program>)>,
}

impl fmt::Debug for Flow {
    /// The name alone: headers and bodies hold environment values, and these may be secret.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Flow").field("name", &self.name).finish_non_exhaustive()
    }
}

impl Flow {
    /// Makes the flow `name` ready for the scenarios of `plan` that run it. Relative paths of files start at `folder`.
    ///
    /// # Errors
    /// Whatever would keep a request from being made: templates, environment values, files, providers, secrets, URLs.
    pub fn compile(name: &str, spec: &FlowSpec, plan: &Plan, folder: &Path) -> Result<Self, FlowError> {
        let place = Place::flow(name);
        let mut environments: Vec<&BTreeMap<String, String>> = Vec::new();
        for scenario in plan.scenarios.iter().filter(|scenario| scenario.exec == name) {
            if !environments.contains(&&scenario.env) {
                environments.push(&scenario.env);
            }
        }
        let none = BTreeMap::new();
        if environments.is_empty() {
            environments.push(&none);
        }
        let data = program::read_data(spec, folder, &place)?;
        let mut origins = Origins::default();
        let mut programs = Vec::new();
        for env in environments {
            let program = Program::compile(spec, plan, folder, env, &data, &mut origins, &place)?;
            programs.push((env.clone(), Arc::new(program)));
        }
        Ok(Self {
            name: name.to_owned(),
            transport: Transport::new(plan.insecure_skip_tls_verify),
            settings: ClientSettings {
                protocol: spec.protocol,
                no_connection_reuse: spec.keep_alive.map_or(plan.no_connection_reuse, |keep_alive| !keep_alive),
                network: spec.network.map(|network| network.0),
            },
            origins: origins.0,
            programs,
        })
    }

    /// Opens one connection to each server, so that a run against nobody ends before it begins.
    ///
    /// # Errors
    /// A server cannot be reached within 10 seconds.
    pub async fn probe(&self) -> Result<(), FlowError> {
        for origin in &self.origins {
            let outcome = tokio::time::timeout(PROBE_TIMEOUT, self.transport.probe(origin)).await;
            let reason = match outcome {
                Ok(Ok(())) => continue,
                Ok(Err(failure)) => failure.to_string(),
                Err(_) => format!("no answer within {} s", PROBE_TIMEOUT.as_secs()),
            };
            let origin = format!("{}://{}", origin.scheme(), origin.authority);
            return Err(FlowError::Unreachable { flow: self.name.clone(), origin, reason });
        }
        Ok(())
    }

    /// Runs one iteration, as the flows `setup` and `teardown` do, and gives the captured values. Nothing of it is measured.
    ///
    /// # Errors
    /// It takes longer than `timeout`, a request or a check fails, or a captured value is not there.
    pub async fn run_once(&self, timeout: Duration, run: &Arc<FlowRun>) -> Result<BTreeMap<String, String>, FlowError> {
        let failed = |reason: String| FlowError::Failed { flow: self.name.clone(), reason };
        let registry = Registry::new(RegistrySettings::default());
        let none = BTreeMap::new();
        let bound = self.bind(&self.name, &none, &none, &registry, run);
        bound.check_setup().map_err(|error| failed(error.message))?;
        let mut user = User::new(Arc::new(bound), 0, registry.recorder()).strict();
        match tokio::time::timeout(timeout, Box::pin(user.iteration())).await {
            Ok(Ok(())) => Ok(user.captured()),
            Ok(Err(error)) => Err(failed(error.message)),
            Err(_) => Err(failed(format!("it was not done after {} s, its time limit", timeout.as_secs_f64()))),
        }
    }

    pub(super) fn bind(
        &self,
        scenario: &str,
        env: &BTreeMap<String, String>,
        tags: &BTreeMap<String, String>,
        registry: &Arc<Registry>,
        run: &Arc<FlowRun>,
    ) -> Bound {
        let known = self.programs.iter().find(|(known, _)| known == env).or(self.programs.first());
        let program = known.map(|(_, program)| program.clone()).unwrap_or_default();
        let requests = program.requests.iter().map(|request| RequestSeries::new(request, scenario, tags, registry));
        Bound {
            requests: requests.collect(),
            socket: program.socket.as_ref().map(|socket| SocketSeries::new(socket, scenario, tags, registry)),
            transport: self.transport.clone(),
            settings: self.settings,
            scenario: scenario.to_owned(),
            run: run.clone(),
            program,
        }
    }
}
