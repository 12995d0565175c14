//! Changes of the configuration that the next request on this node sees.

use std::time::Duration;

use spillway_model::{Configuration, ConfigurationChange};
use spillway_store::amend_configuration;

use super::error::{ApiError, Kind};
use crate::gateway::Gateway;

/// How long an answer waits for its change to be in force on this node.
const VISIBLE_WITHIN: Duration = Duration::from_secs(2);

/// Entries of each kind that a configuration may have: every node holds all of them in memory.
const MAX_ENTRIES: usize = 65_536;

/// Refuses another entry of this kind when there are as many as there may be.
pub(crate) fn check_room(kind: Kind, entries: usize) -> Result<(), ApiError> {
    if entries < MAX_ENTRIES {
        return Ok(());
    }
    let reason =
        format!("There are {MAX_ENTRIES} entries of kind {}, and no more can be held. Delete some first.", kind.word());
    Err(ApiError::Conflict { code: "configuration_full", reason })
}

/// Decides on a change with the configuration as it is stored, makes it, tells everybody, and waits until it is in force here.
/// `decide` returns what to change and what to answer. It is asked again when another node changed the configuration in between.
pub(crate) async fn change<T>(
    gateway: &Gateway,
    decide: impl Fn(&Configuration) -> Result<(ConfigurationChange, T), ApiError>,
) -> Result<T, ApiError> {
    let _turn = gateway.configuration_lock.lock().await;
    let decide = |current: &Configuration| decide(current).map(|(change, answer)| (vec![change], answer));
    let (version, answer) = amend_configuration(gateway.store.as_ref(), decide).await?;
    let Some(version) = version else { return Ok(answer) };
    gateway.coordination.changes.announce(version).await;
    if tokio::time::timeout(VISIBLE_WITHIN, gateway.routing.wait_for(version)).await.is_err() {
        tracing::warn!(version, "a change of the configuration is stored but not yet in force on this node");
    }
    Ok(answer)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_configuration_is_bounded() {
        assert!(check_room(Kind::Source, MAX_ENTRIES - 1).is_ok());
        assert!(matches!(
            check_room(Kind::Key, MAX_ENTRIES),
            Err(ApiError::Conflict { code: "configuration_full", .. })
        ));
    }
}
