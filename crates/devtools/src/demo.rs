//! `cargo xtask demo`: the whole way of an event, on real input, checked at its end.

use std::collections::HashMap;
use std::path::Path;
use std::time::{Duration, Instant};

use bytes::Bytes;
use http_body_util::Full;
use hyper_util::client::legacy::Client;
use hyper_util::rt::TokioExecutor;
use spillway_signature::{Provider, Request, SchemeOptions, Verifier};
use spillway_testkit::{ReceivedRequest, Sink};

use crate::gateway::Gateway;
use crate::payloads::{self, Webhook};
use crate::report::{duration, quantile};
use crate::{Common, Failure};

#[derive(Debug, clap::Args)]
pub(crate) struct DemoArgs {
    #[command(flatten)]
    common: Common,
    /// Webhooks to send
    #[arg(long, default_value_t = 200)]
    events: usize,
}

pub(crate) const SOURCE_SECRET: &str = "It's a Secret to Everybody";
/// 32 bytes, as a destination would be given them.
pub(crate) const SIGNING_SECRET: &str = "whsec_c3BpbGx3YXkgZGVtbzogYSBzaWduaW5nIHNlY3JldCE=";
/// Everything has to have arrived by then.
const DEADLINE: Duration = Duration::from_secs(30);

/// A settings file with the source `github` connected to a receiver on this machine.
pub(crate) fn settings(folder: &Path, receiver: &str, listen: &str) -> String {
    let data = folder.join("data");
    format!(
        r#"[server]
listen = "{listen}"
[store]
data_dir = "{}"
[delivery]
allow_networks = ["127.0.0.0/8"]
[[sources]]
name = "github"
provider = "github"
secrets = ["{SOURCE_SECRET}"]
[[destinations]]
name = "receiver"
url = "{receiver}"
signing_secrets = ["{SIGNING_SECRET}"]
[[connections]]
source = "github"
destination = "receiver"
"#,
        data.display()
    )
}

pub(crate) fn run(arguments: &DemoArgs) -> Result<bool, Failure> {
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
    runtime.block_on(demo(arguments))
}

async fn demo(arguments: &DemoArgs) -> Result<bool, Failure> {
    let folder = tempfile::tempdir()?;
    let receiver = Sink::start().await;
    let config = folder.path().join("spillway.toml");
    std::fs::write(&config, settings(folder.path(), &receiver.url("/hooks"), "127.0.0.1:0"))?;
    let gateway = Gateway::start(&arguments.common.gateway, &config, &[], &folder.path().join("gateway.log"))?;
    println!("gateway   {} (ready in {}, embedded store)", gateway.url, duration(gateway.start_time));
    println!("receiver  {}", receiver.url("/hooks"));

    let webhooks = payloads::github(arguments.events.max(5));
    let sizes: Vec<usize> = webhooks.iter().map(|webhook| webhook.body.len()).collect();
    println!(
        "sending   {} signed GitHub webhooks of {} to {} bytes",
        webhooks.len(),
        sizes.iter().min().copied().unwrap_or_default(),
        sizes.iter().max().copied().unwrap_or_default(),
    );
    let begun = Instant::now();
    let sent = send_all(&gateway, &webhooks).await?;
    // One more than sent would be a duplicate: wait a moment for it after all have come.
    receiver.wait_for_count(webhooks.len(), DEADLINE).await;
    tokio::time::sleep(Duration::from_millis(300)).await;
    let problems = check(&webhooks, &sent, &receiver.requests())?;
    let stopped = gateway.stop()?;
    summary(&sent, &receiver.requests(), begun, stopped);
    for problem in &problems {
        println!("FAILED    {problem}");
    }
    if problems.is_empty() {
        println!("ok        each webhook arrived exactly once, with its bytes, its headers and a valid signature");
    }
    Ok(problems.is_empty())
}

/// One webhook as it was acknowledged.
struct Sent {
    id: String,
    at: Instant,
    acknowledged_after: Duration,
}

async fn send_all(gateway: &Gateway, webhooks: &[Webhook]) -> Result<Vec<Sent>, Failure> {
    let client: Client<_, Full<Bytes>> = Client::builder(TokioExecutor::new()).build_http();
    let url = format!("{}/in/github", gateway.url);
    let mut sent = Vec::with_capacity(webhooks.len());
    for webhook in webhooks {
        let mut request = http::Request::post(&url);
        for (name, value) in webhook.headers(SOURCE_SECRET)? {
            request = request.header(name, value);
        }
        let at = Instant::now();
        let response = client.request(request.body(Full::new(webhook.body.clone().into()))?).await?;
        let acknowledged_after = at.elapsed();
        let status = response.status();
        let body = http_body_util::BodyExt::collect(response.into_body()).await?.to_bytes();
        if status != http::StatusCode::ACCEPTED {
            return Err(format!("a webhook was answered {status}: {}", String::from_utf8_lossy(&body)).into());
        }
        let answer: serde_json::Value = serde_json::from_slice(&body)?;
        let id = answer["id"].as_str().ok_or("an acknowledgement without an id")?.to_owned();
        sent.push(Sent { id, at, acknowledged_after });
    }
    Ok(sent)
}

fn check(webhooks: &[Webhook], sent: &[Sent], received: &[ReceivedRequest]) -> Result<Vec<String>, Failure> {
    let verifier = Verifier::new(Provider::StandardWebhooks, &[SIGNING_SECRET], &SchemeOptions::default())?;
    let mut problems = Vec::new();
    let mut by_id: HashMap<&str, Vec<&ReceivedRequest>> = HashMap::new();
    for request in received {
        by_id.entry(request.header("webhook-id").unwrap_or_default()).or_default().push(request);
    }
    if received.len() != webhooks.len() {
        problems.push(format!("{} webhooks were sent and {} arrived", webhooks.len(), received.len()));
    }
    for (webhook, sent) in webhooks.iter().zip(sent) {
        let arrived = by_id.get(sent.id.as_str()).map(Vec::as_slice).unwrap_or_default();
        let [request] = arrived else {
            problems.push(format!("{} arrived {} times", sent.id, arrived.len()));
            continue;
        };
        if request.body != webhook.body {
            problems.push(format!("{} arrived with other bytes", sent.id));
        }
        let kept = [("x-github-delivery", webhook.delivery.as_str()), ("x-github-event", webhook.event)];
        for (name, value) in kept {
            if request.header(name) != Some(value) {
                problems.push(format!("{} lost its header {name}", sent.id));
            }
        }
        let seconds = request.header("webhook-timestamp").and_then(|text| text.parse::<i64>().ok()).unwrap_or_default();
        let signed = Request {
            headers: &request.headers,
            body: &request.body,
            path_and_query: "",
            now_unix_ms: seconds * 1_000,
        };
        if let Err(error) = verifier.verify(&signed) {
            problems.push(format!("{} has no valid signature: {error}", sent.id));
        }
        if request.header("traceparent").is_none() {
            problems.push(format!("{} has no traceparent", sent.id));
        }
    }
    Ok(problems)
}

fn summary(sent: &[Sent], received: &[ReceivedRequest], begun: Instant, stopped: Duration) {
    let sent_at: HashMap<&str, Instant> = sent.iter().map(|sent| (sent.id.as_str(), sent.at)).collect();
    let mut acknowledged: Vec<Duration> = sent.iter().map(|sent| sent.acknowledged_after).collect();
    let delivered = received.iter().filter_map(|request| {
        let at = sent_at.get(request.header("webhook-id")?)?;
        Some(request.arrived_at.duration_since(*at))
    });
    let mut delivered: Vec<Duration> = delivered.collect();
    let last = received.iter().map(|request| request.arrived_at.duration_since(begun)).max().unwrap_or_default();
    println!("events    {} acknowledged, {} delivered in {}", sent.len(), received.len(), duration(last));
    for (what, values) in [("ack", &mut acknowledged), ("delivery", &mut delivered)] {
        let (p50, p99) = (quantile(values, 0.5), quantile(values, 0.99));
        println!("{what:<9} p50 {}, p99 {}", duration(p50), duration(p99));
    }
    println!("stop      drained in {}", duration(stopped));
}
