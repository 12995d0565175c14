//! A private Prometheus and a private Alertmanager for one test.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::fs;
use std::net::{Ipv4Addr, SocketAddr};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use tempfile::TempDir;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use crate::process::{ServerProcess, find_on_path, log_tail};
use crate::wait::{free_port, holds_within};

const START_DEADLINE: Duration = Duration::from_secs(30);
/// Another process may take a free port first.
const START_ATTEMPTS: usize = 5;

/// What a [`Prometheus`] does.
#[derive(Debug, Clone, Default)]
pub struct PrometheusOptions {
    /// What is scraped, every 200 ms.
    pub targets: Vec<ScrapeTarget>,
    /// A file of rules, evaluated every 200 ms; empty for none.
    pub rules: String,
    /// `HOST:PORT` of the Alertmanager that is told of alerts; empty for none.
    pub alertmanager: String,
}

/// A process that is scraped at `/metrics`.
#[derive(Debug, Clone, Default)]
pub struct ScrapeTarget {
    /// `HOST:PORT`.
    pub address: String,
    /// Labels that its series get.
    pub labels: BTreeMap<String, String>,
}

/// A Prometheus with an empty database. Killed on drop.
#[derive(Debug)]
pub struct Prometheus(HttpServer);

/// An Alertmanager. Killed on drop.
#[derive(Debug)]
pub struct Alertmanager(HttpServer);

impl Prometheus {
    /// Starts a server on a free port and returns when it says that it is ready, in some 500 ms.
    ///
    /// # Panics
    /// When it is not installed or does not start.
    pub async fn start(options: &PrometheusOptions) -> Self {
        let config = config(options);
        let rules = options.rules.clone();
        let server = HttpServer::start(&["prometheus"], |dir, address| {
            fs::write(dir.join("prometheus.yml"), &config).expect("write the configuration of Prometheus");
            fs::write(dir.join("rules.yml"), &rules).expect("write the rules of Prometheus");
            vec![
                format!("--config.file={}", dir.join("prometheus.yml").display()),
                format!("--storage.tsdb.path={}", dir.join("data").display()),
                format!("--web.listen-address={address}"),
                "--log.level=warn".to_owned(),
            ]
        });
        Self(server.await)
    }

    /// `http://127.0.0.1:PORT`.
    pub fn url(&self) -> String {
        self.0.url()
    }
}

impl Alertmanager {
    /// Starts a server that tells nobody, as [`Alertmanager::start_with`].
    ///
    /// # Panics
    /// When it is not installed or does not start.
    pub async fn start() -> Self {
        Self::start_with("route:\n  receiver: nobody\nreceivers:\n  - name: nobody\n").await
    }

    /// Starts a server with this configuration on a free port and returns when it says that it is ready, in some 300 ms.
    ///
    /// # Panics
    /// When it is not installed or does not start.
    pub async fn start_with(config: &str) -> Self {
        let server = HttpServer::start(&["prometheus-alertmanager", "alertmanager"], |dir, address| {
            fs::write(dir.join("alertmanager.yml"), config).expect("write the configuration of Alertmanager");
            vec![
                format!("--config.file={}", dir.join("alertmanager.yml").display()),
                format!("--storage.path={}", dir.join("data").display()),
                format!("--web.listen-address={address}"),
                "--cluster.listen-address=".to_owned(),
                "--log.level=warn".to_owned(),
            ]
        });
        Self(server.await)
    }

    /// `http://127.0.0.1:PORT`.
    pub fn url(&self) -> String {
        self.0.url()
    }

    /// Lets an alert with these labels fire; `alertname` is its name. It fires for five minutes.
    ///
    /// # Panics
    /// When the server refuses it.
    pub async fn fire(&self, labels: &[(&str, &str)]) {
        self.0.post("/api/v2/alerts", &format!("[{{\"labels\":{{{}}}}}]", object(labels))).await;
    }

    /// Silences alerts whose label has this value, from `starts_at` to `ends_at`, both RFC 3339.
    ///
    /// # Panics
    /// When the server refuses it.
    pub async fn silence(&self, label: &str, value: &str, starts_at: &str, ends_at: &str) {
        let matcher = object(&[("name", label), ("value", value)]);
        let about = object(&[("startsAt", starts_at), ("endsAt", ends_at), ("createdBy", "test"), ("comment", "test")]);
        let body = format!("{{\"matchers\":[{{{matcher},\"isRegex\":false,\"isEqual\":true}}],{about}}}");
        self.0.post("/api/v2/silences", &body).await;
    }
}

/// Members of a JSON object whose values are texts.
fn object(members: &[(&str, &str)]) -> String {
    members.iter().map(|(name, value)| format!("{name:?}:{value:?}")).collect::<Vec<_>>().join(",")
}

fn config(options: &PrometheusOptions) -> String {
    let mut config =
        "global:\n  scrape_interval: 200ms\n  scrape_timeout: 200ms\n  evaluation_interval: 200ms\n".to_owned();
    if !options.rules.is_empty() {
        config += "rule_files: [rules.yml]\n";
    }
    if !options.alertmanager.is_empty() {
        let _ = writeln!(
            config,
            "alerting:\n  alertmanagers:\n    - static_configs:\n        - targets: [{:?}]",
            options.alertmanager
        );
    }
    config += "scrape_configs:\n  - job_name: test\n    static_configs:\n";
    // Writing to a text cannot fail.
    for ScrapeTarget { address, labels } in &options.targets {
        let _ = writeln!(config, "      - targets: [{address:?}]\n        labels:");
        for (name, value) in labels {
            let _ = writeln!(config, "          {name}: {value:?}");
        }
    }
    config
}

/// A server of the Prometheus family.
#[derive(Debug)]
struct HttpServer {
    port: u16,
    server: Option<ServerProcess>,
    dir: TempDir,
}

impl HttpServer {
    /// `programs` are what Debian and its authors call it; `arguments` prepares its folder.
    async fn start(programs: &[&str], arguments: impl Fn(&Path, SocketAddr) -> Vec<String>) -> Self {
        let program = programs.iter().find_map(|program| find_on_path(program));
        let program = program.unwrap_or_else(|| panic!("no {} is on PATH: run `cargo xtask setup`", programs[0]));
        let dir = tempfile::Builder::new().prefix("spillway-prometheus-").tempdir();
        let mut own = Self { port: 0, server: None, dir: dir.expect("make a temporary directory") };
        for _ in 0..START_ATTEMPTS {
            own.port = free_port();
            if own.try_start(&program, arguments(own.dir.path(), own.address())).await {
                return own;
            }
        }
        panic!("{} did not start:\n{}", program.display(), log_tail(&own.log()));
    }

    async fn try_start(&mut self, program: &Path, arguments: Vec<String>) -> bool {
        let mut command = Command::new(program);
        command.args(arguments).current_dir(self.dir.path());
        let mut server = ServerProcess::spawn(&mut command, &self.log(), self.dir.path());
        let mut exited = false;
        let settled = holds_within(START_DEADLINE, async || {
            exited = server.exit_status().is_some();
            exited || self.ask("GET", "/-/ready", "").await == Some(200)
        });
        let started = settled.await && !exited;
        self.server = started.then_some(server);
        started
    }

    fn url(&self) -> String {
        format!("http://{}", self.address())
    }

    fn address(&self) -> SocketAddr {
        SocketAddr::from((Ipv4Addr::LOCALHOST, self.port))
    }

    fn log(&self) -> PathBuf {
        self.dir.path().join("server.log")
    }

    async fn post(&self, path: &str, body: &str) {
        let status = self.ask("POST", path, body).await;
        assert_eq!(status, Some(200), "{path} refused {body}");
    }

    /// Status of the answer; `None` when there is none.
    async fn ask(&self, method: &str, path: &str, body: &str) -> Option<u16> {
        let mut stream = TcpStream::connect(self.address()).await.ok()?;
        let (host, length) = (self.address(), body.len());
        let head = format!(
            "{method} {path} HTTP/1.0\r\nHost: {host}\r\nContent-Type: application/json\r\nContent-Length: {length}\r\n\r\n"
        );
        stream.write_all((head + body).as_bytes()).await.ok()?;
        let mut answer = String::new();
        stream.read_to_string(&mut answer).await.ok()?;
        answer.split(' ').nth(1)?.parse().ok()
    }
}
