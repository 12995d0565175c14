//! What every page shares.

use std::sync::Arc;

use axum::Router;
use http::Extensions;
use spillway_model::Clock;
use tokio::sync::Semaphore;
use tokio_util::sync::CancellationToken;

use crate::session::Keyring;

/// Pages that are kept up to date at once; one more is told to come back.
const MAX_LIVE: usize = 256;

/// How the console behaves, and what it is handed.
pub struct ConsoleSettings {
    /// Whether browsers reach this process over TLS: cookies are then sent over TLS only.
    pub tls: bool,
    /// Where people reach this server, such as `https://hooks.example.com`; `None` is what the request says.
    pub public_url: Option<String>,
    /// Seals sessions.
    pub keyring: Keyring,
    /// Wall clock.
    pub clock: Arc<dyn Clock>,
    /// Copies what names the client from a request of a browser to one that is made for it.
    pub forward: fn(&Extensions, &mut Extensions),
    /// Ends the live pages when the process begins to stop.
    pub stop: CancellationToken,
}

/// The console of this process.
pub(crate) struct Console {
    pub(crate) api: Router,
    pub(crate) settings: ConsoleSettings,
    /// One permit for each page that is kept up to date.
    pub(crate) live: Arc<Semaphore>,
}

impl Console {
    pub(crate) fn new(api: Router, settings: ConsoleSettings) -> Self {
        Self { api, settings, live: Arc::new(Semaphore::new(MAX_LIVE)) }
    }
}
