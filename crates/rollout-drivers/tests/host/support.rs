//! Plans, slots and an nginx in front of them.

pub(crate) mod client;
pub(crate) mod host;
pub(crate) mod program;
pub(crate) mod server;

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use spillway_model::SystemClock;
use spillway_rollout::decision::{Desired, DesiredSlot};
use spillway_rollout::observed::RouterObserved;
use spillway_rollout::ports::{PortError, Target as _, TargetObserved};
use spillway_rollout::slot::{Slot, Slots};
use spillway_rollout::spec::{self, Candidate, CommandLine, HostSlot, NginxRouter};
use spillway_rollout::state::State;
use spillway_rollout::{Plan, Rollout};
use spillway_rollout_drivers::host::HostTarget;
use spillway_rollout_drivers::http::HttpClient;
use spillway_testkit::Nginx;
use tempfile::TempDir;

use server::SlotServer;

pub(crate) const DEADLINE: Duration = Duration::from_secs(20);
const EXAMPLE: &str = include_str!("../../../../infra/nginx/rollout.conf");

/// An nginx with the example's configuration, two slots in this process, and a state directory.
pub(crate) struct Rig {
    pub(crate) nginx: Nginx,
    pub(crate) state: TempDir,
    pub(crate) slots: Slots<SlotServer>,
    pub(crate) plan: Plan,
    pub(crate) target: HostTarget,
}

impl Rig {
    /// Everything runs, and blue has all traffic.
    pub(crate) async fn start() -> Self {
        let slots = Slots { blue: SlotServer::start("blue").await, green: SlotServer::start("green").await };
        let addresses = Slots::make(|slot| slots.get(slot).address());
        let (mut nginx, state) = (Nginx::prepare(), temporary());
        let plan = plan(host(&nginx, &addresses, None));
        let mut target = open(state.path());
        start_nginx(&mut nginx, &mut target, &plan).await;
        Self { nginx, state, slots, plan, target }
    }

    /// The file that the controller owns.
    pub(crate) fn file(&self) -> &Path {
        Path::new(&self.plan.target.host.as_ref().unwrap().nginx.file)
    }

    pub(crate) fn file_text(&self) -> String {
        std::fs::read_to_string(self.file()).unwrap()
    }

    pub(crate) async fn weigh(&mut self, green: u8) -> Result<(), PortError> {
        self.target.apply(&self.plan, &split(green, 0)).await
    }

    pub(crate) async fn observe(&mut self) -> TargetObserved {
        self.target.observe(&self.plan, &State::default()).await.unwrap()
    }
}

/// Writes the controller's file as its first look does, starts nginx with it, and looks again.
pub(crate) async fn start_nginx(nginx: &mut Nginx, target: &mut HostTarget, plan: &Plan) {
    let file = &plan.target.host.as_ref().unwrap().nginx.file;
    nginx.configure(&example(file, nginx.port()));
    let all_to_blue = split(0, 0);
    let refused = target.apply(plan, &all_to_blue).await.unwrap_err();
    assert!(refused.to_string().starts_with("nginx does not run: start it"), "{refused}");
    nginx.start().await;
    target.apply(plan, &all_to_blue).await.unwrap();
}

/// The configuration that is shipped, with this file and port.
pub(crate) fn example(file: &str, port: u16) -> String {
    assert!(EXAMPLE.contains("include /etc/nginx/spillway/web.conf;") && EXAMPLE.contains("listen 80;"));
    EXAMPLE.replace("/etc/nginx/spillway/web.conf", file).replace("listen 80;", &format!("listen 127.0.0.1:{port};"))
}

pub(crate) fn open(state: &Path) -> HostTarget {
    HostTarget::open(state, Arc::new(SystemClock), HttpClient::new()).unwrap()
}

/// Both slots as they are, and a share of requests and of copies for green.
pub(crate) fn split(green: u8, mirror: u8) -> Desired {
    Desired {
        router: RouterObserved {
            weights: Slots { blue: 100 - green, green },
            mirror: Slots { blue: 0, green: mirror },
        },
        slots: Slots { blue: DesiredSlot::AsIs, green: DesiredSlot::AsIs },
        capacity: Slots { blue: 100, green: 100 },
        gates: Vec::new(),
    }
}

/// The same with these revisions; `None` stops a slot.
pub(crate) fn desired(green: u8, revisions: [Option<&str>; 2]) -> Desired {
    let slot = |revision: Option<&str>| match revision {
        Some(revision) => DesiredSlot::Running { revision: revision.to_owned() },
        None => DesiredSlot::Stopped,
    };
    Desired { slots: Slots { blue: slot(revisions[0]), green: slot(revisions[1]) }, ..split(green, 0) }
}

pub(crate) fn host(nginx: &Nginx, addresses: &Slots<String>, start: Option<CommandLine>) -> spec::HostTarget {
    let slot =
        |slot: Slot| HostSlot { addresses: vec![addresses.get(slot).clone()], ready_path: None, metrics_path: None };
    spec::HostTarget {
        nginx: NginxRouter {
            file: nginx.directory().join("web.conf").display().to_string(),
            config: Some(nginx.config().display().to_string()),
            program: Some(Nginx::program().display().to_string()),
            mirror_unsafe_methods: false,
        },
        slots: Slots::make(slot),
        candidate: Candidate { revision: "v2".to_owned(), start, stop_timeout: None },
    }
}

/// Half of the traffic, then all, in less than a second and without guards.
pub(crate) fn plan(host: spec::HostTarget) -> Plan {
    let mut plan = Plan::new(&rollout(host)).unwrap();
    plan.guards.clear();
    plan.judge.metrics.clear();
    for step in &mut plan.steps {
        step.bake = Duration::from_millis(300);
    }
    plan.observation = Duration::from_millis(300);
    plan.analysis.interval = Duration::from_millis(100);
    plan.analysis.warmup = Duration::ZERO;
    plan
}

pub(crate) fn rollout(host: spec::HostTarget) -> Rollout {
    let step = |weight| spec::Step { weight: Some(weight), ..spec::Step::default() };
    let written = serde_json::json!({
        "apiVersion": spec::API_VERSION,
        "kind": spec::KIND,
        "metadata": { "name": "web" },
        "spec": { "target": { "host": host }, "steps": [step(50), step(100)] },
    });
    serde_json::from_value(written).unwrap()
}

pub(crate) fn temporary() -> TempDir {
    tempfile::Builder::new().prefix("spillway-rollout-").tempdir().unwrap()
}
