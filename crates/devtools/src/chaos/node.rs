//! One process of the gateway, which is killed and comes back.

use std::net::{Ipv4Addr, SocketAddr};
use std::path::{Path, PathBuf};
use std::time::Duration;

use spillway_testkit::free_port;

use super::clock::{self, SteppedClock};
use crate::Failure;
use crate::gateway::Gateway;

/// What a process does, as `--role` names it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Role {
    All,
    Api,
    Worker,
}

impl Role {
    pub(super) const fn name(self) -> &'static str {
        match self {
            Self::All => "all",
            Self::Api => "api",
            Self::Worker => "worker",
        }
    }
}

#[derive(Debug)]
pub(super) struct Node {
    pub(super) role: Role,
    pub(super) address: SocketAddr,
    pub(super) log: PathBuf,
    /// `None` where clocks cannot be stepped.
    pub(super) clock: Option<SteppedClock>,
    program: PathBuf,
    config: PathBuf,
    gateway: Option<Gateway>,
}

impl Node {
    /// A process that does not run yet. Its log and its clock are files in `folder`.
    pub(super) fn new(role: Role, n: usize, program: &Path, config: &Path, folder: &Path) -> (Self, Option<String>) {
        let name = format!("{}-{n}", role.name());
        let (clock, reason) = match SteppedClock::new(folder.join(format!("{name}.clock"))) {
            Ok(clock) => (Some(clock), None),
            Err(reason) => (None, Some(reason)),
        };
        let node = Self {
            role,
            address: SocketAddr::from((Ipv4Addr::LOCALHOST, free_port())),
            log: folder.join(format!("{name}.log")),
            clock,
            program: program.to_owned(),
            config: config.to_owned(),
            gateway: None,
        };
        (node, reason)
    }

    /// Starts it and returns when it is ready.
    pub(super) async fn start(&mut self) -> Result<(), Failure> {
        let environment = self.clock.as_ref().map(SteppedClock::environment).unwrap_or_default();
        let (program, config, log) = (self.program.clone(), self.config.clone(), self.log.clone());
        let (role, listen) = (self.role.name(), self.address.to_string());
        let start = move || {
            let environment: Vec<_> = environment.iter().map(|(name, value)| (name.as_str(), value.as_str())).collect();
            Gateway::start_with(&program, &config, &["--role", role, "--listen", &listen], &environment, &log)
        };
        self.gateway = Some(tokio::task::spawn_blocking(start).await??);
        Ok(())
    }

    /// Process id, while it runs.
    pub(super) fn pid(&self) -> Option<u32> {
        self.gateway.as_ref().map(Gateway::pid)
    }

    /// SIGKILL.
    pub(super) fn kill(&mut self) {
        if let Some(gateway) = self.gateway.take() {
            let pid = gateway.pid();
            gateway.kill();
            clock::forget(pid);
        }
    }

    /// Whether it ended although nobody asked it to.
    pub(super) fn has_ended(&mut self) -> Result<bool, Failure> {
        self.gateway.as_mut().map_or(Ok(false), Gateway::has_ended)
    }

    /// SIGTERM; returns how long it took to end well.
    pub(super) async fn stop(&mut self) -> Result<Duration, Failure> {
        let Some(gateway) = self.gateway.take() else { return Ok(Duration::ZERO) };
        tokio::task::spawn_blocking(move || gateway.stop()).await?
    }
}

impl Drop for Node {
    fn drop(&mut self) {
        self.kill();
    }
}
