//! The programs of this machine that a local stack runs.

use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use crate::Failure;

/// Where each program is.
#[derive(Debug)]
pub(super) struct Programs {
    /// Folder of `initdb` and `postgres`.
    postgres: PathBuf,
    /// User and group that PostgreSQL runs as, because it refuses root; `None` for ourselves.
    pub(super) postgres_owner: Option<(u32, u32)>,
    pub(super) redis: PathBuf,
    pub(super) nginx: PathBuf,
    pub(super) pushgateway: PathBuf,
    pub(super) alertmanager: PathBuf,
    pub(super) prometheus: PathBuf,
}

impl Programs {
    /// Finds all of them, or says at once which are missing and how to get them.
    pub(super) fn find() -> Result<Self, Failure> {
        let mut missing = Vec::new();
        let mut need = |found: Option<PathBuf>, name: &str, package: &'static str| {
            found.unwrap_or_else(|| {
                missing.push((name.to_owned(), package));
                PathBuf::new()
            })
        };
        let programs = Self {
            postgres: need(postgres_folder(), "PostgreSQL's server", "postgresql"),
            postgres_owner: None,
            redis: need(on_path(&["redis-server"]), "redis-server", "redis-server"),
            nginx: need(on_path(&["nginx"]).or_else(|| existing("/usr/sbin/nginx")), "nginx", "nginx"),
            pushgateway: need(
                on_path(&["prometheus-pushgateway", "pushgateway"]),
                "the Pushgateway",
                "prometheus-pushgateway",
            ),
            alertmanager: need(
                on_path(&["prometheus-alertmanager", "alertmanager"]),
                "Alertmanager",
                "prometheus-alertmanager",
            ),
            prometheus: need(on_path(&["prometheus"]), "Prometheus", "prometheus"),
        };
        if !missing.is_empty() {
            let (names, packages): (Vec<String>, Vec<&str>) = missing.into_iter().unzip();
            return Err(format!(
                "not on this machine: {}. `cargo xtask setup` installs what is missing; by hand: apt-get install {}",
                names.join(", "),
                packages.join(" ")
            )
            .into());
        }
        let owner = if rustix::process::geteuid().is_root() {
            Some(
                user("postgres")
                    .ok_or("PostgreSQL refuses to run as root, and there is no user `postgres` to run it as")?,
            )
        } else {
            None
        };
        Ok(Self { postgres_owner: owner, ..programs })
    }

    /// A program of PostgreSQL, as the user that owns its data.
    pub(super) fn postgres(&self, program: &str) -> Command {
        let mut command = Command::new(self.postgres.join(program));
        self.as_postgres(&mut command);
        command
    }

    /// Whether PostgreSQL's user can get into the folder.
    pub(super) fn postgres_reaches(&self, folder: &Path) -> bool {
        let mut test = Command::new("test");
        self.as_postgres(&mut test);
        test.arg("-x").arg(folder).stderr(Stdio::null()).status().is_ok_and(|status| status.success())
    }

    fn as_postgres(&self, command: &mut Command) {
        command.current_dir("/");
        if let Some((user, group)) = self.postgres_owner {
            command.uid(user).gid(group);
        }
    }
}

/// Debian keeps the programs off PATH, by version: the newest.
fn postgres_folder() -> Option<PathBuf> {
    let versions = std::fs::read_dir("/usr/lib/postgresql").into_iter().flatten().flatten();
    let newest = versions
        .filter_map(|entry| entry.file_name().to_str()?.parse::<u32>().ok())
        .filter(|version| Path::new(&format!("/usr/lib/postgresql/{version}/bin/initdb")).is_file())
        .max();
    newest
        .map(|version| format!("/usr/lib/postgresql/{version}/bin").into())
        .or_else(|| Some(on_path(&["initdb"])?.parent()?.to_owned()))
}

fn on_path(names: &[&str]) -> Option<PathBuf> {
    #[expect(clippy::disallowed_methods, reason = "PATH is the system's, not a setting of the product")]
    let path = std::env::var_os("PATH")?;
    let folders: Vec<PathBuf> = std::env::split_paths(&path).collect();
    names.iter().flat_map(|name| folders.iter().map(move |folder| folder.join(name))).find(|file| file.is_file())
}

fn existing(file: &str) -> Option<PathBuf> {
    Some(PathBuf::from(file)).filter(|file| file.is_file())
}

/// User and group id from /etc/passwd: `name:password:uid:gid:…` (passwd(5)).
fn user(name: &str) -> Option<(u32, u32)> {
    let passwd = std::fs::read_to_string("/etc/passwd").ok()?;
    let fields: Vec<&str> = passwd
        .lines()
        .map(|line| line.split(':').collect())
        .find(|fields: &Vec<&str>| fields.first() == Some(&name))?;
    Some((fields.get(2)?.parse().ok()?, fields.get(3)?.parse().ok()?))
}
