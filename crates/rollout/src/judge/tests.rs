mod behaviour;
mod outlook;
mod robustness;
mod simulation;
mod validity;

use super::*;
use crate::observed::Counts;

const BOUNDARIES: [f64; 6] = [0.01, 0.025, 0.05, 0.1, 0.25, 1.0];

fn settings(metrics: &[CompareMetric]) -> JudgeSettings {
    JudgeSettings { metrics: metrics.to_vec(), ..JudgeSettings::default() }
}

fn errors_only() -> JudgeSettings {
    settings(&[CompareMetric::Errors])
}

fn counts(requests: u64, errors: u64) -> Counts {
    Counts { requests, errors, ..Counts::default() }
}

fn timed(timed: u64, slower: &[u64]) -> Counts {
    Counts { requests: timed, timed, slower: slower.to_vec(), ..Counts::default() }
}

fn window(candidate: Option<Counts>, live: Option<Counts>) -> Block {
    Block { at: 0, window_ms: 15_000, boundaries: BOUNDARIES.to_vec(), candidate, live }
}

fn errors(candidate: (u64, u64), live: (u64, u64)) -> Block {
    window(Some(counts(candidate.0, candidate.1)), Some(counts(live.0, live.1)))
}

/// A judge that knows an hour of a live version with 50 requests/s and evenly spread errors, and has begun a step.
fn begun(settings: &JudgeSettings, errors_per_1000: u64) -> Judge {
    let mut judge = Judge::default();
    for window_number in 0..240 {
        let errors_until = |window_number: u64| window_number * 750 * errors_per_1000 / 1_000;
        let errors = errors_until(window_number + 1) - errors_until(window_number);
        let slower = [600, 300, 100, 30, 4, 0].map(|slow| slow + window_number % 3);
        judge.learn(settings, &window(None, Some(Counts { errors, ..timed(750, &slower) })));
    }
    judge.begin_step(settings);
    judge
}

/// How many windows until the judge rolls back, at most `most`.
fn windows_until_roll_back(judge: &mut Judge, settings: &JudgeSettings, block: &Block, most: usize) -> Option<usize> {
    (1..=most).find(|_| {
        judge.look(settings, block);
        judge.rolls_back(settings).is_some()
    })
}
