//! A private Redis server for one test.

use std::net::{Ipv4Addr, SocketAddr};
use std::path::PathBuf;
use std::process::Command;
use std::time::Duration;

use rustix::process::Signal;
use tempfile::TempDir;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use crate::process::{ServerProcess, find_on_path, log_tail};
use crate::wait::{free_port, holds_within};

const START_DEADLINE: Duration = Duration::from_secs(20);
/// Another process may take a free port first.
const START_ATTEMPTS: usize = 5;

/// A `redis-server` without persistence: a restart comes back empty. Killed on drop.
#[derive(Debug)]
pub struct Redis {
    port: u16,
    server: Option<ServerProcess>,
    dir: TempDir,
}

impl Redis {
    /// Starts a server on a free port and returns when it answers PING, in some 30 ms.
    ///
    /// # Panics
    /// When `redis-server` is not installed or does not start.
    pub async fn start() -> Self {
        let dir = tempfile::Builder::new().prefix("spillway-redis-").tempdir().expect("make a temporary directory");
        let mut redis = Self { port: 0, server: None, dir };
        for _ in 0..START_ATTEMPTS {
            redis.port = free_port();
            if redis.try_start().await {
                return redis;
            }
        }
        panic!("redis-server did not start:\n{}", log_tail(&redis.log()));
    }

    /// Starts a replica of this server that takes no part in elections by itself; see [`Sentinel`].
    ///
    /// # Panics
    /// When `redis-server` is not installed or does not start.
    pub async fn start_replica(&self) -> Self {
        let replica = Self::start().await;
        let order = format!("REPLICAOF 127.0.0.1 {}", self.port);
        assert_eq!(replica.command(&order).await.as_deref(), Some("+OK"), "{order} on {}", replica.url());
        replica
    }

    /// `redis://127.0.0.1:PORT`, the same over restarts.
    pub fn url(&self) -> String {
        format!("redis://{}", self.address())
    }

    /// Process id, or `None` after [`Redis::kill`].
    pub fn pid(&self) -> Option<u32> {
        self.server.as_ref().map(ServerProcess::id)
    }

    /// SIGKILL. Connections break and new ones are refused until [`Redis::restart`].
    pub async fn kill(&mut self) {
        if let Some(server) = self.server.take() {
            server.kill();
        }
    }

    /// Kills the server if it runs, and starts it again, empty, on the same port.
    ///
    /// # Panics
    /// When it does not answer PING within 20 s.
    pub async fn restart(&mut self) {
        self.kill().await;
        assert!(self.try_start().await, "redis-server did not restart:\n{}", log_tail(&self.log()));
    }

    /// SIGSTOP: the server hangs with its connections open, until [`Redis::resume`].
    pub fn pause(&self) {
        self.signal(Signal::STOP);
    }

    /// SIGCONT.
    pub fn resume(&self) {
        self.signal(Signal::CONT);
    }

    /// Removes every key of every logical database, as an operator's FLUSHALL does.
    ///
    /// # Panics
    /// When the server does not run.
    pub async fn flush_all(&self) {
        assert_eq!(self.command("FLUSHALL").await.as_deref(), Some("+OK"), "FLUSHALL on {}", self.url());
    }

    fn address(&self) -> SocketAddr {
        SocketAddr::from((Ipv4Addr::LOCALHOST, self.port))
    }

    fn log(&self) -> PathBuf {
        self.dir.path().join("server.log")
    }

    fn signal(&self, signal: Signal) {
        self.server.as_ref().expect("the Redis server runs").signal(signal);
    }

    /// Whether the server says so of itself in `INFO replication`.
    pub async fn says(&self, line: &str) -> bool {
        let Ok(mut stream) = TcpStream::connect(self.address()).await else { return false };
        if stream.write_all(b"INFO replication\r\n").await.is_err() {
            return false;
        }
        let mut answer = vec![0; 4_096];
        let n_bytes = stream.read(&mut answer).await.unwrap_or_default();
        String::from_utf8_lossy(&answer[..n_bytes]).lines().any(|known| known == line)
    }

    async fn try_start(&mut self) -> bool {
        let program = find_on_path("redis-server").expect("redis-server is not on PATH: run `cargo xtask setup`");
        let mut command = Command::new(program);
        command.args([
            "--port",
            &self.port.to_string(),
            "--bind",
            "127.0.0.1",
            "--save",
            "",
            "--appendonly",
            "no",
            "--dir",
        ]);
        command.arg(self.dir.path());
        let mut server = ServerProcess::spawn(&mut command, &self.log(), self.dir.path());
        let mut exited = false;
        let settled = holds_within(START_DEADLINE, async || {
            exited = server.exit_status().is_some();
            exited || self.command("PING").await.as_deref() == Some("+PONG")
        });
        let started = settled.await && !exited;
        self.server = started.then_some(server);
        started
    }

    /// First line of the answer to an inline command; `None` when the server cannot be reached.
    async fn command(&self, command: &str) -> Option<String> {
        let mut stream = TcpStream::connect(self.address()).await.ok()?;
        stream.write_all(format!("{command}\r\n").as_bytes()).await.ok()?;
        let mut answer = vec![0; 256];
        let n_bytes = stream.read(&mut answer).await.ok()?;
        String::from_utf8_lossy(&answer[..n_bytes]).lines().next().map(str::to_owned)
    }
}

/// A Redis Sentinel that watches one server under the name `main` and makes a replica the master half a second after the server is gone. Killed
/// on drop.
#[derive(Debug)]
pub struct Sentinel {
    port: u16,
    _server: ServerProcess,
    _dir: TempDir,
}

impl Sentinel {
    /// Starts a sentinel that watches `master` and returns when it answers.
    ///
    /// # Panics
    /// When `redis-server` is not installed or does not start.
    pub async fn watch(master: &Redis) -> Self {
        let dir = tempfile::Builder::new().prefix("spillway-sentinel-").tempdir().expect("make a temporary directory");
        let (port, config, log) = (free_port(), dir.path().join("sentinel.conf"), dir.path().join("server.log"));
        let text = format!(
            "port {port}\nbind 127.0.0.1\nsentinel monitor main 127.0.0.1 {} 1\n\
             sentinel down-after-milliseconds main 500\nsentinel failover-timeout main 2000\n",
            master.port
        );
        std::fs::write(&config, text).expect("write the settings of a sentinel");
        let program = find_on_path("redis-server").expect("redis-server is not on PATH: run `cargo xtask setup`");
        let mut command = Command::new(program);
        command.arg(&config).arg("--sentinel");
        let server = ServerProcess::spawn(&mut command, &log, dir.path());
        let address = SocketAddr::from((Ipv4Addr::LOCALHOST, port));
        let answers = holds_within(START_DEADLINE, async || TcpStream::connect(address).await.is_ok());
        assert!(answers.await, "the sentinel did not start:\n{}", log_tail(&log));
        Self { port, _server: server, _dir: dir }
    }

    /// `redis+sentinel://127.0.0.1:PORT/main`.
    pub fn url(&self) -> String {
        format!("redis+sentinel://127.0.0.1:{}/main", self.port)
    }

    /// Whether it knows a replica of the server that it watches, so that it could make one the master.
    pub async fn knows_a_replica(&self) -> bool {
        let Ok(mut stream) = TcpStream::connect((Ipv4Addr::LOCALHOST, self.port)).await else { return false };
        if stream.write_all(b"SENTINEL REPLICAS main\r\n").await.is_err() {
            return false;
        }
        let mut answer = vec![0; 256];
        let n_bytes = stream.read(&mut answer).await.unwrap_or_default();
        !answer[..n_bytes].starts_with(b"*0")
    }
}
