//! The configuration as a value that keeps itself up to date.

use std::sync::Arc;
use std::time::Duration;

use spillway_model::Configuration;
use tokio::sync::watch;
use tokio::task::JoinHandle;

use crate::{Store, StoreError, StoreErrorKind};

/// Loads the configuration and follows it: at each hint that it changed, and by asking for its version every `poll`, so that a
/// lost hint costs a little time only. While the store cannot be read the last configuration stays in force.
///
/// The task ends when the last receiver of the configuration is dropped, or the store is closed.
///
/// # Errors
/// When the configuration cannot be read the first time.
pub async fn watch_configuration(
    store: Arc<dyn Store>,
    mut hints: watch::Receiver<u64>,
    poll: Duration,
) -> Result<(watch::Receiver<Arc<Configuration>>, JoinHandle<()>), StoreError> {
    let (sender, receiver) = watch::channel(Arc::new(store.configuration().await?));
    let task = tokio::spawn(async move {
        let mut failing = false;
        let mut hints_open = true;
        loop {
            tokio::select! {
                hint = hints.changed(), if hints_open => hints_open = hint.is_ok(),
                () = tokio::time::sleep(poll) => {}
                () = sender.closed() => return,
            }
            match refresh(store.as_ref(), &sender).await {
                Ok(()) if failing => {
                    failing = false;
                    tracing::info!("the configuration can be read again");
                }
                Ok(()) => {}
                Err(error) if error.kind() == StoreErrorKind::Closed => return,
                Err(error) if !failing => {
                    failing = true;
                    tracing::warn!(%error, "the configuration cannot be read; the last one stays in force");
                }
                Err(_) => {}
            }
        }
    });
    Ok((receiver, task))
}

async fn refresh(store: &dyn Store, sender: &watch::Sender<Arc<Configuration>>) -> Result<(), StoreError> {
    if store.configuration_version().await? != sender.borrow().version {
        let fresh = Arc::new(store.configuration().await?);
        tracing::info!(version = fresh.version, "the configuration changed");
        sender.send_replace(fresh);
    }
    Ok(())
}
