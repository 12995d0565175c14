//! Ends of processes wake the controller, so that a crash does not wait for the next look.

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::Notify;
use tokio::task::JoinSet;

use crate::host::proc::Identity;

/// Time between two questions whether a process still runs. Those of an earlier controller are nobody's children, so they are asked for.
const POLL: Duration = Duration::from_millis(200);

/// Watches processes, its own and adopted ones. Stops watching on drop.
#[derive(Debug, Default)]
pub(super) struct Watch {
    wake: Option<Arc<Notify>>,
    tasks: JoinSet<()>,
}

impl Watch {
    pub(super) fn new(wake: Arc<Notify>) -> Self {
        Self { wake: Some(wake), tasks: JoinSet::new() }
    }

    /// Wakes the controller when this process has ended.
    pub(super) fn for_end_of(&mut self, identity: &Identity) {
        let identity = identity.clone();
        self.then_wake(async move {
            while identity.is_alive() {
                tokio::time::sleep(POLL).await;
            }
        });
    }

    /// Wakes the controller after a pause.
    pub(super) fn for_time(&mut self, pause: Duration) {
        self.then_wake(tokio::time::sleep(pause));
    }

    fn then_wake(&mut self, event: impl Future<Output = ()> + Send + 'static) {
        while self.tasks.try_join_next().is_some() {}
        let Some(wake) = self.wake.clone() else { return };
        self.tasks.spawn(async move {
            event.await;
            wake.notify_one();
        });
    }
}
