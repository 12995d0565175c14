//! What every handler shares.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use http::HeaderValue;
use spillway_coordination::Coordination;
use spillway_model::{Clock, IdGenerator, Rate, SecretResolver};
use spillway_store::{StatementCounts, Store};
use spillway_telemetry::{Metrics, Tracer};

use crate::api::PoolLimits;
use crate::cached::Flights;
use crate::committer::CommitterHandle;
use crate::intake::{AttemptWaiters, IntakeLimits};
use crate::performance::Performance;
use crate::routing::CurrentRouting;
use crate::streams::Streams;

/// How the management API behaves.
#[derive(Debug, Clone)]
pub struct ApiSettings {
    /// Web origins that browsers may call the API from; `*` is any. Empty sends no CORS headers at all.
    pub cors_allow_origins: Vec<HeaderValue>,
    /// Whether clients reach this process over TLS: answers then carry `Strict-Transport-Security`.
    pub tls: bool,
    /// How long a claimed delivery belongs to its worker: no destination may have a longer timeout.
    pub lease: Duration,
    /// Timeout of destinations that set none.
    pub default_timeout: Duration,
    /// Longest time that the answer to a request may take.
    pub request_timeout: Duration,
    /// Deliveries that a replay makes due in a second, unless it says otherwise.
    pub replay_per_second: u32,
    /// When the store's pool is said to be too full.
    pub pool: PoolLimits,
}

/// The parts that requests are served with, handed in by the program.
pub struct Gateway {
    /// Durable storage.
    pub store: Arc<dyn Store>,
    /// Rate limits, cache, notification of changes.
    pub coordination: Coordination,
    /// Commits events.
    pub committer: CommitterHandle,
    /// Sources, connections and keys.
    pub routing: CurrentRouting,
    /// Wall clock.
    pub clock: Arc<dyn Clock>,
    /// Makes identifiers.
    pub ids: Arc<IdGenerator>,
    /// Counts and measures.
    pub metrics: Metrics,
    /// What this node knows about its own performance.
    pub performance: Arc<Performance>,
    /// Statements that this process had the database execute.
    pub statements: Arc<StatementCounts>,
    /// Starts spans.
    pub tracer: Tracer,
    /// Resolves `env:` and `file:` secrets.
    pub secrets: SecretResolver,
    /// Limits of intake.
    pub limits: IntakeLimits,
    /// `None` answers a webhook when it is committed. Otherwise it is answered when its deliveries have been attempted, which the worker tells.
    pub synchronous: Option<Arc<AttemptWaiters>>,
    /// Requests that a key of the API may make, unless it has a limit of its own.
    pub api_rate_limit: Rate,
    /// Requests to the API without a known key that each client address may make.
    pub unauthenticated_rate_limit: Rate,
    /// How the management API behaves.
    pub api: ApiSettings,
    /// Held while the API changes the configuration, so that requests on this node need not be decided again because of each other.
    pub configuration_lock: tokio::sync::Mutex<()>,
    /// Live events, and who looks at them.
    pub streams: Streams,
    /// Searches that look through events at once; further ones wait.
    pub searches: tokio::sync::Semaphore,
    /// Answers that are being made for several requests at once.
    pub flights: Flights,
    /// Whether this process serves intake and API, or only health and metrics.
    pub serves_api: bool,
    /// Set once the process begins to stop.
    pub stopping: AtomicBool,
}

impl Gateway {
    /// Whether the process is stopping: it then takes no new traffic.
    #[must_use]
    pub fn is_stopping(&self) -> bool {
        self.stopping.load(Ordering::Relaxed)
    }

    /// Has a worker of this process claim now what a request made due, instead of at its next look.
    pub(crate) fn made_due(&self) {
        self.coordination.due.notify_one();
    }
}
