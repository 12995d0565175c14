//! Carries gates out: smoke checks, webhooks, load tests. Each is a task of its own.

mod answer;
mod job;
mod process;
mod smoke;
mod webhook;

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use spillway_rollout::Plan;
use spillway_rollout::decision::{Gate, GateRequest};
use spillway_rollout::observed::GateState;
use spillway_rollout::ports::Gatekeeper;
use spillway_rollout::spec::LoadTest;
use tokio::sync::watch;
use tokio_util::sync::{CancellationToken, DropGuard};

pub use job::JobLoadTester;
pub use process::ProcessLoadTester;

use crate::http::HttpClient;
use crate::meter::Endpoints;

/// Gates that run or are remembered at once. A plan asks for one or two.
pub const MAX_GATES: usize = 64;

/// How gates are carried out.
#[derive(Debug, Clone)]
pub struct GateSettings {
    /// Pause before a smoke check or a webhook is tried again. Default 2 s.
    pub retry_pause: Duration,
}

impl Default for GateSettings {
    fn default() -> Self {
        Self { retry_pause: Duration::from_secs(2) }
    }
}

/// Runs load tests with `spillway-loadgen`.
#[async_trait]
pub trait LoadTester: Send + Sync {
    /// Runs one to its end. When `stop` is cancelled, ends what was started and returns whatever.
    async fn run(&self, run: LoadRun, progress: &Progress, stop: CancellationToken) -> GateState;
}

/// A load test that shall run.
#[derive(Debug, Clone)]
pub struct LoadRun {
    /// The gate's id: letters, digits and hyphens.
    pub id: String,
    /// Name of the Rollout.
    pub rollout: String,
    /// What is run.
    pub test: LoadTest,
    /// Base address of the target.
    pub target: String,
    /// Longest run.
    pub timeout: Duration,
}

/// Where a gate tells how far it is.
#[derive(Debug, Clone)]
pub struct Progress(watch::Sender<GateState>);

/// Keeps the gates. What runs is stopped when this is dropped; after a restart a gate that ran is started again.
pub struct Gates {
    http: HttpClient,
    endpoints: Arc<dyn Endpoints>,
    load_tester: Arc<dyn LoadTester>,
    settings: GateSettings,
    tasks: HashMap<String, Task>,
}

struct Task {
    state: watch::Receiver<GateState>,
    _stop: DropGuard,
}

/// What a gate works with.
struct Work {
    http: HttpClient,
    endpoints: Arc<dyn Endpoints>,
    load_tester: Arc<dyn LoadTester>,
    settings: GateSettings,
    plan: Plan,
    request: GateRequest,
}

impl Gates {
    /// Tests the slots where `endpoints` says that they are.
    #[must_use]
    pub fn new(
        http: HttpClient,
        endpoints: Arc<dyn Endpoints>,
        load_tester: Arc<dyn LoadTester>,
        settings: GateSettings,
    ) -> Self {
        Self { http, endpoints, load_tester, settings, tasks: HashMap::new() }
    }

    fn start(&self, plan: &Plan, request: &GateRequest) -> Task {
        let (sender, state) = watch::channel(GateState::Running { progress: String::new() });
        let stop = CancellationToken::new();
        let work = Work {
            http: self.http.clone(),
            endpoints: Arc::clone(&self.endpoints),
            load_tester: Arc::clone(&self.load_tester),
            settings: self.settings.clone(),
            plan: plan.clone(),
            request: request.clone(),
        };
        let guard = stop.clone().drop_guard();
        tokio::spawn(async move {
            let progress = Progress(sender);
            let ended = work.run(&progress, stop).await;
            progress.0.send_replace(ended);
        });
        Task { state, _stop: guard }
    }
}

#[async_trait]
impl Gatekeeper for Gates {
    async fn tend(&mut self, plan: &Plan, requests: &[GateRequest]) -> BTreeMap<String, GateState> {
        self.tasks.retain(|id, _| requests.iter().any(|request| request.id == *id));
        let mut states = BTreeMap::new();
        for request in requests {
            if !self.tasks.contains_key(&request.id) {
                if self.tasks.len() >= MAX_GATES {
                    states.insert(request.id.clone(), broken(format!("more than {MAX_GATES} gates at once")));
                    continue;
                }
                self.tasks.insert(request.id.clone(), self.start(plan, request));
            }
            if let Some(task) = self.tasks.get(&request.id) {
                states.insert(request.id.clone(), task.read());
            }
        }
        states
    }
}

impl Task {
    fn read(&self) -> GateState {
        let state = self.state.borrow().clone();
        let is_over = self.state.has_changed().is_err();
        match state {
            // It may have ended between the two.
            GateState::Running { .. } if is_over => match self.state.borrow().clone() {
                GateState::Running { .. } => broken("it ended without a result".to_owned()),
                ended => ended,
            },
            state => state,
        }
    }
}

impl Work {
    async fn run(self, progress: &Progress, stop: CancellationToken) -> GateState {
        let Self { http, plan, request, settings, .. } = &self;
        match &request.gate {
            Gate::Smoke(checks) => {
                let base = self.endpoints.base(plan, request.slot).await;
                tokio::select! {
                    state = smoke::run(http, base, checks, settings.retry_pause, progress) => state,
                    () = stop.cancelled() => broken("stopped".to_owned()),
                }
            }
            Gate::Webhook(webhook) => tokio::select! {
                state = webhook::run(http, plan, request, webhook, settings.retry_pause, progress) => state,
                () = stop.cancelled() => broken("stopped".to_owned()),
            },
            Gate::LoadTest(test) => {
                let target = match &test.target {
                    Some(target) => target.clone(),
                    None => match self.endpoints.base(plan, request.slot).await {
                        Ok(base) => base,
                        Err(error) => return broken(error.to_string()),
                    },
                };
                let run = LoadRun {
                    id: request.id.clone(),
                    rollout: plan.name.clone(),
                    test: test.clone(),
                    target,
                    timeout: test.timeout.map_or(USUAL_LOAD_TIMEOUT, |timeout| timeout.0),
                };
                self.load_tester.run(run, progress, stop).await
            }
        }
    }
}

/// Longest run of a load test that names none.
const USUAL_LOAD_TIMEOUT: Duration = Duration::from_secs(3_600);

impl Progress {
    /// Tells nobody.
    #[must_use]
    pub fn silent() -> Self {
        Self(watch::Sender::new(GateState::Running { progress: String::new() }))
    }

    /// Says what is done now, for people.
    pub fn tell(&self, progress: impl Into<String>) {
        self.0.send_replace(GateState::Running { progress: progress.into() });
    }
}

fn broken(summary: String) -> GateState {
    GateState::Broken { summary }
}
