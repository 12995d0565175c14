//! Two versions behind nginx on one host, and load tests of them.

use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use rustix::process::{Pid, Signal, kill_process};
use serde_json::Value;
use spillway_testkit::{Answer, Nginx, Sink, SinkOptions, wait_until};

use crate::support::{Ended, Folder};

/// Longest wait for a step of a rollout.
pub(crate) const DEADLINE: Duration = Duration::from_secs(60);
const EXAMPLE: &str = include_str!("../../../../infra/nginx/rollout.conf");

/// Two seconds of 20 requests a second: everything has to be answered with 200.
const LOAD_TEST: &str = r#"
[thresholds]
http_req_failed = "rate<0.01"
[scenarios.visitors]
exec = "ask"
executor = "constant-arrival-rate"
rate = 20
duration = "2s"
preAllocatedVUs = 10
maxVUs = 50
[flows.ask]
[[flows.ask.requests]]
name = "pay"
path = "/pay"
"#;

/// The revision `v1` is live: it was rolled out in green, beside what ran in blue before. Both servers answer everything with 200 until a test says
/// otherwise.
pub(crate) struct Rig {
    pub(crate) folder: Folder,
    /// Green.
    pub(crate) live: Sink,
    /// Blue, where the next revision goes.
    pub(crate) candidate: Sink,
    nginx: Nginx,
}

/// A controller that works in the background. It is killed when the test fails.
pub(crate) struct Controller(Option<Child>);

impl Rig {
    pub(crate) async fn start() -> Self {
        let loadgen = Path::new(env!("CARGO_BIN_EXE_spillway-rollout")).with_file_name("spillway-loadgen");
        assert!(loadgen.exists(), "{} is missing: `cargo build --workspace --bins` makes it", loadgen.display());
        let quiet = SinkOptions { keep_requests: 0, keep_body_bytes: 0 };
        let (candidate, live) = (Sink::start_with(quiet).await, Sink::start_with(quiet).await);
        let folder = Folder::with(&[("load.toml", LOAD_TEST)]);
        let mut nginx = Nginx::prepare();
        let slots = nginx.directory().join("web.conf");
        // What the controller's first look finds and replaces.
        let maps = format!(
            "map \"\" $web_slot {{ default {}; }}\nmap \"\" $web_mirror {{ default \"\"; }}\n",
            candidate.address()
        );
        std::fs::write(&slots, maps).expect("a file");
        let listen = format!("listen 127.0.0.1:{};", nginx.port());
        let example = EXAMPLE.replace("/etc/nginx/spillway/web.conf", &slots.display().to_string());
        nginx.configure(&example.replace("listen 80;", &listen));
        nginx.start().await;
        let rig = Self { folder, live, candidate, nginx };
        rig.plan("v1", "[{ weight: 100, bake: 1s }]");
        rig.run().await.text();
        rig
    }

    /// Writes the plan of a revision with these steps.
    pub(crate) fn plan(&self, revision: &str, steps: &str) {
        let nginx = &self.nginx;
        let text = format!(
            r#"apiVersion: spillway.dev/v1alpha1
kind: Rollout
metadata: {{ name: web }}
spec:
  target:
    host:
      nginx: {{ file: "{file}", config: "{config}", program: "{program}" }}
      slots:
        blue: {{ addresses: ["{blue}"] }}
        green: {{ addresses: ["{green}"] }}
      candidate: {{ revision: {revision} }}
  steps: {steps}
  guards: [{{ name: restarts, threshold: {{ metric: restarts, max: 0 }} }}]
  analysis: {{ interval: 1s, warmup: 0s }}
  observation: 1s
"#,
            file = nginx.directory().join("web.conf").display(),
            config = nginx.config().display(),
            program = Nginx::program().display(),
            blue = self.candidate.address(),
            green = self.live.address(),
        );
        std::fs::write(self.folder.path().join("rollout.yaml"), text).expect("a file");
    }

    /// `/pay` fails at the candidate.
    pub(crate) fn candidate_is_bad(&self) {
        self.candidate.respond_with(|request| Answer::status(if request.path == "/pay" { 500 } else { 200 }));
    }

    /// Carries the plan out to its end.
    pub(crate) async fn run(&self) -> Ended {
        self.folder.run_beside(&["run", "-f", "rollout.yaml"]).await
    }

    /// Begins to carry the plan out.
    pub(crate) fn begin(&self) -> Controller {
        let mut command: Command = self.folder.command(&["run", "-f", "rollout.yaml"]);
        Controller(Some(command.stdout(Stdio::null()).stderr(Stdio::null()).spawn().expect("the program runs")))
    }

    /// `status --output json`.
    pub(crate) async fn status(&self) -> Value {
        self.folder.run_beside(&["status", "web", "--output", "json"]).await.json(0)
    }

    /// Waits until the status has this at a place.
    pub(crate) async fn reaches(&self, pointer: &str, value: &Value) {
        wait_until(&format!("{value} at {pointer}"), DEADLINE, async || {
            let ended = self.folder.run_beside(&["status", "web", "--output", "json"]).await;
            let status: Value = serde_json::from_str(&ended.stdout).unwrap_or_default();
            status.pointer(pointer) == Some(value)
        })
        .await;
    }
}

impl Controller {
    /// Waits for its end, and returns its exit code.
    pub(crate) async fn end(mut self) -> Option<i32> {
        let mut child = self.0.take().expect("it was not waited for before");
        let ended = tokio::task::spawn_blocking(move || child.wait()).await.expect("no panic");
        ended.expect("it is a child").code()
    }
}

impl Drop for Controller {
    fn drop(&mut self) {
        let Some(mut child) = self.0.take() else { return };
        if let Some(pid) = i32::try_from(child.id()).ok().and_then(Pid::from_raw) {
            // It may have ended already.
            let _ = kill_process(pid, Signal::KILL);
        }
        let _ = child.wait();
    }
}
