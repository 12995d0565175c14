//! A destination that misbehaves on request and writes down what it was sent.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use spillway_model::{Clock, SystemClock};
use spillway_testkit::{Answer, ReceivedRequest, Sink, SinkOptions};

use super::clock::Offsets;
use super::report::Ran;
use super::schedule::{Fault, FaultKind};
use super::sender::{KEY_HEADER, body};

/// One event as a destination saw it.
#[derive(Debug, Default, Clone)]
pub(super) struct Arrivals {
    /// When it came and was answered 200.
    pub(super) accepted: Vec<Instant>,
    /// How often it came and was not.
    pub(super) failed: u32,
    /// The sender's number.
    pub(super) key: u64,
}

#[derive(Debug, Default)]
struct Shared {
    behaviour: Option<FaultKind>,
    arrivals: HashMap<String, Arrivals>,
    /// Requests without an id, or whose bytes are not those that were sent.
    damaged: u64,
    /// How far the clocks of those who sent were off.
    clock: Offsets,
}

/// An HTTP server that knows every event it was sent.
#[derive(Debug)]
pub(super) struct Destination {
    sink: Sink,
    shared: Arc<Mutex<Shared>>,
}

impl Destination {
    /// `trap` is where half of the redirects lead. It takes `answers_after` to answer, so that attempts are under way at any time.
    pub(super) async fn start(trap: String, answers_after: Duration) -> Self {
        let sink = Sink::start_with(SinkOptions { keep_requests: 0, keep_body_bytes: 4_096 }).await;
        let shared = Arc::new(Mutex::new(Shared::default()));
        let state = shared.clone();
        sink.respond_with(move |request| lock(&state).receive(request, &trap).after(answers_after));
        Self { sink, shared }
    }

    pub(super) fn url(&self) -> String {
        self.sink.url("/hooks")
    }

    /// Lets the faults happen in turn, each at its time.
    pub(super) async fn misbehave(&self, faults: &[Fault], begun: Instant) -> Vec<Ran> {
        let mut ran = Vec::new();
        for fault in faults {
            tokio::time::sleep_until((begun + fault.at).into()).await;
            let fault_begun = Instant::now();
            lock(&self.shared).behaviour = Some(fault.kind);
            tokio::time::sleep(fault.lasts).await;
            lock(&self.shared).behaviour = None;
            ran.push(Ran { kind: fault.kind, begun: fault_begun, ended: Instant::now() });
        }
        ran
    }

    /// Whether each of these was accepted at least once.
    pub(super) fn has_all<'a>(&self, mut ids: impl Iterator<Item = &'a str>) -> bool {
        let shared = lock(&self.shared);
        ids.all(|id| shared.arrivals.get(id).is_some_and(|arrivals| !arrivals.accepted.is_empty()))
    }

    /// Everything so far, by the event's id.
    pub(super) fn arrivals(&self) -> HashMap<String, Arrivals> {
        lock(&self.shared).arrivals.clone()
    }

    pub(super) fn damaged(&self) -> u64 {
        lock(&self.shared).damaged
    }

    /// How far the clocks of those who sent were off.
    pub(super) fn clock(&self) -> Offsets {
        lock(&self.shared).clock
    }
}

impl Shared {
    fn receive(&mut self, request: &ReceivedRequest, trap: &str) -> Answer {
        let at = Instant::now();
        let id = request.header("webhook-id").unwrap_or_default().to_owned();
        let key = request.header(KEY_HEADER).and_then(|key| key.parse().ok());
        let Some(key) = key.filter(|key| !id.is_empty() && request.body == body(*key)) else {
            self.damaged += 1;
            return Answer::status(200);
        };
        if let Some(sent) = request.header("webhook-timestamp").and_then(|seconds| seconds.parse::<i64>().ok()) {
            self.clock.take(sent - SystemClock.now() / 1_000);
        }
        let answer = match self.behaviour {
            None => Answer::status(200),
            Some(FaultKind::Hang) => Answer::hang(),
            Some(FaultKind::Reset) => Answer::reset(),
            Some(FaultKind::EndlessBody) => Answer::endless_body(),
            Some(FaultKind::Redirect) if key % 2 == 0 => Answer::redirect(trap),
            Some(FaultKind::Redirect) => Answer::redirect("http://169.254.169.254/latest/meta-data/"),
            Some(_) => Answer::status(500),
        };
        let arrivals = self.arrivals.entry(id).or_default();
        arrivals.key = key;
        match self.behaviour {
            // The status says that it was taken, whatever follows it.
            None | Some(FaultKind::EndlessBody) => arrivals.accepted.push(at),
            Some(_) => arrivals.failed += 1,
        }
        answer
    }
}

fn lock(shared: &Mutex<Shared>) -> MutexGuard<'_, Shared> {
    shared.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Waits until every one of these events was accepted by every destination. Returns whether that happened in time.
pub(super) async fn wait_for_all(destinations: &[&Destination], ids: &[&str], deadline: Duration) -> bool {
    let begun = Instant::now();
    loop {
        if destinations.iter().all(|destination| destination.has_all(ids.iter().copied())) {
            return true;
        }
        if begun.elapsed() > deadline {
            return false;
        }
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
}
