//! A candidate's address compared with the production's: health, the same requests to both, the judge.

mod limit;
mod load_test;
mod show;
mod traffic;

use std::time::Duration;

use serde::Serialize;
use spillway_model::Clock;
use spillway_rollout::judge::{Evidence, Judge, JudgeSettings};
use spillway_rollout::observed::{Block, Counts};
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use crate::http::HttpClient;
use traffic::Traffic;

pub use limit::{Limit, LimitMetric};
pub use load_test::{LoadTestOutcome, load_test};
pub use show::render;
pub use traffic::Side;

/// Upper limits of the latency buckets that the judge compares, seconds.
const BOUNDARIES: [f64; 13] = [0.001, 0.002_5, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0];

/// Length of a window.
const WINDOW: Duration = Duration::from_secs(1);

/// Tries of a health check, and the time between two.
const HEALTH_TRIES: u32 = 3;
const HEALTH_PAUSE: Duration = Duration::from_millis(500);

/// Fewer answered requests say nothing about a limit.
const LEAST_REQUESTS: u64 = 20;

/// What is compared, and how.
#[derive(Debug, Clone, PartialEq)]
pub struct Verify {
    /// Base address of the candidate, without a slash at its end.
    pub candidate: String,
    /// Base address of the production.
    pub production: String,
    /// Path that has to answer 2xx on both.
    pub health_path: String,
    /// Paths that are requested in turn by GET. At least one.
    pub paths: Vec<String>,
    /// Requests per second to each side, above 0.
    pub rate: f64,
    /// Longest comparison. A proof ends it earlier, "no worse" not before a fifth.
    pub duration: Duration,
    /// Longest wait for an answer.
    pub timeout: Duration,
    /// Limits that the candidate has to keep.
    pub limits: Vec<Limit>,
    /// The judge's numbers.
    pub judge: JudgeSettings,
}

/// What a comparison says.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum VerifyVerdict {
    /// Proven worse, or beyond a limit.
    Worse,
    /// Proven no worse than tolerated.
    NotWorse,
    /// Neither.
    NoEvidence,
}

/// How a comparison ended.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Outcome {
    /// What it says.
    pub verdict: VerifyVerdict,
    /// Why, one sentence without a full stop.
    pub reason: String,
    /// The candidate.
    pub candidate: Side,
    /// The production.
    pub production: Side,
    /// How each comparison stands.
    pub evidence: Vec<Evidence>,
    /// Each limit with what was measured.
    pub limits: Vec<Limit>,
    /// How long it took, milliseconds.
    pub duration_ms: u64,
    /// Pairs of requests that were due and not sent, because too many were under way.
    pub skipped: u64,
    /// The load test, if one ran.
    pub load_test: Option<LoadTestOutcome>,
}

impl VerifyVerdict {
    /// 0 no worse, 1 worse, 2 no evidence.
    #[must_use]
    pub fn exit_code(self) -> u8 {
        match self {
            Self::NotWorse => 0,
            Self::Worse => 1,
            Self::NoEvidence => 2,
        }
    }
}

impl Verify {
    /// Compares. `progress` is told the state after each second; `stop` ends it early, with what is known by then.
    pub async fn run(
        &self,
        http: &HttpClient,
        clock: &dyn Clock,
        stop: &CancellationToken,
        mut progress: impl FnMut(&Outcome),
    ) -> Outcome {
        let begun = Instant::now();
        let mut outcome = Outcome {
            verdict: VerifyVerdict::NoEvidence,
            reason: "it began".to_owned(),
            candidate: Side::new(&self.candidate),
            production: Side::new(&self.production),
            evidence: Vec::new(),
            limits: self.limits.clone(),
            duration_ms: 0,
            skipped: 0,
            load_test: None,
        };
        if let Some((verdict, reason)) = self.unhealthy(http, stop).await {
            return Outcome { verdict, reason, duration_ms: elapsed(begun), ..outcome };
        }
        let mut traffic = Traffic::new(self, http.clone());
        let mut judge = Judge::default();
        judge.begin_step(&self.judge);
        loop {
            let window = traffic.window(WINDOW, stop).await;
            let interrupted = stop.is_cancelled();
            let is_over = interrupted || begun.elapsed() >= self.duration;
            outcome.candidate.add(&window.candidate);
            outcome.production.add(&window.production);
            outcome.skipped += window.skipped;
            let block = Block {
                at: clock.now(),
                window_ms: u64::try_from(WINDOW.as_millis()).unwrap_or(u64::MAX),
                boundaries: BOUNDARIES.to_vec(),
                candidate: Some(counts(&window.candidate)),
                live: Some(counts(&window.production)),
            };
            judge.look(&self.judge, &block);
            outcome.evidence = judge.evidence(&self.judge);
            outcome.duration_ms = elapsed(begun);
            for limit in &mut outcome.limits {
                limit.measure(&outcome.candidate);
            }
            if let Some(proven) = judge.rolls_back(&self.judge) {
                let what = super::values::compared(&proven);
                outcome.reason =
                    format!("{} of the candidate are proven worse: {what}", super::values::metric(proven.metric));
                return Outcome { verdict: VerifyVerdict::Worse, ..outcome };
            }
            let passes = judge.passes(&self.judge) && begun.elapsed() * 5 >= self.duration;
            if passes || is_over {
                return self.conclude(outcome, passes, interrupted);
            }
            outcome.reason = format!("{} of {}", super::values::span(outcome.duration_ms), self.length());
            progress(&outcome);
        }
    }

    /// Both have to answer before anything is compared.
    async fn unhealthy(&self, http: &HttpClient, stop: &CancellationToken) -> Option<(VerifyVerdict, String)> {
        let production = self.health(http, &self.production, stop).await;
        if let Err(reason) = production {
            let reason = format!("the production itself is not healthy, so nothing can be compared: {reason}");
            return Some((VerifyVerdict::NoEvidence, reason));
        }
        let candidate = self.health(http, &self.candidate, stop).await;
        candidate.err().map(|reason| (VerifyVerdict::Worse, format!("the candidate is not healthy: {reason}")))
    }

    async fn health(&self, http: &HttpClient, base: &str, stop: &CancellationToken) -> Result<(), String> {
        let url = format!("{base}{}", self.health_path);
        let mut reason = String::new();
        for attempt in 0..HEALTH_TRIES {
            if attempt > 0 {
                tokio::select! {
                    () = stop.cancelled() => break,
                    () = tokio::time::sleep(HEALTH_PAUSE) => {}
                }
            }
            match http.get(&url, self.timeout).await {
                Ok(answer) if answer.status.is_success() => return Ok(()),
                Ok(answer) => reason = format!("{url} answered {}", answer.status.as_u16()),
                Err(error) => reason = error.to_string(),
            }
        }
        Err(reason)
    }

    /// The verdict when nothing proved it worse.
    fn conclude(&self, outcome: Outcome, passes: bool, interrupted: bool) -> Outcome {
        let say = |verdict, reason: String| Outcome { verdict, reason, ..outcome.clone() };
        if outcome.production.requests > 0 && outcome.production.errors * 2 > outcome.production.requests {
            let reason = "the production itself failed in more than half of the requests: choose paths that it answers";
            return say(VerifyVerdict::NoEvidence, reason.to_owned());
        }
        if let Some(broken) = outcome.limits.iter().find(|limit| limit.is_broken()) {
            return say(VerifyVerdict::Worse, format!("the candidate does not keep a limit: {broken}"));
        }
        if interrupted {
            return say(VerifyVerdict::NoEvidence, "it was stopped before there was a verdict".to_owned());
        }
        if let Some(unknown) = outcome.limits.iter().find(|limit| limit.value.is_none()) {
            return say(
                VerifyVerdict::NoEvidence,
                format!("there were too few answers to measure {}", unknown.metric.name()),
            );
        }
        if passes {
            let reason = format!(
                "errors and latency are proven no worse, after {} each",
                spillway_report::text::counted(outcome.candidate.requests, "request")
            );
            return say(VerifyVerdict::NotWorse, reason);
        }
        let reason = format!(
            "{} were too short to tell at this rate: give a longer --duration or a higher --rate",
            self.length()
        );
        say(VerifyVerdict::NoEvidence, reason)
    }

    fn length(&self) -> String {
        super::values::span(u64::try_from(self.duration.as_millis()).unwrap_or(u64::MAX))
    }
}

impl Outcome {
    /// With what a load test of the candidate says: a failed one makes it worse, one that could not run takes the evidence away.
    #[must_use]
    pub fn with_load_test(mut self, load_test: LoadTestOutcome) -> Self {
        match load_test.passed {
            Some(true) => {}
            Some(false) => {
                self.verdict = VerifyVerdict::Worse;
                self.reason.clone_from(&load_test.summary);
            }
            None if self.verdict == VerifyVerdict::NotWorse => {
                self.verdict = VerifyVerdict::NoEvidence;
                self.reason.clone_from(&load_test.summary);
            }
            None => {}
        }
        self.load_test = Some(load_test);
        self
    }
}

fn elapsed(begun: Instant) -> u64 {
    u64::try_from(begun.elapsed().as_millis()).unwrap_or(u64::MAX)
}

fn counts(answers: &[traffic::Answer]) -> Counts {
    let timed = answers.iter().filter_map(|answer| answer.seconds);
    Counts {
        requests: answers.len() as u64,
        errors: answers.iter().filter(|answer| answer.failed).count() as u64,
        timed: timed.clone().count() as u64,
        slower: BOUNDARIES.iter().map(|limit| timed.clone().filter(|seconds| seconds > limit).count() as u64).collect(),
    }
}

#[cfg(test)]
mod tests;
