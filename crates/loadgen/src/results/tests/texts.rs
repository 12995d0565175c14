//! What a terminal shows.

use std::collections::BTreeMap;
use std::time::Duration;

use super::sample::{health, judged, meta, run};
use crate::engine::Tick;
use crate::executor::Progress;
use crate::metrics::Second;
use crate::results::screen::Frame;
use crate::results::{RunSummary, Verdict, compare, terminal, terminal_comparison};

fn plain(text: &str) -> String {
    let text = anstream::adapter::strip_str(text).to_string();
    for line in text.lines() {
        assert!(line.chars().count() <= 80, "{} columns: {line}", line.chars().count());
    }
    text
}

#[test]
fn the_summary_answers_first_and_fits_80_columns() {
    insta::assert_snapshot!(plain(&terminal(&run(1, 120, 1.0))));
}

#[test]
fn a_comparison_says_what_changed_by_how_much() {
    insta::assert_snapshot!(plain(&terminal_comparison(&compare(&run(1, 120, 1.0), &run(2, 120, 1.4)))));
}

#[test]
fn the_first_line_is_the_verdict_and_the_exit_code_agrees() {
    let passed = RunSummary { thresholds: vec![judged("http_reqs", "count>5", Some(12.0), true)], ..run(1, 5, 1.0) };
    let failed = RunSummary { thresholds: vec![judged("http_reqs", "count>50", Some(12.0), false)], ..passed.clone() };
    let mut invalid = failed.clone();
    invalid.generator.invalid = Some("the generator used 98 % of its 2 core(s)".to_owned());
    let interrupted = RunSummary { interrupted: true, ..invalid.clone() };
    let unjudged = RunSummary { thresholds: Vec::new(), ..passed.clone() };
    let mut unsound = passed.clone();
    unsound.generator = invalid.generator.clone();
    for (summary, verdict, code, first) in [
        (&passed, Verdict::Passed, 0, "✓ passed: the threshold held"),
        (&unjudged, Verdict::Passed, 0, "✓ passed: ran to its end; there are no thresholds"),
        (&failed, Verdict::Failed, 99, "✗ failed: the threshold did not hold: http_reqs count>50 (12)"),
        (&invalid, Verdict::Invalid, 3, "! invalid: the generator used 98 % of its 2 core(s)"),
        (&unsound, Verdict::Invalid, 3, "! invalid: the generator used 98 % of its 2 core(s)"),
        (&interrupted, Verdict::Interrupted, 105, "! interrupted: stopped from outside after 5s of 2m"),
    ] {
        assert_eq!((summary.verdict(), summary.exit_code()), (verdict, code));
        assert_eq!(plain(&terminal(summary)).lines().next(), Some(first));
    }
}

#[test]
fn names_of_others_cannot_command_the_terminal_or_break_its_lines() {
    let mut summary = run(1, 5, 1.0);
    summary.meta.name = "\u{1b}[2J\u{1b}]0;x\u{7}evil\nname".repeat(20);
    summary.thresholds[0].selector = format!("http_req_duration{{name:\u{1b}[31m{}}}", "x".repeat(200));
    summary.generator.invalid = Some(format!("{} \u{1b}[1m", "long".repeat(60)));
    if let Some(progress) = summary.scenarios.get_mut("intake") {
        progress.last_error = Some(("\u{1b}[2Jno\r\n".repeat(40), 3));
    }
    let text = terminal(&summary);
    let escapes = text.matches('\u{1b}').count();
    assert_eq!(escapes, anstyle_sequences(&text), "only colours");
    plain(&text);
}

/// Sequences that end with `m`, as colours do.
fn anstyle_sequences(text: &str) -> usize {
    text.split('\u{1b}')
        .skip(1)
        .filter(|rest| {
            let end = rest.find(|c: char| c.is_ascii_alphabetic());
            rest.starts_with('[') && end.is_some_and(|end| rest[end..].starts_with('m'))
        })
        .count()
}

#[test]
fn the_options_choose_statistics_and_unit() {
    let mut summary = run(1, 5, 1.0);
    summary.meta.trend_stats = ["med", "p(99.9)"].map(str::to_owned).to_vec();
    summary.meta.time_unit = Some("us".to_owned());
    let text = plain(&terminal(&summary));
    let line = text.lines().find(|line| line.starts_with("latency")).unwrap_or_default();
    assert_eq!(line.split_whitespace().collect::<Vec<_>>(), ["latency", "med", "p(99.9)"]);
    assert!(
        text.lines().any(|line| line.starts_with("  response") && line.contains("µs") && !line.contains("ms")),
        "{text}"
    );
}

fn shown(passed: bool, dropped: u64) -> (Vec<String>, String) {
    let meta = meta("baseline");
    let mut frame = Frame::new(&meta.description);
    let thresholds =
        vec![judged("http_req_duration", "p(95)<250", Some(31.0), passed), judged("checks", "rate==1", None, false)];
    let scenarios = BTreeMap::from([(
        "intake".to_owned(),
        Progress {
            active_vus: 12,
            allocated_vus: 20,
            started: 3_010,
            completed: 3_000,
            running: true,
            ..Progress::default()
        },
    )]);
    let mut texts = (Vec::new(), String::new());
    for n in 1..=30_u32 {
        let second = Second {
            at_ms: f64::from(n - 1) * 1e3,
            duration_ms: 1e3,
            requests: 100 + u64::from(n),
            errors: u64::from(n == 20) * 3,
            dropped: if n == 25 { dropped } else { 0 },
            vus: 12,
            p50_ms: Some(9.0 + f64::from(n % 5)),
            p95_ms: Some(30.0 + f64::from(n % 7)),
            p99_ms: (n != 29).then_some(44.0),
            ..Second::default()
        };
        let tick = Tick {
            elapsed: Duration::from_secs(n.into()),
            second: &second,
            scenarios: &scenarios,
            thresholds: &thresholds,
            generator_cpu_percent: health().cpu_percent,
        };
        frame.take(&tick);
        texts = (frame.lines(&tick), frame.line(&tick));
    }
    texts
}

#[test]
fn the_screen_says_how_it_stands() {
    let (lines, line) = shown(true, 0);
    insta::assert_snapshot!(plain(&format!("{}\n\n{line}", lines.join("\n"))));
    let (lines, line) = shown(false, 12);
    let lines = plain(&lines.join("\n"));
    assert!(lines.starts_with("running: 1 of 1 thresholds do not hold"), "{lines}");
    assert!(lines.contains("12 iterations dropped") && lines.contains("✗ http_req_duration p(95)<250"), "{lines}");
    assert!(line.contains("12 dropped") && line.contains("✗ http_req_duration p(95)<250"), "{line}");
}
