//! `spillway-rollout` with a kubeconfig.

use std::process::{Child, Command, ExitStatus, Stdio};
use std::time::Duration;

use rustix::process::{Pid, Signal, kill_process};
use serde_json::Value;
use spillway_testkit::{free_port, wait_until};
use tempfile::TempDir;

use crate::shop::{DEADLINE, Shop};

/// The program, as an administrator or as a user with few rights.
pub(crate) struct Program {
    folder: TempDir,
    namespace: String,
}

/// A command that has ended.
#[derive(Debug)]
pub(crate) struct Ended {
    pub(crate) code: Option<i32>,
    pub(crate) stdout: String,
    pub(crate) stderr: String,
}

/// A controller as a process. It is killed when the test fails.
pub(crate) struct Controller {
    child: Option<Child>,
    listen: u16,
}

impl Program {
    pub(crate) fn new(shop: &Shop) -> Self {
        Self::with(shop, &shop.cluster.kubeconfig())
    }

    fn with(shop: &Shop, kubeconfig: &str) -> Self {
        let folder = tempfile::tempdir().expect("a folder");
        std::fs::write(folder.path().join("kubeconfig"), kubeconfig).expect("a file");
        Self { folder, namespace: shop.cluster.namespace().to_owned() }
    }

    fn command(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_spillway-rollout"));
        command.current_dir(self.folder.path()).env_clear().env("KUBECONFIG", self.folder.path().join("kubeconfig"));
        command.stdin(Stdio::null()).args(arguments);
        command
    }

    /// Runs a command about a Rollout of the shop's namespace.
    pub(crate) async fn run(&self, arguments: &[&str]) -> Ended {
        let mut command = self.command(arguments);
        command.args(["--namespace", &self.namespace]);
        let output = tokio::task::spawn_blocking(move || command.output()).await.expect("no panic");
        let output = output.expect("the program runs");
        let text = |bytes: Vec<u8>| String::from_utf8(bytes).expect("UTF-8");
        Ended { code: output.status.code(), stdout: text(output.stdout), stderr: text(output.stderr) }
    }

    /// As [`Program::run`], of a command that ends well.
    pub(crate) async fn text(&self, arguments: &[&str]) -> String {
        let ended = self.run(arguments).await;
        assert_eq!(ended.code, Some(0), "{arguments:?}: {ended:#?}");
        ended.stdout
    }

    /// `status web --output json`.
    pub(crate) async fn status(&self) -> Value {
        serde_json::from_str(&self.text(&["status", "web", "--output", "json"]).await).expect("JSON")
    }
}

impl Controller {
    /// Starts one with the rights of the manifest and no others, and returns when it says that it is ready.
    pub(crate) async fn start(shop: &Shop, identity: &str) -> Self {
        shop.controllers_client(identity).await;
        let program = Program::with(shop, &shop.cluster.kubeconfig_as(identity));
        let namespace = &program.namespace;
        let listen = free_port();
        let (address, lease) = (format!("127.0.0.1:{listen}"), format!("{namespace}/spillway-rollout"));
        let mut command = program.command(&["controller", "--namespace", namespace, "--listen", &address]);
        command.args(["--lease", &lease, "--identity", identity, "--lease-duration", "20s", "--log", "warn"]);
        let child = command.stdout(Stdio::null()).spawn().expect("the program runs");
        let controller = Self { child: Some(child), listen };
        wait_until("the controller to be ready", DEADLINE, async || controller.get("/readyz").await.starts_with("ok"))
            .await;
        controller
    }

    /// The body of an answer; empty without one.
    pub(crate) async fn get(&self, path: &str) -> String {
        use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
        let exchange = async {
            let mut stream = tokio::net::TcpStream::connect(("127.0.0.1", self.listen)).await.ok()?;
            let request = format!("GET {path} HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\n\r\n");
            stream.write_all(request.as_bytes()).await.ok()?;
            let mut answer = String::new();
            stream.read_to_string(&mut answer).await.ok()?;
            answer.split_once("\r\n\r\n").map(|(_, body)| body.to_owned())
        };
        tokio::time::timeout(Duration::from_secs(5), exchange).await.ok().flatten().unwrap_or_default()
    }

    /// SIGTERM, and its end.
    pub(crate) async fn stop(mut self) -> ExitStatus {
        let mut child = self.child.take().expect("it runs");
        signal(&child, Signal::TERM);
        let ended = tokio::task::spawn_blocking(move || child.wait());
        let ended = tokio::time::timeout(DEADLINE, ended).await.expect("it ends in time");
        ended.expect("no panic").expect("it is a child")
    }
}

impl Drop for Controller {
    fn drop(&mut self) {
        if let Some(mut child) = self.child.take() {
            signal(&child, Signal::KILL);
            let _ = child.wait();
        }
    }
}

fn signal(child: &Child, signal: Signal) {
    if let Some(pid) = i32::try_from(child.id()).ok().and_then(Pid::from_raw) {
        // It may have ended already.
        let _ = kill_process(pid, signal);
    }
}
