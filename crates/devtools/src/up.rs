//! `cargo xtask up`: a gateway to try out.

use std::path::PathBuf;

use spillway_testkit::{Sink, SinkOptions};

use crate::demo::{self, SOURCE_SECRET};
use crate::gateway::Gateway;
use crate::payloads;
use crate::{Common, Failure};

#[derive(Debug, clap::Args)]
pub(crate) struct UpArgs {
    #[command(flatten)]
    common: Common,
    /// Address the gateway listens on
    #[arg(long, default_value = "127.0.0.1:8080")]
    listen: String,
    /// Folder for settings, data and log; kept for the next time
    #[arg(long, default_value = "target/up")]
    folder: PathBuf,
}

pub(crate) fn run(arguments: &UpArgs) -> Result<bool, Failure> {
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
    std::fs::create_dir_all(&arguments.folder)?;
    let folder = arguments.folder.canonicalize()?;
    let receiver = runtime.block_on(Sink::start_with(SinkOptions { keep_requests: 100, keep_body_bytes: 4_096 }));
    let config = folder.join("spillway.toml");
    std::fs::write(&config, demo::settings(&folder, &receiver.url("/hooks"), &arguments.listen))?;
    let mut gateway = Gateway::start(&arguments.common.gateway, &config, &[], &folder.join("gateway.log"))?;
    let key_file = folder.join("admin-key");
    if let Some(key) = &gateway.admin_key {
        std::fs::write(&key_file, key)?;
    }
    let key = std::fs::read_to_string(&key_file).unwrap_or_else(|_| "(made at an earlier start, and not kept)".into());
    let webhook = &payloads::github(5)[4];
    let signature = webhook.headers(SOURCE_SECRET)?.into_iter().next().map(|(_, value)| value).unwrap_or_default();
    let body = folder.join("ping.json");
    std::fs::write(&body, &webhook.body)?;
    let url = &gateway.url;
    println!("gateway    {url}   (API described at {url}/openapi.json, metrics at {url}/metrics)");
    println!("receiver   {}   (answers 200 to everything)", receiver.url("/hooks"));
    println!("admin key  {key}");
    println!("log        {}", folder.join("gateway.log").display());
    println!();
    println!("Send a signed GitHub webhook:");
    println!("  curl -i {url}/in/github -H 'content-type: application/json' -H 'x-github-event: ping' \\");
    println!("    -H 'x-hub-signature-256: {signature}' --data-binary @{}", body.display());
    println!("See what became of it:");
    println!("  curl -s {url}/api/v1/deliveries -H 'authorization: Bearer {key}'");
    println!("Publish an event of your own:");
    println!("  curl -s {url}/api/v1/events -H 'authorization: Bearer {key}' -H 'content-type: application/json' \\");
    println!("    -d '{{\"source\":\"github\",\"type\":\"invoice.paid\",\"data\":{{\"amount\":4200}}}}'");
    println!();
    println!("Ctrl-C stops it.");
    // Ctrl-C reaches the gateway too, which drains and ends; then so do we.
    runtime.spawn(async {
        loop {
            let _ = tokio::signal::ctrl_c().await;
        }
    });
    gateway.wait()?;
    Ok(true)
}
