//! Changes of the configuration that depend on what it is.

use std::time::Duration;

use spillway_model::{Configuration, ConfigurationChange};

use crate::{Store, StoreError, StoreErrorKind};

/// How often a change is decided on before it is given up, because somebody else was first each time.
const ATTEMPTS: u32 = 20;
/// Longest pause between two attempts. The first is a millisecond, and each doubles it: who was first may still be flushing.
const LONGEST_PAUSE: Duration = Duration::from_millis(50);

/// Reads the configuration, lets `decide` say what to change and what to return, and changes it, unless somebody else changed it in
/// between: then `decide` is asked again. So no change overwrites what it was not decided on. Returns the new version, or `None` when
/// there was nothing to change.
///
/// # Errors
/// What `decide` refuses, and errors of the store; a conflict also when somebody else was first twenty times in a row.
pub async fn amend_configuration<T, E: From<StoreError>>(
    store: &dyn Store,
    decide: impl Fn(&Configuration) -> Result<(Vec<ConfigurationChange>, T), E>,
) -> Result<(Option<u64>, T), E> {
    let mut pause = Duration::from_millis(1);
    let mut attempts_left = ATTEMPTS;
    loop {
        attempts_left -= 1;
        let current = store.configuration().await?;
        let (mut changes, answer) = decide(&current)?;
        if changes.is_empty() {
            return Ok((None, answer));
        }
        changes.insert(0, ConfigurationChange::Expect { version: current.version });
        match store.change_configuration(changes).await {
            Ok(version) => return Ok((Some(version), answer)),
            Err(error) if error.kind() == StoreErrorKind::Conflict && attempts_left > 0 => {
                tokio::time::sleep(pause).await;
                pause = LONGEST_PAUSE.min(pause * 2);
            }
            Err(error) => return Err(error.into()),
        }
    }
}
