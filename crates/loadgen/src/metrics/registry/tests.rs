use std::collections::BTreeMap;

use spillway_slo::threshold::Threshold;

use super::*;
use crate::metrics::{HttpSample, OTHER, Trend, Values};

const SECOND: Duration = Duration::from_secs(1);

fn threshold(selector: &str, expression: &str) -> Threshold {
    Threshold::new(selector.parse().unwrap(), expression.parse().unwrap())
}

/// A registry with its clock: ticks come when the test says so.
struct Run {
    registry: Arc<Registry>,
    recorder: Recorder,
    began: Instant,
    seconds: u32,
}

impl Run {
    fn new(thresholds: &[Threshold]) -> Self {
        let registry =
            Registry::new(RegistrySettings { thresholds: thresholds.to_vec(), ..RegistrySettings::default() });
        let began = Instant::now();
        registry.begin(began);
        let recorder = registry.recorder();
        Self { registry, recorder, began, seconds: 0 }
    }

    fn http(&self, tags: &Tags, milliseconds: u64, failed: bool) {
        let series = self.registry.series(tags);
        let waiting = Duration::from_millis(milliseconds);
        self.recorder.http(&HttpSample { waiting, failed, ..HttpSample::new(series) });
    }

    fn tick(&mut self) {
        self.seconds += 1;
        self.registry.tick(self.began + self.seconds * SECOND);
    }

    fn value(&self, selector: &str, expression: &str) -> Option<f64> {
        self.registry.value(&threshold(selector, expression), self.seconds * SECOND)
    }
}

fn named(scenario: &str, name: &str, status: u16) -> Tags {
    let extra = BTreeMap::from([("tier".to_owned(), format!("tier of {name}"))]);
    Tags { name: name.to_owned(), status: Some(status), ..Tags::scenario(scenario, &extra) }
}

#[track_caller]
fn assert_close(value: Option<f64>, expected: f64) {
    let value = value.expect("a value");
    assert!((value - expected).abs() <= expected.abs() * 0.001, "{value} is not {expected}");
}

#[test]
fn a_request_counts_in_each_of_its_metrics() {
    let mut run = Run::new(&[]);
    let series = run.registry.series(&named("peak", "/", 200));
    let ms = Duration::from_millis;
    run.recorder.http(&HttpSample {
        series,
        blocked: ms(1),
        connecting: ms(2),
        tls: ms(3),
        sending: ms(4),
        waiting: ms(50),
        receiving: ms(600),
        sent: 70,
        received: 8_000,
        failed: true,
    });
    run.tick();
    for (metric, expression, expected) in [
        ("http_reqs", "count<0", 1.0),
        ("http_req_failed", "rate<0", 1.0),
        ("http_req_blocked", "max<0", 1.0),
        ("http_req_connecting", "max<0", 2.0),
        ("http_req_tls_handshaking", "max<0", 3.0),
        ("http_req_sending", "max<0", 4.0),
        ("http_req_waiting", "max<0", 50.0),
        ("http_req_receiving", "max<0", 600.0),
        ("http_req_duration", "max<0", 654.0),
        ("data_sent", "count<0", 70.0),
        ("data_received", "count<0", 8_000.0),
    ] {
        assert_eq!(run.value(metric, expression), Some(expected), "{metric}");
        assert_eq!(run.registry.snapshot().value(&threshold(metric, expression), SECOND), Some(expected), "{metric}");
    }
}

#[test]
fn an_iteration_with_a_schedule_says_how_late_it_was() {
    let mut run = Run::new(&[]);
    let series = run.registry.series(&Tags::scenario("peak", &BTreeMap::new()));
    let ms = Duration::from_millis;
    run.recorder.iteration(series, ms(30), Some(ms(12)), Some(ms(42)));
    run.recorder.iteration(series, ms(30), None, None);
    run.recorder.dropped(series, 3);
    run.recorder.check(series, true);
    run.recorder.check(series, false);
    run.recorder.add(Metric::WsConnecting, series, 2_500);
    run.tick();
    for (selector, expression, expected) in [
        ("iterations", "count<0", 2.0),
        ("iteration_duration{scenario:peak}", "avg<0", 30.0),
        ("iteration_start_delay", "med<0", 12.0),
        ("response_from_intended", "min<0", 42.0),
        ("dropped_iterations{scenario:peak}", "count<0", 3.0),
        ("checks", "rate<0", 0.5),
        ("ws_connecting", "avg<0", 2.5),
    ] {
        assert_eq!(run.value(selector, expression), Some(expected), "{selector}");
    }
}

#[test]
fn selectors_pick_series_by_their_tags() {
    let mut run = Run::new(&[threshold("http_req_waiting{name:/b}", "p(95)<100")]);
    for (scenario, name, status, milliseconds) in
        [("one", "/a", 200, 10), ("one", "/b", 200, 20), ("two", "/b", 500, 40), ("two", "/c", 200, 90)]
    {
        run.http(&named(scenario, name, status), milliseconds, status == 500);
    }
    run.tick();
    for (selector, expression, expected) in [
        ("http_req_duration", "avg<0", Some(40.0)),
        ("http_req_duration{name:/b}", "avg<0", Some(30.0)),
        ("http_req_duration{scenario:two,name:/b}", "avg<0", Some(40.0)),
        ("http_req_duration{tier:tier of /c}", "max<0", Some(90.0)),
        ("http_req_failed{name:/b}", "rate<0", Some(0.5)),
        ("http_reqs{status:500}", "count<0", Some(1.0)),
        ("http_reqs", "rate<0", Some(4.0)),
        // A phase is known by scenario, and where a threshold named more.
        ("http_req_waiting{name:/b}", "avg<0", Some(30.0)),
        ("http_req_waiting{scenario:one}", "avg<0", Some(15.0)),
        ("http_req_waiting", "avg<0", Some(40.0)),
        ("http_req_waiting{name:/a}", "avg<0", None),
        // Nothing was measured: a counter is zero, everything else has no value.
        ("http_reqs{status:404}", "count<0", Some(0.0)),
        ("http_req_duration{name:/d}", "avg<0", None),
        ("http_req_failed{name:/d}", "rate<0", None),
        ("vus", "value<0", None),
        ("no_such_metric", "count<0", None),
        ("http_reqs", "p(95)<0", None),
    ] {
        let value = run.value(selector, expression);
        assert_eq!(value, expected, "{selector}");
        let snapshot = run.registry.snapshot();
        assert_eq!(snapshot.value(&threshold(selector, expression), SECOND), expected, "{selector} of the snapshot");
    }
}

#[test]
fn a_counters_rate_is_per_second_of_the_run() {
    let mut run = Run::new(&[]);
    assert_eq!(run.value("http_reqs", "rate<0"), None, "no time has passed");
    for _ in 0..4 {
        run.http(&named("peak", "/", 200), 1, false);
        run.tick();
    }
    assert_close(run.value("http_reqs", "rate<0"), 1.0);
    assert_close(run.registry.value(&threshold("http_reqs", "rate<0"), 8 * SECOND), 0.5);
}

#[test]
fn a_gauge_is_its_newest_value() {
    let mut run = Run::new(&[]);
    for active in [3, 9, 5] {
        run.registry.set_vus(active, 20);
        run.tick();
    }
    assert_eq!(run.value("vus", "value<0"), Some(5.0));
    assert_eq!(run.value("vus", "value<0 over 30s"), Some(5.0));
    assert_eq!(run.registry.snapshot().total(Metric::Vus, &[]), Some(Values::Gauge { value: 5, min: 3, max: 9 }));
    assert_eq!(run.value("vus_max", "value<0"), Some(20.0));
    assert_eq!(run.registry.last_second().vus, 5);
}

#[test]
fn a_window_forgets_what_is_older() {
    let windows = [
        threshold("http_req_duration{name:/}", "p(95)<500 over 3s"),
        threshold("http_req_failed", "rate<0.5 over 3s"),
        threshold("http_reqs{name:/}", "rate<100 over 3s"),
    ];
    let mut run = Run::new(&windows);
    let tags = named("peak", "/", 200);
    let ask = |run: &Run| windows.each_ref().map(|threshold| run.registry.value(threshold, run.seconds * SECOND));
    run.tick();
    assert_eq!(ask(&run), [None, None, Some(0.0)], "nothing was measured yet");
    for _ in 0..6 {
        run.http(&tags, 900, true);
    }
    run.http(&named("peak", "/other", 200), 5_000, true);
    run.tick();
    assert_close(ask(&run)[0], 900.0);
    assert_close(ask(&run)[1], 1.0);
    assert_close(ask(&run)[2], 3.0);
    for _ in 0..2 {
        run.http(&tags, 10, false);
        run.tick();
        assert_close(ask(&run)[0], 900.0);
        assert_close(ask(&run)[2], if run.seconds == 3 { 7.0 / 3.0 } else { 8.0 / 3.0 });
    }
    run.http(&tags, 10, false);
    run.tick();
    assert_close(ask(&run)[0], 10.0);
    assert_close(ask(&run)[1], 0.0);
    assert_close(ask(&run)[2], 1.0);
    assert_close(run.value("http_req_duration{name:/}", "max<0"), 900.0);
    assert_eq!(run.registry.snapshot().value(&windows[0], SECOND), None, "a snapshot is about the whole run");
    for _ in 0..3 {
        run.tick();
    }
    assert_eq!(ask(&run), [None, None, Some(0.0)], "no samples within the window");
}

#[test]
fn a_long_window_moves_in_slices() {
    let window = threshold("http_req_duration", "max<1 over 300s");
    let mut run = Run::new(std::slice::from_ref(&window));
    run.http(&named("peak", "/", 200), 900, false);
    for _ in 0..300 {
        run.tick();
        assert_close(run.registry.value(&window, SECOND), 900.0);
        run.http(&named("peak", "/", 200), 10, false);
    }
    for _ in 0..10 {
        run.tick();
    }
    assert_close(run.registry.value(&window, SECOND), 10.0);
}

#[test]
fn what_a_scenarios_users_see_is_measured_from_the_begin() {
    let mut run = Run::new(&[]);
    run.registry.tick(run.began + SECOND / 2);
    run.began += 100 * SECOND;
    run.registry.begin(run.began);
    run.http(&named("peak", "/", 200), 10, false);
    run.tick();
    let second = run.registry.last_second();
    assert_eq!((second.at_ms, second.duration_ms, second.requests), (0.0, 1_000.0, 1));
    assert_eq!(run.registry.timeline().last(), Some(&second));
}

#[test]
fn tags_beyond_the_limit_share_one_series_and_lose_no_sample() {
    let registry = Registry::new(RegistrySettings { max_series: 3, ..RegistrySettings::default() });
    let recorder = registry.recorder();
    for n in 0..10 {
        assert_eq!(registry.snapshot().has_overflowed(), n > 3);
        let series = registry.series(&named("peak", &format!("/users/{n}"), 200));
        assert_eq!(series, registry.series(&named("peak", &format!("/users/{n}"), 200)));
        recorder.http(&HttpSample::new(series));
    }
    let by_name = registry.snapshot().by_tag(Metric::HttpReqs, "name");
    let counts: Vec<_> = by_name.iter().map(|(name, values)| (name.as_str(), values.clone())).collect();
    let one = Values::Counter(1);
    let expected =
        [(OTHER, Values::Counter(7)), ("/users/0", one.clone()), ("/users/1", one.clone()), ("/users/2", one)];
    assert_eq!(counts.len(), 4);
    assert!(expected.iter().all(|expected| counts.contains(expected)), "{counts:?}");
}

#[test]
fn a_series_of_another_registry_counts_as_other() {
    let (registry, stranger) = (Registry::new(RegistrySettings::default()), Registry::new(RegistrySettings::default()));
    let series = stranger.series(&named("peak", "/", 200));
    registry.recorder().http(&HttpSample::new(series));
    assert!(registry.snapshot().has_overflowed());
}

#[test]
fn threads_that_record_at_once_lose_nothing() {
    const THREADS: u64 = 4;
    const EACH: u64 = 20_000;
    let registry = Registry::new(RegistrySettings::default());
    let began = Instant::now();
    std::thread::scope(|scope| {
        for thread in 0..THREADS {
            let (registry, recorder) = (&registry, registry.recorder());
            scope.spawn(move || {
                for n in 0..EACH {
                    let series = registry.series(&named("peak", &format!("/{}", n % 5), 200));
                    let waiting = Duration::from_micros(thread * EACH + n);
                    recorder.http(&HttpSample { waiting, ..HttpSample::new(series) });
                }
            });
        }
        for n in 0..50 {
            registry.tick(began + n * SECOND);
        }
    });
    registry.tick(began + 60 * SECOND);
    let mut expected = Trend::new();
    (0..THREADS * EACH).for_each(|micros| expected.record_micros(micros));
    let snapshot = registry.snapshot();
    assert_eq!(snapshot.total(Metric::HttpReqs, &[]), Some(Values::Counter(THREADS * EACH)));
    assert_eq!(snapshot.total(Metric::HttpReqDuration, &[]), Some(Values::Trend(expected)));
    assert_eq!(registry.timeline().iter().map(|second| second.requests).sum::<u64>(), THREADS * EACH);
}

#[test]
fn each_snapshot_has_a_larger_number_and_contains_the_one_before() {
    let run = Run::new(&[]);
    let mut last = (0, 0.0);
    for _ in 0..3 {
        run.http(&named("peak", "/", 200), 1, false);
        let snapshot = run.registry.snapshot();
        let requests = snapshot.value(&threshold("http_reqs", "count<0"), SECOND).unwrap();
        assert!(snapshot.sequence > last.0 && requests > last.1);
        last = (snapshot.sequence, requests);
    }
}

#[test]
fn fifty_endpoints_with_three_statuses_fit_into_the_budget() {
    let run = Run::new(&[]);
    let series = |n: u16| run.registry.series(&named("peak", &format!("/{}", n / 3), 200 + n % 3));
    let all: Vec<Series> = (0..150).map(series).collect();
    for n in 0..150_000_usize {
        // 0.1 ms to 100 ms, evenly on a log axis.
        let spread = n.wrapping_mul(0x9E37_79B9_7F4A_7C15) >> 11;
        let micros = 100.0 * 1_000_f64.powf(spread as f64 / (1_u64 << 53) as f64);
        let waiting = Duration::from_micros(micros as u64);
        run.recorder.http(&HttpSample {
            waiting,
            blocked: waiting,
            receiving: waiting,
            ..HttpSample::new(all[n % 150])
        });
        run.recorder.iteration(all[n % 150], waiting, Some(waiting / 100), Some(waiting));
    }
    let snapshot = run.registry.snapshot();
    assert_eq!(snapshot.by_tag(Metric::HttpReqs, "name").len(), 50);
    let trends = snapshot.series.iter().flat_map(|series| series.values.values()).filter_map(|values| match values {
        Values::Trend(trend) => Some(trend.heap_bytes()),
        _ => None,
    });
    let bytes: usize = trends.sum();
    assert!(bytes < 20 << 20, "{bytes} bytes of histograms");
}
