//! The parts of the gateway, made from settings.

use std::net::SocketAddr;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use std::time::Duration;

use http::HeaderValue;
use spillway_coordination::{Coordination, CoordinationSettings, RedisSettings};
use spillway_model::{Clock, Configuration, IdGenerator, Secret, SecretResolver, SystemClock};
use spillway_settings::{Environment, IntakeMode, LogFormat, OtlpProtocol, Role, Settings, StoreUrl, resolve_secret};
use spillway_store::postgres::{PostgresSettings, PostgresStore, ReplicaSettings};
use spillway_store::sqlite::{SqliteSettings, SqliteStore};
use spillway_store::{StatementCounts, Store, amend_configuration, watch_configuration};
use spillway_telemetry::{LogSettings, Metrics, TelemetrySettings, TraceProtocol, TraceSettings, Tracer};
use spillway_webhook_api::{
    ApiSettings, AttemptWaiters, CommitterHandle, CommitterSettings, CurrentRouting, Feed, FeedParts, Flights, Gateway,
    Handover, IntakeLimits, Performance, PerformanceSettings, PoolLimits, ServerSettings, Streams,
};
use spillway_worker::{AddressGuard, Client, ClientSettings, WorkerSettings};
use tokio::sync::watch;
use tokio::task::JoinHandle;

use super::StartError;
use super::stopping::Stopping;
use super::tls;
use crate::declared;
use crate::observers::{CoordinationReports, StoreReports, sample_cache, sample_pool};

/// How often every node looks whether the configuration changed, behind the notifications.
const CONFIGURATION_POLL: Duration = Duration::from_secs(1);
/// How often a worker looks for due deliveries, behind the ready queue.
const DUE_POLL: Duration = Duration::from_millis(100);
/// The same where no ready queue brings new deliveries: the poll is then their only way.
const DUE_POLL_ALONE: Duration = Duration::from_millis(20);

/// Searches that look through events at once: each may take a third of a second of the store.
const SEARCHES: usize = 4;

/// What the program opens once and hands to its components.
pub(crate) struct Parts {
    pub(crate) store: Arc<dyn Store>,
    pub(crate) coordination: Coordination,
    pub(crate) clock: Arc<dyn Clock>,
    pub(crate) ids: Arc<IdGenerator>,
    pub(crate) metrics: Metrics,
    pub(crate) statements: Arc<StatementCounts>,
}

impl Parts {
    pub(crate) async fn open(settings: &Settings) -> Result<Self, StartError> {
        let commit = option_env!("SPILLWAY_COMMIT").unwrap_or("unknown");
        let metrics = Metrics::new(env!("CARGO_PKG_VERSION"), commit);
        let statements = Arc::new(StatementCounts::default());
        let store = open_store(settings, &metrics, statements.clone()).await?;
        sample_pool(&metrics, &store);
        let clock: Arc<dyn Clock> = Arc::new(SystemClock);
        let ids = Arc::new(IdGenerator::random(clock.clone()));
        if let Some(latest) = store.latest_event().await? {
            ids.resume_after(latest);
        }
        let coordination = coordination(settings, &metrics).await?;
        sample_cache(&metrics, &coordination.cache);
        Ok(Self { store, coordination, clock, ids, metrics, statements })
    }

    /// Brings the store to what the settings file declares. Several nodes may do so at once: who comes second finds it done.
    pub(crate) async fn apply_declared(&self, settings: &Settings) -> Result<(), StartError> {
        let make_secret = || Secret::new(spillway_signature::generate_secret(rand::random()));
        let declared = |stored: &Configuration| {
            let changes = declared::changes(settings, stored, &self.ids, self.clock.now(), make_secret)?;
            Ok::<_, StartError>((changes, ()))
        };
        let (version, ()) = amend_configuration(self.store.as_ref(), declared).await?;
        if let Some(version) = version {
            self.coordination.changes.announce(version).await;
        }
        Ok(())
    }

    pub(crate) async fn watch_configuration(
        &self,
    ) -> Result<(watch::Receiver<Arc<Configuration>>, JoinHandle<()>), StartError> {
        let hints = self.coordination.changes.subscribe();
        Ok(watch_configuration(self.store.clone(), hints, CONFIGURATION_POLL).await?)
    }

    /// Live events of this node, and of others where the store is shared.
    pub(crate) fn feed(&self, settings: &Settings, configuration: watch::Receiver<Arc<Configuration>>) -> Feed {
        let shared = matches!(settings.store.url, StoreUrl::Postgres(_));
        Feed::new(FeedParts { store: self.store.clone(), configuration, clock: self.clock.clone(), shared })
    }

    #[expect(
        clippy::too_many_arguments,
        reason = "every part is handed in by name at the one place that wires the program"
    )]
    pub(crate) fn gateway(
        &self,
        settings: &Settings,
        committer: CommitterHandle,
        routing: CurrentRouting,
        secrets: SecretResolver,
        tracer: Tracer,
        performance: PerformanceSettings,
        streams: Streams,
        synchronous: Option<Arc<AttemptWaiters>>,
    ) -> Gateway {
        Gateway {
            store: self.store.clone(),
            coordination: self.coordination.clone(),
            committer,
            routing,
            clock: self.clock.clone(),
            ids: self.ids.clone(),
            metrics: self.metrics.clone(),
            performance: Arc::new(Performance::new(performance)),
            statements: self.statements.clone(),
            tracer,
            secrets,
            limits: IntakeLimits {
                max_body_bytes: settings.server.max_body.as_usize() as u64,
                max_headers: settings.server.max_headers,
                max_header_bytes: settings.server.max_header_bytes.as_usize(),
                body_timeout: settings.server.body_timeout,
                commit_timeout: settings.server.request_timeout,
            },
            synchronous,
            api_rate_limit: settings.server.api_rate_limit,
            unauthenticated_rate_limit: settings.server.unauthenticated_rate_limit,
            api: api(settings),
            streams,
            searches: tokio::sync::Semaphore::new(SEARCHES),
            configuration_lock: tokio::sync::Mutex::default(),
            flights: Flights::default(),
            serves_api: settings.server.role.serves_api(),
            stopping: AtomicBool::new(false),
        }
    }
}

pub(crate) async fn open_store(
    settings: &Settings,
    metrics: &Metrics,
    statements: Arc<StatementCounts>,
) -> Result<Arc<dyn Store>, StartError> {
    let observer = Arc::new(StoreReports { metrics: metrics.clone(), statements });
    let refused = |source| StartError::Store { url: settings.store.url.to_string(), source };
    match &settings.store.url {
        StoreUrl::Sqlite(path) => {
            let role = match settings.server.role {
                Role::All => None,
                Role::Api => Some("api"),
                Role::Worker => Some("worker"),
            };
            if let Some(role) = role {
                return Err(StartError::RoleNeedsPostgres { role });
            }
            let sqlite = sqlite_settings(settings, path);
            Ok(Arc::new(SqliteStore::open(sqlite, observer).await.map_err(refused)?))
        }
        StoreUrl::Postgres(url) => {
            let postgres = PostgresSettings {
                pool_size: settings.store.pool_size,
                max_overflow: settings.store.max_overflow,
                pool_timeout: settings.store.pool_timeout,
                pool_recycle: settings.store.pool_recycle,
                idle_timeout: settings.store.idle_timeout,
                idempotency_window: settings.intake.idempotency_window,
                replica: replica(settings),
                ..PostgresSettings::new(url.expose())
            };
            Ok(Arc::new(PostgresStore::connect(postgres, observer).await.map_err(refused)?))
        }
    }
}

fn replica(settings: &Settings) -> Option<ReplicaSettings> {
    match &settings.store.replica_url {
        Some(StoreUrl::Postgres(url)) => {
            Some(ReplicaSettings { url: url.expose().to_owned(), max_lag: settings.store.replica_max_lag })
        }
        // The settings refuse a SQLite database as a replica.
        Some(StoreUrl::Sqlite(_)) | None => None,
    }
}

fn sqlite_settings(settings: &Settings, path: &Path) -> SqliteSettings {
    SqliteSettings {
        read_connections: settings.store.pool_size,
        read_timeout: settings.store.pool_timeout,
        idempotency_window: settings.intake.idempotency_window,
        ..SqliteSettings::new(path)
    }
}

async fn coordination(settings: &Settings, metrics: &Metrics) -> Result<Coordination, StartError> {
    // Said from the start, and not only once Redis was lost: objectives and dashboards count on it.
    metrics.coordination_degraded.set(0.0);
    let common = CoordinationSettings {
        ready_deliveries: settings.delivery.ready_queue,
        slot: settings.worker.slot,
        observer: Arc::new(CoordinationReports(metrics.clone())),
        ..CoordinationSettings::default()
    };
    match &settings.redis.url {
        None => Ok(spillway_coordination::in_process(&common)),
        Some(url) => {
            let key_prefix = settings.redis.key_prefix.clone();
            let redis = RedisSettings { key_prefix, common, ..RedisSettings::at(url.expose()) };
            Ok(spillway_coordination::redis(&redis).await?)
        }
    }
}

/// The way of new deliveries to a worker; none where nobody reads the queue, so that they are due at once instead.
pub(crate) fn handover(
    settings: &Settings,
    coordination: &Coordination,
    configuration: watch::Receiver<Arc<Configuration>>,
) -> Handover {
    let is_read = settings.redis.url.is_some() || settings.server.role.delivers();
    if is_read { Handover::through(coordination.clone(), configuration) } else { Handover::none() }
}

/// Refuses a lease that ends while an attempt may still be under way: two workers would send the same delivery.
pub(crate) fn check_leases(settings: &Settings, configuration: &Configuration) -> Result<(), StartError> {
    let lease = settings.delivery.lease;
    let slow = configuration.destinations.iter().find(|d| d.timeout(settings.delivery.timeout) > lease);
    match slow {
        None => Ok(()),
        Some(destination) => Err(StartError::LeaseTooShort(format!(
            "the destination {} has a timeout of {:?}, which is longer than delivery.lease ({lease:?}); raise the lease",
            destination.name,
            destination.timeout(settings.delivery.timeout),
        ))),
    }
}

pub(crate) fn secret_resolver(environment: Environment) -> SecretResolver {
    Arc::new(move |secret| resolve_secret(secret, &environment).map_err(|error| error.to_string()))
}

pub(crate) fn telemetry(settings: &Settings) -> TelemetrySettings {
    let headers = settings.telemetry.otlp_headers.iter();
    TelemetrySettings {
        logs: LogSettings {
            format: match settings.log.format {
                LogFormat::Json => spillway_telemetry::LogFormat::Json,
                LogFormat::Pretty => spillway_telemetry::LogFormat::Pretty,
            },
            filter: settings.log.filter.clone(),
        },
        traces: TraceSettings {
            endpoint: settings.telemetry.otlp_endpoint.as_ref().map(|url| url.as_str().to_owned()),
            protocol: match settings.telemetry.otlp_protocol {
                OtlpProtocol::Grpc => TraceProtocol::Grpc,
                OtlpProtocol::Http => TraceProtocol::Http,
            },
            sample_ratio: settings.telemetry.sample_ratio,
            service_name: settings.telemetry.service_name.clone(),
            headers: headers.map(|(name, value)| (name.clone(), value.expose().to_owned())).collect(),
        },
    }
}

/// Sends requests to destinations; `None` in a process that does not deliver.
pub(crate) fn client(settings: &Settings) -> Result<Option<Client>, StartError> {
    if !settings.server.role.delivers() {
        return Ok(None);
    }
    let authorities = settings.delivery.ca_file.as_deref().map(tls::authorities).transpose()?;
    let client = ClientSettings {
        connect_timeout: settings.delivery.connect_timeout,
        idle_timeout: Duration::from_secs(90),
        max_idle_per_destination: settings.delivery.per_destination as usize,
        guard: AddressGuard::new(settings.delivery.allow_networks.clone()),
        extra_roots: authorities.unwrap_or_default(),
    };
    Ok(Some(Client::new(&client)?))
}

pub(crate) fn worker(settings: &Settings) -> WorkerSettings {
    let alone = settings.redis.url.is_none() && !settings.server.role.serves_api();
    let default_agent = HeaderValue::from_static(concat!("spillway/", env!("CARGO_PKG_VERSION")));
    WorkerSettings {
        concurrency: settings.delivery.concurrency as usize,
        per_destination: settings.delivery.per_destination as usize,
        timeout: settings.delivery.timeout,
        lease: settings.delivery.lease,
        retry: settings.delivery.retry_schedule.clone(),
        response_limit: settings.delivery.response_limit.as_usize(),
        poll: if alone { DUE_POLL_ALONE } else { DUE_POLL },
        claim_batch: 48,
        slot: settings.worker.slot,
        share_grace: settings.worker.share_grace,
        user_agent: HeaderValue::from_str(&settings.delivery.user_agent).unwrap_or(default_agent),
    }
}

/// Who waits for deliveries in the synchronous mode.
pub(crate) fn attempt_waiters(settings: &Settings) -> Option<Arc<AttemptWaiters>> {
    (settings.intake.mode == IntakeMode::Synchronous).then(Arc::default)
}

pub(crate) fn committer(settings: &Settings) -> CommitterSettings {
    CommitterSettings {
        queue: settings.intake.queue,
        batch: settings.intake.commit_batch,
        wait: settings.intake.commit_wait,
        lease: settings.delivery.lease,
    }
}

fn api(settings: &Settings) -> ApiSettings {
    let origins = settings.server.cors_allow_origins.iter();
    ApiSettings {
        cors_allow_origins: origins.filter_map(|origin| HeaderValue::from_str(origin.as_str()).ok()).collect(),
        tls: settings.server.is_reached_by_tls(),
        lease: settings.delivery.lease,
        default_timeout: settings.delivery.timeout,
        request_timeout: settings.server.request_timeout,
        replay_per_second: settings.delivery.replay_per_second,
        pool: pool_limits(settings),
    }
}

pub(crate) fn pool_limits(settings: &Settings) -> PoolLimits {
    PoolLimits { warning_ratio: settings.store.pool_warn_ratio, critical_ratio: settings.store.pool_critical_ratio }
}

/// What the node watches about itself. Its name is the machine's and the port: the same after a restart, another one for each process.
pub(crate) fn performance(settings: &Settings, address: SocketAddr) -> PerformanceSettings {
    let machine = rustix::system::uname();
    PerformanceSettings {
        node: format!("{}:{}", machine.nodename().to_string_lossy(), address.port()),
        volume: match &settings.store.url {
            StoreUrl::Sqlite(_) => Some(settings.store.data_dir.clone()),
            StoreUrl::Postgres(_) => None,
        },
        certificate_expires_at: settings.server.tls.as_ref().and_then(tls::expires_at),
        pool: pool_limits(settings),
    }
}

pub(crate) fn server(settings: &Settings) -> ServerSettings {
    ServerSettings {
        max_connections: settings.server.max_connections,
        header_timeout: settings.server.header_timeout,
        drain: Stopping::requests_may_take(settings.server.drain_timeout),
        max_head_bytes: settings.server.max_header_bytes.as_usize() + 8 * 1_024,
        max_concurrent_streams: 100,
    }
}
