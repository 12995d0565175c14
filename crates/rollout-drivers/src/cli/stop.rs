//! Ctrl-C and SIGTERM.

use tokio::signal::unix::{SignalKind, signal};
use tokio_util::sync::CancellationToken;

/// How a signal ends a command.
#[derive(Debug, Clone)]
pub(super) struct Stop {
    /// The first one: what has begun is carried to its end.
    pub(super) gently: CancellationToken,
    /// The second one: it is left as it is.
    pub(super) now: CancellationToken,
}

/// Cancelled by Ctrl-C and SIGTERM.
pub(super) fn on_signals() -> Stop {
    let stop = Stop { gently: CancellationToken::new(), now: CancellationToken::new() };
    let own = stop.clone();
    tokio::spawn(async move {
        let Ok(mut terminate) = signal(SignalKind::terminate()) else { return };
        for token in [own.gently, own.now] {
            tokio::select! {
                _ = tokio::signal::ctrl_c() => {}
                _ = terminate.recv() => {}
            }
            token.cancel();
        }
    });
    stop
}
