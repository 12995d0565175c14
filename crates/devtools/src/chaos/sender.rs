//! Sends events at a steady rate and writes down each that was acknowledged.

use std::net::SocketAddr;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use bytes::Bytes;
use http_body_util::{BodyExt, Full};
use hyper_util::client::legacy::Client;
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::rt::TokioExecutor;
use rand::rngs::StdRng;
use rand::{RngExt, SeedableRng};
use spillway_signature::{HmacOptions, Outgoing, Provider, SchemeOptions, sign_as};

use super::clock::{Offsets, offset_of_answer};
use crate::Failure;

/// The source's secret.
pub(crate) const SECRET: &str = "a secret for chaos";
/// Carries an event's number, as its idempotency key.
pub(crate) const KEY_HEADER: &str = "x-key";
/// Requests under way at once.
const CONCURRENCY: u64 = 16;
/// A sender's patience with one request.
const PATIENCE: Duration = Duration::from_secs(5);
/// Between two tries with the same event.
const PAUSE: Duration = Duration::from_millis(20);

/// An event whose 2xx answer was read to its end.
#[derive(Debug, Clone)]
pub(crate) struct Acknowledged {
    pub(crate) id: String,
    pub(crate) key: u64,
    /// When its last request was sent.
    pub(crate) sent_at: Instant,
    pub(crate) at: Instant,
}

/// What became of everything that was sent.
#[derive(Debug, Default)]
pub(crate) struct Sent {
    pub(crate) acknowledged: Vec<Acknowledged>,
    /// Requests that were not answered with 2xx, or not at all.
    pub(crate) refused: u64,
    /// Events that were still refused when the run ended.
    pub(crate) given_up: u64,
    /// How far the clocks of those who answered were off.
    pub(super) clock: Offsets,
}

/// Sends until it is told to stop.
#[derive(Debug)]
pub(crate) struct Sender {
    sent: Arc<Mutex<Sent>>,
    stop: Arc<AtomicBool>,
    tasks: tokio::task::JoinSet<Result<(), Failure>>,
}

impl Sender {
    /// Sends to one of `nodes` at random, `per_second` events a second; late ones are made up for.
    pub(crate) fn start(nodes: Vec<SocketAddr>, per_second: f64, seed: u64, begun: Instant) -> Self {
        let (sent, stop) = (Arc::new(Mutex::new(Sent::default())), Arc::new(AtomicBool::new(false)));
        let mut connector = HttpConnector::new();
        connector.set_nodelay(true);
        let client = Client::builder(TokioExecutor::new()).build(connector);
        let mut tasks = tokio::task::JoinSet::new();
        for first in 0..CONCURRENCY {
            let task = Task {
                client: client.clone(),
                nodes: nodes.clone(),
                random: StdRng::seed_from_u64(seed.wrapping_add(first)),
                sent: sent.clone(),
                stop: stop.clone(),
            };
            tasks.spawn(task.run(first, per_second, begun));
        }
        Self { sent, stop, tasks }
    }

    /// Lets the requests under way end.
    pub(crate) async fn stop(mut self) -> Result<Sent, Failure> {
        self.stop.store(true, Ordering::Relaxed);
        while let Some(ended) = self.tasks.join_next().await {
            ended??;
        }
        Ok(std::mem::take(&mut self.sent.lock().unwrap_or_else(PoisonError::into_inner)))
    }
}

/// The body of event `key`: different for each, so that no two can be confused.
pub(crate) fn body(key: u64) -> Vec<u8> {
    let filling: String = (0..300).map(|i| char::from(b'a' + ((key * 7 + i) % 26) as u8)).collect();
    format!("{{\"key\":{key},\"data\":\"{filling}\"}}").into_bytes()
}

struct Task {
    client: Client<HttpConnector, Full<Bytes>>,
    nodes: Vec<SocketAddr>,
    random: StdRng,
    sent: Arc<Mutex<Sent>>,
    stop: Arc<AtomicBool>,
}

impl Task {
    async fn run(mut self, first: u64, per_second: f64, begun: Instant) -> Result<(), Failure> {
        let mut key = first;
        loop {
            let planned = begun + Duration::from_secs_f64(key as f64 / per_second);
            tokio::time::sleep_until(planned.into()).await;
            if self.is_stopped() {
                return Ok(());
            }
            self.send_until_acknowledged(key).await?;
            key += CONCURRENCY;
        }
    }

    async fn send_until_acknowledged(&mut self, key: u64) -> Result<(), Failure> {
        let options = SchemeOptions { hmac: Some(HmacOptions::new("x-signature")), ..SchemeOptions::default() };
        let body = Bytes::from(body(key));
        let outgoing = Outgoing { id: "", body: &body, path_and_query: "/in/chaos", now_unix_ms: 0 };
        let headers = sign_as(Provider::Hmac, SECRET, &options, &outgoing)?;
        loop {
            let node = self.nodes[self.random.random_range(0..self.nodes.len())];
            let mut request =
                http::Request::post(format!("http://{node}/in/chaos")).header(KEY_HEADER, key.to_string());
            for (name, value) in &headers {
                request = request.header(name, value);
            }
            let request = request.body(Full::new(body.clone()))?;
            let sent_at = Instant::now();
            if let Ok(Some((id, offset))) = tokio::time::timeout(PATIENCE, acknowledgement(&self.client, request)).await
            {
                let mut sent = self.lock();
                sent.clock.take(offset);
                sent.acknowledged.push(Acknowledged { id, key, sent_at, at: Instant::now() });
                return Ok(());
            }
            self.lock().refused += 1;
            if self.is_stopped() {
                self.lock().given_up += 1;
                return Ok(());
            }
            tokio::time::sleep(PAUSE).await;
        }
    }

    fn is_stopped(&self) -> bool {
        self.stop.load(Ordering::Relaxed)
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, Sent> {
        self.sent.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The event's id and how far the node's clock is ahead, if the answer is 2xx and complete.
async fn acknowledgement(
    client: &Client<HttpConnector, Full<Bytes>>,
    request: http::Request<Full<Bytes>>,
) -> Option<(String, i64)> {
    let response = client.request(request).await.ok()?;
    let status = response.status();
    let offset = offset_of_answer(response.headers()).unwrap_or_default();
    let body = response.into_body().collect().await.ok()?.to_bytes();
    let answer: serde_json::Value = serde_json::from_slice(&body).ok()?;
    status.is_success().then(|| Some((answer["id"].as_str()?.to_owned(), offset))).flatten()
}
