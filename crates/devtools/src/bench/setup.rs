//! Gateways, references and requests to measure with.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;

use spillway_signature::{HmacOptions, Outgoing, Provider, SchemeOptions, sign_as};
use spillway_store::postgres::{PostgresSettings, PostgresStore};
use spillway_store::sqlite::{SqliteSettings, SqliteStore};
use spillway_store::{Store, Unobserved};
use spillway_testkit::{Postgres, PostgresOptions, Redis};
use tempfile::TempDir;

use super::client::{NUMBER, Requests};
use super::{BenchArgs, Engine};
use crate::Failure;
use crate::gateway::Gateway;

const SECRET: &str = "a secret for measurements";
/// Bodies that differ, so that no part of the way can remember one.
const BODIES: usize = 256;
const BODY_BYTES: usize = 1_024;

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
    /// Further lines of the section `[delivery]`.
    pub(crate) delivery: &'static str,
}

impl Plan {
    /// One process on `engine` that delivers to `destination`, if there is one.
    pub(crate) fn new(engine: Engine, destination: Option<SocketAddr>) -> Self {
        let destinations = destination.map(|address| format!("http://{address}/hooks")).into_iter().collect();
        Self { engine, destinations, keys: false, two_nodes: false, delivery: "" }
    }
}

/// Disk and database of a measurement, on which gateways are started.
pub(crate) struct Ground {
    plan: Plan,
    program: PathBuf,
    pub(crate) postgres: Option<Postgres>,
    _redis: Option<Redis>,
    folder: TempDir,
    config: PathBuf,
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
        if let Some(redis) = &redis {
            store.push_str(&format!("\n[redis]\nurl = \"{}\"", redis.url()));
        }
        let config = folder.path().join("spillway.toml");
        std::fs::write(&config, settings(&store, &plan))?;
        Ok(Self { plan, program: arguments.common.gateway.clone(), postgres, _redis: redis, folder, config })
    }

    /// Starts a gateway, or two nodes of one.
    pub(crate) fn start(self) -> Result<Bench, Failure> {
        let log = PathBuf::from("target/bench/gateway.log");
        let roles: &[&[&str]] = if self.plan.two_nodes { &[&["--role", "api"], &["--role", "worker"]] } else { &[&[]] };
        let mut nodes = roles
            .iter()
            .map(|role| Gateway::start(&self.program, &self.config, role, &log))
            .collect::<Result<Vec<_>, _>>()?;
        let gateway = nodes.remove(0);
        Ok(Bench { gateway, worker: nodes.pop(), ground: self })
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
        Ground::prepare(arguments, plan).await?.start()
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

    /// How many statements of this kind the engine has executed, by the gateway's own count.
    pub(crate) async fn queries(&self, kind: &str) -> Result<f64, Failure> {
        let name = format!("spillway_store_query_seconds_count{{query=\"{kind}\"}} ");
        let text = get(self.address()?, "/metrics").await?;
        let line = text.lines().find_map(|line| line.strip_prefix(&name)).ok_or("a metric is missing")?;
        Ok(line.split_whitespace().next().unwrap_or_default().parse()?)
    }

    /// The bound below which 95 % of the statements of this kind stayed, in milliseconds, as fine as the histogram is.
    pub(crate) async fn query_p95_ms(&self, kind: &str) -> Result<f64, Failure> {
        let total = self.queries(kind).await?;
        let text = get(self.address()?, "/metrics").await?;
        let of_kind = format!("query=\"{kind}\"");
        let buckets = text.lines().filter_map(|line| line.strip_prefix("spillway_store_query_seconds_bucket{"));
        for (labels, count) in
            buckets.filter_map(|line| line.split_once("} ")).filter(|(labels, _)| labels.contains(&of_kind))
        {
            let bound = labels.split("le=\"").nth(1).and_then(|rest| rest.split('"').next()?.parse::<f64>().ok());
            let count = count.split_whitespace().next().and_then(|count| count.parse::<f64>().ok());
            if let (Some(bound), Some(count)) = (bound, count)
                && count >= total * 0.95
            {
                return Ok(bound * 1e3);
            }
        }
        Err(format!("the histogram of {kind} has no bound for its 95th percentile").into())
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

fn settings(store: &str, plan: &Plan) -> String {
    let idempotency = if plan.keys { "idempotency = { header = \"x-key\" }" } else { "" };
    let mut deliveries = String::new();
    for (n, url) in plan.destinations.iter().enumerate() {
        deliveries.push_str(&format!(
            "[[destinations]]\nname = \"sink-{n}\"\nurl = \"{url}\"\n\
             [[connections]]\nsource = \"bench\"\ndestination = \"sink-{n}\"\n"
        ));
    }
    format!(
        "[server]\nlisten = \"127.0.0.1:0\"\n[store]\n{store}\n[delivery]\nallow_networks = [\"127.0.0.0/8\"]\n{}\n\
         [log]\nfilter = \"warn\"\n\
         [[sources]]\nname = \"bench\"\nprovider = \"hmac\"\nsecrets = [\"{SECRET}\"]\n{idempotency}\n\
         [sources.hmac]\nheader = \"x-signature\"\n{deliveries}",
        plan.delivery
    )
}

/// Signed requests with 1 KiB bodies, each with its number; as its idempotency key too, if `keys`.
pub(crate) fn requests(keys: bool) -> Result<Arc<Requests>, Failure> {
    let options = SchemeOptions { hmac: Some(HmacOptions::new("x-signature")), ..SchemeOptions::default() };
    let key = if keys { format!("x-key: {NUMBER}\r\n") } else { format!("x-number: {NUMBER}\r\n") };
    let request = |n: usize| {
        let mut body = format!("{{\"n\":{n},\"data\":\"").into_bytes();
        body.extend((0..BODY_BYTES - body.len() - 2).map(|i| b'a' + ((i * 7 + n) % 26) as u8));
        body.extend_from_slice(b"\"}");
        let outgoing = Outgoing { id: "", body: &body, path_and_query: "/in/bench", now_unix_ms: 0 };
        let signed = sign_as(Provider::Hmac, SECRET, &options, &outgoing)?;
        let headers: String = signed.iter().map(|(name, value)| format!("{name}: {value}\r\n")).collect();
        let mut request = format!(
            "POST /in/bench HTTP/1.1\r\nhost: 127.0.0.1\r\nuser-agent: bench\r\ncontent-type: application/json\r\n\
             {headers}{key}content-length: {}\r\n\r\n",
            body.len()
        )
        .into_bytes();
        request.extend_from_slice(&body);
        Ok(request)
    };
    Ok(Requests::new((0..BODIES).map(request).collect::<Result<_, Failure>>()?))
}

/// A runtime of its own with as many threads as the gateway's, for a reference. Its tasks end when it is dropped.
pub(crate) struct OwnRuntime(Option<tokio::runtime::Runtime>);

impl OwnRuntime {
    /// Starts the runtime and does `work` on it.
    pub(crate) fn start<T: Send + 'static>(
        work: impl Future<Output = Result<T, Failure>> + Send + 'static,
    ) -> Result<(Self, T), Failure> {
        let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
        let (sender, receiver) = std::sync::mpsc::channel();
        runtime.spawn(async move { sender.send(work.await) });
        let own = Self(Some(runtime));
        let value = receiver.recv()??;
        Ok((own, value))
    }
}

impl Drop for OwnRuntime {
    fn drop(&mut self) {
        if let Some(runtime) = self.0.take() {
            runtime.shutdown_background();
        }
    }
}

async fn get(address: SocketAddr, path: &str) -> Result<String, Failure> {
    use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
    let mut stream = tokio::net::TcpStream::connect(address).await?;
    let request = format!("GET {path} HTTP/1.1\r\nhost: bench\r\nconnection: close\r\n\r\n");
    stream.write_all(request.as_bytes()).await?;
    let mut answer = String::new();
    stream.read_to_string(&mut answer).await?;
    Ok(answer)
}
