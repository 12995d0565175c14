use std::process::{Child, Command};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use axum::Router;
use axum::extract::{Query as Parameters, State};
use axum::http::StatusCode;
use axum::routing::get;
use parking_lot::Mutex;
use serde_json::json;
use spillway_testkit::wait_until;

use super::super::{ObservedSeries, ObservedUnit};
use super::*;

const DEADLINE: Duration = Duration::from_secs(20);

/// A child process that is killed at the end of its test.
struct Burner(Child);

impl Burner {
    fn start() -> Self {
        Self(Command::new("sh").args(["-c", "while :; do :; done"]).spawn().expect("start sh"))
    }

    async fn has_used(&self, ticks: u64) {
        let file = format!("/proc/{}/stat", self.0.id());
        let used = || {
            let stat = std::fs::read_to_string(&file).expect("the child runs");
            stat.split(' ').nth(13).and_then(|ticks| ticks.parse::<u64>().ok()).expect("field 14")
        };
        wait_until("the child to use its processor", DEADLINE, async || used() >= ticks).await;
    }

    fn kill(&mut self) {
        self.0.kill().and_then(|()| self.0.wait()).expect("end the child");
    }
}

impl Drop for Burner {
    fn drop(&mut self) {
        self.kill();
    }
}

async fn serve(router: Router) -> Url {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.expect("a free port");
    let url = format!("http://{}", listener.local_addr().expect("an address"));
    tokio::spawn(async move { axum::serve(listener, router).await });
    url.parse().expect("a URL")
}

fn find<'a>(observed: &'a Observed, name: &str) -> &'a ObservedSeries {
    let found = observed.series.iter().find(|series| series.name == name);
    found.unwrap_or_else(|| panic!("no series {name} in {observed:?}"))
}

#[tokio::test]
async fn a_process_is_measured_until_it_ends() {
    let mut child = Burner::start();
    let pid = child.0.id();
    let sources = Sources { pids: vec![pid, std::process::id()], ..Sources::default() };
    let mut observer = Observer::new(sources).await.unwrap();
    child.has_used(1).await;
    observer.begin(Instant::now());
    child.has_used(40).await;
    let observed = observer.end().await;
    assert_eq!(observed[0].source, format!("pid {pid}"));
    assert_eq!(observed[0].warnings, [""; 0]);
    let cpu = find(&observed[0], "cpu");
    assert_eq!(cpu.unit, ObservedUnit::Percent);
    assert!(cpu.points.iter().any(|&(at, percent)| at > 0.0 && (5.0..=130.0).contains(&percent)), "{cpu:?}");
    assert!(find(&observed[0], "memory").points.iter().all(|&(_, bytes)| bytes > 100_000.0));
    assert!(find(&observed[0], "threads").points.iter().all(|&(_, n)| n == 1.0));
    assert!(find(&observed[0], "open files").points.iter().all(|&(_, n)| n >= 3.0));
    find(&observed[0], "disk written");
    assert_eq!(observed[1].source, format!("pid {}", std::process::id()), "in the order of the sources");

    let sources = Sources { pids: vec![pid], ..Sources::default() };
    let mut observer = Observer::new(sources.clone()).await.unwrap();
    child.kill();
    observer.begin(Instant::now());
    let observed = observer.end().await;
    assert_eq!(observed[0].warnings, [format!("process {pid} ended 0 s into the run")]);

    let error = Observer::new(sources).await.err().expect("the process is gone");
    assert_eq!(error, ObserveError::NoProcess { pid });
    assert!(error.to_string().contains("pgrep"), "{error}");
}

/// A gateway that uses half a processor and takes 20 requests a second, however late somebody looks.
struct Target {
    looks: AtomicU64,
    begun: Instant,
}

/// What it answers, with exemplars; busy at the third look.
async fn open_metrics(State(target): State<Arc<Target>>) -> (StatusCode, String) {
    if target.looks.fetch_add(1, Ordering::SeqCst) == 2 {
        return (StatusCode::SERVICE_UNAVAILABLE, "busy".to_owned());
    }
    let seconds = target.begun.elapsed().as_secs_f64();
    let (cpu, requests) = (seconds * 0.5, seconds * 10.0);
    let text = format!(
        "# TYPE process_cpu_seconds counter\nprocess_cpu_seconds_total {cpu}\n# TYPE process_resident_memory_bytes gauge\n\
         process_resident_memory_bytes 25784320.0\nprocess_open_fds 24.0\n# TYPE requests counter\n\
         requests_total{{source=\"a\"}} {requests} # {{trace_id=\"0abc\"}} 1 1795638739.65\nrequests_total{{source=\"b\"}} {requests}\n\
         # TYPE oldest_seconds gauge\noldest_seconds 0.25\n# EOF\n"
    );
    (StatusCode::OK, text)
}

#[tokio::test]
async fn metrics_of_the_target_are_read_past_a_look_that_fails() {
    let target = Arc::new(Target { looks: AtomicU64::new(0), begun: Instant::now() });
    let url = serve(Router::new().route("/metrics", get(open_metrics)).with_state(target.clone())).await;
    let names = ["requests_total", "oldest_seconds", "request_total"].map(str::to_owned).to_vec();
    let metrics = vec![url.join("/metrics").unwrap()];
    let mut observer = Observer::new(Sources { metrics, metric_names: names, ..Sources::default() }).await.unwrap();
    let [warning] = observer.warnings() else { panic!("{:?}", observer.warnings()) };
    assert!(warning.ends_with("has no metric request_total yet; the nearest is requests_total"), "{warning}");
    observer.begin(Instant::now());
    wait_until("four looks", DEADLINE, async || target.looks.load(Ordering::SeqCst) >= 4).await;
    let observed = observer.end().await.remove(0);
    // Looks 1 and 3 count, two seconds apart; another at the end may.
    let cpu = find(&observed, "cpu");
    assert!(cpu.unit == ObservedUnit::Percent && (40.0..60.0).contains(&cpu.points[0].1), "{cpu:?}");
    let requests = find(&observed, "requests_total");
    assert!(requests.unit == ObservedUnit::PerSecond && (16.0..24.0).contains(&requests.points[0].1), "{requests:?}");
    assert_eq!(find(&observed, "memory").points[0].1, 25_784_320.0);
    assert_eq!(find(&observed, "open files").points[0].1, 24.0);
    let oldest = find(&observed, "oldest_seconds");
    assert_eq!((oldest.unit, oldest.points[0].1), (ObservedUnit::Milliseconds, 250.0));
    let [failed, missing] = observed.warnings.as_slice() else { panic!("{:?}", observed.warnings) };
    assert!(failed.starts_with("1 of ") && failed.ends_with("it answered 503 Service Unavailable: busy"), "{failed}");
    assert_eq!(missing, "the metric request_total was not there during the run");
}

#[tokio::test]
async fn an_address_that_cannot_be_used_is_refused_with_advice() {
    let page = serve(Router::new().route("/metrics", get(async || "<html>Hello</html>"))).await;
    let refused = format!("http://user:hunter2@127.0.0.1:{}/metrics", spillway_testkit::free_port());
    let table = [
        (page.join("/metrics").unwrap(), "has no metric"),
        (page.join("/elsewhere").unwrap(), "404"),
        (refused.parse().unwrap(), "refused"),
        ("ftp://127.0.0.1/metrics".parse().unwrap(), "http://"),
    ];
    for (url, wanted) in table {
        let sources = Sources { metrics: vec![url.clone()], ..Sources::default() };
        let error = Observer::new(sources).await.err().expect("an error").to_string();
        assert!(error.contains(wanted) && error.contains("/metrics") && !error.contains("hunter2"), "{url}: {error}");
    }
}

type Asked = Arc<Mutex<Vec<std::collections::HashMap<String, String>>>>;

/// Prometheus's API: `broken` is no PromQL, `gone` fails at the end, `pair` has two series, the rest one.
async fn range(
    State(asked): State<Asked>,
    Parameters(question): Parameters<std::collections::HashMap<String, String>>,
) -> (StatusCode, String) {
    let start: f64 = question["start"].parse().unwrap();
    let series = |instance: &str| {
        json!({"metric": {"__name__": "x", "instance": instance},
            "values": [[start, "1.5"], [start + 1.0, "NaN"], [start + 2.0, "2.5"]]})
    };
    let result = match question["query"].as_str() {
        "gone" => {
            return (
                StatusCode::SERVICE_UNAVAILABLE,
                json!({"status": "error", "errorType": "timeout", "error": "query timed out"}).to_string(),
            );
        }
        "pair" => vec![series("a"), series("b")],
        "empty" => vec![],
        _ => vec![series("a")],
    };
    asked.lock().push(question);
    (StatusCode::OK, json!({"status": "success", "data": {"resultType": "matrix", "result": result}}).to_string())
}

async fn instant(Parameters(question): Parameters<std::collections::HashMap<String, String>>) -> (StatusCode, String) {
    if question["query"] == "broken(" {
        let error =
            json!({"status": "error", "errorType": "bad_data", "error": "1:8: parse error: unclosed left parenthesis"});
        return (StatusCode::BAD_REQUEST, error.to_string());
    }
    (StatusCode::OK, json!({"status": "success", "data": {"resultType": "vector", "result": []}}).to_string())
}

fn queries(pairs: &[(&str, &str)]) -> Vec<Query> {
    pairs
        .iter()
        .map(|(name, expression)| Query { name: (*name).to_owned(), expression: (*expression).to_owned() })
        .collect()
}

#[tokio::test]
async fn prometheus_is_asked_about_the_time_of_the_run() {
    let asked = Asked::default();
    let api = Router::new().route("/prom/api/v1/query_range", get(range)).route("/prom/api/v1/query", get(instant));
    let url = serve(api.with_state(asked.clone())).await.join("/prom/").unwrap();
    let wanted = [("queue_seconds", "max(a{b=\"c&d\"})"), ("both", "pair"), ("late", "gone"), ("none", "empty")];
    let sources = Sources { prometheus: Some(url.clone()), queries: queries(&wanted), ..Sources::default() };
    let mut observer = Observer::new(sources.clone()).await.unwrap();
    let before = SystemClock.now();
    observer.begin(Instant::now());
    let observed = observer.end().await.remove(0);
    assert_eq!(observed.source, format!("prometheus {}", url.as_str().trim_end_matches('/')));
    let queue = find(&observed, "queue_seconds");
    assert_eq!(
        (queue.unit, queue.points.as_slice()),
        (ObservedUnit::Milliseconds, &[(0.0, 1_500.0), (2_000.0, 2_500.0)][..])
    );
    find(&observed, "both{instance=\"a\"}");
    find(&observed, "both{instance=\"b\"}");
    assert_eq!(observed.warnings, ["late: query timed out", "none: nothing was found for the time of the run"]);
    let first = asked.lock()[0].clone();
    assert_eq!((first["query"].as_str(), first["step"].as_str()), ("max(a{b=\"c&d\"})", "1"));
    let (start, end): (f64, f64) = (first["start"].parse().unwrap(), first["end"].parse().unwrap());
    assert!((start * 1_000.0 - before as f64).abs() < 5_000.0 && end >= start, "{first:?}");

    let day = Prometheus::open(&url, queries(&[("a", "b")])).await.unwrap();
    day.ask(0, 86_400_000).await;
    assert_eq!(
        asked.lock().last().map(|question| question["step"].clone()).as_deref(),
        Some("87"),
        "at most 1,000 points"
    );

    let sources = Sources { queries: queries(&[("q", "broken(")]), ..sources };
    let error = Observer::new(sources).await.err().expect("an error").to_string();
    assert_eq!(error, "Prometheus refuses the query q=broken(: 1:8: parse error: unclosed left parenthesis");
    let sources =
        Sources { prometheus: Some(url.join("/").unwrap()), queries: queries(&[("q", "up")]), ..Sources::default() };
    let error = Observer::new(sources).await.err().expect("an error").to_string();
    assert!(error.contains("404") && error.contains("/api/v1"), "{error}");
}

#[tokio::test]
async fn nothing_to_observe_observes_nothing() {
    let mut observer = Observer::new(Sources::default()).await.unwrap();
    observer.begin(Instant::now());
    assert_eq!(observer.end().await, []);
}
