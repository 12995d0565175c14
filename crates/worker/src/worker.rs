//! The worker: everything that delivers, behind one `run`.

use std::sync::Arc;

use spillway_coordination::Coordination;
use spillway_model::{Clock, Configuration, SecretResolver};
use spillway_store::Store;
use spillway_telemetry::{Metrics, Tracer};
use tokio::sync::watch;

use crate::attempt::Sender;
use crate::client::Client;
use crate::dispatcher::Dispatcher;
use crate::settings::WorkerSettings;
use crate::settler::{self, SettlementObserver};
use crate::stop::StopSignal;

/// Sends deliveries until it is told to stop.
pub struct Worker {
    pub(crate) settings: WorkerSettings,
    pub(crate) store: Arc<dyn Store>,
    pub(crate) coordination: Coordination,
    pub(crate) configuration: watch::Receiver<Arc<Configuration>>,
    pub(crate) resolve: SecretResolver,
    pub(crate) clock: Arc<dyn Clock>,
    pub(crate) metrics: Metrics,
    pub(crate) sender: Sender,
    pub(crate) stop: StopSignal,
    pub(crate) observer: Option<SettlementObserver>,
}

impl Worker {
    /// A worker. It does nothing until it is run.
    #[expect(
        clippy::too_many_arguments,
        reason = "every edge is handed in by name at the one place that wires the program"
    )]
    pub fn new(
        settings: WorkerSettings,
        store: Arc<dyn Store>,
        coordination: Coordination,
        configuration: watch::Receiver<Arc<Configuration>>,
        resolve: SecretResolver,
        clock: Arc<dyn Clock>,
        metrics: Metrics,
        tracer: Tracer,
        client: Client,
        stop: StopSignal,
    ) -> Self {
        let (user_agent, response_limit) = (settings.user_agent.clone(), settings.response_limit);
        let sender = Sender { client, clock: clock.clone(), tracer, user_agent, response_limit };
        Self { settings, store, coordination, configuration, resolve, clock, metrics, sender, stop, observer: None }
    }

    /// Tells `observer` of each settlement that is written.
    #[must_use]
    pub fn observed_by(mut self, observer: SettlementObserver) -> Self {
        self.observer = Some(observer);
        self
    }

    /// Works until it is told to stop. Then nothing new begins, what waits becomes due at once for others, attempts under way
    /// may end until [`StopTimes::attempts`] and are cut off and given back after it, and this returns by [`StopTimes::end`].
    ///
    /// When the configuration's sender is dropped, the last configuration stays in force.
    ///
    /// [`StopTimes::attempts`]: crate::StopTimes::attempts
    /// [`StopTimes::end`]: crate::StopTimes::end
    pub async fn run(self) {
        let (mut settler, settle) =
            settler::start(self.store.clone(), self.coordination.due.clone(), self.observer.clone());
        let times = Dispatcher::new(self, settle).run().await;
        match tokio::time::timeout_at(times.end, &mut settler).await {
            Ok(Ok(())) => {}
            Ok(Err(error)) => tracing::error!(%error, "the settler ended badly"),
            Err(_) => {
                settler.abort();
                tracing::warn!(
                    "the store did not take the last attempts; their deliveries are attempted again when their leases end"
                );
            }
        }
    }
}
