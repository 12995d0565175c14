//! Webhooks from two senders: the load generator, and one that writes down each id that was acknowledged.

use std::collections::HashSet;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, kill_process};
use serde_json::Value;
use spillway_testkit::{Answer, Sink};

use super::front::Front;
use crate::Failure;
use crate::chaos::sender::{KEY_HEADER, SECRET, Sender};
use crate::demo::SOURCE_SECRET;

/// Events a second of the sender that writes down ids.
const WRITTEN_DOWN: f64 = 40.0;
/// The load generator is stopped long before.
const LONGEST: &str = "10m";

/// Ids of the events that arrived.
pub(super) type Arrived = Arc<Mutex<HashSet<String>>>;

/// Settings of both versions: one PostgreSQL, a source for each sender, one receiver.
pub(super) fn settings(database: &str, receiver: &str) -> String {
    format!(
        r#"[store]
url = "{database}"
[delivery]
timeout = "5s"
lease = "10s"
allow_networks = ["127.0.0.0/8"]
retry_schedule = ["0s", "500ms", "1s", "2s", "4s", "8s"]
[[sources]]
name = "github"
provider = "github"
secrets = ["{SOURCE_SECRET}"]
[[sources]]
name = "chaos"
provider = "hmac"
secrets = ["{SECRET}"]
idempotency = {{ header = "{KEY_HEADER}" }}
[sources.hmac]
header = "x-signature"
[[destinations]]
name = "receiver"
url = "{receiver}"
[[connections]]
source = "github"
destination = "receiver"
[[connections]]
source = "chaos"
destination = "receiver"
"#
    )
}

/// Notes the id of each event that comes.
pub(super) fn arrivals(receiver: &Sink) -> Arrived {
    let arrived = Arrived::default();
    let noted = arrived.clone();
    receiver.respond_with(move |request| {
        if let Some(id) = request.header("webhook-id") {
            noted.lock().unwrap_or_else(PoisonError::into_inner).insert(id.to_owned());
        }
        Answer::status(200)
    });
    arrived
}

/// Both senders, under way.
pub(super) struct Traffic {
    sender: Sender,
    flood: Child,
}

/// What the senders saw.
pub(super) struct Seen {
    /// Requests of the load generator.
    pub(super) requests: u64,
    /// Those without a 2xx answer.
    pub(super) errors: u64,
    /// Of its answers.
    pub(super) p99: Duration,
    /// Acknowledgements of the load generator.
    acknowledged: u64,
    /// Ids that the other sender wrote down.
    written_down: Vec<String>,
}

impl Traffic {
    pub(super) fn start(loadgen: &Path, front: &Front, rate: u32) -> Result<Self, Failure> {
        let url = format!("{}/in/github", front.url());
        let mut command = Command::new(loadgen);
        command.arg("flood").arg(url).args(["--connections", "32", "--duration", LONGEST, "--rate", &rate.to_string()]);
        command.args([
            "--body-size",
            "1024",
            "--sign",
            "github",
            "--secret",
            SOURCE_SECRET,
            "--quiet",
            "--output",
            "json",
        ]);
        command.args(["--threads", "1"]).stdin(Stdio::null()).stdout(Stdio::piped());
        let flood = command.spawn().map_err(|error| format!("{} cannot be run: {error}", loadgen.display()))?;
        let sender = Sender::start(vec![front.address()], WRITTEN_DOWN, 0, Instant::now());
        Ok(Self { sender, flood })
    }

    pub(super) async fn stop(self) -> Result<Seen, Failure> {
        let sent = self.sender.stop().await?;
        let pid = i32::try_from(self.flood.id()).ok().and_then(Pid::from_raw).ok_or("no process id")?;
        kill_process(pid, Signal::INT)?;
        let output = tokio::task::spawn_blocking(move || self.flood.wait_with_output()).await??;
        let report: Value = serde_json::from_slice(&output.stdout)
            .map_err(|error| format!("the load generator ended with {} and no report: {error}", output.status))?;
        let count = |value: &Value| value.as_u64().unwrap_or_default();
        let codes = report["status_codes"].as_object().ok_or("a report without status codes")?;
        let acknowledged = codes.iter().filter(|(code, _)| code.starts_with('2')).map(|(_, n)| count(n)).sum();
        let answered: u64 = codes.values().map(count).sum();
        let broken = match &report["errors"] {
            Value::Object(kinds) => kinds.values().map(count).sum(),
            number => count(number),
        };
        Ok(Seen {
            requests: answered + broken,
            errors: answered - acknowledged + broken,
            p99: Duration::from_secs_f64(report["latency_ms"]["p99"].as_f64().unwrap_or_default() / 1_000.0),
            acknowledged,
            written_down: sent.acknowledged.into_iter().map(|one| one.id).collect(),
        })
    }
}

impl Seen {
    /// Events that were acknowledged to either sender.
    pub(super) fn acknowledged(&self) -> u64 {
        self.acknowledged + self.written_down.len() as u64
    }

    /// Waits until everything that was acknowledged has arrived. Returns how many did not.
    pub(super) async fn wait_until_arrived(&self, arrived: &Arrived, at_most: Duration) -> usize {
        let end = Instant::now() + at_most;
        loop {
            let missing = self.missing(arrived);
            if missing == 0 || Instant::now() > end {
                return missing;
            }
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
    }

    fn missing(&self, arrived: &Arrived) -> usize {
        let arrived = arrived.lock().unwrap_or_else(PoisonError::into_inner);
        let by_id = self.written_down.iter().filter(|id| !arrived.contains(*id)).count();
        let in_number = usize::try_from(self.acknowledged()).unwrap_or(usize::MAX).saturating_sub(arrived.len());
        by_id.max(in_number)
    }
}
