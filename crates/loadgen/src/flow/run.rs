//! Flows at work: what the users of a run share, and the workload of a scenario.

mod limiter;

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use limiter::Limiter;

use super::compile::{Flow, Program};
use super::series::{RequestSeries, SocketSeries};
use super::user::User;
use crate::http::{ClientSettings, Transport};
use crate::metrics::{Recorder, Registry};
use crate::options::{Plan, ScenarioPlan};
use crate::user::{IterationError, VirtualUser, Workload};

/// What all flows of one run share: the values of the flow `setup`, the limit of requests per second, the counter `{{sequence}}`.
#[derive(Debug)]
pub struct FlowRun {
    setup: Arc<BTreeMap<String, String>>,
    limiter: Option<Limiter>,
    sequence: AtomicU64,
}

impl FlowRun {
    /// A run of `plan`. `setup` is what [`Flow::run_once`] of the flow `setup` gave; empty without one.
    pub fn new(plan: &Plan, setup: Arc<BTreeMap<String, String>>) -> Arc<Self> {
        Arc::new(Self { setup, limiter: plan.rps.map(Limiter::new), sequence: AtomicU64::new(0) })
    }

    pub(super) fn setup(&self, name: &str) -> Option<&str> {
        self.setup.get(name).map(String::as_str)
    }

    /// Counts from 1.
    pub(super) fn next_in_sequence(&self) -> u64 {
        self.sequence.fetch_add(1, Ordering::Relaxed) + 1
    }

    /// Waits until another request may go out.
    pub(super) async fn admit(&self) {
        if let Some(limiter) = &self.limiter {
            limiter.wait().await;
        }
    }
}

/// A flow as the workload of one scenario.
pub struct FlowWorkload(Arc<Bound>);

/// A flow's program with everything that its users need beside it.
#[derive(Debug)]
pub(super) struct Bound {
    pub(super) program: Arc<Program>,
    pub(super) transport: Arc<Transport>,
    pub(super) settings: ClientSettings,
    pub(super) scenario: String,
    pub(super) run: Arc<FlowRun>,
    pub(super) requests: Box<[RequestSeries]>,
    pub(super) socket: Option<SocketSeries>,
}

impl FlowWorkload {
    /// The users of `scenario` run `flow`, which was compiled for a plan with this scenario; samples go to `registry`.
    pub fn new(flow: &Flow, scenario: &ScenarioPlan, registry: &Arc<Registry>, run: &Arc<FlowRun>) -> Self {
        Self(Arc::new(flow.bind(&scenario.name, &scenario.env, &scenario.tags, registry, run)))
    }
}

impl Workload for FlowWorkload {
    fn user(&self, vu: u32, recorder: Recorder) -> Result<Box<dyn VirtualUser>, IterationError> {
        self.0.check_setup()?;
        Ok(Box::new(User::new(self.0.clone(), vu, recorder)))
    }
}

impl Bound {
    /// Refuses to begin when the flow `setup` did not capture what this flow uses.
    pub(super) fn check_setup(&self) -> Result<(), IterationError> {
        match self.program.setup_names().find(|name| self.run.setup(name).is_none()) {
            None => Ok(()),
            Some(name) => Err(IterationError::new(format!(
                "{{{{setup.{name}}}}}: the flow setup captured no {name}: add it to the `capture` of one of its requests"
            ))),
        }
    }
}
