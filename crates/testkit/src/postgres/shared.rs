//! One server for all tests of a run, although nextest runs each test in a process of its own.
//!
//! The first test that needs it starts it under a lock file in `target/testkit`; every user holds a shared lock on `postgres.users`,
//! which the system releases however the user ends; a watchdog stops the server when nobody has held that lock for a while.

use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use std::os::unix::process::CommandExt;

use super::cluster::{self, Cluster};
use super::{Postgres, PostgresOptions, START_ATTEMPTS, START_DEADLINE};
use crate::process::{find_on_path, is_alive, log_tail, signal_process, spawn_detached};
use crate::wait::{free_port, holds_within};

/// A server elsewhere to make the databases on, instead of one that is started here; its user must be allowed to create databases.
const URL_VARIABLE: &str = "SPILLWAY_TEST_POSTGRES_URL";

/// Stops the server once nobody has used it for 30 looks, a second apart, and removes its data. The start lock is held meanwhile, so that
/// no test can find a server that is about to go. A directory that was removed (`cargo clean`) counts as unused.
const WATCHDOG: &str = r#"
pid=$1 data=$2 state=$3 idle=0
in_use() { [ -e "$state/postgres.users" ] && ! flock --nonblock "$state/postgres.users" true; }
while kill -0 "$pid" 2>/dev/null; do
    sleep 1
    if in_use; then idle=0; else idle=$((idle + 1)); fi
    [ "$idle" -ge 30 ] || continue
    if [ -d "$state" ]; then
        exec 9>"$state/postgres.start"
        flock 9
    fi
    if in_use; then
        idle=0
        exec 9>&-
    else
        kill -QUIT "$pid"
        break
    fi
done
while kill -0 "$pid" 2>/dev/null; do sleep 0.1; done
rm -rf "$data"
"#;

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
        None if find_on_path("flock").is_some() => shared_server().await,
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
    let state_dir = cluster::state_dir();
    let (start_lock, users) = lock(state_dir.clone()).await;
    let port = match running_server(&state_dir) {
        Some(port) => port,
        None => start_server(&cluster, &state_dir).await,
    };
    drop(start_lock);
    (cluster, Server::Shared { _users: users }, cluster::url(port, "postgres"))
}

async fn private_server() -> (Cluster, Server, String) {
    let postgres = Postgres::start_with(PostgresOptions { fsync: false, ..PostgresOptions::default() }).await;
    let url = postgres.url();
    (postgres.cluster.clone(), Server::Private { _server: Box::new(postgres) }, url)
}

/// The exclusive lock under which the server is started and stopped, and then a share of the users' lock.
async fn lock(state_dir: PathBuf) -> (File, File) {
    let locked = tokio::task::spawn_blocking(move || {
        let open = |name| File::options().create(true).append(true).open(state_dir.join(name));
        let start_lock = open("postgres.start")?;
        start_lock.lock()?;
        let users = open("postgres.users")?;
        users.lock_shared()?;
        Ok((start_lock, users))
    });
    let locked: std::io::Result<_> = locked.await.expect("lock files in the target directory");
    locked.unwrap_or_else(|error| panic!("lock files in the target directory: {error}"))
}

/// Port of the shared server if the state file names one that runs.
fn running_server(state_dir: &Path) -> Option<u16> {
    let state = fs::read_to_string(state_file(state_dir)).ok()?;
    let mut lines = state.lines();
    let pid = lines.next()?.parse().ok()?;
    let port = lines.next()?.parse().ok()?;
    let data_dir = Path::new(lines.next()?);
    (is_alive(pid) && cluster::accepts_connections(data_dir, pid)).then_some(port)
}

async fn start_server(cluster: &Cluster, state_dir: &Path) -> u16 {
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
            let state = format!("{pid}\n{port}\n{}\n", data_dir.display());
            fs::write(state_file(state_dir), state).expect("write in the target directory");
            start_watchdog(pid, &data_dir, state_dir);
            return port;
        }
        signal_process(pid, rustix::process::Signal::KILL);
        let _ = server.wait();
    }
    panic!("the shared PostgreSQL server did not start:\n{}", log_tail(&log));
}

#[expect(clippy::zombie_processes, reason = "it outlives this process on purpose")]
fn start_watchdog(pid: u32, data_dir: &Path, state_dir: &Path) {
    let started = Command::new("sh")
        .args(["-c", WATCHDOG, "spillway-testkit-watchdog", &pid.to_string()])
        .args([data_dir, state_dir])
        .current_dir("/")
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .process_group(0)
        .spawn();
    started.expect("start sh, which stops the shared server when nobody uses it");
}

fn state_file(state_dir: &Path) -> PathBuf {
    state_dir.join("postgres.state")
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
