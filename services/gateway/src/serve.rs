//! `spillway serve`: reads settings, opens the parts, wires them, runs, drains.

mod console;
mod first_key;
mod parts;
mod periodic;
mod retention;
mod stopping;
mod tls;

use std::num::NonZero;
use std::pin::pin;
use std::process::ExitCode;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use futures_util::FutureExt;
use spillway_settings::{Environment, Loaded, Settings, SettingsWarning, StoreUrl};
use spillway_store::StoreErrorKind;
use spillway_telemetry::Metrics;
use spillway_webhook_api::{Committer, CurrentRouting, Front, Sampler, Streams};
use spillway_worker::{ReplayRunner, ReplaySettings, StopSignal, Worker};
use tokio::net::TcpListener;
use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use crate::arguments::ServeOptions;
use crate::commands::{EXIT_USAGE, fail};
use crate::memory;
use parts::Parts;
use stopping::Stopping;

/// When what the start took is free.
const STARTED: Duration = Duration::from_secs(3);
/// How often free memory goes back to the system.
const MEMORY: Duration = Duration::from_secs(60);

/// What can go wrong before the gateway runs. Each says what to do.
#[derive(Debug, thiserror::Error)]
pub(crate) enum StartError {
    #[error("telemetry cannot be started")]
    Telemetry(#[from] spillway_telemetry::TelemetryError),
    #[error("the database {url} cannot be opened{} ({})", remedy(source.kind()), source.code())]
    Store { url: String, source: spillway_store::StoreError },
    #[error("the role {role} needs PostgreSQL: set store.url to postgres://…, or run one process with the role all")]
    RoleNeedsPostgres { role: &'static str },
    #[error("the configuration cannot be read or written ({})", .0.code())]
    Configuration(#[from] spillway_store::StoreError),
    #[error(transparent)]
    Declared(#[from] crate::declared::DeclaredError),
    #[error("{0} (settings_lease_too_short)")]
    LeaseTooShort(String),
    #[error("the Redis URL cannot be used")]
    Redis(#[from] spillway_coordination::InvalidRedisUrl),
    #[error("the HTTP client for destinations cannot be made")]
    Client(#[from] spillway_worker::NoRootCertificates),
    #[error(
        "{address} cannot be listened on; another program may use the port: choose another one with --listen ({code})"
    )]
    Listen { address: std::net::SocketAddr, code: &'static str, source: std::io::Error },
    #[error(transparent)]
    Tls(#[from] tls::TlsError),
    #[error("signals cannot be received")]
    Signals(#[source] std::io::Error),
    #[error("the runtime cannot be started")]
    Runtime(#[source] std::io::Error),
}

/// What to do about a database that cannot be opened, where its own message does not say it.
fn remedy(kind: StoreErrorKind) -> &'static str {
    match kind {
        StoreErrorKind::Unavailable => {
            "; check that it runs, and that store.url (or DATABASE_URL) has its address and login"
        }
        StoreErrorKind::DiskFull => "; make room on its disk",
        _ => "",
    }
}

pub(crate) fn run(options: &ServeOptions) -> ExitCode {
    with_settings(options, |loaded, reload| Box::pin(serve(loaded, reload)))
}

/// Brings the schema up to date, which opening does, and ends.
pub(crate) fn migrate(options: &ServeOptions) -> ExitCode {
    with_settings(options, |loaded, _| {
        Box::pin(async move {
            let metrics = Metrics::new(env!("CARGO_PKG_VERSION"), "unknown");
            let store = parts::open_store(&loaded.settings, &metrics, Arc::default()).await?;
            println!("{} is up to date", loaded.settings.store.url);
            store.close().await;
            Ok(Instant::now())
        })
    })
}

type Reload = Box<dyn Fn() -> Option<Settings> + Send + Sync>;
/// Returns by when the process must have ended.
type Work = std::pin::Pin<Box<dyn Future<Output = Result<Instant, StartError>>>>;

fn with_settings(options: &ServeOptions, work: impl FnOnce(Loaded, Reload) -> Work) -> ExitCode {
    let arguments = options.load_args();
    let loaded = match Settings::load(&arguments) {
        Ok(loaded) => loaded,
        Err(errors) => return fail(EXIT_USAGE, &errors),
    };
    let reload: Reload = Box::new(move || match Settings::load(&arguments) {
        Ok(loaded) => Some(loaded.settings),
        Err(errors) => {
            tracing::error!(%errors, "the settings cannot be read again; the last ones stay in force");
            None
        }
    });
    let runtime = match runtime(&loaded.settings.store.url) {
        Ok(runtime) => runtime,
        Err(error) => return fail(1, &StartError::Runtime(error)),
    };
    let result = runtime.block_on(work(loaded, reload));
    // Whatever did not end in time is cut off here; leases end by themselves.
    let end = result.as_ref().map_or_else(|_| Instant::now(), |end| *end);
    runtime.shutdown_timeout(end.saturating_duration_since(Instant::now()));
    match result {
        Ok(_) => ExitCode::SUCCESS,
        Err(error) => fail(1, &error),
    }
}

/// A thread for each processor, but for one where the database works on this machine, too. With threads for all of them, SQLite's writer, or the
/// server's processes, wait for their turn while requests that wait for them take it.
fn runtime(store: &StoreUrl) -> std::io::Result<tokio::runtime::Runtime> {
    let mut builder = tokio::runtime::Builder::new_multi_thread();
    if store.is_on_this_machine() {
        let processors = std::thread::available_parallelism().map_or(1, NonZero::get);
        builder.worker_threads((processors - 1).max(1));
    }
    builder.enable_all().build()
}

async fn serve(loaded: Loaded, reload: Reload) -> Result<Instant, StartError> {
    let settings = loaded.settings;
    let guard = spillway_telemetry::init(&parts::telemetry(&settings))?;
    // Routing warns of every source that verifies nothing, also of those that the file does not declare.
    let of_file = |warning: &&SettingsWarning| !matches!(warning, SettingsWarning::UnverifiedSource { .. });
    for warning in loaded.warnings.iter().filter(of_file) {
        tracing::warn!(code = warning.code(), "{warning}");
    }
    let parts = Parts::open(&settings).await?;
    let tls = settings.server.tls.as_ref().map(tls::load).transpose()?;
    let address = settings.server.listen;
    let listener = TcpListener::bind(address).await.map_err(|source| StartError::Listen {
        address,
        code: "listen_failed",
        source,
    })?;
    let address = listener.local_addr().unwrap_or(address);
    parts.apply_declared(&settings).await?;
    parts::check_leases(&settings, &parts.store.configuration().await?)?;
    let client = parts::client(&settings)?;
    // After everything that can refuse the start: the key is shown once, to a gateway that runs.
    let key = first_key::ensure(&parts).await?;
    let (configuration, _watching) = parts.watch_configuration().await?;

    let stop_intake = CancellationToken::new();
    let stop_worker = StopSignal::default();
    let secrets = parts::secret_resolver(Environment::of_process());
    let synchronous = parts::attempt_waiters(&settings);
    let worker = client.map(|client| {
        let mut worker = Worker::new(
            parts::worker(&settings),
            parts.store.clone(),
            parts.coordination.clone(),
            configuration.clone(),
            secrets.clone(),
            parts.clock.clone(),
            parts.metrics.clone(),
            guard.tracer(),
            client,
            stop_worker.clone(),
        );
        if let Some(waiters) = synchronous.clone() {
            worker = worker.observed_by(Arc::new(move |settlement| waiters.settled(settlement)));
        }
        tokio::spawn(worker.run())
    });
    let replays = settings.server.role.delivers().then(|| {
        let (store, clock) = (parts.store.clone(), parts.clock.clone());
        tokio::spawn(ReplayRunner::new(ReplaySettings::default(), store, clock, stop_intake.clone()).run())
    });
    let (committer, commit) = Committer::new(
        parts::committer(&settings),
        parts.store.clone(),
        parts::handover(&settings, &parts.coordination, configuration.clone()),
        parts.clock.clone(),
        parts.metrics.clone(),
    );
    let feed = parts.feed(&settings, configuration.clone());
    let committer = tokio::spawn(committer.with_feed(feed.clone()).run());
    let depth = commit.watch_depth();
    parts.metrics.intake_queue_depth.sample_with(move || depth().map(|depth| depth as f64));
    let for_retention = configuration.clone();
    let routing = CurrentRouting::follow(configuration, parts.metrics.clone(), secrets.clone());
    let performance = parts::performance(&settings, address);
    let streams = Streams::new(feed, settings.server.max_streams, &parts.metrics);
    let gateway =
        Arc::new(parts.gateway(&settings, commit, routing, secrets, guard.tracer(), performance, streams, synchronous));
    let sampler = tokio::spawn(Sampler::new(gateway.clone()).run(stop_intake.clone()));
    let api = spillway_webhook_api::router(gateway.clone());
    let console = console::router(&parts, &settings, api, stop_intake.clone()).await;
    let router = spillway_webhook_api::router_with(gateway.clone(), console);
    let front = Front::new(&gateway, router);
    let server =
        tokio::spawn(spillway_webhook_api::serve(listener, tls, front, parts::server(&settings), stop_intake.clone()));
    let periodic = periodic::start(&parts, parts::pool_limits(&settings), stop_intake.clone());
    if settings.server.role.serves_api() {
        retention::start(&parts, &settings.retention, for_retention, stop_intake.clone());
        let prewarm = spillway_webhook_api::prewarm(gateway.clone());
        tokio::spawn(stop_intake.clone().run_until_cancelled_owned(prewarm));
    }
    // Before anybody is told that it runs, and may ask it to stop.
    let signals = Signals::listen().map_err(StartError::Signals)?;
    let scheme = if settings.server.tls.is_some() { "https" } else { "http" };
    let public_url = settings.server.public_url.as_ref().map(tracing::field::display);
    tracing::info!(%address, public_url, role = ?settings.server.role, store = %settings.store.url, "ready");
    first_key::announce(key.as_ref(), &format!("{scheme}://{address}"));

    signals.wait_for_stop(&parts, reload).await;

    tracing::info!("stopping: no new requests, those under way finish");
    gateway.stopping.store(true, Ordering::Relaxed);
    gateway.streams.close();
    stop_intake.cancel();
    let times = Stopping::within(settings.server.drain_timeout, Instant::now());
    join("the server", server, times.worker.attempts).await;
    join("the sampler", sampler, times.worker.attempts).await;
    drop(gateway);
    join("the periodic work", periodic, times.worker.attempts).await;
    if let Some(replays) = replays {
        join("the replays", replays, times.worker.attempts).await;
    }
    stop_worker.stop(times.worker);
    if let Some(worker) = worker {
        join("the worker", worker, times.store).await;
    }
    // The committer ends when the last connection that holds its handle is gone.
    join("the committer", committer, times.store).await;
    if tokio::time::timeout_at(times.store, parts.store.close()).await.is_err() {
        tracing::warn!("the store did not close in time; the next start recovers it");
    }
    tracing::info!("stopped");
    guard.shutdown(times.traces.saturating_duration_since(Instant::now())).await;
    Ok(times.exit)
}

async fn join(what: &str, task: tokio::task::JoinHandle<()>, deadline: Instant) {
    match tokio::time::timeout_at(deadline, task).await {
        Ok(Ok(())) => {}
        Ok(Err(error)) => tracing::error!(%error, "{what} ended badly"),
        Err(_) => tracing::warn!("{what} did not end in time and is cut off; nothing acknowledged is lost by that"),
    }
}

/// What an operator says to a running process.
struct Signals {
    terminate: Signal,
    interrupt: Signal,
    hangup: Signal,
}

impl Signals {
    fn listen() -> std::io::Result<Self> {
        Ok(Self {
            terminate: signal(SignalKind::terminate())?,
            interrupt: signal(SignalKind::interrupt())?,
            hangup: signal(SignalKind::hangup())?,
        })
    }

    /// Returns at SIGTERM or SIGINT; applies the settings file's declarations again at each SIGHUP. Gives memory back meanwhile,
    /// because this is the thread that did the start's work.
    async fn wait_for_stop(mut self, parts: &Parts, reload: Reload) {
        let mut memory = tokio::time::interval_at(Instant::now() + STARTED, MEMORY);
        let started = tokio::time::sleep(STARTED);
        let mut started = pin!(started.fuse());
        loop {
            tokio::select! {
                () = &mut started => memory::unmap_start(),
                _ = memory.tick() => memory::give_back(),
                _ = self.terminate.recv() => return,
                _ = self.interrupt.recv() => return,
                _ = self.hangup.recv() => {
                    let Some(settings) = reload() else { continue };
                    match parts.apply_declared(&settings).await {
                        Ok(()) => tracing::info!("the settings file's sources, destinations and connections are applied"),
                        Err(error) => tracing::error!(error = &error as &dyn std::error::Error, "the settings file could not be applied"),
                    }
                }
            }
        }
    }
}
