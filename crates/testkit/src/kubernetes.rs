//! A Kubernetes API server for tests: [`ApiServer`] is a private one, [`shared_namespace`] a namespace of one's own on a server that all tests of a run
//! share.
//!
//! There are an etcd and a kube-apiserver and nothing else, as with envtest: no controller manager, no scheduler, no kubelet. Deployments get no pods,
//! owned objects are not collected, a namespace that is deleted stays. A test writes the status that it needs.

mod access;
mod https;
mod programs;
mod shared;

use std::path::PathBuf;
use std::process::Command;
use std::time::Duration;

use rustix::process::Signal;
use tempfile::TempDir;

use crate::process::{ServerProcess, log_tail, spawn_detached};
use crate::wait::{free_port, holds_within};
use programs::Programs;

pub use access::ClusterAccess;
pub use shared::{TestNamespace, shared_namespace};

/// Ten seconds on an idle machine.
const START_DEADLINE: Duration = Duration::from_secs(90);
/// Another process may take a free port first.
const START_ATTEMPTS: usize = 5;

/// A Kubernetes API server with an etcd of its own for one test, on free ports of 127.0.0.1. Both are killed on drop.
///
/// A start takes some ten seconds and 300 MB of memory: most tests want [`shared_namespace`]. This is for tests that stop the server or
/// need a cluster without other tests' objects and resource definitions.
#[derive(Debug)]
pub struct ApiServer {
    access: ClusterAccess,
    // The API server goes first, so that it does not complain about its storage.
    api: ServerProcess,
    etcd: ServerProcess,
    _dir: TempDir,
}

impl ApiServer {
    /// Starts both and returns when the server says that it is ready.
    ///
    /// # Panics
    /// When a program is missing or does not start.
    pub async fn start() -> Self {
        let programs = Programs::find();
        let dir = Layout::new_dir();
        let layout = Layout { dir: dir.path().to_owned() };
        for _ in 0..START_ATTEMPTS {
            let ports = Ports::free();
            let spawn = |mut command: Command, log: PathBuf| ServerProcess::spawn(&mut command, &log, &layout.dir);
            let mut etcd = spawn(programs.etcd(&layout, ports), layout.log("etcd"));
            let mut api = spawn(programs.api_server(&layout, ports), layout.log("kube-apiserver"));
            let ended = async || etcd.exit_status().is_some() || api.exit_status().is_some();
            if let Some(access) = layout.ready(ports, ended).await {
                return Self { access, api, etcd, _dir: dir };
            }
        }
        panic!("{}", layout.complaint());
    }

    /// Address, certificate authority and token, and kubeconfigs made of them.
    pub fn access(&self) -> &ClusterAccess {
        &self.access
    }

    /// SIGSTOP to the API server: it hangs with its connections open, until [`ApiServer::resume`].
    pub fn pause(&self) {
        self.api.signal(Signal::STOP);
    }

    /// SIGCONT.
    pub fn resume(&self) {
        self.api.signal(Signal::CONT);
    }

    /// Process ids of the API server and of its etcd.
    pub fn pids(&self) -> [u32; 2] {
        [self.api.id(), self.etcd.id()]
    }
}

/// Where a server keeps its files.
#[derive(Debug)]
struct Layout {
    dir: PathBuf,
}

#[derive(Debug, Clone, Copy)]
struct Ports {
    api: u16,
    etcd: u16,
    etcd_peer: u16,
}

impl Ports {
    fn free() -> Self {
        Self { api: free_port(), etcd: free_port(), etcd_peer: free_port() }
    }
}

impl Layout {
    fn new_dir() -> TempDir {
        tempfile::Builder::new().prefix("spillway-kubernetes-").tempdir().expect("make a temporary directory")
    }

    fn log(&self, program: &str) -> PathBuf {
        self.dir.join(format!("{program}.log"))
    }

    /// Waits until the server says that it is ready; `None` when `ended` is true first, or it takes too long.
    async fn ready(&self, ports: Ports, mut ended: impl AsyncFnMut() -> bool) -> Option<ClusterAccess> {
        let mut access = None;
        let settled = holds_within(START_DEADLINE, async || {
            if ended().await {
                return true;
            }
            if access.is_none() {
                access = ClusterAccess::of(&self.dir, ports.api);
            }
            match &access {
                Some(access) => access.is_ready().await,
                None => false,
            }
        });
        if !settled.await || ended().await {
            return None;
        }
        access
    }

    fn complaint(&self) -> String {
        let logs = ["etcd", "kube-apiserver"].map(|program| format!("{program}:\n{}", log_tail(&self.log(program))));
        format!("the Kubernetes API server did not start\n{}", logs.join("\n"))
    }
}
