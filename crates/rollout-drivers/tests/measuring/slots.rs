//! Metrics straight from the slots.

use std::sync::Arc;
use std::time::{Duration, Instant};

use spillway_rollout::observed::{Block, Counts};
use spillway_rollout::plan::Plan;
use spillway_rollout::ports::{Measured, Meter};
use spillway_rollout::spec::Series;
use spillway_rollout::state::{Phase, State};
use spillway_rollout_drivers::http::HttpClient;
use spillway_rollout_drivers::meter::{HostEndpoints, HttpMeter};
use spillway_testkit::free_port;

use crate::plan::{plan, progressing, secrets};
use crate::process::Process;

/// Blue with one process, green with one.
struct Pair {
    blue: Process,
    green: Process,
    plan: Plan,
    state: State,
    meter: HttpMeter,
    now: i64,
}

pub(crate) fn meter() -> HttpMeter {
    HttpMeter::new(HttpClient::new(), Arc::new(HostEndpoints), secrets(&[]))
}

impl Pair {
    async fn start() -> Self {
        let (blue, green) = (Process::start().await, Process::start().await);
        let plan = plan(std::slice::from_ref(&blue.address), std::slice::from_ref(&green.address));
        Self { blue, green, plan, state: progressing(), meter: meter(), now: 0 }
    }

    async fn look(&mut self) -> Measured {
        self.now += 15_000;
        self.meter.sample(&self.plan, &self.state, self.now).await
    }

    /// A look that has to give one window without trouble.
    async fn block(&mut self) -> Block {
        let measured = self.look().await;
        assert_eq!(measured.troubles, Vec::<String>::new());
        let [block] = measured.blocks.try_into().expect("one window");
        block
    }
}

fn counts(requests: u64, errors: u64, slower: [u64; 2]) -> Option<Counts> {
    Some(Counts { requests, errors, timed: requests, slower: slower.to_vec() })
}

#[tokio::test]
async fn both_slots_are_counted_over_the_same_window() {
    let mut pair = Pair::start().await;
    pair.blue.set(|shown| shown.fast = 1_000);
    pair.green.set(|shown| shown.fast = 10);
    assert_eq!(pair.look().await.blocks, [], "the first look is the base");
    pair.blue.set(|shown| (shown.fast, shown.slow) = (1_090, 8));
    pair.green.set(|shown| (shown.fast, shown.slow, shown.fast_errors) = (17, 1, 2));
    let block = pair.block().await;
    assert_eq!((block.at, block.window_ms), (30_000, 15_000));
    assert_eq!(block.boundaries, [0.1, 1.0]);
    assert_eq!(block.live, counts(98, 0, [8, 0]));
    assert_eq!(block.candidate, counts(10, 2, [1, 0]));
    let quiet = pair.block().await;
    assert_eq!((quiet.live, quiet.candidate), (counts(0, 0, [0, 0]), counts(0, 0, [0, 0])));
}

#[tokio::test]
async fn a_process_that_restarted_counts_from_zero() {
    let mut pair = Pair::start().await;
    pair.blue.set(|shown| shown.fast = 1_000);
    pair.green.set(|shown| shown.fast = 20);
    pair.look().await;
    // More than before already: only the start tells.
    pair.green.set(|shown| (shown.fast, shown.started) = (30, 1_010.0));
    pair.blue.set(|shown| shown.fast = 5);
    let block = pair.block().await;
    assert_eq!(block.candidate, counts(30, 0, [0, 0]));
    assert_eq!(block.live, counts(5, 0, [0, 0]));
}

#[tokio::test]
async fn after_a_restart_of_the_controller_the_first_look_is_a_base() {
    let mut pair = Pair::start().await;
    pair.green.set(|shown| shown.fast = 100);
    pair.blue.set(|shown| shown.fast = 100);
    pair.look().await;
    pair.green.set(|shown| shown.fast = 110);
    pair.state.last_block = Some(pair.block().await.at);
    pair.green.set(|shown| shown.fast = 120);
    pair.meter = meter();
    assert_eq!(pair.look().await.blocks, []);
    pair.green.set(|shown| shown.fast = 121);
    assert_eq!(pair.block().await.candidate, counts(1, 0, [0, 0]));
}

#[tokio::test]
async fn what_was_judged_already_is_never_counted_again() {
    let mut pair = Pair::start().await;
    pair.blue.set(|shown| shown.fast = 1);
    pair.green.set(|shown| shown.fast = 1);
    pair.look().await;
    // Another controller judged a part of this window meanwhile.
    pair.state.last_block = Some(pair.now + 5_000);
    pair.green.set(|shown| shown.fast = 50);
    assert_eq!(pair.look().await.blocks, []);
    pair.state.last_block = Some(pair.now);
    pair.green.set(|shown| shown.fast = 52);
    assert_eq!(pair.block().await.candidate, counts(2, 0, [0, 0]));
    // The clock was set back.
    pair.now -= 60_000;
    assert_eq!(pair.look().await.blocks, []);
}

#[tokio::test]
async fn trouble_of_one_slot_leaves_its_counts_out_and_says_why() {
    let mut pair = Pair::start().await;
    pair.blue.set(|shown| shown.fast = 1);
    pair.green.set(|shown| shown.fast = 1);
    pair.look().await;
    let html = "<html>\n<body>hello</body></html>".to_owned();
    let troubles = [
        ((200, html), "line 1 is no metric in the text form of Prometheus or OpenMetrics: `<html>`"),
        ((503, String::new()), "answered 503 Service Unavailable"),
        ((200, "ok 1\nbroken{a=\"b\" 1\n".to_owned()), "line 2 is no metric"),
        ((200, "ok 1\n".to_owned()), "there is no metric http_server_request_duration_seconds_count"),
        ((200, "x".repeat(17 << 20)), "answered with more than 16 MiB"),
    ];
    for (answer, trouble) in troubles {
        pair.blue.set(|shown| shown.fast += 7);
        pair.green.set(|shown| shown.text = Some(answer));
        let measured = pair.look().await;
        let [said] = measured.troubles.as_slice() else { panic!("{trouble}: {:?}", measured.troubles) };
        assert!(said.starts_with("the candidate (green) cannot be measured: ") && said.contains(trouble), "{said}");
        assert_eq!(measured.blocks[0].candidate, None, "{trouble}");
        assert_eq!(measured.blocks[0].live, counts(7, 0, [0, 0]), "{trouble}");
    }
    // It is back: its first look is a base again, so nothing that happened meanwhile is put into one window.
    pair.green.set(|shown| (shown.text, shown.fast) = (None, 900));
    assert_eq!(pair.block().await.candidate, None);
    pair.green.set(|shown| shown.fast = 903);
    assert_eq!(pair.block().await.candidate, counts(3, 0, [0, 0]));
}

#[tokio::test]
async fn a_slot_that_hangs_or_is_gone_costs_less_than_an_interval() {
    let mut pair = Pair::start().await;
    pair.blue.set(|shown| shown.fast = 1);
    pair.plan.analysis.interval = Duration::from_millis(900);
    pair.green.set(|shown| shown.hangs = true);
    let begun = Instant::now();
    let measured = pair.look().await;
    assert!(begun.elapsed() < Duration::from_millis(900), "{:?}", begun.elapsed());
    assert!(measured.troubles[0].contains("did not answer within 600 ms"), "{:?}", measured.troubles);

    let gone = format!("127.0.0.1:{}", free_port());
    pair.plan = plan(std::slice::from_ref(&pair.blue.address), &[gone]);
    let measured = pair.look().await;
    assert!(measured.troubles[0].contains("is not reachable"), "{:?}", measured.troubles);
}

#[tokio::test]
async fn nobody_is_told_of_a_candidate_that_starts_or_is_not_there() {
    let mut pair = Pair::start().await;
    pair.blue.set(|shown| shown.fast = 1);
    pair.green.set(|shown| shown.text = Some((503, String::new())));
    pair.state.phase = Phase::Preparing;
    pair.state.rollout.as_mut().unwrap().ready_at = None;
    assert_eq!(pair.look().await.troubles, Vec::<String>::new());
    pair.state.phase = Phase::Succeeded;
    let block = pair.block().await;
    assert_eq!((block.candidate, block.live), (None, counts(0, 0, [0, 0])));
}

#[tokio::test]
async fn a_counter_of_errors_that_nobody_exposes_is_no_evidence_of_health() {
    let mut pair = Pair::start().await;
    pair.blue.set(|shown| shown.fast = 1);
    pair.green.set(|shown| shown.fast = 1);
    pair.plan.analysis.errors = Series { metric: "platform_errors_total".to_owned(), ..Series::default() };
    pair.look().await;
    let measured = pair.look().await;
    assert_eq!((&measured.blocks[0].candidate, &measured.blocks[0].live), (&None, &None));
    assert!(measured.troubles.iter().all(|trouble| trouble.contains("there is no metric platform_errors_total")));
    assert_eq!(measured.troubles.len(), 2);
}

#[tokio::test]
async fn all_processes_of_a_slot_add_up_and_one_that_is_missing_leaves_the_window_open() {
    let (blue, one, two) = (Process::start().await, Process::start().await, Process::start().await);
    let plan = plan(std::slice::from_ref(&blue.address), &[one.address.clone(), two.address.clone()]);
    let (state, mut meter) = (progressing(), meter());
    for process in [&blue, &one, &two] {
        process.set(|shown| shown.fast = 1);
    }
    meter.sample(&plan, &state, 1).await;
    one.set(|shown| shown.fast = 5);
    two.set(|shown| (shown.fast, shown.fast_errors) = (3, 1));
    let measured = meter.sample(&plan, &state, 2).await;
    assert_eq!(measured.blocks[0].candidate, counts(7, 1, [0, 0]));
    two.set(|shown| shown.text = Some((500, String::new())));
    let measured = meter.sample(&plan, &state, 3).await;
    assert_eq!(measured.blocks[0].candidate, None, "half of the candidate may be the bad half");
    assert_eq!(measured.troubles.len(), 1);
}
