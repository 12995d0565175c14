use super::*;

/// A process with one counter of requests, and a histogram with limits 0.1 and +Inf.
fn process(at: UnixMillis, started: f64, requests: f64, fast: f64) -> ProcessSample {
    let mut process = ProcessSample::default();
    process.push(|process| &mut process.started, Point { at, value: started });
    let place = |process: &mut ProcessSample, limit: f64, value: f64| {
        let point = Point { at, value };
        process.push(
            |process| process.histograms.entry(String::new()).or_default().entry(Limit(limit)).or_default(),
            point,
        );
    };
    place(&mut process, 0.1, fast);
    place(&mut process, f64::INFINITY, requests);
    process.push(|process| process.requests.entry(String::new()).or_default(), Point { at, value: requests });
    process
}

fn slot(processes: impl IntoIterator<Item = (&'static str, ProcessSample)>) -> SlotSample {
    SlotSample { processes: processes.into_iter().map(|(name, process)| (name.to_owned(), process)).collect() }
}

fn counted(before: &SlotSample, after: &SlotSample) -> Counts {
    let gain = gain(before, after);
    let boundaries = boundaries([&gain].into_iter());
    assert_eq!(boundaries, [0.1]);
    gain.counts(&boundaries)
}

fn counts(requests: u64, slower: u64) -> Counts {
    Counts { requests, errors: 0, timed: requests, slower: vec![slower] }
}

#[test]
fn processes_add_up() {
    let before = slot([("a", process(0, 1.0, 100.0, 90.0)), ("b", process(0, 2.0, 50.0, 50.0))]);
    let after = slot([("a", process(1, 1.0, 110.0, 95.0)), ("b", process(1, 2.0, 51.0, 51.0))]);
    assert_eq!(counted(&before, &after), counts(11, 5));
}

#[test]
fn a_counter_that_fell_resets_its_whole_process() {
    // The bucket has passed its old value already; it began at zero all the same.
    let before = slot([("a", process(0, 1.0, 100.0, 5.0))]);
    let after = slot([("a", process(1, 1.0, 60.0, 50.0))]);
    assert_eq!(counted(&before, &after), counts(60, 10));
}

#[test]
fn another_start_is_a_reset_though_nothing_fell() {
    let before = slot([("a", process(0, 1_000.0, 10.0, 10.0))]);
    let again = slot([("a", process(1, 1_020.0, 30.0, 28.0))]);
    assert_eq!(counted(&before, &again), counts(30, 2));
    let jitter = slot([("a", process(1, 1_000.02, 30.0, 28.0))]);
    assert_eq!(counted(&before, &jitter), counts(20, 2));
}

#[test]
fn a_new_process_counts_from_its_own_first_sample_and_one_that_left_no_more() {
    let before = slot([("a", process(0, 1.0, 100.0, 90.0)), ("gone", process(0, 1.0, 70.0, 70.0))]);
    let after = slot([("a", process(1, 1.0, 101.0, 91.0)), ("new", process(1, 9.0, 5_000.0, 5_000.0))]);
    assert_eq!(counted(&before, &after), counts(1, 0));
    let later = slot([("a", process(2, 1.0, 102.0, 92.0)), ("new", process(2, 9.0, 5_003.0, 5_001.0))]);
    assert_eq!(counted(&after, &later), counts(4, 2));
}

#[test]
fn a_series_that_is_new_in_a_known_process_counts_from_zero() {
    let before = slot([("a", process(0, 1.0, 100.0, 90.0))]);
    let mut now = process(1, 1.0, 100.0, 90.0);
    now.push(|process| process.errors.entry("status=500".to_owned()).or_default(), Point { at: 1, value: 3.0 });
    now.push(|process| process.requests.entry("status=500".to_owned()).or_default(), Point { at: 1, value: 3.0 });
    let gained = gain(&before, &slot([("a", now)])).counts(&[]);
    assert_eq!((gained.requests, gained.errors), (3, 3));
}

#[test]
fn a_series_that_was_missing_once_is_not_counted_twice() {
    let first = slot([("a", process(0, 1.0, 100.0, 90.0))]);
    let mut missing = slot([("a", ProcessSample { newest: 1, ..ProcessSample::default() })]);
    missing.become_base(Some(&first));
    let last = slot([("a", process(2, 1.0, 104.0, 90.0))]);
    assert_eq!(counted(&missing, &last), counts(4, 4));
}

#[test]
fn points_between_two_looks_are_walked_one_by_one() {
    let mut after = process(0, 1.0, 100.0, 100.0);
    for (at, value) in [(1, 110.0), (2, 3.0), (3, 8.0), (4, f64::NAN)] {
        after.push(|process| process.requests.entry(String::new()).or_default(), Point { at, value });
    }
    let before = slot([("a", process(0, 1.0, 100.0, 100.0))]);
    assert_eq!(gain(&before, &slot([("a", after.clone())])).counts(&[]).requests, 10 + 3 + 5);
    // A process that is new within the range counts from its first point there.
    assert_eq!(gain(&slot([]), &slot([("a", after)])).counts(&[]).requests, 10 + 3 + 5);
}

#[test]
fn boundaries_are_those_that_all_have() {
    let with = |limits: &[f64]| Gain {
        histograms: vec![limits.iter().map(|&limit| (Limit(limit), 1)).collect()],
        ..Gain::default()
    };
    let (old, new) = (with(&[0.1, 0.5, 1.0, f64::INFINITY]), with(&[0.05, 0.5, 1.0, f64::INFINITY]));
    assert_eq!(boundaries([&old, &new].into_iter()), [0.5, 1.0]);
    assert!(boundaries([&old, &with(&[7.0])].into_iter()).is_empty());
    assert!(boundaries(std::iter::empty()).is_empty());
}
