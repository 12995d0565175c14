//! Simulated rollouts, each judged as the controller judges.

use std::num::NonZero;
use std::thread;

use spillway_rollout::judge::synthetic::{Sampler, Traffic, Version, Windows};
use spillway_rollout::judge::{Judge, JudgeSettings};
use spillway_rollout::observed::Block;

const WINDOW_SECONDS: u64 = 15;
/// Looks in an hour.
pub(super) const LOOKS: usize = 240;
const WINDOWS_IN_A_MINUTE: usize = (60 / WINDOW_SECONDS) as usize;
/// The plain threshold: a minute with more errors than this is a strike.
const THRESHOLD: f64 = 0.01;

/// A rollout of one hour, after a history in which the live version was alone.
#[derive(Debug, Clone)]
pub(super) struct Scenario {
    /// Requests per second, of both versions.
    pub(super) rate: u64,
    pub(super) candidate: Version,
    pub(super) live: Version,
    /// The candidate's share at each step; the steps share the hour.
    pub(super) weights: Vec<f64>,
    pub(super) settings: JudgeSettings,
    pub(super) boundaries: Vec<f64>,
    /// Windows of history.
    pub(super) history: usize,
}

/// What became of it.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Outcome {
    /// Minutes until the judge said roll back.
    pub(super) rolled_back: Option<f64>,
    /// Minutes until it said that the candidate passes, in any step.
    pub(super) passed: Option<f64>,
    /// Minutes in which the candidate was beyond the plain threshold.
    pub(super) strikes: usize,
}

/// Which verdict ends a rollout; the rest of the hour is simulated otherwise.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) enum Until {
    RolledBack,
    Passed,
    End,
}

impl Scenario {
    /// `n` rollouts on all processors. The outcomes depend on seed and `stream` only.
    pub(super) fn outcomes(&self, n: u32, seed: u64, stream: u64, until: Until) -> Vec<Outcome> {
        let processors = thread::available_parallelism().map_or(1, NonZero::get);
        let run = |run: u32| self.outcome(Sampler::new(seed, stream << 32 | u64::from(run)), until);
        thread::scope(|scope| {
            let share = |first: usize| (first as u32..n).step_by(processors).map(run).collect::<Vec<_>>();
            let threads: Vec<_> = (0..processors).map(|first| scope.spawn(move || share(first))).collect();
            threads.into_iter().flat_map(|thread| thread.join().expect("a simulation never panics")).collect()
        })
    }

    fn outcome(&self, sampler: Sampler, until: Until) -> Outcome {
        let traffic = Traffic {
            requests: self.rate * WINDOW_SECONDS,
            window_ms: WINDOW_SECONDS * 1_000,
            boundaries: self.boundaries.clone(),
        };
        let mut windows = Windows::new(sampler, traffic, self.candidate, self.live);
        let mut judge = Judge::default();
        for _ in 0..self.history {
            judge.learn(&self.settings, &windows.next(0.0));
        }
        let mut outcome = Outcome::default();
        let mut minute = Minute::default();
        for look in 0..LOOKS {
            let step = look * self.weights.len() / LOOKS;
            if (step * LOOKS).div_ceil(self.weights.len()) == look {
                judge.begin_step(&self.settings);
            }
            let block = windows.next(self.weights[step]);
            judge.look(&self.settings, &block);
            outcome.strikes += usize::from(minute.is_strike(&block));
            let now = (look + 1) as f64 / WINDOWS_IN_A_MINUTE as f64;
            if outcome.rolled_back.is_none() && until != Until::Passed && judge.rolls_back(&self.settings).is_some() {
                outcome.rolled_back = Some(now);
            }
            if outcome.passed.is_none() && until != Until::RolledBack && judge.passes(&self.settings) {
                outcome.passed = Some(now);
            }
            match until {
                Until::RolledBack if outcome.rolled_back.is_some() => break,
                Until::Passed if outcome.passed.is_some() => break,
                _ => {}
            }
        }
        outcome
    }
}

/// What the candidate did since the last whole minute.
#[derive(Default)]
struct Minute {
    windows: usize,
    requests: u64,
    errors: u64,
}

impl Minute {
    /// Whether this window ends a minute beyond the threshold.
    fn is_strike(&mut self, block: &Block) -> bool {
        if let Some(counts) = &block.candidate {
            self.requests += counts.requests;
            self.errors += counts.errors;
        }
        self.windows += 1;
        if self.windows < WINDOWS_IN_A_MINUTE {
            return false;
        }
        let is_strike = self.errors as f64 > self.requests as f64 * THRESHOLD;
        *self = Self::default();
        is_strike
    }
}
