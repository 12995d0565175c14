//! The rollout's judge: how often it is wrong, and how soon it is right.

mod simulation;

use spillway_rollout::judge::JudgeSettings;
use spillway_rollout::judge::synthetic::Version;
use spillway_rollout::spec::CompareMetric;
use spillway_telemetry::LatencyHistogram;

use super::BenchArgs;
use super::table::{Bar, Figure, Table};
use simulation::{LOOKS, Outcome, Scenario, Until};

const RUNS: u32 = 2_000;
const RUNS_QUICK: u32 = 200;
const HOUR_MINUTES: f64 = 60.0;
/// Strikes of the plain threshold that roll back.
const STRIKES: usize = 5;
/// Share of identical versions that may be rolled back within an hour, percent: α.
const FALSE_ROLLBACKS: f64 = 1.0;
/// Delay of a rollback, against the table of delays.
const SLOWER: f64 = 1.25;

/// Latency of the synthetic versions: lognormal.
const LATENCY_MEDIAN: f64 = 0.02;
const LATENCY_SIGMA: f64 = 0.75;

/// Bad candidates at 50 requests/s with a weight of 10 %, and the median minutes until one is rolled back.
const DELAYS: [(&str, f64, f64, f64, f64); 5] = [
    ("errors 0.1 % → 0.3 %", 0.001, 3.0, 1.0, 15.5),
    ("errors 0.1 % → 1 %", 0.001, 10.0, 1.0, 1.8),
    ("errors 0.5 % → 1.5 %", 0.005, 3.0, 1.0, 3.2),
    ("errors 0.5 % → 5 %", 0.005, 10.0, 1.0, 0.5),
    ("latency +25 %", 0.001, 1.0, 1.25, 1.3),
];

pub(crate) fn run(arguments: &BenchArgs, seed: u64, runs: Option<u32>) -> Table {
    let runs = runs.unwrap_or(if arguments.quick { RUNS_QUICK } else { RUNS });
    let mut bench = Bench {
        table: Table::new(format!(
            "the judge: {runs} simulated rollouts behind each figure, seed {seed}; windows of 15 s, weight 10 %, an hour of history, \
             lognormal latency (σ {LATENCY_SIGMA}) in the gateway's histogram; shares with their 95 % interval"
        )),
        runs,
        seed,
        stream: 0,
    };
    bench.identical_versions();
    bench.bad_candidates();
    bench.just_too_bad();
    bench.table
}

struct Bench {
    table: Table,
    runs: u32,
    seed: u64,
    stream: u64,
}

impl Bench {
    fn outcomes(&mut self, scenario: &Scenario, until: Until) -> Vec<Outcome> {
        self.stream += 1;
        scenario.outcomes(self.runs, self.seed, self.stream, until)
    }

    fn identical_versions(&mut self) {
        for rate in [5, 50, 500] {
            for error_ratio in [0.001, 0.005] {
                for burst in [1, 5] {
                    let bursts = if burst > 1 { format!(", bursts of {burst}") } else { String::new() };
                    let what = format!("{rate}/s, errors {} %{bursts}", error_ratio * 100.0);
                    self.identical(&what, &scenario(rate, Version { burst, ..version(error_ratio) }));
                }
            }
        }
        let mut steps = scenario(50, version(0.005));
        steps.weights = vec![0.1, 0.25, 0.5];
        steps.settings.n_steps = 3;
        self.identical("50/s, errors 0.5 %, steps 10, 25 and 50 %", &steps);
        let mut without_history = scenario(50, Version { burst: 5, ..version(0.005) });
        without_history.history = 0;
        let what = "50/s, errors 0.5 %, bursts of 5, no history: false rollbacks, judge".to_owned();
        let outcomes = self.outcomes(&without_history, Until::RolledBack);
        let judged = outcomes.iter().filter(|outcome| outcome.rolled_back.is_some()).count();
        self.table.push(percent(what, judged, outcomes.len()));
    }

    /// The same version in both slots for an hour.
    fn identical(&mut self, what: &str, scenario: &Scenario) {
        let outcomes = self.outcomes(scenario, Until::End);
        let count = |is: fn(&Outcome) -> bool| outcomes.iter().filter(|&outcome| is(outcome)).count();
        let plain = count(|outcome| outcome.strikes >= STRIKES);
        let judged = count(|outcome| outcome.rolled_back.is_some());
        self.table.push(percent(format!("{what}: false rollbacks, five minutes over 1 %"), plain, outcomes.len()));
        let judged = percent(format!("{what}: false rollbacks, judge"), judged, outcomes.len());
        self.table.push(judged.bar(Bar::AtMost(FALSE_ROLLBACKS)));
        let passed = outcomes.iter().map(|outcome| outcome.passed.unwrap_or(HOUR_MINUTES)).collect();
        self.table.push(Figure::new(format!("{what}: passes (60: not in the hour)"), "min", passed));
    }

    fn bad_candidates(&mut self) {
        for (what, error_ratio, worse, slower, minutes) in DELAYS {
            let mut scenario = scenario(50, version(error_ratio));
            scenario.candidate.error_ratio *= worse;
            scenario.candidate.latency_median *= slower;
            let reference = Figure::new(format!("{what}: rolled back, table"), "min", vec![minutes]);
            let found = self.delays(format!("{what}: rolled back, judge"), &scenario);
            let found = found.against(&reference).bar(Bar::RatioAtMost(SLOWER));
            scenario.settings.n_steps = 3;
            let shared = self.delays(format!("{what}: rolled back, judge, first of 3 steps"), &scenario);
            let shared = shared.against(&reference);
            self.table.figures.extend([reference, found, shared]);
        }
    }

    /// Minutes until a rollback; an hour when there was none.
    fn delays(&mut self, what: String, scenario: &Scenario) -> Figure {
        let outcomes = self.outcomes(scenario, Until::RolledBack);
        let delays = outcomes.iter().map(|outcome| outcome.rolled_back.unwrap_or(HOUR_MINUTES)).collect();
        Figure::new(what, "min", delays)
    }

    /// Candidates at the edge of what is not tolerated, judged by the one metric in which they are.
    fn just_too_bad(&mut self) {
        for (rate, burst) in [(50, 1), (50, 5), (500, 1), (500, 5)] {
            let mut scenario = scenario(rate, Version { burst, ..version(0.001) });
            scenario.settings.metrics = vec![CompareMetric::Errors];
            scenario.candidate.error_ratio = tolerated(&scenario.settings, scenario.live.error_ratio);
            let bursts = if burst > 1 { format!(", bursts of {burst}") } else { String::new() };
            let what = format!("{rate}/s, errors 0.1 % → {:.2} %{bursts}", scenario.candidate.error_ratio * 100.0);
            self.false_passes(&what, &scenario);
        }
        let mut scenario = scenario(500, version(0.001));
        scenario.settings.metrics = vec![CompareMetric::Latency];
        scenario.candidate.latency_median *= just_too_slow(&scenario);
        let slower = (scenario.candidate.latency_median / scenario.live.latency_median - 1.0) * 100.0;
        self.false_passes(&format!("500/s, latency +{slower:.1} %"), &scenario);
    }

    fn false_passes(&mut self, what: &str, scenario: &Scenario) {
        let outcomes = self.outcomes(scenario, Until::Passed);
        let passed = outcomes.iter().filter(|outcome| outcome.passed.is_some()).count();
        let figure = percent(format!("{what}: false passes"), passed, outcomes.len());
        self.table.push(figure.bar(Bar::AtMost(scenario.settings.beta * 100.0)));
    }
}

fn version(error_ratio: f64) -> Version {
    Version { error_ratio, burst: 1, latency_median: LATENCY_MEDIAN, latency_sigma: LATENCY_SIGMA }
}

/// The same version in both slots, both metrics compared, a tenth of the traffic.
fn scenario(rate: u64, version: Version) -> Scenario {
    Scenario {
        rate,
        candidate: version,
        live: version,
        weights: vec![0.1],
        settings: JudgeSettings::default(),
        boundaries: LatencyHistogram::BOUNDS.to_vec(),
        history: LOOKS,
    }
}

/// The least ratio of bad requests that is too bad.
fn tolerated(settings: &JudgeSettings, live: f64) -> f64 {
    settings.tolerated_ratio * live + settings.tolerated_difference
}

/// The least slowdown that is too slow at one boundary.
fn just_too_slow(scenario: &Scenario) -> f64 {
    let is_too_slow = |slowdown: f64| {
        let slower = Version { latency_median: scenario.live.latency_median * slowdown, ..scenario.live };
        scenario.boundaries.iter().any(|&boundary| {
            slower.slower_than(boundary) >= tolerated(&scenario.settings, scenario.live.slower_than(boundary))
        })
    };
    let (mut low, mut high) = (1.0, 10.0);
    for _ in 0..50 {
        let middle = f64::midpoint(low, high);
        if is_too_slow(middle) { high = middle } else { low = middle }
    }
    high
}

/// A share with its 95 % interval (Wilson).
fn percent(what: String, count: usize, of: usize) -> Figure {
    let (count, of) = (count as f64, of as f64);
    let share = count / of;
    let z = 1.96_f64;
    let middle = (share + z * z / (2.0 * of)) / (1.0 + z * z / of);
    let width = z / (1.0 + z * z / of) * (share * (1.0 - share) / of + z * z / (4.0 * of * of)).sqrt();
    let mut figure = Figure::new(what, "%", vec![share * 100.0]);
    (figure.min, figure.max) = ((middle - width).max(0.0) * 100.0, (middle + width).min(1.0) * 100.0);
    figure
}
