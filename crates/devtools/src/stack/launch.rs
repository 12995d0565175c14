//! How each part is called.

use std::path::PathBuf;
use std::process::Command;

use super::parts::Part;
use super::programs::Programs;
use super::state::State;

/// As in the containers, and no sockets outside of the folder.
const POSTGRES_SETTINGS: [&str; 6] = [
    "unix_socket_directories=",
    "max_connections=200",
    "shared_preload_libraries=pg_stat_statements",
    "track_io_timing=on",
    "log_min_duration_statement=250ms",
    "timezone=UTC",
];

/// What every part is started from.
pub(super) struct Launch {
    /// With a folder for each part.
    pub(super) folder: PathBuf,
    pub(super) programs: Programs,
    /// The gateway's program.
    pub(super) gateway: PathBuf,
}

impl Launch {
    /// The part's process, on the ports of `state`.
    pub(super) fn command(&self, part: Part, state: &State) -> Command {
        let address = state.address_of(part);
        let port = state.port(part.ports()[0].name).to_string();
        let dir = self.folder.join(part.name());
        let programs = &self.programs;
        match part {
            Part::Postgres => {
                let mut command = programs.postgres("postgres");
                // It may be a link to where PostgreSQL's user can go.
                command.arg("-D").arg(dir.canonicalize().unwrap_or(dir)).args(["-p", &port, "-h", "127.0.0.1"]);
                for setting in POSTGRES_SETTINGS {
                    command.args(["-c", setting]);
                }
                command
            }
            Part::Redis => {
                let mut command = Command::new(&programs.redis);
                // What it holds is a hint, and may be lost.
                command.args(["--port", &port, "--bind", "127.0.0.1", "--save", "", "--appendonly", "no"]);
                command.args(["--maxmemory", "192mb", "--maxmemory-policy", "volatile-lru", "--dir"]).arg(dir);
                command
            }
            Part::Receiver => {
                let this = std::env::current_exe().unwrap_or_else(|_| PathBuf::from("spillway-devtools"));
                let mut command = Command::new(this);
                command.args(["stack", "receiver", "--listen", &address]);
                command
            }
            Part::Api1 | Part::Api2 | Part::Worker => {
                let role = if part == Part::Worker { "worker" } else { "api" };
                let mut command = Command::new(&self.gateway);
                command.env("SPILLWAY__TELEMETRY__SERVICE_NAME", format!("spillway-{role}"));
                command.args(["serve", "--role", role, "--listen", &address, "--config"]);
                command.arg(self.folder.join("spillway.toml"));
                command
            }
            Part::Nginx => {
                let mut command = Command::new(&programs.nginx);
                command.arg("-p").arg(&dir).arg("-c").arg(dir.join("nginx.conf")).args(["-e", "stderr"]);
                command
            }
            Part::Pushgateway => {
                let mut command = Command::new(&programs.pushgateway);
                command.arg(format!("--web.listen-address={address}"));
                command
            }
            Part::Alertmanager => {
                let mut command = Command::new(&programs.alertmanager);
                command.arg(format!("--config.file={}", dir.join("alertmanager.yml").display()));
                command.arg(format!("--storage.path={}", dir.join("data").display()));
                command.arg(format!("--web.listen-address={address}")).arg("--cluster.listen-address=");
                command
            }
            Part::Prometheus => {
                let mut command = Command::new(&programs.prometheus);
                command.arg(format!("--config.file={}", dir.join("prometheus.yml").display()));
                command.arg(format!("--storage.tsdb.path={}", dir.join("data").display()));
                command.arg("--storage.tsdb.retention.time=35d");
                let resend = 60_000 / state.hurry.max(1);
                command.arg(format!("--rules.alert.resend-delay={resend}ms"));
                command.arg(format!("--web.listen-address={address}"));
                command
            }
        }
    }
}
