//! Flows against a real server.

mod errors;
mod requests;
mod server;
mod signing;
mod sockets;

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use url::Url;

use super::*;
use crate::metrics::{Metric, Registry, RegistrySettings, Snapshot, Values};
use crate::options::{ExecutorPlan, Plan, ScenarioPlan};
use crate::user::{IterationError, VirtualUser, Workload};
use server::Server;

/// A plan whose scenario `peak` runs the flow `f`.
pub(super) fn plan(target: Option<Url>) -> Plan {
    Plan {
        scenarios: vec![ScenarioPlan {
            name: "peak".to_owned(),
            executor: ExecutorPlan::SharedIterations { vus: 1, iterations: 1, max_duration: Duration::from_secs(60) },
            start_time: Duration::ZERO,
            graceful_stop: Duration::ZERO,
            env: BTreeMap::from([("REGION".to_owned(), "eu".to_owned())]),
            tags: BTreeMap::from([("team".to_owned(), "blue".to_owned())]),
            exec: "f".to_owned(),
        }],
        thresholds: Vec::new(),
        segment: crate::segment::Segment::default(),
        target,
        tags: BTreeMap::new(),
        user_agent: Some("spillway-test".to_owned()),
        insecure_skip_tls_verify: false,
        no_connection_reuse: false,
        discard_response_bodies: false,
        rps: None,
        setup_timeout: Duration::from_secs(60),
        teardown_timeout: Duration::from_secs(60),
        summary_trend_stats: Vec::new(),
        summary_time_unit: None,
        warnings: Vec::new(),
    }
}

fn spec(text: &str) -> FlowSpec {
    toml::from_str(text).unwrap_or_else(|error| panic!("{error}"))
}

/// A user of the flow `f` with what it measures.
struct Runner {
    registry: Arc<Registry>,
    user: Box<dyn VirtualUser>,
}

impl Runner {
    fn new(text: &str, plan: &Plan, folder: &Path, setup: &[(&str, &str)]) -> Self {
        let registry = Registry::new(RegistrySettings::default());
        let setup = setup.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect();
        let run = FlowRun::new(plan, Arc::new(setup));
        let flow = Flow::compile("f", &spec(text), plan, folder).unwrap_or_else(|error| panic!("{error}"));
        let workload = FlowWorkload::new(&flow, &plan.scenarios[0], &registry, &run);
        let user = workload.user(7, registry.recorder()).unwrap();
        Self { registry, user }
    }

    fn on(server: &Server, text: &str) -> Self {
        Self::new(text, &plan(Some(server.url.clone())), Path::new("."), &[])
    }

    async fn iterate(&mut self, times: usize) -> Result<(), IterationError> {
        for _ in 0..times {
            tokio::time::timeout(Duration::from_secs(20), self.user.iterate()).await.expect("an iteration ends")?;
        }
        Ok(())
    }

    fn snapshot(&self) -> Snapshot {
        self.registry.snapshot()
    }

    fn total(&self, metric: Metric, tags: &[(&str, &str)]) -> Option<Values> {
        let tags: Vec<_> = tags.iter().map(|(tag, value)| ((*tag).to_owned(), (*value).to_owned())).collect();
        self.snapshot().total(metric, &tags)
    }

    fn count(&self, metric: Metric, tags: &[(&str, &str)]) -> u64 {
        match self.total(metric, tags) {
            Some(Values::Counter(n)) => n,
            other => panic!("{metric} is no counter: {other:?}"),
        }
    }

    /// Passed and all samples of a check.
    fn check(&self, name: &str) -> (u64, u64) {
        match self.total(Metric::Checks, &[("check", name)]) {
            Some(Values::Rate { passes, total }) => (passes, total),
            other => panic!("the check {name} has no samples: {other:?}"),
        }
    }
}
