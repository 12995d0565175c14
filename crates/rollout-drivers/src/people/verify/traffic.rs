//! The same requests to both sides, at a rate that does not wait for answers.

use std::sync::Arc;
use std::time::Duration;

use serde::Serialize;
use tokio::sync::{Semaphore, mpsc};
use tokio::time::{Instant, MissedTickBehavior};
use tokio_util::sync::CancellationToken;

use super::Verify;
use crate::http::{HttpClient, HttpError};

/// Requests under way at most, of both sides.
const MAX_UNDER_WAY: usize = 2_000;

/// Answers that wait to be counted at most; beyond it their requests wait.
const MAX_WAITING: usize = 4_096;

/// One side of the comparison.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Side {
    /// Its base address.
    pub url: String,
    /// Requests that ended.
    pub requests: u64,
    /// Those without an answer, or with a status of 400 and more.
    pub errors: u64,
    /// The first error, one sentence.
    pub first_error: Option<String>,
    /// Latencies of what was answered, seconds, in order of their ending.
    #[serde(skip)]
    latencies: Vec<f32>,
}

/// How a request ended.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Answer {
    /// Without an answer, or with a status of 400 and more.
    pub(super) failed: bool,
    /// From the instant at which it was due; `None` when no time can be told.
    pub(super) seconds: Option<f64>,
    error: Option<String>,
}

/// What ended in a window.
#[derive(Debug, Default)]
pub(super) struct Window {
    pub(super) candidate: Vec<Answer>,
    pub(super) production: Vec<Answer>,
    pub(super) skipped: u64,
}

/// Sends pairs of requests, one to each side, and changes who comes first with every pair.
pub(super) struct Traffic {
    http: HttpClient,
    bases: [Arc<str>; 2],
    paths: Vec<String>,
    timeout: Duration,
    due: tokio::time::Interval,
    n_pairs: u64,
    room: Arc<Semaphore>,
    /// Each with the side that gave it.
    sender: mpsc::Sender<(usize, Answer)>,
    answers: mpsc::Receiver<(usize, Answer)>,
}

impl Side {
    pub(super) fn new(url: &str) -> Self {
        Self { url: url.to_owned(), requests: 0, errors: 0, first_error: None, latencies: Vec::new() }
    }

    pub(super) fn add(&mut self, answers: &[Answer]) {
        for answer in answers {
            self.requests += 1;
            self.errors += u64::from(answer.failed);
            if self.first_error.is_none() {
                self.first_error.clone_from(&answer.error);
            }
            self.latencies.extend(answer.seconds.map(|seconds| seconds as f32));
        }
    }

    /// Share of requests that failed; `None` without any.
    #[must_use]
    pub fn error_ratio(&self) -> Option<f64> {
        (self.requests > 0).then(|| self.errors as f64 / self.requests as f64)
    }

    /// Percentile of latency, seconds, by nearest rank; `None` without an answer.
    #[must_use]
    pub fn percentile(&self, percent: f64) -> Option<f64> {
        let mut sorted = self.latencies.clone();
        sorted.sort_by(f32::total_cmp);
        let rank = (percent / 100.0 * sorted.len() as f64).ceil() as usize;
        sorted.get(rank.max(1) - 1).map(|seconds| f64::from(*seconds))
    }
}

impl Traffic {
    pub(super) fn new(verify: &Verify, http: HttpClient) -> Self {
        let mut due = tokio::time::interval(Duration::from_secs_f64(1.0 / verify.rate.clamp(0.001, 1_000.0)));
        due.set_missed_tick_behavior(MissedTickBehavior::Burst);
        let (sender, answers) = mpsc::channel(MAX_WAITING);
        Self {
            http,
            bases: [Arc::from(verify.candidate.as_str()), Arc::from(verify.production.as_str())],
            paths: verify.paths.clone(),
            timeout: verify.timeout,
            due,
            n_pairs: 0,
            room: Arc::new(Semaphore::new(MAX_UNDER_WAY)),
            sender,
            answers,
        }
    }

    /// Sends what is due in the next `length`, and returns what ended meanwhile.
    pub(super) async fn window(&mut self, length: Duration, stop: &CancellationToken) -> Window {
        let mut window = Window::default();
        let end = tokio::time::sleep(length);
        tokio::pin!(end);
        loop {
            tokio::select! {
                () = stop.cancelled() => return window,
                () = &mut end => return window,
                due = self.due.tick() => window.skipped += u64::from(!self.send(due)),
                Some((side, answer)) = self.answers.recv() => match side {
                    0 => window.candidate.push(answer),
                    _ => window.production.push(answer),
                },
            }
        }
    }

    /// A request to each side; false when there is no room.
    fn send(&mut self, due: Instant) -> bool {
        let Ok(room) = Arc::clone(&self.room).try_acquire_many_owned(2) else { return false };
        let place = usize::try_from(self.n_pairs).unwrap_or(0) % self.paths.len().max(1);
        let path = self.paths.get(place).cloned().unwrap_or_default();
        let first = usize::from(self.n_pairs % 2 == 1);
        self.n_pairs += 1;
        let room = Arc::new(room);
        for side in [first, 1 - first] {
            let (http, base, sender) = (self.http.clone(), Arc::clone(&self.bases[side]), self.sender.clone());
            let (room, path, timeout) = (Arc::clone(&room), path.clone(), self.timeout);
            tokio::spawn(async move {
                let answer = ask(&http, &format!("{base}{path}"), timeout, due).await;
                // Nobody counts when the comparison is over.
                let _ = sender.send((side, answer)).await;
                drop(room);
            });
        }
        true
    }
}

async fn ask(http: &HttpClient, url: &str, timeout: Duration, due: Instant) -> Answer {
    let answer = http.get(url, timeout).await;
    let seconds = Some(due.elapsed().as_secs_f64());
    match answer {
        Ok(answer) if answer.status.as_u16() < 400 => Answer { failed: false, seconds, error: None },
        Ok(answer) => {
            Answer { failed: true, seconds, error: Some(format!("{url} answered {}", answer.status.as_u16())) }
        }
        // A slow answer is slow at least; a refused connection is no fast answer.
        Err(error @ HttpError::Slow { .. }) => Answer { failed: true, seconds, error: Some(error.to_string()) },
        Err(error) => Answer { failed: true, seconds: None, error: Some(error.to_string()) },
    }
}
