//! A private nginx for one test.

use std::fs;
use std::net::{Ipv4Addr, SocketAddr};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use tempfile::TempDir;
use tokio::net::TcpStream;

use crate::process::{ServerProcess, find_on_path, log_tail};
use crate::wait::{free_port, holds_within};

const START_DEADLINE: Duration = Duration::from_secs(20);
/// Debian keeps it off the PATH of ordinary users.
const IN_DEBIAN: &str = "/usr/sbin/nginx";

/// An nginx with a directory and a port of its own. Killed on drop, workers included.
#[derive(Debug)]
pub struct Nginx {
    port: u16,
    server: Option<ServerProcess>,
    dir: TempDir,
}

impl Nginx {
    /// A port and a directory for an nginx that is not started yet, so that files can be put there first.
    ///
    /// # Panics
    /// When no directory can be made.
    pub fn prepare() -> Self {
        let dir = tempfile::Builder::new().prefix("spillway-nginx-").tempdir().expect("make a temporary directory");
        Self { port: free_port(), server: None, dir }
    }

    /// The port that the configuration should listen on.
    pub fn port(&self) -> u16 {
        self.port
    }

    /// `127.0.0.1:PORT`.
    pub fn address(&self) -> SocketAddr {
        SocketAddr::from((Ipv4Addr::LOCALHOST, self.port))
    }

    /// `http://127.0.0.1:PORT`.
    pub fn url(&self) -> String {
        format!("http://{}", self.address())
    }

    /// Its directory.
    pub fn directory(&self) -> &Path {
        self.dir.path()
    }

    /// Its main configuration.
    pub fn config(&self) -> PathBuf {
        self.dir.path().join("nginx.conf")
    }

    /// The program.
    ///
    /// # Panics
    /// When nginx is not installed.
    pub fn program() -> PathBuf {
        let in_debian = || Some(PathBuf::from(IN_DEBIAN)).filter(|file| file.is_file());
        find_on_path("nginx").or_else(in_debian).expect("nginx is not on PATH: run `cargo xtask setup`")
    }

    /// Writes the main configuration, whose `http` block holds `http`. A running nginx does not notice until it is reloaded.
    ///
    /// # Panics
    /// When the file cannot be written.
    pub fn configure(&self, http: &str) {
        let dir = self.dir.path().display();
        // Workers of a root's nginx would be another user, who cannot enter the directory.
        let user = if rustix::process::getuid().is_root() { "user root root;\n" } else { "" };
        let text = format!(
            "{user}daemon off;\nworker_processes 2;\npid {dir}/nginx.pid;\nerror_log {dir}/error.log notice;\n\
             events {{ worker_connections 1024; }}\n\
             http {{\naccess_log off;\nclient_body_temp_path {dir}/body;\nproxy_temp_path {dir}/proxy;\n\
             fastcgi_temp_path {dir}/fastcgi;\nuwsgi_temp_path {dir}/uwsgi;\nscgi_temp_path {dir}/scgi;\n{http}\n}}\n"
        );
        fs::write(self.config(), text).expect("write the configuration of nginx");
    }

    /// Starts it with the present configuration, and returns when its port takes connections.
    ///
    /// # Panics
    /// When it does not start.
    pub async fn start(&mut self) {
        let mut command = Command::new(Self::program());
        command.arg("-p").arg(self.dir.path()).arg("-c").arg(self.config());
        let mut server = ServerProcess::spawn(&mut command, &self.output(), self.dir.path());
        let mut exited = false;
        let settled = holds_within(START_DEADLINE, async || {
            exited = server.exit_status().is_some();
            exited || TcpStream::connect(self.address()).await.is_ok()
        });
        let started = settled.await && !exited;
        assert!(started, "nginx did not start:\n{}\n{}", log_tail(&self.output()), self.error_log());
        self.server = Some(server);
    }

    /// Process id of the master, or `None` when it was not started or was killed.
    pub fn pid(&self) -> Option<u32> {
        self.server.as_ref().map(ServerProcess::id)
    }

    /// SIGKILL for the master and its workers.
    pub fn kill(&mut self) {
        if let Some(server) = self.server.take() {
            server.kill();
        }
    }

    /// What it wrote to its error log.
    pub fn error_log(&self) -> String {
        fs::read_to_string(self.dir.path().join("error.log")).unwrap_or_default()
    }

    fn output(&self) -> PathBuf {
        self.dir.path().join("output.log")
    }
}
