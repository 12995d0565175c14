//! The admin key that the first start makes.

use std::io::IsTerminal as _;

use spillway_model::{ApiKey, Configuration, ConfigurationChange, Secret};
use spillway_store::amend_configuration;
use spillway_webhook_api::keys;

use super::StartError;
use super::parts::Parts;

/// Makes an admin key when the store has no key at all. Its text is returned once and stored as a hash only.
///
/// Of nodes that start together on an empty store one makes the key.
pub(super) async fn ensure(parts: &Parts) -> Result<Option<Secret>, StartError> {
    let text = keys::generate();
    let key = ApiKey {
        id: parts.ids.key(),
        name: "first admin key".into(),
        scope: spillway_model::Scope::Admin,
        hash: keys::hash(text.expose()),
        rate_limit: None,
        created_at: parts.clock.now(),
    };
    let only_key = |stored: &Configuration| {
        let changes = if stored.keys.is_empty() { vec![ConfigurationChange::PutKey(key.clone())] } else { Vec::new() };
        Ok::<_, StartError>((changes, ()))
    };
    let (made, ()) = amend_configuration(parts.store.as_ref(), only_key).await?;
    Ok(made.map(|_| text))
}

/// Prints where the gateway is and, on the first start, the key. To standard output, which is not a log.
pub(super) fn announce(key: Option<&Secret>, url: &str) {
    println!("Spillway is ready at {url}");
    if let Some(key) = key {
        println!("Admin key (shown once): {}", key.expose());
        if std::io::stdout().is_terminal() {
            println!("Keep it: export SPILLWAY_API_KEY={}", key.expose());
        }
    }
}
