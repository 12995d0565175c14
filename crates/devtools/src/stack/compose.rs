//! The stack in containers: `docker compose` on the shipped file.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::process::{Command, ExitCode, Stdio};

use super::state::State;
use super::{LogsArgs, Output};
use crate::Failure;

const FOLDER: &str = "infra/compose";
const FILE: &str = "infra/compose/docker-compose.yml";
const PROJECT: &str = "spillway";
/// Of PostgreSQL's data.
const VOLUME: &str = "spillway_postgres";
/// Two ways to call Compose: the engine's own command, and the older program.
const COMMANDS: [&[&str]; 2] = [&["docker", "compose"], &["docker-compose"]];

pub(super) fn up() -> Result<ExitCode, Failure> {
    let compose = Compose::find("start one")?;
    make_secrets()?;
    let code = compose.run(compose.up())?;
    if code == ExitCode::SUCCESS {
        describe();
    }
    Ok(code)
}

pub(super) fn down(local: &Path) -> Result<ExitCode, Failure> {
    Compose::find(&hint(local, "down"))?.run(&["down"])
}

pub(super) fn status(local: &Path, output: Output) -> Result<ExitCode, Failure> {
    let compose = Compose::find(&hint(local, "status"))?;
    match output {
        Output::Table => compose.run(&["ps"]),
        Output::Json => compose.run(&["ps", "--format", "json"]),
    }
}

pub(super) fn logs(arguments: &LogsArgs) -> Result<ExitCode, Failure> {
    let lines = arguments.lines.to_string();
    let mut words = vec!["logs", "--tail", &lines];
    words.extend(arguments.follow.then_some("--follow"));
    words.extend(arguments.part.as_deref());
    Compose::find(&hint(&arguments.place.folder, "logs"))?.run(&words)
}

/// What to do instead, when there is no engine.
fn hint(local: &Path, command: &str) -> String {
    match State::load(local) {
        Ok(Some(_)) => format!("a stack of this machine's programs runs: `cargo xtask stack {command} --local`"),
        _ => "start one".to_owned(),
    }
}

/// Compose, with an engine that answers.
struct Compose(&'static [&'static str]);

impl Compose {
    fn find(hint: &str) -> Result<Self, Failure> {
        let answers = |command: &[&str], words: &[&str]| {
            let mut call = Command::new(command[0]);
            call.args(&command[1..]).args(words).stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
            call.status().is_ok_and(|status| status.success())
        };
        let command = COMMANDS.into_iter().find(|command| answers(command, &["version"]));
        let command = command.ok_or(
            "Docker Compose is not on this machine: install Docker, or run the stack from this machine's own programs with --local",
        )?;
        if !answers(&["docker"], &["info"]) {
            return Err(format!(
                "no Docker engine answers: {hint} (`systemctl start docker`, or `dockerd` as root), or run the stack from this machine's own \
                 programs with --local"
            )
            .into());
        }
        Ok(Self(command))
    }

    /// Returns when all parts are healthy; the older program has no such wait, and starts what others need once that is healthy.
    fn up(&self) -> &'static [&'static str] {
        if self.0.len() == 2 { &["up", "--detach", "--wait"] } else { &["up", "--detach"] }
    }

    fn run(&self, words: &[&str]) -> Result<ExitCode, Failure> {
        let mut call = Command::new(self.0[0]);
        call.args(&self.0[1..]).args(["--project-name", PROJECT, "--file", FILE]).args(words);
        let status = call.status().map_err(|error| format!("{} cannot be run: {error}", self.0.join(" ")))?;
        Ok(if status.success() { ExitCode::SUCCESS } else { ExitCode::FAILURE })
    }
}

/// Secrets that the file mounts: made once, and never again. Containers read them as users of their own, so everybody may read the files, and only
/// their owner may enter the folder.
fn make_secrets() -> Result<(), Failure> {
    // A path in the variable is seen from the file's folder, as Compose sees it.
    let folder = Path::new(FOLDER).join(variable("SPILLWAY_SECRETS", "secrets"));
    fs::create_dir_all(&folder)?;
    fs::set_permissions(&folder, fs::Permissions::from_mode(0o700))?;
    let random = || format!("{:032x}", rand::random::<u128>());
    let password = random();
    let database = [
        ("postgres_password", password.clone()),
        ("database_url", format!("postgres://spillway:{password}@postgres:5432/spillway")),
    ];
    // A database keeps the password that it was made with.
    let is_there = |name: &str| folder.join(name).is_file();
    match database.iter().filter(|(name, _)| is_there(name)).count() {
        0 if has_database() => {
            return Err(format!(
                "the volume {VOLUME} has a database, and {} is gone: put its password and URL back, or begin with an empty database by \
                 `docker volume rm {VOLUME}`",
                folder.join("postgres_password").display()
            )
            .into());
        }
        0 => {
            for (name, secret) in &database {
                write_readable(&folder.join(name), secret)?;
            }
        }
        1 => {
            return Err(
                format!("{} must have both postgres_password and database_url, or neither", folder.display()).into()
            );
        }
        _ => {}
    }
    for (name, secret) in [
        ("grafana_admin_password", random()),
        ("slack_webhook_url", "http://127.0.0.1:9/slack-is-not-set-up".to_owned()),
        ("pagerduty_routing_key", "pagerduty-is-not-set-up".to_owned()),
    ] {
        if !is_there(name) {
            write_readable(&folder.join(name), &secret)?;
        }
    }
    Ok(())
}

fn write_readable(file: &Path, text: &str) -> Result<(), Failure> {
    fs::write(file, text).map_err(|error| format!("{}: {error}", file.display()))?;
    Ok(fs::set_permissions(file, fs::Permissions::from_mode(0o444))?)
}

fn has_database() -> bool {
    let mut inspect = Command::new("docker");
    inspect.args(["volume", "inspect", VOLUME]).stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
    inspect.status().is_ok_and(|status| status.success())
}

/// A variable of the file, or what the file takes without it.
fn variable(name: &str, usual: &str) -> String {
    #[expect(clippy::disallowed_methods, reason = "the variables of the Compose file, read as Compose reads them")]
    let value = std::env::var(name).ok().filter(|value| !value.is_empty());
    value.unwrap_or_else(|| usual.to_owned())
}

/// Where everything is.
fn describe() {
    say!("\nwebhooks, API  http://127.0.0.1:{}", variable("SPILLWAY_PORT", "8080"));
    say!("Prometheus     http://127.0.0.1:{}", variable("PROMETHEUS_PORT", "9090"));
    say!("Alertmanager   http://127.0.0.1:{}", variable("ALERTMANAGER_PORT", "9093"));
    say!("Grafana        http://127.0.0.1:{} (admin, password in {FOLDER}/secrets)", variable("GRAFANA_PORT", "3000"));
    say!("Jaeger         http://127.0.0.1:{}", variable("JAEGER_PORT", "16686"));
    say!("admin key      at the first start, in `cargo xtask stack logs api-1`");
    say!("alerts         put the addresses of Slack and PagerDuty into {FOLDER}/secrets");
}
