//! A gateway with something to show: signed events, a destination that takes them, one that fails, one that is gone.

use std::path::Path;
use std::time::Duration;

use bytes::Bytes;
use http_body_util::{BodyExt as _, Full};
use hyper_util::client::legacy::Client;
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::rt::TokioExecutor;
use serde_json::{Value, json};
use spillway_devtools::gateway::Gateway;
use spillway_testkit::{Answer, Sink, wait_until};
use tempfile::TempDir;

const SOON: Duration = Duration::from_secs(60);
const SECRET: &str = "It is a Secret to Everybody";
/// Events that are sent before anybody looks.
const EVENTS: usize = 12;

/// The gateway, what it delivers to, and what the suite has to know of it.
pub(crate) struct Shown {
    gateway: Gateway,
    empty: Gateway,
    _sink: Sink,
    folder: TempDir,
    read_key: String,
    event: String,
    dead_event: String,
}

fn program() -> &'static Path {
    Path::new(env!("CARGO_BIN_EXE_spillway"))
}

fn settings(folder: &Path, name: &str, more: &str) -> std::path::PathBuf {
    let data = folder.join(name);
    let file = folder.join(format!("{name}.toml"));
    // The limits are those of a person with a script: a suite looks at more pages a second than a person does.
    let text = format!(
        "[server]\nlisten = \"127.0.0.1:0\"\napi_rate_limit = \"5000/s\"\nunauthenticated_rate_limit = \"20/min\"\n[store]\ndata_dir = {:?}\n[delivery]\nallow_networks = [\"127.0.0.0/8\"]\nretry_schedule = [\"0s\", \"50ms\"]\n{more}",
        data.display()
    );
    std::fs::write(&file, text).expect("settings");
    file
}

fn declared(sink: &Sink) -> String {
    let destination =
        |name: &str| format!("[[destinations]]\nname = \"{name}\"\nurl = \"{}\"\n", sink.url(&format!("/{name}")));
    let connection =
        |source: &str, to: &str| format!("[[connections]]\nsource = \"{source}\"\ndestination = \"{to}\"\n");
    [
        format!("[[sources]]\nname = \"github\"\nprovider = \"github\"\nsecrets = [\"{SECRET}\"]\n"),
        "[[sources]]\nname = \"shop\"\nprovider = \"none\"\n".to_owned(),
        destination("billing"),
        // It fails all the time, and is never given a rest, so that dead letters come at once.
        format!("{}[destinations.breaker]\nconsecutive_failures = 0\n", destination("warehouse")),
        destination("audit"),
        connection("github", "billing"),
        connection("github", "warehouse"),
        connection("shop", "billing"),
    ]
    .concat()
}

async fn start(folder: &Path, name: &str, file: std::path::PathBuf) -> Gateway {
    let log = folder.join(format!("{name}.log"));
    let started = tokio::task::spawn_blocking(move || Gateway::start(program(), &file, &[], &log)).await;
    started.expect("the start does not panic").expect("a gateway that starts")
}

impl Shown {
    pub(crate) async fn start() -> Self {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let sink = Sink::start().await;
        sink.on("/warehouse", Answer::status(503).body("the warehouse <script>alert(1)</script> is closed"));
        let file = settings(folder.path(), "gateway", &declared(&sink));
        let gateway = start(folder.path(), "gateway", file).await;
        let empty = start(folder.path(), "empty", settings(folder.path(), "empty", "")).await;
        let mut shown = Self {
            gateway,
            empty,
            _sink: sink,
            folder,
            read_key: String::new(),
            event: String::new(),
            dead_event: String::new(),
        };
        shown.fill().await;
        shown
    }

    async fn fill(&mut self) {
        let api = Api::new(&self.gateway);
        self.read_key = api.post("/api/v1/keys", json!({"name": "looks", "scope": "read"})).await["key"]
            .as_str()
            .expect("a key")
            .to_owned();
        for n in 0..EVENTS {
            self.send(n).await;
        }
        let published = json!({"source": "shop", "type": "order.created", "data": {"id": 42, "note": "</script><script>alert(1)</script>"}});
        self.event = api.post("/api/v1/events", published).await["id"].as_str().expect("an id").to_owned();
        let mut dead = Value::Null;
        wait_until("dead letters", SOON, async || {
            dead = api.get("/api/v1/deliveries?state=dead&limit=200").await;
            dead["data"].as_array().is_some_and(|rows| rows.len() >= EVENTS)
        })
        .await;
        self.dead_event = dead["data"][0]["event"].as_str().expect("an event").to_owned();
        api.put_if_known("/api/v1/rollouts/checkout", &rollout()).await;
        for (id, p99) in [("smoke-1", 7.9), ("smoke-2", 8.1)] {
            api.put_if_known(&format!("/api/v1/load-tests/{id}"), &load_test(p99)).await;
        }
    }

    /// A signed webhook, as GitHub sends it.
    async fn send(&self, n: usize) {
        let body = json!({"action": "opened", "number": n, "sender": {"login": "octocat"}, "html_url": "https://github.com/a/b/pull/1"});
        let mut command = tokio::process::Command::new(program());
        command.args([
            "send",
            "github",
            "--secret",
            SECRET,
            "--type",
            "pull_request",
            "--provider",
            "github",
            "--url",
            &self.gateway.url,
        ]);
        command.args(["--data", &body.to_string()]);
        let output = command.output().await.expect("the program runs");
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    }

    /// What the suite has to know.
    pub(crate) fn describe(&self) -> Value {
        let key = |gateway: &Gateway| gateway.admin_key.clone().expect("the admin key of a first start");
        json!({
            "url": self.gateway.url,
            "admin_key": key(&self.gateway),
            "read_key": self.read_key,
            "event": self.event,
            "dead_event": self.dead_event,
            "empty_url": self.empty.url,
            "empty_key": key(&self.empty),
        })
    }

    pub(crate) fn log_tail(&self) -> String {
        let text = std::fs::read_to_string(self.folder.path().join("gateway.log")).unwrap_or_default();
        let lines: Vec<&str> = text.lines().collect();
        lines[lines.len().saturating_sub(20)..].join("\n")
    }
}

/// The API, with the admin key.
struct Api<'g> {
    client: Client<HttpConnector, Full<Bytes>>,
    gateway: &'g Gateway,
}

impl<'g> Api<'g> {
    fn new(gateway: &'g Gateway) -> Self {
        Self { client: Client::builder(TokioExecutor::new()).build_http(), gateway }
    }

    async fn ask(&self, method: &str, path: &str, body: Option<&Value>) -> (u16, Value) {
        let key = self.gateway.admin_key.as_deref().expect("the admin key");
        let request = http::Request::builder()
            .method(method)
            .uri(format!("{}{path}", self.gateway.url))
            .header("authorization", format!("Bearer {key}"))
            .header("content-type", "application/json");
        let body = body.map(ToString::to_string).unwrap_or_default();
        let answer = self.client.request(request.body(Full::from(body)).expect("a request")).await.expect("an answer");
        let status = answer.status().as_u16();
        let body = answer.into_body().collect().await.expect("a body").to_bytes();
        (status, serde_json::from_slice(&body).unwrap_or_default())
    }

    async fn get(&self, path: &str) -> Value {
        let (status, value) = self.ask("GET", path, None).await;
        assert_eq!(status, 200, "{path}: {value}");
        value
    }

    async fn post(&self, path: &str, body: Value) -> Value {
        let (status, value) = self.ask("POST", path, Some(&body)).await;
        assert!((200..300).contains(&status), "{path}: {status} {value}");
        value
    }

    /// Puts a document, unless the gateway has no such route.
    async fn put_if_known(&self, path: &str, body: &Value) {
        let (status, value) = self.ask("PUT", path, Some(body)).await;
        assert!((200..300).contains(&status) || status == 404, "{path}: {status} {value}");
    }
}

/// A canary in its second step.
fn rollout() -> Value {
    let (begun, now) = (1_795_600_000_000_i64, 1_795_602_400_000_i64);
    let happened = |at: i64, weight: u8, text: &str| json!({"at": at, "kind": "step", "text": text, "weight": weight});
    json!({
        "at": now, "name": "checkout", "namespace": null, "strategy": "canary", "observationMs": 3_600_000,
        "steps": [
            {"weight": 10, "mirror": 0, "bakeMs": 1_200_000, "gates": ["smoke"]},
            {"weight": 25, "mirror": 0, "bakeMs": 1_800_000, "gates": ["smoke", "load test"]},
            {"weight": 50, "mirror": 0, "bakeMs": 1_800_000, "gates": ["approval"]},
            {"weight": 100, "mirror": 0, "bakeMs": 0, "gates": []},
        ],
        "guards": [{"name": "errors", "unit": "share", "windows": 5}, {"name": "p99", "unit": "seconds", "windows": 5}, {"name": "restarts", "unit": "count", "windows": 1}],
        "evidence": [
            {"metric": "errors", "rollBack": 0.4, "rollBackLimit": 5.3, "pass": 1.8, "passLimit": 3.0, "candidateRatio": 0.0013, "liveRatio": 0.0012, "boundary": null, "candidateRequests": 8120, "dispersion": 1.0, "expectedMs": 540_000},
            {"metric": "latency", "rollBack": 1.1, "rollBackLimit": 5.3, "pass": 2.9, "passLimit": 3.0, "candidateRatio": 0.021, "liveRatio": 0.02, "boundary": 0.25, "candidateRequests": 8120, "dispersion": 1.2, "expectedMs": 60_000},
        ],
        "router": {"weights": {"blue": 75, "green": 25}, "mirror": {"blue": 0, "green": 0}},
        "slots": null, "troubles": [],
        "state": {
            "phase": "progressing", "liveSlot": "blue", "liveRevision": "v1.4.0", "paused": false, "held": null,
            "history": [
                happened(begun, 0, "Rollout of v1.5.0 begins."),
                happened(begun + 120_000, 10, "Step 1 of 4: v1.5.0 takes 10 %."),
                happened(begun + 1_320_000, 25, "Step 2 of 4: v1.5.0 takes 25 %; every guard was good."),
            ],
            "rollout": {
                "revision": "v1.5.0", "slot": "green", "attempt": 1, "startedAt": begun, "step": 1, "stage": "baking", "stageSince": begun + 1_320_000, "pausedMs": 0, "weight": 25,
                "guards": {
                    "errors": {"verdict": "good", "value": 0.0013, "limit": 0.01, "text": "errors are 0.13 %, at most 1 % is good"},
                    "p99": {"verdict": "good", "value": 0.182, "limit": 0.4, "text": "p99 is 182 ms, at most 400 ms is good"},
                    "restarts": {"verdict": "inconclusive", "value": null, "limit": 0.0, "text": "no pod was seen yet"},
                },
            },
        },
    })
}

fn load_test(p99: f64) -> Value {
    let second = |at: u32| json!({"at_s": at, "rate": 980.0 + f64::from(at % 7) * 6.0, "errors": 0, "p50_ms": 1.1 + f64::from(at % 5) * 0.05, "p99_ms": p99 + f64::from(at % 9) * 0.4});
    json!({
        "name": "smoke", "environment": "staging", "verdict": "passed", "reason": "all 4 thresholds held", "started_at": "2026-01-31T12:00:00Z",
        "duration_s": 60.0, "requests": 60_000, "rate": 1000.2, "error_rate": 0.0, "p50_ms": 1.2, "p95_ms": 3.4, "p99_ms": p99, "dropped": 0,
        "failed_thresholds": [],
        "comparison": {"change": "no_evidence", "baseline": "smoke 2026-01-30", "result": "smoke 2026-01-31",
            "metrics": [
                {"measure": "p50", "baseline": 1.2, "result": 1.2, "difference": 0.4, "low": -1.0, "high": 1.9, "change": "no_evidence", "reason": null},
                {"measure": "p99", "baseline": 8.0, "result": p99, "difference": 1.2, "low": -3.0, "high": 5.5, "change": "no_evidence", "reason": null},
                {"measure": "rate", "baseline": 1000.0, "result": 1000.2, "difference": 0.0, "low": -0.1, "high": 0.1, "change": "no_evidence", "reason": null},
            ], "notes": []},
        "timeline": (0..60).map(second).collect::<Vec<_>>(),
    })
}
