//! A private Prometheus Pushgateway for one test.

use std::net::{Ipv4Addr, SocketAddr};
use std::path::PathBuf;
use std::process::Command;
use std::time::Duration;

use tempfile::TempDir;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use crate::process::{ServerProcess, find_on_path, log_tail};
use crate::wait::{free_port, holds_within};

const START_DEADLINE: Duration = Duration::from_secs(20);
/// Another process may take a free port first.
const START_ATTEMPTS: usize = 5;
/// What Debian calls the program, and what its authors do.
const PROGRAMS: [&str; 2] = ["prometheus-pushgateway", "pushgateway"];

/// A Pushgateway without persistence. Killed on drop.
#[derive(Debug)]
pub struct Pushgateway {
    port: u16,
    server: Option<ServerProcess>,
    dir: TempDir,
}

impl Pushgateway {
    /// Starts a server on a free port and returns when it says that it is ready, in some 100 ms.
    ///
    /// # Panics
    /// When it is not installed or does not start.
    pub async fn start() -> Self {
        let dir =
            tempfile::Builder::new().prefix("spillway-pushgateway-").tempdir().expect("make a temporary directory");
        let mut pushgateway = Self { port: 0, server: None, dir };
        for _ in 0..START_ATTEMPTS {
            pushgateway.port = free_port();
            if pushgateway.try_start().await {
                return pushgateway;
            }
        }
        panic!("the Pushgateway did not start:\n{}", log_tail(&pushgateway.log()));
    }

    /// `http://127.0.0.1:PORT`.
    pub fn url(&self) -> String {
        format!("http://{}", self.address())
    }

    /// Everything that was pushed, as Prometheus would scrape it.
    ///
    /// # Panics
    /// When the server does not answer.
    pub async fn metrics(&self) -> String {
        self.get("/metrics").await.expect("metrics of the Pushgateway")
    }

    fn address(&self) -> SocketAddr {
        SocketAddr::from((Ipv4Addr::LOCALHOST, self.port))
    }

    fn log(&self) -> PathBuf {
        self.dir.path().join("server.log")
    }

    async fn try_start(&mut self) -> bool {
        let program = PROGRAMS.iter().find_map(|program| find_on_path(program));
        let program = program.expect("no Pushgateway is on PATH: run `cargo xtask setup`");
        let mut command = Command::new(program);
        command.arg(format!("--web.listen-address={}", self.address()));
        let mut server = ServerProcess::spawn(&mut command, &self.log(), self.dir.path());
        let mut exited = false;
        let settled = holds_within(START_DEADLINE, async || {
            exited = server.exit_status().is_some();
            exited || self.get("/-/ready").await.is_some()
        });
        let started = settled.await && !exited;
        self.server = started.then_some(server);
        started
    }

    /// Body of an answer with status 200; `None` for any other, or when there is none.
    async fn get(&self, path: &str) -> Option<String> {
        let mut stream = TcpStream::connect(self.address()).await.ok()?;
        let request = format!("GET {path} HTTP/1.0\r\nHost: {}\r\n\r\n", self.address());
        stream.write_all(request.as_bytes()).await.ok()?;
        let mut answer = String::new();
        stream.read_to_string(&mut answer).await.ok()?;
        let (head, body) = answer.split_once("\r\n\r\n")?;
        head.split(' ').nth(1).is_some_and(|status| status == "200").then(|| body.to_owned())
    }
}
