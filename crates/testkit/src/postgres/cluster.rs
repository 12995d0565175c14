//! The PostgreSQL programs and the data directories they work on.

use std::fs;
use std::os::unix::fs::{MetadataExt, PermissionsExt, chown};
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::Command;

use tempfile::TempDir;

use crate::process::find_on_path;
use crate::shared::state_dir;

/// Where the programs are, and as which user the server runs.
#[derive(Clone, Debug)]
pub(super) struct Cluster {
    bin_dir: PathBuf,
    /// User and group for the server when we are root, which it refuses; `None` otherwise.
    owner: Option<(u32, u32)>,
}

impl Cluster {
    /// # Panics
    /// When the server programs are not installed, or we are root and there is no user `postgres`.
    pub(super) fn find() -> Self {
        let bin_dir = debian_bin_dir().or_else(|| dir_on_path("initdb"));
        let bin_dir =
            bin_dir.expect("no PostgreSQL server (initdb) in /usr/lib/postgresql or on PATH: run `cargo xtask setup`");
        let owner = rustix::process::geteuid().is_root().then(|| {
            passwd_entry("postgres")
                .expect("running as root, and PostgreSQL refuses that: there must be a user `postgres` to run it as")
        });
        Self { bin_dir, owner }
    }

    /// Enough to reach a server that runs elsewhere.
    ///
    /// # Panics
    /// When psql is not installed.
    pub(super) fn client_only() -> Self {
        let bin_dir = debian_bin_dir().or_else(|| dir_on_path("psql"));
        Self { bin_dir: bin_dir.expect("psql is not on PATH: install PostgreSQL's client"), owner: None }
    }

    /// A fresh data directory, copied from a template that initdb makes once per target directory and PostgreSQL version.
    pub(super) async fn new_data_dir(&self, parent: Option<&Path>) -> TempDir {
        let cluster = self.clone();
        let parent = parent.map_or_else(std::env::temp_dir, Path::to_owned);
        // In the blocking pool: the work takes a second, and must not let a paused tokio clock run ahead.
        let made = tokio::task::spawn_blocking(move || {
            let template = cluster.template();
            let dir = cluster.empty_dir(&parent);
            run(Command::new("cp").args(["-a", "--"]).arg(template.join(".")).arg(dir.path()));
            dir
        });
        made.await.expect("make a PostgreSQL data directory")
    }

    /// A copy of a running server's data directory that streams from it when it is started.
    pub(super) async fn copy_of_running(&self, url: &str) -> TempDir {
        let dir = self.empty_dir(&std::env::temp_dir());
        let mut command = self.command("pg_basebackup");
        command.args(["--write-recovery-conf", "--checkpoint=fast", "--no-sync", "-X", "stream", "-d", url, "-D"]);
        command.arg(dir.path());
        let made = tokio::task::spawn_blocking(move || run(&mut command)).await;
        made.expect("make a copy of a PostgreSQL server");
        fs::set_permissions(dir.path(), fs::Permissions::from_mode(0o700)).expect("keep others out of the copy");
        dir
    }

    /// The server on `data_dir`, listening on 127.0.0.1 alone. Later `-c` arguments win.
    pub(super) fn server_command(&self, data_dir: &Path, port: u16) -> Command {
        let mut command = self.command("postgres");
        command.arg("-D").arg(data_dir).args(["-p", &port.to_string(), "-h", "127.0.0.1"]);
        for setting in ["unix_socket_directories=", "max_connections=300", "log_min_messages=warning", "timezone=UTC"] {
            command.args(["-c", setting]);
        }
        command
    }

    /// Standard output of psql; a statement that fails is a panic with psql's message.
    pub(super) async fn query(&self, url: &str, sql: &str) -> String {
        let mut command = self.psql_command(url, sql);
        let done = tokio::task::spawn_blocking(move || run(&mut command));
        done.await.unwrap_or_else(|error| std::panic::resume_unwind(error.into_panic()))
    }

    /// Whether the server answers a query.
    pub(super) async fn answers(&self, url: &str) -> bool {
        let mut command = self.psql_command(url, "SELECT 1");
        let asked = tokio::task::spawn_blocking(move || command.output());
        asked.await.is_ok_and(|output| output.is_ok_and(|output| output.status.success()))
    }

    pub(super) fn psql_command(&self, url: &str, sql: &str) -> Command {
        let mut command = Command::new(self.bin_dir.join("psql"));
        command.args(["-X", "-q", "-A", "-t", "-v", "ON_ERROR_STOP=1", "-d", url, "-c", sql]);
        command
    }

    /// A program of PostgreSQL, run as the owner of the data directories.
    fn command(&self, program: &str) -> Command {
        let mut command = Command::new(self.bin_dir.join(program));
        command.current_dir("/");
        if let Some((uid, gid)) = self.owner {
            command.uid(uid).gid(gid);
        }
        command
    }

    /// An initialised data directory to copy. Tests that find none at the same time make one each, and the first to finish wins.
    fn template(&self) -> PathBuf {
        let initdb = fs::metadata(self.bin_dir.join("initdb")).expect("read initdb's file times");
        let template = state_dir().join(format!("postgres-template-{}", initdb.mtime()));
        if template.is_dir() {
            return template;
        }
        let dir = self.empty_dir(&std::env::temp_dir());
        let mut initdb = self.command("initdb");
        initdb.args(["--auth=trust", "--username=postgres", "--encoding=UTF8", "--locale=C", "--no-sync", "-D"]);
        run(initdb.arg(dir.path()));
        let staged = tempfile::Builder::new().prefix("postgres-template.").tempdir_in(state_dir());
        let staged = staged.expect("make a directory in the target directory");
        run(Command::new("cp").args(["-a", "--"]).arg(dir.path()).arg(staged.path().join("data")));
        let renamed = fs::rename(staged.path().join("data"), &template);
        assert!(renamed.is_ok() || template.is_dir(), "move the new template to {}: {renamed:?}", template.display());
        template
    }

    fn empty_dir(&self, parent: &Path) -> TempDir {
        let dir = tempfile::Builder::new().prefix("spillway-postgres-").tempdir_in(parent);
        let dir = dir.unwrap_or_else(|error| panic!("make a directory in {}: {error}", parent.display()));
        if let Some((uid, gid)) = self.owner {
            chown(dir.path(), Some(uid), Some(gid)).expect("give the data directory to user postgres");
        }
        dir
    }
}

pub(super) fn url(port: u16, database: &str) -> String {
    format!("postgres://postgres@127.0.0.1:{port}/{database}")
}

pub(super) fn log_file(data_dir: &Path) -> PathBuf {
    data_dir.join("server.log")
}

/// Whether the postmaster `pid` says in its lock file that it is ready: line 1 is its pid, line 8 its state (miscadmin.h).
pub(super) fn accepts_connections(data_dir: &Path, pid: u32) -> bool {
    let Ok(lock) = fs::read_to_string(data_dir.join("postmaster.pid")) else { return false };
    let mut lines = lock.lines().map(str::trim);
    lines.next() == Some(pid.to_string().as_str())
        && lines.nth(6).is_some_and(|state| ["ready", "standby"].contains(&state))
}

/// Runs a program to its end and returns its standard output.
fn run(command: &mut Command) -> String {
    let output = command.output().unwrap_or_else(|error| panic!("start {:?}: {error}", command.get_program()));
    let errors = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{command:?} failed ({}):\n{errors}", output.status);
    String::from_utf8_lossy(&output.stdout).trim_end().to_owned()
}

/// The newest version in Debian's place, which is not on PATH.
fn debian_bin_dir() -> Option<PathBuf> {
    let versions = fs::read_dir("/usr/lib/postgresql").ok()?;
    let newest = versions
        .filter_map(|entry| entry.ok()?.file_name().to_str()?.parse::<u32>().ok())
        .filter(|version| Path::new(&format!("/usr/lib/postgresql/{version}/bin/initdb")).is_file())
        .max()?;
    Some(format!("/usr/lib/postgresql/{newest}/bin").into())
}

fn dir_on_path(program: &str) -> Option<PathBuf> {
    Some(find_on_path(program)?.parent()?.to_owned())
}

/// User and group id from /etc/passwd: `name:password:uid:gid:…` (passwd(5)).
fn passwd_entry(user: &str) -> Option<(u32, u32)> {
    let passwd = fs::read_to_string("/etc/passwd").ok()?;
    let mut fields = passwd
        .lines()
        .map(|line| line.split(':'))
        .find_map(|mut fields| (fields.next() == Some(user)).then_some(fields))?;
    let uid = fields.nth(1)?.parse().ok()?;
    Some((uid, fields.next()?.parse().ok()?))
}
