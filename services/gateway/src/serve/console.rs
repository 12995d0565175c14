//! The console beside the API, in processes that serve one.

use axum::Router;
use spillway_console::{ConsoleSettings, Keyring};
use spillway_settings::Settings;
use tokio_util::sync::CancellationToken;

use super::parts::Parts;

/// The pages under `/console`, which ask `api`; none in a process that serves no API.
pub(super) async fn router(parts: &Parts, settings: &Settings, api: Router, stop: CancellationToken) -> Router {
    if !settings.server.role.serves_api() {
        return Router::new();
    }
    let keyring = match Keyring::open(parts.store.clone(), parts.clock.as_ref()).await {
        Ok(keyring) => keyring,
        Err(error) => {
            let error = &error as &dyn std::error::Error;
            tracing::warn!(error, "sessions of the console end with this process, and no other node knows them");
            Keyring::of_process()
        }
    };
    let settings = ConsoleSettings {
        tls: settings.server.is_reached_by_tls(),
        public_url: settings.server.public_url.as_ref().map(|url| url.as_str().to_owned()),
        keyring,
        clock: parts.clock.clone(),
        forward: spillway_webhook_api::forward_client,
        stop,
    };
    spillway_console::router(api, settings)
}
