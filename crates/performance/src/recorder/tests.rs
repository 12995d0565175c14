use proptest::prelude::*;

use super::*;

/// One second of a process that received `n` requests, each acknowledged in 10 ms.
fn second(recorder: &mut Recorder, at_s: i64, n: u64) {
    recorder.observe(at_s);
    recorder.count(CounterMetric::IntakeReceived, at_s, n);
    recorder.gauge(GaugeMetric::Memory, at_s, Some(n as f64));
    let mut durations = Histogram::default();
    durations.counts[8] = n;
    recorder.latency(LatencyMetric::Acknowledgement, at_s, &durations);
}

#[test]
fn rates_are_per_observed_second() {
    let mut recorder = Recorder::default();
    assert_eq!(recorder.rate(CounterMetric::IntakeReceived, 0, 100), None, "nothing was observed");
    for at_s in 1_000..1_020 {
        second(&mut recorder, at_s, 5);
    }
    assert_eq!(recorder.rate(CounterMetric::IntakeReceived, 960, 1_020), Some(5.0), "20 of 60 seconds");
    assert_eq!(recorder.covered_s(960, 1_020), 20);
    assert_eq!(recorder.durations(LatencyMetric::Acknowledgement, 960, 1_020).count(), 100);
    let level = recorder.level(GaugeMetric::Memory, 960, 1_020);
    assert_eq!((level.mean(), level.largest()), (Some(5.0), Some(5.0)));
}

#[test]
fn a_sample_that_came_late_covers_the_time_since_the_last_one_and_no_more_than_ten_seconds() {
    let mut recorder = Recorder::default();
    for at_s in [100, 103, 103, 200, 150] {
        recorder.observe(at_s);
    }
    assert_eq!(recorder.covered_s(0, 104), 4);
    assert_eq!(recorder.covered_s(104, 300), 10);
}

#[test]
fn values_that_are_no_numbers_are_no_samples() {
    let mut recorder = Recorder::default();
    for value in [None, Some(f64::NAN), Some(f64::INFINITY), Some(1e300)] {
        recorder.gauge(GaugeMetric::Memory, 1, value);
    }
    assert_eq!(recorder.level(GaugeMetric::Memory, 0, 10), Level::default());
}

#[test]
fn an_idle_process_takes_a_fraction_of_the_memory() {
    let mut recorder = Recorder::default();
    let empty = recorder.memory_bytes();
    for at_s in 0..3_600 {
        recorder.observe(at_s);
        recorder.gauge(GaugeMetric::Memory, at_s, Some(1.0));
        recorder.count(CounterMetric::IntakeReceived, at_s, 0);
        recorder.latency(LatencyMetric::Api, at_s, &Histogram::default());
    }
    assert!(empty < 100_000, "{empty} bytes before anything happened");
    assert!(recorder.memory_bytes() - empty < 60_000, "{} bytes after an idle hour", recorder.memory_bytes());
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(30))]
    #[test]
    fn every_resolution_adds_up_to_the_same(counts in proptest::collection::vec(0u64..1_000, 1..300)) {
        let mut recorder = Recorder::default();
        let begin = 7_200;
        for (at_s, n) in (begin..).zip(&counts) {
            second(&mut recorder, at_s, *n);
        }
        let total: u64 = counts.iter().sum();
        let end = begin + counts.len() as i64;
        for (step_s, rings) in [1, 10, 60, 3_600].map(|step| (step, recorder.counter(CounterMetric::IntakeReceived))) {
            let ring = rings.with_step(step_s).expect("a ring");
            prop_assert_eq!(ring.sum(begin, end), total, "steps of {} s", step_s);
        }
        for step_s in [10, 300, 3_600] {
            let ring = recorder.latencies(LatencyMetric::Acknowledgement).with_step(step_s).expect("a ring");
            prop_assert_eq!(ring.sum(begin, end).count(), total, "steps of {} s", step_s);
        }
    }
}
