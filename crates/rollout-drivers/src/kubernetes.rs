//! The cluster: a controller of Rollouts on Kubernetes.
//!
//! A slot is a Deployment and a Service that belong to the Rollout, made from the pod template of the Deployment that the plan names. Each look reads the
//! cluster, measures, decides, writes what it has to remember into the Rollout's own status (conditional on nobody having changed it), and only
//! then changes slots and router. A controller that is killed anywhere starts from there.

mod autoscaler;
mod call;
mod condition;
mod context;
mod crd;
mod election;
mod endpoints;
#[cfg(test)]
mod fake;
mod fence;
mod finish;
mod look;
mod memory;
mod raw;
mod report;
mod resource;
mod revision;
pub mod router;
mod serve;
mod session;
mod slots;
mod status;
mod target;
mod watch;
mod world;

use std::fmt;
use std::net::SocketAddr;
use std::sync::Arc;

use k8s_openapi::apimachinery::pkg::apis::meta::v1::OwnerReference;
use kube::runtime::events::{Recorder, Reporter};
use kube::{Client, Config};
use spillway_model::Clock;
use spillway_rollout::Plan;
use spillway_rollout::ports::{Gatekeeper, Meter, Notifier};
use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;

pub use condition::Condition;
pub use crd::{MAX_NAME, crd, crd_yaml};
pub use election::LeaseSettings;
pub use endpoints::{base_url, endpoints};
pub use finish::FINALIZER;
pub use memory::{COMMAND_ANNOTATION, MAX_STATE_BYTES, MAX_WAITING_COMMANDS, give_command, read_state};
pub use resource::{GROUP, PLURAL, RolloutObject, VERSION};
pub use revision::{REVISION_LABEL, ROLLOUT_LABEL, SLOT_LABEL, revision_of};
pub use status::{EvidenceRow, GuardRow, RolloutStatus};

use crate::console::Publisher;
use crate::metrics::Metrics;
use call::{Cluster, FIELD_MANAGER};
use election::Election;
use fence::Fence;
use serve::Readiness;
use watch::Watch;

/// How the controller runs.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct KubernetesSettings {
    /// Namespaces whose Rollouts are carried out. Without any: all.
    pub namespaces: Vec<String>,
    /// The lease that its processes share. `None`: this process is the only one, and acts at once.
    pub lease: Option<LeaseSettings>,
    /// Where `/metrics`, `/healthz` and `/readyz` are. `None`: nowhere.
    pub listen: Option<SocketAddr>,
    /// Rollouts that are looked at at the same time, per namespace of `namespaces`. At least 1.
    pub concurrency: u16,
}

/// Makes a meter for a plan.
pub type MakeMeter = Arc<dyn Fn(&Plan) -> Box<dyn Meter> + Send + Sync>;
/// Makes a gatekeeper for a plan. What it makes in the cluster belongs to the owner, the Rollout, and goes with it.
pub type MakeGatekeeper = Arc<dyn Fn(&Plan, OwnerReference) -> Box<dyn Gatekeeper> + Send + Sync>;
/// Shows a plan's rollouts at a console, if there is one for them.
pub type MakePublisher = Arc<dyn Fn(&Plan) -> Option<Publisher> + Send + Sync>;

/// What measures, tests and tells.
#[derive(Clone)]
pub struct Parts {
    /// Makes the meter of a Rollout; again when its plan changes.
    pub meter: MakeMeter,
    /// Makes the gatekeeper of a Rollout; again when its plan changes. It has to find gates again that an earlier one started.
    pub gatekeeper: MakeGatekeeper,
    /// Shows a Rollout at a console; again when its plan changes.
    pub console: MakePublisher,
    /// Tells people.
    pub notifier: Arc<dyn Notifier>,
    /// The time.
    pub clock: Arc<dyn Clock>,
}

impl fmt::Debug for Parts {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Parts").finish_non_exhaustive()
    }
}

/// Why the controller does not run.
#[derive(Debug, thiserror::Error)]
pub enum KubernetesError {
    /// There is no cluster, or its address and credentials are not understood.
    #[error("there is no cluster to talk to: {0}. Set KUBECONFIG, or run it in a pod")]
    NoCluster(String),
    /// The address for metrics cannot be listened on.
    #[error("cannot listen on {address}: {reason}")]
    Listen {
        /// The address.
        address: SocketAddr,
        /// What the system says.
        reason: std::io::Error,
    },
    /// The election cannot begin.
    #[error(
        "cannot use the lease {namespace}/{name}: {reason}. The service account needs the rights in infra/kubernetes/rollout-controller/rbac.yaml"
    )]
    Lease {
        /// Its namespace.
        namespace: String,
        /// Its name.
        name: String,
        /// What the API server says.
        reason: String,
    },
    /// The election broke off while it ran: this process renews no lease any more and has to be started again.
    #[error("the election broke off: start the controller again")]
    Election,
}

/// A client of the cluster that `KUBECONFIG` or the pod's own service account names. It tries nothing again by itself: the controller has
/// deadlines of its own.
///
/// # Errors
/// When neither names a cluster.
pub async fn connect() -> Result<Client, KubernetesError> {
    // The client asks for the process's own; an error says that there is one already.
    let _ = rustls::crypto::ring::default_provider().install_default();
    let mut config = Config::infer().await.map_err(|error| KubernetesError::NoCluster(error.to_string()))?;
    config.default_retry = false;
    Client::try_from(config).map_err(|error| KubernetesError::NoCluster(error.to_string()))
}

/// Carries out the Rollouts of the cluster until `stop`. Processes that share a lease take turns: one acts, the others wait.
///
/// # Errors
/// When it cannot begin. Later troubles are logged, shown as conditions of the Rollouts concerned, and tried again.
pub async fn run(
    client: Client,
    settings: KubernetesSettings,
    parts: Parts,
    stop: CancellationToken,
) -> Result<(), KubernetesError> {
    let metrics = Metrics::in_a_cluster();
    let ready = Readiness::default();
    let server = match settings.listen {
        Some(address) => {
            let listener = TcpListener::bind(address);
            let listener = listener.await.map_err(|reason| KubernetesError::Listen { address, reason })?;
            Some(tokio::spawn(serve::serve(listener, metrics.clone(), ready.clone(), stop.clone())))
        }
        None => None,
    };
    let election = match &settings.lease {
        Some(lease) => Some(Election::start(&client, lease).await.map_err(|reason| KubernetesError::Lease {
            namespace: lease.namespace.clone(),
            name: lease.name.clone(),
            reason: reason.to_string(),
        })?),
        None => None,
    };
    let reporter = Reporter {
        controller: FIELD_MANAGER.to_owned(),
        instance: settings.lease.as_ref().map(|lease| lease.identity.clone()),
    };
    let fence = election.as_ref().map_or_else(Fence::open, Election::fence);
    let watch = Watch {
        cluster: Cluster::new(client.clone(), fence),
        recorder: Recorder::new(client.clone(), reporter),
        client,
        parts,
        metrics: metrics.clone(),
        concurrency: settings.concurrency,
    };
    let ended = take_turns(&watch, &settings.namespaces, election, &metrics, &ready, &stop).await;
    if let Some(server) = server {
        server.abort();
    }
    ended
}

/// Acts while this process leads, until `stop`.
async fn take_turns(
    watch: &Watch,
    namespaces: &[String],
    mut election: Option<Election>,
    metrics: &Metrics,
    ready: &Readiness,
    stop: &CancellationToken,
) -> Result<(), KubernetesError> {
    while !stop.is_cancelled() {
        if let Some(election) = &mut election {
            // A process that waits is ready to take over.
            ready.set(true);
            let elected = tokio::select! {
                () = stop.cancelled() => break,
                elected = election.until(true) => elected,
            };
            if !elected {
                return Err(KubernetesError::Election);
            }
            ready.set(false);
            tracing::info!("this process leads");
        }
        metrics.leads(true);
        let lost = async {
            match &mut election {
                Some(election) => election.until(false).await,
                None => std::future::pending().await,
            }
        };
        let counts = tokio::select! {
            () = stop.cancelled() => true,
            counts = lost => {
                tracing::warn!("this process does not lead any more: another one goes on");
                counts
            }
            () = watch.lead(namespaces, || ready.set(true)) => true,
        };
        metrics.leads(false);
        if !counts {
            return Err(KubernetesError::Election);
        }
    }
    if let Some(election) = election {
        election.end().await;
    }
    Ok(())
}
