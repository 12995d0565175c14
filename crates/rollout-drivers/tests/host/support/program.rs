//! A candidate as a process of its own: this test program, started again.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::time::Duration;

use axum::Router;
use axum::routing::get;
use rustix::process::{Pid, Signal, kill_process};
use spillway_rollout::spec::CommandLine;
use tokio::net::TcpListener;

/// No candidate outlives this, whatever happens to its test.
const LIFETIME: Duration = Duration::from_secs(100);

/// Starts [`slot_program`]. `kind` is `polite` or `stubborn`, which ignores SIGTERM.
pub(crate) fn command(kind: &str) -> CommandLine {
    let program = std::env::current_exe().unwrap().display().to_string();
    let name = "support::program::slot_program";
    CommandLine {
        command: [&program, "--exact", name, "--ignored", "--nocapture"].map(ToString::to_string).to_vec(),
        environment: BTreeMap::from(
            [("SLOT_ADDRESS", "{address}"), ("SLOT_NAME", "{slot} {revision}"), ("SLOT_KIND", kind)]
                .map(|(name, value)| (name.to_owned(), value.to_owned())),
        ),
        working_directory: None,
    }
}

/// Kills what a state directory's controller left running, also when the test fails.
pub(crate) struct Leftovers(pub(crate) PathBuf);

impl Drop for Leftovers {
    fn drop(&mut self) {
        for pid in running(&self.0) {
            let _ = kill_process(pid, Signal::KILL);
        }
    }
}

/// Candidates that were started from a state directory and run, whether it is known there or not.
pub(crate) fn running(state: &Path) -> Vec<Pid> {
    let marker = state.display().to_string();
    let is_ours = |pid: &i32| {
        let environment = fs::read(format!("/proc/{pid}/environ")).unwrap_or_default();
        String::from_utf8_lossy(&environment).contains(&marker)
    };
    let entries = fs::read_dir("/proc").unwrap().filter_map(|entry| entry.ok()?.file_name().to_str()?.parse().ok());
    entries.filter(is_ours).filter_map(Pid::from_raw).collect()
}

#[test]
#[ignore = "a program that other tests start"]
fn slot_program() {
    let variable = |name: &str| {
        #[expect(clippy::disallowed_methods, reason = "what a test tells its program, not a setting of the product")]
        std::env::var(name)
    };
    let Ok(address) = variable("SLOT_ADDRESS") else { return };
    let (name, kind) = (variable("SLOT_NAME").unwrap(), variable("SLOT_KIND").unwrap());
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    runtime.block_on(async move {
        if kind == "stubborn" {
            let mut asked = tokio::signal::unix::signal(tokio::signal::unix::SignalKind::terminate()).unwrap();
            tokio::spawn(async move { while asked.recv().await.is_some() {} });
        }
        let slow = name.clone();
        let router = Router::new()
            .route("/readyz", get(async || "ready"))
            .route("/pid", get(async || std::process::id().to_string()))
            .route("/crash", get(async || -> String { std::process::abort() }))
            .route(
                "/slow",
                get(async move || {
                    tokio::time::sleep(Duration::from_millis(1500)).await;
                    slow
                }),
            )
            .fallback(async move || name);
        let listener = TcpListener::bind(address).await.unwrap();
        let _ = tokio::time::timeout(LIFETIME, async { axum::serve(listener, router).await }).await;
    });
}
