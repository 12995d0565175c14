//! Everything on our side of the network: gateway processes, their database, Redis, a disk, clocks.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use spillway_testkit::{Postgres, PostgresOptions, Redis};

use super::clock::SteppedClock;
use super::disk::SmallDisk;
use super::node::{Node, Role};
use super::report::Ran;
use super::schedule::{Fault, FaultKind};
use super::sender::{KEY_HEADER, SECRET};
use super::stored::Stored;
use super::{ChaosSettings, Engine};
use crate::Failure;

/// A process notices a step of its clock within this time.
const CLOCK_NOTICE: Duration = Duration::from_millis(1_100);

pub(super) struct Machines {
    nodes: Vec<Node>,
    postgres: Option<Postgres>,
    redis: Option<Redis>,
    database: PathBuf,
    /// Faults that cannot be had here, with the reason.
    pub(super) not_run: BTreeMap<FaultKind, String>,
    // Last, so that it is unmounted when nobody uses it any more.
    disk: Option<SmallDisk>,
}

impl Machines {
    /// Starts everything, with one source connected to both destinations.
    pub(super) async fn start(settings: &ChaosSettings, steady: &str, troubled: &str) -> Result<Self, Failure> {
        let folder = settings.folder.as_path();
        let mut not_run = BTreeMap::new();
        let mut disk = None;
        match SmallDisk::mount((settings.rate * settings.duration.as_secs_f64()) as u64) {
            Ok(mounted) => disk = Some(mounted),
            Err(reason) => drop(not_run.insert(FaultKind::FullDisk, reason)),
        }
        let postgres = match settings.engine {
            Engine::Postgres => Some(Postgres::start_with(postgres_options(disk.as_ref())).await),
            Engine::Sqlite => None,
        };
        let redis = if settings.redis { Some(Redis::start().await) } else { None };
        let config = folder.join("spillway.toml");
        let database = disk.as_ref().map_or(folder, SmallDisk::path).join("data").join("spillway.db");
        let store = match &postgres {
            Some(postgres) => format!("url = \"{}\"", postgres.url()),
            None => format!("url = \"sqlite://{}\"", database.display()),
        };
        let redis_url = redis.as_ref().map(|redis| format!("[redis]\nurl = \"{}\"\n", redis.url())).unwrap_or_default();
        std::fs::write(&config, gateway_settings(&store, &redis_url, steady, troubled))?;
        let mut machines = Self { nodes: Vec::new(), postgres, redis, database, not_run, disk };
        for (role, n) in roles(settings.nodes) {
            let (mut node, no_clock) = Node::new(role, n, &settings.gateway, &config, folder);
            machines.not_run.extend(no_clock.map(|reason| (FaultKind::ClockStep, reason)));
            node.start().await?;
            machines.nodes.push(node);
        }
        Ok(machines)
    }

    /// Where events are sent to.
    pub(super) fn intake(&self) -> Vec<SocketAddr> {
        self.nodes.iter().filter(|node| node.role != Role::Worker).map(|node| node.address).collect()
    }

    pub(super) fn logs(&self) -> Vec<&Path> {
        self.nodes.iter().map(|node| node.log.as_path()).collect()
    }

    /// Lets the faults happen in turn, each at its time or, when the one before took longer, right after it.
    pub(super) async fn break_down(&mut self, faults: &[Fault], begun: Instant) -> Result<Vec<Ran>, Failure> {
        let mut ran = Vec::new();
        for fault in faults.iter().filter(|fault| !self.not_run.contains_key(&fault.kind)).cloned().collect::<Vec<_>>()
        {
            tokio::time::sleep_until((begun + fault.at).into()).await;
            let fault_begun = Instant::now();
            self.apply(&fault).await.map_err(|error| format!("after the fault \"{}\": {error}", fault.kind.name()))?;
            ran.push(Ran { kind: fault.kind, begun: fault_begun, ended: Instant::now() });
        }
        Ok(ran)
    }

    /// One fault, until what it broke works again.
    async fn apply(&mut self, fault: &Fault) -> Result<(), Failure> {
        match fault.kind {
            FaultKind::KillGateway => self.kill_node(Role::All, fault).await?,
            FaultKind::KillApi => self.kill_node(Role::Api, fault).await?,
            FaultKind::KillWorker => self.kill_node(Role::Worker, fault).await?,
            FaultKind::KillRedis => {
                let redis = self.redis.as_mut().ok_or("there is no Redis")?;
                redis.kill().await;
                tokio::time::sleep(fault.lasts).await;
                redis.restart().await;
            }
            FaultKind::FlushRedis => self.redis.as_ref().ok_or("there is no Redis")?.flush_all().await,
            FaultKind::KillPostgres => {
                let postgres = self.postgres.as_mut().ok_or("there is no PostgreSQL")?;
                postgres.kill().await;
                tokio::time::sleep(fault.lasts).await;
                postgres.restart().await;
            }
            FaultKind::FullDisk => {
                let disk = self.disk.as_ref().ok_or("there is no small disk")?;
                disk.fill()?;
                tokio::time::sleep(fault.lasts).await;
                disk.free()?;
                if let Some(postgres) = &mut self.postgres {
                    postgres.recover().await;
                }
            }
            FaultKind::ClockStep => {
                let node = &self.nodes[fault.node % self.nodes.len()];
                let clock = node.clock.as_ref().ok_or("the clock cannot be stepped")?;
                if !node.pid().is_some_and(SteppedClock::moves) {
                    let reason = "the gateway runs without libfaketime, although it was started with it".to_owned();
                    self.not_run.insert(FaultKind::ClockStep, reason);
                    return Ok(());
                }
                clock.step(fault.step_seconds)?;
                tokio::time::sleep(fault.lasts).await;
                clock.step(0)?;
                tokio::time::sleep(CLOCK_NOTICE).await;
            }
            kind => return Err(format!("\"{}\" is a destination's fault", kind.name()).into()),
        }
        Ok(())
    }

    async fn kill_node(&mut self, role: Role, fault: &Fault) -> Result<(), Failure> {
        let mut nodes: Vec<&mut Node> = self.nodes.iter_mut().filter(|node| node.role == role).collect();
        let n = nodes.len().max(1);
        let node = nodes.get_mut(fault.node % n).ok_or("there is no such node")?;
        node.kill();
        tokio::time::sleep(fault.lasts).await;
        node.start().await
    }

    /// Stops every process in good order. Returns the longest stop, and what went wrong.
    pub(super) async fn stop(&mut self) -> (Duration, Vec<String>) {
        let mut longest = Duration::ZERO;
        let mut problems = Vec::new();
        for node in &mut self.nodes {
            let name = format!("{} at {}", node.role.name(), node.address);
            if node.has_ended().unwrap_or(true) {
                problems.push(format!("{name} ended by itself"));
            }
            match node.stop().await {
                Ok(took) => longest = longest.max(took),
                Err(error) => problems.push(format!("{name}: {error}")),
            }
        }
        (longest, problems)
    }

    /// What the database holds. No process may run on it.
    pub(super) async fn stored(&self) -> Result<Stored, Failure> {
        match &self.postgres {
            Some(postgres) => Stored::in_postgres(&postgres.url()).await,
            None => Stored::in_sqlite(&self.database).await,
        }
    }
}

fn roles(nodes: usize) -> Vec<(Role, usize)> {
    if nodes == 0 {
        return vec![(Role::All, 1)];
    }
    (1..=nodes).flat_map(|n| [(Role::Api, n), (Role::Worker, n)]).collect()
}

/// On the small disk, if there is one, with a log that leaves room for data.
fn postgres_options(disk: Option<&SmallDisk>) -> PostgresOptions {
    let log = [("min_wal_size", "32MB"), ("max_wal_size", "64MB")];
    let settings = log.map(|(name, value)| (name.to_owned(), value.to_owned())).into();
    PostgresOptions { settings, parent_dir: disk.map(|disk| disk.path().to_owned()), ..PostgresOptions::default() }
}

/// Patience is short, so that a run sees leases end and retries happen.
fn gateway_settings(store: &str, redis: &str, steady: &str, troubled: &str) -> String {
    let retries = ["\"0s\"", "\"500ms\"", "\"500ms\""].into_iter().chain(std::iter::repeat_n("\"1s\"", 90));
    let retries = retries.collect::<Vec<_>>().join(", ");
    format!(
        r#"[store]
{store}
pool_timeout = "2s"
{redis}[delivery]
timeout = "3s"
connect_timeout = "1s"
lease = "5s"
allow_networks = ["127.0.0.0/8"]
retry_schedule = [{retries}]
[[sources]]
name = "chaos"
provider = "hmac"
secrets = ["{SECRET}"]
idempotency = {{ header = "{KEY_HEADER}" }}
[sources.hmac]
header = "x-signature"
[[destinations]]
name = "steady"
url = "{steady}"
[[destinations]]
name = "troubled"
url = "{troubled}"
[destinations.breaker]
consecutive_failures = 20
base_ejection = "100ms"
[[connections]]
source = "chaos"
destination = "steady"
[[connections]]
source = "chaos"
destination = "troubled"
"#
    )
}
