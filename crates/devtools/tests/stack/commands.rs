//! `up`, `down`, `status`, `logs`.

use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::process::{Command, Output};

use spillway_testkit::wait_until;
use tokio::net::TcpListener;

use crate::support::{DEADLINE, Stack, program, root, succeeded};

fn errors(output: &Output) -> String {
    assert!(!output.status.success(), "{}", String::from_utf8_lossy(&output.stdout));
    String::from_utf8_lossy(&output.stderr).into_owned()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_stack_comes_up_stays_up_is_mended_and_goes_down() {
    let stack = Stack::prepare();
    assert!(errors(&stack.run(&["status"]).await).contains("stack up --local"), "it says what to do");
    let printed = stack.up().await;
    for part in ["✓ postgres", "✓ api-1", "✓ prometheus", "admin key      spk_", "curl -i http://127.0.0.1:"] {
        assert!(printed.contains(part), "{part}: {printed}");
    }
    let key = std::fs::read_to_string(stack.folder().join("admin-key")).expect("the key is kept");
    let log = std::fs::read_to_string(stack.folder().join("logs/api-1.log")).expect("a log");
    assert!(!log.contains(&key), "the key is in its own file only");
    let table = succeeded(stack.run(&["status"]).await);
    assert_eq!(table.matches("healthy").count(), 10, "{table}");

    let before = stack.status().await;
    let again = stack.up().await;
    assert!(again.contains("All 10 parts run already."), "{again}");
    let after = stack.status().await;
    let pids = |status: &[serde_json::Value]| status.iter().map(|part| part["pid"].clone()).collect::<Vec<_>>();
    assert_eq!(pids(&before), pids(&after), "nothing was started twice");

    stack.kill("nginx").await;
    let table = stack.run(&["status"]).await;
    assert_eq!(table.status.code(), Some(1));
    assert!(String::from_utf8_lossy(&table.stdout).contains("✗ dead"));
    let taken = TcpListener::bind(stack.address("nginx").await).await.expect("its port is free now");
    let refused = errors(&stack.run_up(&program("spillway")).await);
    assert!(refused.contains("where nginx would listen") && refused.contains("ss -ltnp"), "{refused}");
    drop(taken);
    let mended = stack.up().await;
    assert!(mended.contains("1 of 10 parts were started"), "{mended}");

    let logs = succeeded(stack.run(&["logs", "api-1"]).await);
    assert!(logs.contains("Spillway is ready at"), "{logs}");
    let unknown = errors(&stack.run(&["logs", "api-3"]).await);
    assert!(unknown.contains("postgres, redis"), "{unknown}");

    let ended = succeeded(stack.run(&["down"]).await);
    let order = |part: &str| ended.find(&format!("✓ {part} ")).unwrap_or_else(|| panic!("{part}: {ended}"));
    assert!(order("prometheus") < order("nginx") && order("worker") < order("postgres"), "{ended}");
    assert!(!ended.contains("was killed"), "{ended}");
    for part in &before {
        let pid = part["pid"].as_u64().expect("a process");
        let is_gone = async || !Path::new(&format!("/proc/{pid}/exe")).exists();
        wait_until(&format!("{} to be gone", part["part"]), DEADLINE, is_gone).await;
    }
    assert!(succeeded(stack.run(&["down"]).await).contains("No stack runs"));

    let back = stack.up().await;
    assert!(back.contains(&key), "data and key are kept: {back}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_part_that_dies_at_its_start_is_named_with_its_log_and_nothing_stays() {
    let stack = Stack::prepare();
    let script = stack.folder().join("gateway");
    std::fs::write(&script, "#!/bin/sh\necho 'the store is gone' >&2\nexit 7\n").expect("a script");
    std::fs::set_permissions(&script, std::fs::Permissions::from_mode(0o755)).expect("permissions");
    let failed = errors(&stack.run_up(&script).await);
    assert!(failed.contains("api-1 ended (exit status: 7)") && failed.contains("the store is gone"), "{failed}");
    assert!(!stack.folder().join("state.json").exists(), "nothing runs");
    assert!(!stack.folder().join("postgres/postmaster.pid").exists(), "PostgreSQL was ended in good order");
    let missing = errors(&stack.run_up(Path::new("/nowhere/spillway")).await);
    assert!(missing.contains("/nowhere/spillway"), "{missing}");
    // Another one at work keeps this one out.
    let lock = std::fs::File::options().append(true).open(stack.folder().join("lock")).expect("the lock");
    lock.lock().expect("nobody else has it");
    let waits = errors(&stack.run_up(&script).await);
    assert!(waits.contains("another command"), "{waits}");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_missing_on_the_machine_is_named_with_what_to_do() {
    let folder = tempfile::tempdir().expect("a folder");
    let run = |arguments: &[&str]| {
        let mut command = Command::new(env!("CARGO_BIN_EXE_spillway-devtools"));
        command.arg("stack").args(arguments).env("PATH", folder.path()).current_dir(root());
        errors(&command.output().expect("it runs"))
    };
    let gateway = program("spillway").display().to_string();
    let place = folder.path().join("stack").display().to_string();
    let local = run(&["up", "--local", "--folder", &place, "--gateway", &gateway]);
    for part in ["redis-server", "Prometheus", "`cargo xtask setup`", "apt-get install"] {
        assert!(local.contains(part), "{part}: {local}");
    }
    assert!(!Path::new(&place).exists(), "nothing was begun");
    let without_docker = run(&["up"]);
    assert!(without_docker.contains("install Docker") && without_docker.contains("--local"), "{without_docker}");
    // Compose is there, and no engine.
    let docker = folder.path().join("docker");
    std::fs::write(&docker, "#!/bin/sh\n[ \"$1\" = compose ]\n").expect("a script");
    std::fs::set_permissions(&docker, std::fs::Permissions::from_mode(0o755)).expect("permissions");
    let without_engine = run(&["up"]);
    assert!(
        without_engine.contains("no Docker engine answers") && without_engine.contains("--local"),
        "{without_engine}"
    );
}
