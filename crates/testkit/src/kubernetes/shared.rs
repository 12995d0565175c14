//! A namespace of one's own on a server that all tests of a run share.

use std::fs::File;

use rustix::process::Signal;

use super::{ApiServer, ClusterAccess, Layout, Ports, Programs, START_ATTEMPTS, spawn_detached};
use crate::process::signal_process;
use crate::shared::{Running, Shared};

/// A namespace for one test. It is not deleted: the server is thrown away when no test has used it for half a minute.
#[derive(Debug)]
pub struct TestNamespace {
    name: String,
    access: ClusterAccess,
    _server: Server,
}

/// What keeps the server running as long as the namespace is in use.
#[derive(Debug)]
enum Server {
    Shared { _users: File },
    Private { _server: Box<ApiServer> },
}

/// Makes an empty namespace for one test: some milliseconds, and ten seconds in the first test of a run.
///
/// All tests of a run share the server, and so everything that belongs to no namespace: resource definitions, cluster roles. Give such
/// things the same content in every test, or a name of their own. On a system without flock(1) the server is a private one.
///
/// # Panics
/// When no server can be started.
pub async fn shared_namespace() -> TestNamespace {
    let (access, server) = if Shared::is_possible() { shared_server().await } else { private_server().await };
    let name = format!("test-{:016x}", rand::random::<u64>());
    let namespace = format!(r#"{{"apiVersion":"v1","kind":"Namespace","metadata":{{"name":"{name}"}}}}"#);
    let answer = access.request("POST", "/api/v1/namespaces", &namespace).await;
    assert!(matches!(answer, Some((201, _))), "make a namespace for a test: {answer:?}");
    TestNamespace { name, access, _server: server }
}

impl TestNamespace {
    /// Its name, a different one in each test.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// How the cluster is reached.
    pub fn access(&self) -> &ClusterAccess {
        &self.access
    }

    /// A kubeconfig, as YAML, of an administrator with this namespace as the default.
    pub fn kubeconfig(&self) -> String {
        self.access.kubeconfig(&self.name)
    }

    /// A kubeconfig, as YAML, of a user who may do nothing until the test binds a role to the name; see [`ClusterAccess::kubeconfig_as`].
    pub fn kubeconfig_as(&self, user: &str) -> String {
        self.access.kubeconfig_as(user, &self.name)
    }
}

/// The running shared server, or a new one.
async fn shared_server() -> (ClusterAccess, Server) {
    let shared = Shared::new("kubernetes");
    let (start_lock, users) = shared.lock().await;
    let access = match running_server(&shared).await {
        Some(access) => access,
        None => start_server(&shared).await,
    };
    drop(start_lock);
    (access, Server::Shared { _users: users })
}

async fn private_server() -> (ClusterAccess, Server) {
    let server = ApiServer::start().await;
    (server.access().clone(), Server::Private { _server: Box::new(server) })
}

async fn running_server(shared: &Shared) -> Option<ClusterAccess> {
    let server = shared.running()?;
    let access = ClusterAccess::of(&server.data_dir, server.details.parse().ok()?)?;
    access.is_ready().await.then_some(access)
}

async fn start_server(shared: &Shared) -> ClusterAccess {
    let programs = Programs::find();
    let layout = Layout { dir: Layout::new_dir().keep() };
    for _ in 0..START_ATTEMPTS {
        let ports = Ports::free();
        let mut etcd = spawn_detached(&mut programs.etcd(&layout, ports), &layout.log("etcd"));
        let mut api = spawn_detached(&mut programs.api_server(&layout, ports), &layout.log("kube-apiserver"));
        let ended = async || [&mut etcd, &mut api].into_iter().any(|server| !matches!(server.try_wait(), Ok(None)));
        if let Some(access) = layout.ready(ports, ended).await {
            let pids = vec![api.id(), etcd.id()];
            shared.started(&Running { pids, data_dir: layout.dir, details: ports.api.to_string() });
            return access;
        }
        for mut server in [api, etcd] {
            signal_process(server.id(), Signal::KILL);
            let _ = server.wait();
        }
    }
    panic!("{}", layout.complaint());
}
