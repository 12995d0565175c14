//! What every stream has: a place, and a key that must stay known.

use std::sync::Arc;
use std::time::Duration;

use spillway_model::KeyHash;
use spillway_telemetry::{StreamEvent, StreamKind};
use tokio::sync::watch;
use tokio::time::{Instant, Interval, MissedTickBehavior, interval_at};

use super::super::access::Caller;
use super::super::error::ApiError;
use crate::gateway::Gateway;
use crate::streams::Place;

/// Between two looks whether the key is still known, behind the news of changes.
const CHECK: Duration = Duration::from_secs(5);
/// Looks between two signs of life.
const ALIVE: u32 = 3;

/// A client that looks at live events.
pub(super) struct Session {
    pub(super) gateway: Arc<Gateway>,
    key: KeyHash,
    /// Versions of the configuration: with each one the key may be gone.
    versions: watch::Receiver<u64>,
    checks: Interval,
    n_checks: u32,
    _place: Place,
}

/// What a session has to do next.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Beat {
    /// Nothing.
    Quiet,
    /// Show the client that the connection lives.
    Alive,
    /// Say goodbye.
    End(Ending),
}

/// Why a stream ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Ending {
    Stopping,
    KeyDeleted,
}

impl Ending {
    /// The word for programs.
    pub(super) const fn code(self) -> &'static str {
        match self {
            Self::Stopping => "stopping",
            Self::KeyDeleted => "key_deleted",
        }
    }

    /// The sentence for people.
    pub(super) const fn text(self) -> &'static str {
        match self {
            Self::Stopping => "the gateway is stopping: connect again",
            Self::KeyDeleted => "the key was deleted",
        }
    }
}

impl Session {
    /// A session, if there is a place for one.
    pub(super) fn open(gateway: &Arc<Gateway>, caller: Caller, kind: StreamKind) -> Result<Self, ApiError> {
        let most = gateway.streams.most();
        let place = gateway.streams.enter(kind).ok_or(ApiError::StreamsFull { most })?;
        let mut checks = interval_at(Instant::now() + CHECK, CHECK);
        checks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let versions = gateway.routing.versions();
        Ok(Self { gateway: gateway.clone(), key: caller.key, versions, checks, n_checks: 0, _place: place })
    }

    /// What to do next, within some seconds. Cancel safe.
    pub(super) async fn beat(&mut self) -> Beat {
        tokio::select! {
            biased;
            () = self.gateway.streams.stop().cancelled() => return Beat::End(Ending::Stopping),
            () = changed(&mut self.versions) => {}
            _ = self.checks.tick() => self.n_checks = self.n_checks.wrapping_add(1),
        }
        if self.gateway.routing.load().key(&self.key).is_none() {
            Beat::End(Ending::KeyDeleted)
        } else if self.n_checks == ALIVE {
            self.n_checks = 0;
            Beat::Alive
        } else {
            Beat::Quiet
        }
    }

    /// Counts events that were sent, and those that the client was only told of.
    pub(super) fn count(&self, n_sent: usize, n_skipped: u64) {
        let rows = &self.gateway.metrics.stream_rows;
        rows.get(StreamEvent::Sent).inc_by(n_sent as u64);
        if n_skipped > 0 {
            rows.get(StreamEvent::Skipped).inc_by(n_skipped);
        }
    }
}

/// Returns at the next version; never when there can be none.
async fn changed(versions: &mut watch::Receiver<u64>) {
    if versions.changed().await.is_err() {
        std::future::pending::<()>().await;
    }
}
