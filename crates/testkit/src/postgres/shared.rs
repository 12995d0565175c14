//! A database of one's own on a server that all tests of a run share.

use std::fs::File;
use std::process::Stdio;

use super::cluster::{self, Cluster};
use super::{Postgres, PostgresOptions, START_ATTEMPTS, START_DEADLINE};
use crate::process::{log_tail, signal_process, spawn_detached};
use crate::shared::{Running, Shared};
use crate::wait::{free_port, holds_within};

/// A server elsewhere to make the databases on, instead of one that is started here; its user must be allowed to create databases.
const URL_VARIABLE: &str = "SPILLWAY_TEST_POSTGRES_URL";

/// An empty database of one's own, dropped with this value.
#[derive(Debug)]
pub struct TestDatabase {
    name: String,
    admin_url: String,
    url: String,
    cluster: Cluster,
    _server: Server,
}

/// What keeps the server running as long as the database is in use.
#[derive(Debug)]
enum Server {
    External,
    Shared { _users: File },
    Private { _server: Box<Postgres> },
}

/// Makes an empty database for one test: some 60 ms, and 2 s in the first test of a run.
///
/// The server does not flush (`fsync=off`); a test that kills the server wants [`Postgres::start`]. It is the server in
/// `SPILLWAY_TEST_POSTGRES_URL` if that is set; otherwise one that all tests share; otherwise, on a system without flock(1), a private one.
///
/// # Panics
/// When no server can be started or reached.
pub async fn shared_database() -> TestDatabase {
    #[expect(clippy::disallowed_methods, reason = "a switch of the test run, not a setting of the product")]
    let external = std::env::var(URL_VARIABLE).ok();
    let (cluster, server, admin_url) = match external {
        Some(url) => (Cluster::client_only(), Server::External, url),
        None if Shared::is_possible() => shared_server().await,
        None => private_server().await,
    };
    let name = format!("spillway_test_{:016x}", rand::random::<u64>());
    cluster.query(&admin_url, &format!("CREATE DATABASE {name} TEMPLATE template0")).await;
    let url = with_database(&admin_url, &name);
    TestDatabase { name, admin_url, url, cluster, _server: server }
}

impl TestDatabase {
    /// Connection URL of this database.
    pub fn url(&self) -> &str {
        &self.url
    }

    /// Runs SQL with psql and returns what it prints, unaligned and without headers: for looking from outside of the code under test.
    ///
    /// # Panics
    /// When psql fails, with its message.
    pub async fn query(&self, sql: &str) -> String {
        self.cluster.query(&self.url, sql).await
    }
}

impl Drop for TestDatabase {
    fn drop(&mut self) {
        if let Server::Private { .. } = self._server {
            return;
        }
        // Sessions that the test left open go with it. A failure leaves a database behind on a server that is thrown away soon.
        let sql = format!("DROP DATABASE IF EXISTS {} WITH (FORCE)", self.name);
        let mut psql = self.cluster.psql_command(&self.admin_url, &sql);
        let _ = psql.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null()).status();
    }
}

/// The running shared server, or a new one.
async fn shared_server() -> (Cluster, Server, String) {
    let cluster = Cluster::find();
    let shared = Shared::new("postgres");
    let (start_lock, users) = shared.lock().await;
    let port = match running_port(&shared) {
        Some(port) => port,
        None => start_server(&cluster, &shared).await,
    };
    drop(start_lock);
    (cluster, Server::Shared { _users: users }, cluster::url(port, "postgres"))
}

async fn private_server() -> (Cluster, Server, String) {
    let postgres = Postgres::start_with(PostgresOptions { fsync: false, ..PostgresOptions::default() }).await;
    let url = postgres.url();
    (postgres.cluster.clone(), Server::Private { _server: Box::new(postgres) }, url)
}

/// Port of the shared server, if one runs and is ready.
fn running_port(shared: &Shared) -> Option<u16> {
    let server = shared.running()?;
    let is_ready = cluster::accepts_connections(&server.data_dir, *server.pids.first()?);
    is_ready.then(|| server.details.parse().ok()).flatten()
}

async fn start_server(cluster: &Cluster, shared: &Shared) -> u16 {
    let data_dir = cluster.new_data_dir(None).await.keep();
    let log = cluster::log_file(&data_dir);
    for _ in 0..START_ATTEMPTS {
        let port = free_port();
        let mut command = cluster.server_command(&data_dir, port);
        for setting in ["fsync=off", "synchronous_commit=off", "full_page_writes=off"] {
            command.args(["-c", setting]);
        }
        let mut server = spawn_detached(&mut command, &log);
        let pid = server.id();
        let ready = holds_within(START_DEADLINE, async || {
            cluster::accepts_connections(&data_dir, pid) || !matches!(server.try_wait(), Ok(None))
        });
        if ready.await && cluster::accepts_connections(&data_dir, pid) {
            shared.started(&Running { pids: vec![pid], data_dir, details: port.to_string() });
            return port;
        }
        signal_process(pid, rustix::process::Signal::KILL);
        let _ = server.wait();
    }
    panic!("the shared PostgreSQL server did not start:\n{}", log_tail(&log));
}

/// The same connection URL with another database name.
fn with_database(url: &str, name: &str) -> String {
    let (address, query) =
        url.split_once('?').map_or((url, String::new()), |(address, query)| (address, format!("?{query}")));
    let authority_at = address.find("://").map_or(0, |at| at + 3);
    let path_at = address[authority_at..].find('/').map_or(address.len(), |at| authority_at + at);
    format!("{}/{name}{query}", &address[..path_at])
}

#[cfg(test)]
mod tests {
    use super::with_database;

    #[test]
    fn database_name_is_replaced_or_added() {
        assert_eq!(with_database("postgres://u:p@db:5432/postgres", "t"), "postgres://u:p@db:5432/t");
        assert_eq!(with_database("postgres://db", "t"), "postgres://db/t");
        assert_eq!(with_database("postgres://db/x?sslmode=disable", "t"), "postgres://db/t?sslmode=disable");
    }
}
