//! The stack in containers: the secrets that it begins with, and how Compose is called. `cargo xtask images test` runs it on a real engine.

use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::process::{Command, Output};

use tempfile::TempDir;

use crate::support::{root, succeeded};

/// Notes how it is called. It has volumes if there is a file of that name beside it.
const DOCKER: &str = r#"#!/bin/sh
here=${0%/*}
[ "$1" != volume ] || { [ -e "$here/volumes" ]; exit; }
echo "$@" >> "$here/calls"
"#;

struct Engine(TempDir);

impl Engine {
    fn new() -> Self {
        let folder = tempfile::tempdir().expect("a folder");
        let docker = folder.path().join("docker");
        std::fs::write(&docker, DOCKER).expect("a script");
        std::fs::set_permissions(docker, std::fs::Permissions::from_mode(0o755)).expect("permissions");
        Self(folder)
    }

    fn secrets(&self) -> std::path::PathBuf {
        self.0.path().join("secrets")
    }

    fn secret(&self, name: &str) -> String {
        std::fs::read_to_string(self.secrets().join(name)).unwrap_or_else(|error| panic!("{name}: {error}"))
    }

    fn run(&self, arguments: &[&str]) -> Output {
        let mut command = Command::new(env!("CARGO_BIN_EXE_spillway-devtools"));
        command.arg("stack").args(arguments).current_dir(root());
        command.env("PATH", self.0.path()).env("SPILLWAY_SECRETS", self.secrets());
        command.output().expect("it runs")
    }

    fn last_call(&self) -> String {
        let calls = std::fs::read_to_string(self.0.path().join("calls")).expect("calls");
        calls.lines().last().unwrap_or_default().to_owned()
    }
}

fn mode(path: &Path) -> u32 {
    path.metadata().expect("it is there").permissions().mode() & 0o777
}

#[test]
fn secrets_are_made_once_and_compose_is_called_with_the_shipped_file() {
    let engine = Engine::new();
    let printed = succeeded(engine.run(&["up"]));
    assert!(printed.contains("Grafana") && printed.contains("Jaeger"), "{printed}");
    let compose = "compose --project-name spillway --file infra/compose/docker-compose.yml";
    assert_eq!(engine.last_call(), format!("{compose} up --detach --wait"));
    let password = engine.secret("postgres_password");
    assert_eq!(engine.secret("database_url"), format!("postgres://spillway:{password}@postgres:5432/spillway"));
    assert_ne!(engine.secret("grafana_admin_password"), password);
    assert_eq!((mode(&engine.secrets()), mode(&engine.secrets().join("postgres_password"))), (0o700, 0o444));

    succeeded(engine.run(&["up"]));
    assert_eq!(engine.secret("postgres_password"), password, "the database keeps its first password");
    for (arguments, call) in [
        (&["down"][..], "down"),
        (&["status"], "ps"),
        (&["status", "--output", "json"], "ps --format json"),
        (&["logs", "api-1", "--follow"], "logs --tail 40 --follow api-1"),
    ] {
        succeeded(engine.run(arguments));
        assert_eq!(engine.last_call(), format!("{compose} {call}"));
    }
}

#[test]
fn a_database_whose_password_is_lost_is_not_given_another_one() {
    let engine = Engine::new();
    std::fs::write(engine.0.path().join("volumes"), "").expect("a file");
    let refused = engine.run(&["up"]);
    let said = String::from_utf8_lossy(&refused.stderr).into_owned();
    assert!(!refused.status.success() && said.contains("docker volume rm spillway_postgres"), "{said}");
    std::fs::remove_file(engine.0.path().join("volumes")).expect("a file");
    succeeded(engine.run(&["up"]));
    std::fs::remove_file(engine.secrets().join("database_url")).expect("a file");
    let refused = engine.run(&["up"]);
    let said = String::from_utf8_lossy(&refused.stderr).into_owned();
    assert!(!refused.status.success() && said.contains("both postgres_password and database_url"), "{said}");
}
