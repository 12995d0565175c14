//! PostgreSQL for tests: [`Postgres`] is a private server that may be killed, [`shared_database`] a database of one's own on a server that
//! all tests of a run share.

mod cluster;
mod shared;

use std::path::{Path, PathBuf};
use std::time::Duration;

use rustix::process::Signal;
use tempfile::TempDir;

use crate::process::{ServerProcess, log_tail};
use crate::wait::{free_port, holds_within};
use cluster::Cluster;

pub use shared::{TestDatabase, shared_database};

/// A start after SIGKILL replays the log first.
const START_DEADLINE: Duration = Duration::from_secs(60);
const STOP_DEADLINE: Duration = Duration::from_secs(30);
/// Another process may take a free port first.
const START_ATTEMPTS: usize = 5;

/// How a private server is set up.
#[derive(Clone, Debug)]
pub struct PostgresOptions {
    /// Flush to disk at commit, the default: what was committed survives [`Postgres::kill`]. Off is faster, and SIGKILL still loses
    /// nothing that reached the operating system; only a power cut would.
    pub fsync: bool,
    /// Further server settings, as `postgres -c NAME=VALUE`.
    pub settings: Vec<(String, String)>,
    /// Directory in which the data directory is made, for instance a small tmpfs. `None`: the system's temporary directory. As root,
    /// user `postgres` must be able to reach it.
    pub parent_dir: Option<PathBuf>,
}

impl Default for PostgresOptions {
    fn default() -> Self {
        Self { fsync: true, settings: Vec::new(), parent_dir: None }
    }
}

/// A PostgreSQL server of its own for one test, on a free port of 127.0.0.1, superuser `postgres` without a password. Killed on drop.
///
/// As root the server runs as user `postgres`, because it refuses root.
#[derive(Debug)]
pub struct Postgres {
    cluster: Cluster,
    options: PostgresOptions,
    port: u16,
    server: Option<ServerProcess>,
    dir: TempDir,
}

impl Postgres {
    /// Starts a server with flushes on and returns when it accepts connections: about 0.5 s, and 2 s the first time, which runs initdb.
    ///
    /// # Panics
    /// When PostgreSQL is not installed or does not start.
    pub async fn start() -> Self {
        Self::start_with(PostgresOptions::default()).await
    }

    /// Like [`Postgres::start`], with options.
    ///
    /// # Panics
    /// When PostgreSQL is not installed or does not start.
    pub async fn start_with(options: PostgresOptions) -> Self {
        let cluster = Cluster::find();
        let dir = cluster.new_data_dir(options.parent_dir.as_deref()).await;
        let mut postgres = Self { cluster, options, port: 0, server: None, dir };
        for _ in 0..START_ATTEMPTS {
            postgres.port = free_port();
            if postgres.try_start().await {
                return postgres;
            }
        }
        panic!("PostgreSQL did not start:\n{}", log_tail(&postgres.log()));
    }

    /// Starts a streaming replica of this server, which is killed on drop. It answers reads when this returns.
    ///
    /// # Panics
    /// When the copy cannot be made, or the replica does not start.
    pub async fn start_replica(&self) -> Self {
        let dir = self.cluster.copy_of_running(&self.url()).await;
        let options = PostgresOptions { parent_dir: None, ..self.options.clone() };
        let mut replica = Self { cluster: self.cluster.clone(), options, port: 0, server: None, dir };
        for _ in 0..START_ATTEMPTS {
            replica.port = free_port();
            if replica.try_start().await {
                let answers = holds_within(START_DEADLINE, async || replica.cluster.answers(&replica.url()).await);
                assert!(answers.await, "the replica does not answer:\n{}", log_tail(&replica.log()));
                return replica;
            }
        }
        panic!("the replica did not start:\n{}", log_tail(&replica.log()));
    }

    /// `postgres://postgres@127.0.0.1:PORT/postgres`, the same over restarts.
    pub fn url(&self) -> String {
        cluster::url(self.port, "postgres")
    }

    /// Process id of the postmaster, or `None` when the server does not run.
    pub fn pid(&self) -> Option<u32> {
        self.server.as_ref().map(ServerProcess::id)
    }

    /// Directory that holds the cluster's files.
    pub fn data_dir(&self) -> &Path {
        self.dir.path()
    }

    /// SIGKILL to the postmaster and all of its processes, as when the power goes; returns when they are gone.
    pub async fn kill(&mut self) {
        if let Some(server) = self.server.take() {
            server.kill();
        }
    }

    /// Fast shutdown: open transactions are rolled back, connections closed, a checkpoint written.
    ///
    /// # Panics
    /// When the server still runs after 30 s.
    pub async fn stop(&mut self) {
        let Some(mut server) = self.server.take() else { return };
        server.signal(Signal::INT);
        let stopped = holds_within(STOP_DEADLINE, async || server.exit_status().is_some()).await;
        assert!(stopped, "PostgreSQL did not stop within {STOP_DEADLINE:?}:\n{}", log_tail(&self.log()));
    }

    /// Stops the server if it runs, and starts it again on the same port and data. After [`Postgres::kill`] this includes recovery.
    ///
    /// # Panics
    /// When it does not accept connections within 60 s.
    pub async fn restart(&mut self) {
        self.stop().await;
        assert!(self.try_start().await, "PostgreSQL did not restart:\n{}", log_tail(&self.log()));
    }

    /// Returns when the server answers queries, and starts it again if it has ended: a full disk can end it during its recovery.
    ///
    /// # Panics
    /// When it does not answer within 60 s.
    pub async fn recover(&mut self) {
        let mut ended = false;
        let (cluster, url) = (self.cluster.clone(), self.url());
        let server = &mut self.server;
        let settled = holds_within(START_DEADLINE, async || {
            ended = server.as_mut().is_none_or(|server| server.exit_status().is_some());
            ended || cluster.answers(&url).await
        });
        let settled = settled.await;
        if ended {
            self.kill().await;
            self.restart().await;
        } else {
            assert!(settled, "PostgreSQL did not recover:\n{}", log_tail(&self.log()));
        }
    }

    /// SIGSTOP to the postmaster: established sessions go on, and no new connection is accepted until [`Postgres::resume`].
    ///
    /// # Panics
    /// When the server does not run.
    pub fn pause(&self) {
        self.signal(Signal::STOP);
    }

    /// SIGCONT.
    ///
    /// # Panics
    /// When the server does not run.
    pub fn resume(&self) {
        self.signal(Signal::CONT);
    }

    /// Runs SQL with psql and returns what it prints, unaligned and without headers: for looking from outside of the code under test.
    ///
    /// # Panics
    /// When psql fails, with its message.
    pub async fn query(&self, sql: &str) -> String {
        self.cluster.query(&self.url(), sql).await
    }

    fn log(&self) -> PathBuf {
        cluster::log_file(self.dir.path())
    }

    fn signal(&self, signal: Signal) {
        self.server.as_ref().expect("the PostgreSQL server runs").signal(signal);
    }

    async fn try_start(&mut self) -> bool {
        let fsync = if self.options.fsync { "on" } else { "off" };
        let mut command = self.cluster.server_command(self.dir.path(), self.port);
        command.args(["-c", &format!("fsync={fsync}")]);
        for (name, value) in &self.options.settings {
            command.args(["-c", &format!("{name}={value}")]);
        }
        let mut server = ServerProcess::spawn(&mut command, &self.log(), self.dir.path());
        let data_dir = self.dir.path();
        let mut exited = false;
        let settled = holds_within(START_DEADLINE, async || {
            exited = server.exit_status().is_some();
            exited || cluster::accepts_connections(data_dir, server.id())
        });
        let started = settled.await && !exited;
        self.server = started.then_some(server);
        started
    }
}
