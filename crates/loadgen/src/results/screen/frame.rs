//! What the screen says. No terminal here.

use std::collections::BTreeMap;
use std::time::Duration;

use crate::engine::{Judged, Tick};
use crate::executor::Progress;
use crate::options::Description;
use crate::results::sparkline::History;
use crate::results::summary::milliseconds;
use crate::results::terminal::{BAD, DIM, GOOD, WARNING, paint, threshold_line};
use crate::results::text::{self, plain};

/// Seconds of history.
const HISTORY: usize = 30;

/// Lines of a kind at most, so that a screen stays a screen.
const MOST_LINES: usize = 8;

/// Columns of a scenario's bar.
const BAR: usize = 20;

/// What was seen so far, and what is to come.
pub(in crate::results) struct Frame {
    duration: Option<Duration>,
    /// Iterations that a scenario will run, where they are known, and when it begins and ends.
    scenarios: BTreeMap<String, Planned>,
    rate: History,
    p50: History,
    p95: History,
    p99: History,
    requests: u64,
    errors: u64,
    dropped: u64,
}

struct Planned {
    iterations: Option<u64>,
    start: Duration,
    end: Option<Duration>,
    max_vus: u64,
}

impl Frame {
    pub(in crate::results) fn new(description: &Description) -> Self {
        let history = || History::new(HISTORY);
        let planned = description.scenarios.iter().map(|scenario| {
            let planned = Planned {
                // An arrival rate knows its number, and its time all the same: time is what people wait for.
                iterations: scenario.iterations.filter(|_| scenario.executor.ends_with("-iterations")),
                start: scenario.start,
                end: scenario.end,
                max_vus: scenario.max_vus,
            };
            (scenario.name.clone(), planned)
        });
        Self {
            duration: description.duration,
            scenarios: planned.collect(),
            rate: history(),
            p50: history(),
            p95: history(),
            p99: history(),
            requests: 0,
            errors: 0,
            dropped: 0,
        }
    }

    pub(in crate::results) fn take(&mut self, tick: &Tick<'_>) {
        let second = tick.second;
        self.rate.push(Some(second.rate()));
        self.p50.push(second.p50_ms);
        self.p95.push(second.p95_ms);
        self.p99.push(second.p99_ms);
        self.requests = self.requests.saturating_add(second.requests);
        self.errors = self.errors.saturating_add(second.errors);
        self.dropped = self.dropped.saturating_add(second.dropped);
    }

    /// The whole screen; each line fits into 80 columns.
    pub(in crate::results) fn lines(&self, tick: &Tick<'_>) -> Vec<String> {
        let second = tick.second;
        let mut lines = vec![self.verdict(tick)];
        let row = |name: &str, value: String, history: &History| {
            format!("  {name:<5}{value:>12}  {}", paint(DIM, &history.bars()))
        };
        lines.push(row("rate", text::rate(second.rate()), &self.rate));
        lines.push(row("p50", text::time_or_none(second.p50_ms), &self.p50));
        lines.push(row("p95", text::time_or_none(second.p95_ms), &self.p95));
        lines.push(row("p99", text::time_or_none(second.p99_ms), &self.p99));
        for (name, progress) in tick.scenarios.iter().take(MOST_LINES) {
            lines.push(self.scenario(tick.elapsed, name, progress));
        }
        if tick.scenarios.len() > MOST_LINES {
            lines.push(format!("  and {} more scenarios", tick.scenarios.len() - MOST_LINES));
        }
        lines.push(self.trouble());
        let failed = tick.scenarios.iter().filter_map(|(name, progress)| Some((name, progress.last_error.as_ref()?)));
        for (name, (error, times)) in failed.take(3) {
            let text = plain(&format!("{name}: {error} ({} times)", text::count(*times)), 74);
            lines.push(format!("  {} {text}", paint(BAD, "✗")));
        }
        // Those that fail come first.
        let mut thresholds: Vec<&Judged> = tick.thresholds.iter().filter(|one| one.value.is_some()).collect();
        thresholds.sort_by_key(|threshold| threshold.passed);
        lines.extend(thresholds.iter().take(MOST_LINES).map(|one| format!("  {}", threshold_line(one, 50))));
        if thresholds.len() > MOST_LINES {
            lines.push(format!("  and {} more thresholds", thresholds.len() - MOST_LINES));
        }
        let cpu = tick.generator_cpu_percent;
        let style = if cpu > crate::generator::MOST_CPU_PERCENT { WARNING } else { DIM };
        lines.push(format!("  {}", paint(style, &format!("generator: {cpu:.0} % of its processors"))));
        lines
    }

    /// One line for a pipe.
    pub(in crate::results) fn line(&self, tick: &Tick<'_>) -> String {
        let second = tick.second;
        let active: u64 = tick.scenarios.values().map(|progress| u64::from(progress.active_vus)).sum();
        let mut line = format!(
            "{:>6}  {:>9}  p50 {:>7}  p95 {:>7}  p99 {:>7}  {} users",
            text::span(milliseconds(tick.elapsed)),
            text::rate(second.rate()),
            text::time_or_none(second.p50_ms),
            text::time_or_none(second.p95_ms),
            text::time_or_none(second.p99_ms),
            text::count(active),
        );
        for (n, what) in [(self.errors, "failed"), (self.dropped, "dropped")] {
            if n > 0 {
                line = format!("{line}, {} {what}", text::count(n));
            }
        }
        match failing(tick.thresholds).as_slice() {
            [] => {}
            [one] => line = format!("{line}, ✗ {}", plain(&format!("{} {}", one.selector, one.expression), 40)),
            more => line = format!("{line}, ✗ {} thresholds", more.len()),
        }
        line
    }

    fn verdict(&self, tick: &Tick<'_>) -> String {
        let elapsed = text::span(milliseconds(tick.elapsed));
        let time = match self.duration {
            Some(duration) => format!("{elapsed} of {}", text::span(milliseconds(duration))),
            None => elapsed,
        };
        let judged = tick.thresholds.iter().filter(|threshold| threshold.value.is_some()).count();
        let (style, state) = match (failing(tick.thresholds).len(), judged) {
            (0, 0) => (GOOD, "running".to_owned()),
            (0, judged) => (GOOD, format!("running: {} so far", holding(judged))),
            (failing, judged) => (BAD, format!("running: {failing} of {judged} thresholds do not hold")),
        };
        format!("{}  {time}", paint(style, &state))
    }

    fn scenario(&self, elapsed: Duration, name: &str, progress: &Progress) -> String {
        let planned = self.scenarios.get(name);
        let share = planned.and_then(|planned| match (planned.iterations, planned.end) {
            _ if progress.ended => Some(1.0),
            (Some(iterations @ 1..), _) => Some(progress.completed as f64 / iterations as f64),
            (_, Some(end)) => {
                let length = end.saturating_sub(planned.start).as_secs_f64();
                (length > 0.0).then(|| elapsed.saturating_sub(planned.start).as_secs_f64() / length)
            }
            _ => None,
        });
        let share = share.unwrap_or(0.0).clamp(0.0, 1.0);
        let filled = (share * BAR as f64).round() as usize;
        let bar = format!("{}{}", "█".repeat(filled), "░".repeat(BAR - filled));
        let state = match () {
            () if progress.ended => "done".to_owned(),
            () if !progress.running => "waiting".to_owned(),
            () => format!(
                "{}/{} users",
                text::count(progress.active_vus.into()),
                text::count(planned.map_or(u64::from(progress.allocated_vus), |planned| planned.max_vus))
            ),
        };
        let name = plain(name, 16);
        format!("  {name:<16} {bar} {:>3.0} %  {state:<15} {:>9} done", share * 100.0, text::count(progress.completed))
    }

    fn trouble(&self) -> String {
        let share = if self.requests > 0 { self.errors as f64 / self.requests as f64 } else { 0.0 };
        let said = |n: u64, text: String| if n > 0 { paint(WARNING, &text) } else { paint(DIM, &text) };
        let errors = said(self.errors, format!("{} failed ({})", text::count(self.errors), text::percent(share)));
        let dropped = said(self.dropped, format!("{} iterations dropped", text::count(self.dropped)));
        format!("  {} requests, {errors}, {dropped}", text::count(self.requests))
    }
}

/// Those that were judged and do not hold; without samples nothing has failed yet.
fn failing(thresholds: &[Judged]) -> Vec<&Judged> {
    thresholds.iter().filter(|threshold| !threshold.passed && threshold.value.is_some()).collect()
}

fn holding(judged: usize) -> String {
    if judged == 1 { "the threshold holds".to_owned() } else { format!("all {judged} thresholds hold") }
}
