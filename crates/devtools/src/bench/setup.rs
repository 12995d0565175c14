//! Gateways to measure, with their databases.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;

use spillway_store::postgres::{PostgresSettings, PostgresStore};
use spillway_store::sqlite::{SqliteSettings, SqliteStore};
use spillway_store::{Store, Unobserved};
use spillway_testkit::{Postgres, PostgresOptions, Redis};
use tempfile::TempDir;

use super::requests::SECRET;
use super::{BenchArgs, Engine};
use crate::Failure;
use crate::gateway::Gateway;

/// What is measured: an engine, and how the gateway on it is set up.
#[derive(Debug, Clone)]
pub(crate) struct Plan {
    pub(crate) engine: Engine,
    /// URLs that every event goes to.
    pub(crate) destinations: Vec<String>,
    /// Whether requests have idempotency keys.
    pub(crate) keys: bool,
    /// One process for the API and one for deliveries, with Redis between them. Needs PostgreSQL.
    pub(crate) two_nodes: bool,
    /// Whether deliveries are stored and wait: the destination is paused.
    pub(crate) held: bool,
    /// Further lines of the settings file, such as another section.
    pub(crate) more: String,
}

impl Plan {
    /// One process on `engine` that delivers to `destination`.
    pub(crate) fn to(engine: Engine, destination: SocketAddr) -> Self {
        let destinations = vec![format!("http://{destination}/hooks")];
        Self { engine, destinations, keys: false, two_nodes: false, held: false, more: String::new() }
    }

    /// One process on `engine` that stores each event with a delivery, and delivers none of them.
    pub(crate) fn held(engine: Engine) -> Self {
        // Nobody is asked for this address while its destination is paused.
        Self { held: true, ..Self::to(engine, SocketAddr::from(([127, 0, 0, 1], 9))) }
    }
}

/// A queue that cannot be reached takes no deliveries. One that takes them hands them to the worker, which writes down that it gives them
/// back, because their destination is paused.
const NO_REDIS: &str = "redis://127.0.0.1:9";

/// Disk and database of a measurement, on which gateways are started.
pub(crate) struct Ground {
    plan: Plan,
    program: PathBuf,
    pub(crate) postgres: Option<Postgres>,
    _redis: Option<Redis>,
    folder: TempDir,
    config: PathBuf,
    /// The key that the first start with this database printed.
    admin_key: Option<String>,
}

impl Ground {
    pub(crate) async fn prepare(arguments: &BenchArgs, plan: Plan) -> Result<Self, Failure> {
        // On the disk of the build, because the system's temporary folder may be in memory, where a flush costs nothing.
        std::fs::create_dir_all("target/bench")?;
        let folder = tempfile::tempdir_in(std::fs::canonicalize("target/bench")?)?;
        let postgres = match plan.engine {
            Engine::Sqlite => None,
            Engine::Postgres => {
                let postgres = Postgres::start_with(postgres_options(arguments)).await;
                postgres.query(FILL_LOG).await;
                postgres.query("CHECKPOINT").await;
                Some(postgres)
            }
        };
        let redis = if plan.two_nodes { Some(Redis::start().await) } else { None };
        let mut store = match &postgres {
            Some(postgres) => format!("url = \"{}\"", postgres.url()),
            None => format!("data_dir = \"{}\"", folder.path().join("data").display()),
        };
        let redis_url = redis.as_ref().map(Redis::url);
        if let Some(url) = redis_url.or_else(|| plan.held.then(|| NO_REDIS.to_owned())) {
            store.push_str(&format!("\n[redis]\nurl = \"{url}\""));
        }
        let config = folder.path().join("spillway.toml");
        std::fs::write(&config, settings(&store, &plan, arguments.programs))?;
        let program = arguments.common.gateway.clone();
        Ok(Self { plan, program, postgres, _redis: redis, folder, config, admin_key: None })
    }

    /// Starts a gateway, or two nodes of one.
    pub(crate) fn start(mut self) -> Result<Bench, Failure> {
        let log = PathBuf::from("target/bench/gateway.log");
        let roles: &[&[&str]] = if self.plan.two_nodes { &[&["--role", "api"], &["--role", "worker"]] } else { &[&[]] };
        let mut nodes = roles
            .iter()
            .map(|role| Gateway::start(&self.program, &self.config, role, &log))
            .collect::<Result<Vec<_>, _>>()?;
        let gateway = nodes.remove(0);
        self.admin_key = self.admin_key.or_else(|| gateway.admin_key.clone());
        Ok(Bench { gateway, worker: nodes.pop(), ground: self })
    }

    /// Changes a line of the settings, for the next start.
    pub(crate) fn edit_settings(&self, from: &str, to: &str) -> Result<(), Failure> {
        let text = std::fs::read_to_string(&self.config)?;
        std::fs::write(&self.config, text.replacen(from, to, 1))?;
        Ok(())
    }

    /// The store itself, while no gateway has it open.
    pub(crate) async fn open_store(&self) -> Result<Arc<dyn Store>, Failure> {
        Ok(match &self.postgres {
            Some(postgres) => {
                Arc::new(PostgresStore::connect(PostgresSettings::new(postgres.url()), Arc::new(Unobserved)).await?)
            }
            None => {
                let path = self.folder.path().join("data").join("spillway.db");
                Arc::new(SqliteStore::open(SqliteSettings::new(path), Arc::new(Unobserved)).await?)
            }
        })
    }
}

/// A gateway with its database, ready to be loaded.
pub(crate) struct Bench {
    pub(crate) gateway: Gateway,
    /// The process that delivers, if it is another one.
    worker: Option<Gateway>,
    ground: Ground,
}

impl Bench {
    /// Prepares the ground and starts a gateway on it.
    pub(crate) async fn start(arguments: &BenchArgs, plan: Plan) -> Result<Self, Failure> {
        let held = plan.held;
        let bench = Ground::prepare(arguments, plan).await?.start()?;
        if held {
            bench.ask("POST", "/api/v1/destinations/sink-0/pause").await?;
        }
        Ok(bench)
    }

    /// The key that the first start with this database printed.
    pub(super) fn admin_key(&self) -> Result<&str, Failure> {
        Ok(self.ground.admin_key.as_deref().ok_or("the gateway printed no admin key")?)
    }

    /// The process that delivers.
    pub(crate) fn delivering(&self) -> &Gateway {
        self.worker.as_ref().unwrap_or(&self.gateway)
    }

    /// Stops the gateway and gives the ground back.
    pub(crate) fn stop(self) -> Result<Ground, Failure> {
        self.gateway.stop()?;
        self.worker.map(Gateway::stop).transpose()?;
        Ok(self.ground)
    }

    pub(crate) fn address(&self) -> Result<SocketAddr, Failure> {
        Ok(self.gateway.address().parse()?)
    }

    /// Processor time of the gateway and its database so far.
    pub(crate) fn cpu(&self) -> std::time::Duration {
        let postgres = self.ground.postgres.as_ref().and_then(Postgres::pid);
        let worker = self.worker.as_ref().map_or_else(Default::default, |node| super::process::cpu(node.pid(), false));
        super::process::cpu(self.gateway.pid(), false)
            + worker
            + postgres.map_or_else(Default::default, |pid| super::process::cpu(pid, true))
    }
}

/// Walks through 128 segments of the write-ahead log. A server that has run for a while writes over old segments; a new one makes
/// each of them first, 16 MiB of zeros at a time, and commits wait meanwhile.
const FILL_LOG: &str = "DO $$ BEGIN FOR i IN 1..128 LOOP \
    PERFORM pg_logical_emit_message(false, 'bench', 'x'); PERFORM pg_switch_wal(); END LOOP; END $$";

/// A server as somebody would run it who cares for speed: flushes on, shared memory for a small machine.
fn postgres_options(arguments: &BenchArgs) -> PostgresOptions {
    let settings = [("shared_buffers", "256MB"), ("min_wal_size", "2GB"), ("max_wal_size", "4GB")];
    let settings = settings.map(|(name, value)| (name.to_owned(), value.to_owned())).into_iter();
    let more = arguments.postgres.iter().filter_map(|text| text.split_once('='));
    let more = more.map(|(name, value)| (name.to_owned(), value.to_owned()));
    PostgresOptions { fsync: true, settings: settings.chain(more).collect(), parent_dir: None }
}

/// A connection's programs: they read the body, let everything through, and write another one of the same size.
const PROGRAMS: &str = "filter = \".n >= 0\"\ntransform = \"{number: .n, text: .data}\"\n";

fn settings(store: &str, plan: &Plan, has_programs: bool) -> String {
    let programs = if has_programs { PROGRAMS } else { "" };
    let idempotency = if plan.keys { "idempotency = { header = \"x-key\" }" } else { "" };
    let mut deliveries = String::new();
    for (n, url) in plan.destinations.iter().enumerate() {
        deliveries.push_str(&format!(
            "[[destinations]]\nname = \"sink-{n}\"\nurl = \"{url}\"\n\
             [[connections]]\nsource = \"bench\"\ndestination = \"sink-{n}\"\n{programs}"
        ));
    }
    format!(
        "[server]\nlisten = \"127.0.0.1:0\"\n[store]\n{store}\n[delivery]\nallow_networks = [\"127.0.0.0/8\"]\n{}\n\
         [log]\nfilter = \"warn\"\n\
         [[sources]]\nname = \"bench\"\nprovider = \"hmac\"\nsecrets = [\"{SECRET}\"]\n{idempotency}\n\
         [sources.hmac]\nheader = \"x-signature\"\n{deliveries}",
        plan.more
    )
}
