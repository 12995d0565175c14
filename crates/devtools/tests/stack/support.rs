//! A stack of its own for a test, on free ports and in a temporary folder.

use std::io::Write as _;
use std::os::unix::fs::PermissionsExt;
use std::os::unix::process::CommandExt as _;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};
use std::time::Duration;

use bytes::Bytes;
use http::Request;
use http_body_util::{BodyExt, Full};
use hyper_util::client::legacy::Client;
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::rt::TokioExecutor;
use rustix::process::{Pid, Signal, kill_process_group};
use serde_json::Value;
use tempfile::TempDir;

/// Longest wait for anything, on a machine that other tests keep busy.
pub(crate) const DEADLINE: Duration = Duration::from_secs(60);
/// Rules run so many times faster: five minutes are ten seconds.
pub(crate) const HURRY: &str = "30";
/// A claim of a worker that was killed ends sooner than by default.
const SETTINGS: [(&str, &str); 2] = [("SPILLWAY__DELIVERY__TIMEOUT", "5s"), ("SPILLWAY__DELIVERY__LEASE", "10s")];
/// Reads until its input closes, which happens when the test is gone in any way, then ends the stack.
const WATCHDOG: &str = r#"read -r word; [ "$word" = done ] || "$1" stack down --local --folder "$2"; rm -rf "$2""#;

pub(crate) struct Stack {
    folder: TempDir,
    watchdog: Child,
    client: Client<HttpConnector, Full<Bytes>>,
}

/// The repository.
pub(crate) fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../..").canonicalize().expect("the repository")
}

/// A program of another package, as the tests' build makes it.
pub(crate) fn program(name: &str) -> PathBuf {
    let path = Path::new(env!("CARGO_BIN_EXE_spillway-devtools")).with_file_name(name);
    assert!(path.exists(), "{} is missing: `cargo build --workspace --bins` makes it", path.display());
    path
}

impl Stack {
    /// A folder for a stack that was not started.
    pub(crate) fn prepare() -> Self {
        let folder = tempfile::Builder::new().prefix("spillway-stack-").tempdir().expect("a folder");
        // PostgreSQL runs as a user of its own.
        std::fs::set_permissions(folder.path(), std::fs::Permissions::from_mode(0o755)).expect("permissions");
        let mut watchdog = Command::new("sh");
        watchdog.args(["-c", WATCHDOG, "spillway-stack-watchdog", env!("CARGO_BIN_EXE_spillway-devtools")]);
        watchdog.arg(folder.path()).stdin(Stdio::piped()).stdout(Stdio::null()).stderr(Stdio::null()).process_group(0);
        let watchdog = watchdog.spawn().expect("sh, which ends the stack when the test dies");
        Self { folder, watchdog, client: Client::builder(TokioExecutor::new()).build_http() }
    }

    /// A stack that runs.
    pub(crate) async fn start() -> Self {
        let stack = Self::prepare();
        stack.up().await;
        stack
    }

    /// Starts what does not run.
    pub(crate) async fn up(&self) -> String {
        succeeded(self.run_up(&program("spillway")).await)
    }

    pub(crate) async fn run_up(&self, gateway: &Path) -> Output {
        let gateway = gateway.display().to_string();
        self.run(&["up", "--free-ports", "--hurry", HURRY, "--gateway", &gateway]).await
    }

    /// `stack COMMAND … --local`.
    pub(crate) async fn run(&self, arguments: &[&str]) -> Output {
        let mut command = Command::new(env!("CARGO_BIN_EXE_spillway-devtools"));
        command.arg("stack").args(arguments).arg("--local").arg("--folder").arg(self.folder());
        command.current_dir(root()).envs(SETTINGS).stdin(Stdio::null());
        tokio::task::spawn_blocking(move || command.output()).await.expect("a task").expect("the program runs")
    }

    pub(crate) fn folder(&self) -> &Path {
        self.folder.path()
    }

    /// What `status` says of each part, whatever its exit code.
    pub(crate) async fn status(&self) -> Vec<Value> {
        let output = self.run(&["status", "--output", "json"]).await;
        serde_json::from_slice(&output.stdout)
            .unwrap_or_else(|error| panic!("{error}: {}", String::from_utf8_lossy(&output.stderr)))
    }

    /// What `status` says of one part.
    pub(crate) async fn part(&self, name: &str) -> Value {
        let parts = self.status().await;
        parts.into_iter().find(|part| part["part"] == name).unwrap_or_else(|| panic!("no part {name}"))
    }

    /// `127.0.0.1:PORT` of a part.
    pub(crate) async fn address(&self, part: &str) -> String {
        self.part(part).await["address"].as_str().expect("an address").to_owned()
    }

    /// SIGKILL for a part and all of its processes, as when its container is killed.
    pub(crate) async fn kill(&self, part: &str) {
        let pid = self.part(part).await["pid"].as_i64().and_then(|pid| i32::try_from(pid).ok());
        let pid = pid.and_then(Pid::from_raw).unwrap_or_else(|| panic!("{part} has no process"));
        kill_process_group(pid, Signal::KILL).expect("its processes");
    }

    /// Status and body of an answer; `None` when there is none.
    pub(crate) async fn request(&self, request: Request<Full<Bytes>>) -> Option<(u16, Bytes)> {
        let exchange = async {
            let response = self.client.request(request).await.ok()?;
            let status = response.status().as_u16();
            Some((status, response.into_body().collect().await.ok()?.to_bytes()))
        };
        tokio::time::timeout(Duration::from_secs(10), exchange).await.ok().flatten()
    }

    /// The JSON that a GET is answered with; null when it is not.
    pub(crate) async fn get(&self, url: &str) -> Value {
        let request = Request::get(url).body(Full::default()).expect("a request");
        let answer = self.request(request).await;
        answer.and_then(|(_, body)| serde_json::from_slice(&body).ok()).unwrap_or_default()
    }

    /// The text that a GET is answered with.
    pub(crate) async fn text(&self, url: &str) -> String {
        let request = Request::get(url).body(Full::default()).expect("a request");
        let answer = self.request(request).await;
        answer.map(|(_, body)| String::from_utf8_lossy(&body).into_owned()).unwrap_or_default()
    }

    /// What people were told: to whom, and what.
    pub(crate) async fn told(&self, receiver: &str) -> Vec<(String, Value)> {
        let told = self.get(&format!("http://{receiver}/received/alerts")).await;
        let one = |told: &Value| (told["to"].as_str().unwrap_or_default().to_owned(), told["body"].clone());
        told.as_array().into_iter().flatten().map(one).collect()
    }
}

impl Drop for Stack {
    fn drop(&mut self) {
        let mut down = Command::new(env!("CARGO_BIN_EXE_spillway-devtools"));
        down.args(["stack", "down", "--local", "--folder"]).arg(self.folder.path());
        // A failure is the watchdog's to mend.
        if down.stdout(Stdio::null()).stderr(Stdio::null()).status().is_ok_and(|status| status.success())
            && let Some(input) = self.watchdog.stdin.as_mut()
        {
            let _ = input.write_all(b"done\n");
        }
        drop(self.watchdog.stdin.take());
        let _ = self.watchdog.wait();
    }
}

/// What a command printed that must have succeeded.
pub(crate) fn succeeded(output: Output) -> String {
    let (printed, errors) = (String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    assert!(output.status.success(), "{}\n{printed}\n{errors}", output.status);
    printed.into_owned()
}
