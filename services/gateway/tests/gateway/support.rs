//! The program as a child process, and a client for it.

use std::collections::HashMap;
use std::path::{Path, PathBuf};
use std::time::Duration;

use bytes::Bytes;
use http_body_util::{BodyExt, Full};
use hyper_util::client::legacy::Client;
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::rt::TokioExecutor;
use spillway_devtools::gateway::Gateway;
use spillway_testkit::Sink;
use tempfile::TempDir;

/// For whatever should happen soon; a busy machine may take a while.
pub(crate) const SOON: Duration = Duration::from_secs(30);

pub(crate) fn program() -> &'static Path {
    Path::new(env!("CARGO_BIN_EXE_spillway"))
}

/// A folder for settings, data and logs of one test.
pub(crate) struct Folder(TempDir);

impl Folder {
    pub(crate) fn new() -> Self {
        Self(tempfile::tempdir().expect("a temporary folder"))
    }

    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.0.path().join(name)
    }

    /// Writes `spillway.toml`.
    pub(crate) fn settings(&self, text: &str) -> PathBuf {
        let file = self.path("spillway.toml");
        std::fs::write(&file, text).expect("write the settings");
        file
    }

    /// Settings of an embedded gateway on a free port whose source `orders` goes to the destination `shop` at `url`.
    pub(crate) fn embedded(&self, url: &str) -> PathBuf {
        let store = format!("data_dir = \"{}\"", self.path("data").display());
        self.settings(&orders_to(url, &store, ""))
    }

    pub(crate) fn log(&self) -> String {
        std::fs::read_to_string(self.path("gateway.log")).unwrap_or_default()
    }

    /// Starts a gateway with the settings written before.
    pub(crate) async fn start(&self, more: &[&str]) -> Gateway {
        self.try_start(more, "gateway.log").await.expect("a gateway that starts")
    }

    /// The same, with a log of its own, for a gateway that may not start.
    pub(crate) async fn try_start(&self, more: &[&str], log: &str) -> Result<Gateway, spillway_devtools::Failure> {
        let (config, log) = (self.path("spillway.toml"), self.path(log));
        let more: Vec<String> = more.iter().map(|text| (*text).to_owned()).collect();
        let start = move || {
            let more: Vec<&str> = more.iter().map(String::as_str).collect();
            Gateway::start(program(), &config, &more, &log)
        };
        tokio::task::spawn_blocking(start).await.expect("the start does not panic")
    }
}

/// Settings with an open source `orders` that is connected to the destination `shop`.
pub(crate) fn orders_to(url: &str, store: &str, delivery: &str) -> String {
    format!(
        r#"[server]
listen = "127.0.0.1:0"
drain_timeout = "25s"
[store]
{store}
[delivery]
allow_networks = ["127.0.0.0/8"]
{delivery}
[[sources]]
name = "orders"
provider = "none"
[[destinations]]
name = "shop"
url = "{url}"
[[connections]]
source = "orders"
destination = "shop"
"#
    )
}

/// SIGTERM; how long the gateway took to end with 0.
pub(crate) async fn stop(gateway: Gateway) -> Duration {
    let stopped = tokio::task::spawn_blocking(move || gateway.stop()).await.expect("the stop does not panic");
    stopped.expect("a gateway that ends well")
}

/// How a program ended by itself.
pub(crate) struct Ended {
    pub(crate) code: Option<i32>,
    pub(crate) errors: String,
}

impl Ended {
    /// Asserts the exit code and that the message says all of this.
    pub(crate) fn with(&self, code: i32, says: &[&str]) {
        assert_eq!(self.code, Some(code), "{}", self.errors);
        for text in says {
            assert!(self.errors.contains(text), "{text:?} is missing in:\n{}", self.errors);
        }
        assert!(!self.errors.contains("panicked"), "{}", self.errors);
    }
}

/// Runs `spillway serve` with nothing in its environment, until it ends by itself.
pub(crate) async fn serve(arguments: &[&str]) -> Ended {
    let mut command = tokio::process::Command::new(program());
    command.arg("serve").args(arguments).env_clear().kill_on_drop(true);
    let output =
        tokio::time::timeout(SOON, command.output()).await.expect("the program ends").expect("the program runs");
    Ended { code: output.status.code(), errors: String::from_utf8_lossy(&output.stderr).into_owned() }
}

/// A sender.
#[derive(Clone)]
pub(crate) struct Sender(Client<HttpConnector, Full<Bytes>>);

impl Sender {
    pub(crate) fn new() -> Self {
        Self(Client::builder(TokioExecutor::new()).build_http())
    }

    /// Posts an event to the source `orders`. Returns its id if it was acknowledged.
    pub(crate) async fn send(&self, url: &str, body: String) -> Option<String> {
        self.send_with(url, body, &[]).await
    }

    /// The same, with these headers.
    pub(crate) async fn send_with(&self, url: &str, body: String, headers: &[(&str, &str)]) -> Option<String> {
        let mut request = http::Request::post(format!("{url}/in/orders"));
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        let request = request.body(Full::new(body.into())).expect("a request");
        let response = self.0.request(request).await.ok()?;
        let status = response.status();
        let answer = response.into_body().collect().await.ok()?.to_bytes();
        let answer: serde_json::Value = serde_json::from_slice(&answer).ok()?;
        status.is_success().then(|| answer["id"].as_str().expect("an id").to_owned())
    }

    /// Posts an event to the source `orders`. Status and JSON of the answer.
    pub(crate) async fn webhook(&self, url: &str, body: &str) -> (u16, serde_json::Value) {
        self.ask("POST", url, "/in/orders", body, "").await
    }

    /// Status and JSON of an answer.
    pub(crate) async fn get(&self, url: &str, path: &str) -> (u16, serde_json::Value) {
        let response = self.0.get(format!("{url}{path}").parse().expect("a URL")).await.expect("an answer");
        let status = response.status().as_u16();
        let body = response.into_body().collect().await.expect("a body").to_bytes();
        (status, serde_json::from_slice(&body).expect("JSON"))
    }

    /// The same with a key of the API.
    pub(crate) async fn get_with(&self, url: &str, path: &str, key: &str) -> (u16, serde_json::Value) {
        self.ask("GET", url, path, "", key).await
    }

    /// The answer to a JSON body.
    pub(crate) async fn post_with(&self, url: &str, path: &str, body: &str, key: &str) -> serde_json::Value {
        self.ask("POST", url, path, body, key).await.1
    }

    /// Deletes something.
    pub(crate) async fn delete_with(&self, url: &str, path: &str, key: &str) {
        assert_eq!(self.ask("DELETE", url, path, "", key).await.0, 204, "{path}");
    }

    async fn ask(&self, method: &str, url: &str, path: &str, body: &str, key: &str) -> (u16, serde_json::Value) {
        let request = http::Request::builder()
            .method(method)
            .uri(format!("{url}{path}"))
            .header("authorization", format!("Bearer {key}"))
            .header("content-type", "application/json")
            .body(Full::new(Bytes::from(body.to_owned())))
            .expect("a request");
        let response = self.0.request(request).await.expect("an answer");
        let status = response.status().as_u16();
        let body = response.into_body().collect().await.expect("a body").to_bytes();
        (status, serde_json::from_slice(&body).unwrap_or_default())
    }

    /// A value from `/metrics`, by its name with labels.
    pub(crate) async fn gauge(&self, url: &str, name: &str) -> Option<f64> {
        let text = self.metrics(url).await;
        text.lines().find_map(|line| line.strip_prefix(name)?.trim_start().parse().ok())
    }

    /// The JSON of an answer to a request with this key.
    pub(crate) async fn get_as(&self, url: &str, path: &str, key: &str) -> serde_json::Value {
        let request = http::Request::get(format!("{url}{path}")).header("authorization", format!("Bearer {key}"));
        let request = request.body(Full::default()).expect("a request");
        let response = self.0.request(request).await.expect("an answer");
        let body = response.into_body().collect().await.expect("a body").to_bytes();
        serde_json::from_slice(&body).expect("JSON")
    }

    /// The headers of an answer.
    pub(crate) async fn head(&self, url: &str, path: &str) -> http::HeaderMap {
        let response = self.0.get(format!("{url}{path}").parse().expect("a URL")).await.expect("an answer");
        response.headers().clone()
    }

    /// The share that a worker takes, from `/metrics`.
    pub(crate) async fn share(&self, url: &str) -> Option<f64> {
        self.gauge(url, "spillway_worker_share_ratio").await
    }

    async fn metrics(&self, url: &str) -> String {
        let uri = format!("{url}/metrics").parse().expect("a URL");
        let response = self.0.get(uri).await.expect("metrics");
        let text = response.into_body().collect().await.expect("metrics").to_bytes();
        String::from_utf8_lossy(&text).into_owned()
    }

    /// The sum of a counter over its labels, from `/metrics`.
    pub(crate) async fn counter(&self, url: &str, name: &str) -> f64 {
        let text = self.metrics(url).await;
        let samples = text.lines().filter_map(|line| line.strip_prefix(name)).filter(|rest| rest.starts_with('{'));
        samples.filter_map(|rest| rest.split_once("} ")?.1.split(' ').next()?.parse::<f64>().ok()).sum()
    }
}

/// How often each event arrived.
pub(crate) fn arrivals(sink: &Sink) -> HashMap<String, usize> {
    let mut arrivals = HashMap::new();
    for request in sink.requests() {
        let id = request.header("webhook-id").expect("an id").to_owned();
        *arrivals.entry(id).or_default() += 1;
    }
    arrivals
}

/// Asserts that each of these events, and nothing else, arrived once.
pub(crate) fn assert_each_arrived_once(sink: &Sink, ids: &[String]) {
    let arrivals = arrivals(sink);
    let wrong: Vec<_> = ids.iter().filter(|id| arrivals.get(*id) != Some(&1)).collect();
    assert!(wrong.is_empty(), "{} of {} did not arrive exactly once: {wrong:?}", wrong.len(), ids.len());
    assert_eq!(arrivals.len(), ids.len(), "something arrived that was not acknowledged");
}
