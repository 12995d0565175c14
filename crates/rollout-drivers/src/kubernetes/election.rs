//! One process acts: the one that holds the lease.

use std::sync::Arc;
use std::time::Duration;

use kube::Client;
use kube_lease_manager::{LeaseManager, LeaseManagerBuilder, LeaseManagerError};
use spillway_model::SystemClock;
use tokio::sync::watch;
use tokio::task::JoinHandle;

use super::call::CALL_DEADLINE;
use super::fence::Fence;

/// The lease that processes of one controller share.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LeaseSettings {
    /// Namespace of the lease, that of the controller.
    pub namespace: String,
    /// Name of the lease.
    pub name: String,
    /// Name of this process, unlike that of any other: that of the pod.
    pub identity: String,
    /// How long the lease lasts after it was renewed; another process takes over at the latest then. At least 20 seconds: a write may take 10, and only
    /// what is left is used for writing.
    pub duration: Duration,
}

/// The shortest lease.
const SHORTEST: Duration = Duration::from_secs(20);

/// Takes part in the election from its start to its end.
pub(crate) struct Election {
    leads: watch::Receiver<bool>,
    task: JoinHandle<Result<LeaseManager, LeaseManagerError>>,
    fence: Fence,
}

impl Election {
    /// Begins to stand for election. The lease is renewed when a third of it has passed.
    ///
    /// # Errors
    /// When the lease cannot be read or made.
    pub(crate) async fn start(client: &Client, settings: &LeaseSettings) -> Result<Self, LeaseManagerError> {
        let duration = settings.duration.max(SHORTEST).as_secs();
        let grace = duration - (duration / 3).max(1).min(duration - CALL_DEADLINE.as_secs());
        let manager = LeaseManagerBuilder::new(client.clone(), &settings.name)
            .with_namespace(&settings.namespace)
            .with_identity(&settings.identity)
            .with_field_manager(format!("spillway-rollout-{}", settings.identity))
            .with_duration(duration)
            .with_grace(grace)
            .build()
            .await?;
        let (leads, task) = manager.watch().await;
        let clock = Arc::new(SystemClock);
        let fence = Fence::of(client.clone(), &settings.namespace, &settings.name, &settings.identity, clock);
        Ok(Self { leads, task, fence })
    }

    /// What this process may write by.
    pub(crate) fn fence(&self) -> Fence {
        self.fence.clone()
    }

    /// Waits until this process leads, or does not lead any more. `false` when the election itself broke off: nobody renews the lease then.
    pub(crate) async fn until(&mut self, leads: bool) -> bool {
        self.leads.wait_for(|now| *now == leads).await.is_ok()
    }

    /// Gives the lease back, so that another process takes over at once.
    pub(crate) async fn end(self) {
        drop(self.leads);
        match tokio::time::timeout(CALL_DEADLINE, self.task).await {
            Ok(Ok(Ok(_))) => {}
            Ok(Ok(Err(error))) => tracing::warn!(%error, "the lease was not given back; it ends by itself"),
            Ok(Err(_)) | Err(_) => tracing::warn!("the lease was not given back in time; it ends by itself"),
        }
    }
}
