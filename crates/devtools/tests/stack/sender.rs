//! Webhooks through the front, each acknowledged one written down.

use std::collections::HashSet;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use bytes::Bytes;
use http::Request;
use http_body_util::Full;
use ring::hmac;
use serde_json::Value;
use spillway_testkit::wait_until;

use crate::support::Stack;

/// The secret of the stack's source `github`.
pub(crate) const SECRET: &str = "It's a Secret to Everybody";
/// Senders at once; each sends 20 webhooks a second at most.
const LANES: u64 = 4;
const PACE: Duration = Duration::from_millis(50);
/// Longer than a lease, with a busy machine's leisure.
const ARRIVAL: Duration = Duration::from_secs(60);

pub(crate) struct Sender {
    stack: Arc<Stack>,
    acknowledged: Arc<Mutex<Vec<String>>>,
    refused: Arc<AtomicU64>,
    stop: Arc<AtomicBool>,
    lanes: tokio::task::JoinSet<()>,
}

impl Sender {
    /// Sends to the front until it is stopped.
    pub(crate) async fn start(stack: &Arc<Stack>) -> Self {
        let front = stack.address("nginx").await;
        let mut sender = Self {
            stack: stack.clone(),
            acknowledged: Arc::default(),
            refused: Arc::default(),
            stop: Arc::default(),
            lanes: tokio::task::JoinSet::new(),
        };
        for lane in 0..LANES {
            let (stack, url) = (stack.clone(), format!("http://{front}/in/github"));
            let (acknowledged, refused) = (sender.acknowledged.clone(), sender.refused.clone());
            let stop = sender.stop.clone();
            sender.lanes.spawn(async move {
                let mut pace = tokio::time::interval(PACE);
                for n in 0_u64.. {
                    pace.tick().await;
                    if stop.load(Ordering::Relaxed) {
                        return;
                    }
                    match send(&stack, &url, lane, n).await {
                        Some(id) => acknowledged.lock().expect("nobody panicked").push(id),
                        None => {
                            refused.fetch_add(1, Ordering::Relaxed);
                        }
                    }
                }
            });
        }
        sender
    }

    pub(crate) fn acknowledged(&self) -> usize {
        self.acknowledged.lock().expect("nobody panicked").len()
    }

    /// Waits until further webhooks are acknowledged.
    pub(crate) async fn flows(&self) {
        let before = self.acknowledged();
        wait_until("webhooks to be acknowledged", ARRIVAL, async || self.acknowledged() >= before + 20).await;
    }

    /// Stops, and waits until each acknowledged webhook has arrived at the destination. Returns how many there are.
    pub(crate) async fn stop_and_find_all(mut self) -> usize {
        self.stop.store(true, Ordering::Relaxed);
        while let Some(ended) = self.lanes.join_next().await {
            ended.expect("a lane");
        }
        let acknowledged = self.acknowledged.lock().expect("nobody panicked").clone();
        let refused = self.refused.load(Ordering::Relaxed);
        let url = format!("http://{}/received/webhooks", self.stack.address("receiver").await);
        let what = format!("all of {} acknowledged webhooks ({refused} were refused) to arrive", acknowledged.len());
        wait_until(&what, ARRIVAL, async || {
            let text = self.stack.text(&url).await;
            let arrived: HashSet<&str> = text.lines().collect();
            acknowledged.iter().all(|id| arrived.contains(id.as_str()))
        })
        .await;
        acknowledged.len()
    }
}

/// The event's id, if the webhook was acknowledged.
async fn send(stack: &Stack, url: &str, lane: u64, n: u64) -> Option<String> {
    let body = format!("{{\"zen\":\"Keep it logically awesome.\",\"lane\":{lane},\"n\":{n}}}");
    let key = hmac::Key::new(hmac::HMAC_SHA256, SECRET.as_bytes());
    let signature = hmac::sign(&key, body.as_bytes());
    let hex: String = signature.as_ref().iter().map(|byte| format!("{byte:02x}")).collect();
    let request = Request::post(url)
        .header("content-type", "application/json")
        .header("x-github-event", "ping")
        .header("x-github-delivery", format!("{lane}-{n}"))
        .header("x-hub-signature-256", format!("sha256={hex}"))
        .body(Full::new(Bytes::from(body)))
        .expect("a request");
    let (status, body) = stack.request(request).await?;
    let answer: Value = serde_json::from_slice(&body).ok()?;
    (status == 202).then(|| answer["id"].as_str().map(str::to_owned)).flatten()
}
