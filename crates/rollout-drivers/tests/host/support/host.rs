//! A host whose candidate is a process.

use std::path::Path;
use std::time::Duration;

use spillway_rollout::Plan;
use spillway_rollout::decision::Desired;
use spillway_rollout::ports::{Target as _, TargetObserved};
use spillway_rollout::slot::Slots;
use spillway_rollout::state::State;
use spillway_rollout_drivers::host::HostTarget;
use spillway_slo::duration::Timespan;
use spillway_testkit::{Nginx, free_port, wait_until};
use tempfile::TempDir;

use super::client::Client;
use super::program::{Leftovers, command};
use super::server::SlotServer;
use super::{DEADLINE, host, open, plan, start_nginx, temporary};

/// Blue runs in the test's process; green is started by the controller.
pub(crate) struct Host {
    pub(crate) nginx: Nginx,
    pub(crate) plan: Plan,
    pub(crate) target: HostTarget,
    /// Before the directory, which it reads.
    _leftovers: Leftovers,
    pub(crate) state: TempDir,
    _blue: SlotServer,
}

impl Host {
    pub(crate) async fn start(kind: &str) -> Self {
        let state = temporary();
        let mut start = command(kind);
        start.environment.insert("SLOT_STATE".to_owned(), state.path().display().to_string());
        let blue = SlotServer::start("blue v1").await;
        let addresses = Slots { blue: blue.address(), green: format!("127.0.0.1:{}", free_port()) };
        let mut nginx = Nginx::prepare();
        let mut host = host(&nginx, &addresses, Some(start));
        host.candidate.stop_timeout = Some(Timespan(Duration::from_millis(300)));
        let plan = plan(host);
        let mut target = open(state.path());
        start_nginx(&mut nginx, &mut target, &plan).await;
        let leftovers = Leftovers(state.path().to_owned());
        Self { nginx, plan, target, _leftovers: leftovers, state, _blue: blue }
    }

    pub(crate) fn path(&self) -> &Path {
        self.state.path()
    }

    pub(crate) async fn observe(&mut self) -> TargetObserved {
        self.target.observe(&self.plan, &State::default()).await.unwrap()
    }

    pub(crate) async fn apply(&mut self, desired: &Desired) {
        self.target.apply(&self.plan, desired).await.unwrap();
    }

    /// Looks, as the controller does, until `condition` holds.
    pub(crate) async fn look_until(
        &mut self,
        what: &str,
        desired: &Desired,
        condition: impl Fn(&TargetObserved) -> bool,
    ) {
        wait_until(what, DEADLINE, async || {
            let seen = self.observe().await;
            condition(&seen) || {
                self.apply(desired).await;
                false
            }
        })
        .await;
    }

    pub(crate) async fn ask(&self, path: &str) -> String {
        Client::new(self.nginx.address()).get(path).await.unwrap().body
    }

    pub(crate) async fn ask_green(&self, path: &str) -> Option<String> {
        let address = &self.plan.target.host.as_ref().unwrap().slots.green.addresses[0];
        Client::new(address.parse().unwrap()).get(path).await.ok().map(|answer| answer.body)
    }
}

pub(crate) const CANARY: [Option<&str>; 2] = [Some("unknown"), Some("v2")];

pub(crate) fn is_green_ready(seen: &TargetObserved) -> bool {
    seen.slots.green.revision.as_deref() == Some("v2") && seen.slots.green.is_ready()
}

pub(crate) fn is_green_empty(seen: &TargetObserved) -> bool {
    seen.slots.green.revision.is_none()
}
