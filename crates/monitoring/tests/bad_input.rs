//! Mistakes in the files of the repository, and a Prometheus that does not answer: each is told with file, line and what to do.

use std::io::{Read as _, Write as _};
use std::net::TcpListener;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use spillway_testkit::{Prometheus, PrometheusOptions, free_port};
use tempfile::TempDir;

fn repository() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../..").canonicalize().expect("the repository")
}

/// A repository of which the files can be spoiled that `check` reads; everything else is that of this one.
struct Copy(TempDir);

impl Copy {
    fn new() -> Self {
        let copy = tempfile::tempdir().expect("a folder");
        for entry in std::fs::read_dir(repository()).expect("the repository") {
            let entry = entry.expect("an entry");
            let (name, to) = (entry.file_name(), copy.path().join(entry.file_name()));
            if ["infra", "runbooks", "dashboards"].iter().any(|folder| name == *folder) {
                copy_folder(&entry.path(), &to);
            } else if name != "target" && !name.to_string_lossy().starts_with('.') {
                std::os::unix::fs::symlink(entry.path(), to).expect("a link");
            }
        }
        Self(copy)
    }

    /// Replaces the first `from` of a file. Returns the line on which it stands.
    fn spoil(&self, file: &str, from: &str, to: &str) -> usize {
        let path = self.0.path().join(file);
        let text = std::fs::read_to_string(&path).unwrap_or_else(|error| panic!("{file}: {error}"));
        let at = text.find(from).unwrap_or_else(|| panic!("{file} has no {from:?}"));
        std::fs::write(&path, text.replacen(from, to, 1)).expect("a file");
        1 + text[..at].matches('\n').count()
    }

    fn check(&self) -> Output {
        run(self.0.path(), &["check"])
    }

    /// Asserts that the check fails with a line that begins and goes on like this.
    fn refuses(&self, place: &str, says: &str) {
        let output = self.check();
        let told = String::from_utf8_lossy(&output.stderr).into_owned();
        assert!(!output.status.success(), "nothing is told of {place}");
        let is_told = told.lines().any(|line| line.starts_with(&format!("{place}: ")) && line.contains(says));
        assert!(is_told, "{place}: … {says} … is not told, but:\n{told}");
    }
}

fn copy_folder(from: &Path, to: &Path) {
    std::fs::create_dir(to).expect("a folder");
    for entry in std::fs::read_dir(from).expect("a folder") {
        let path = entry.expect("an entry").path();
        let to = to.join(path.file_name().expect("a name"));
        if path.is_dir() {
            copy_folder(&path, &to);
        } else {
            std::fs::copy(&path, &to).expect("a copy");
        }
    }
}

fn run(root: &Path, arguments: &[&str]) -> Output {
    let mut command = Command::new(env!("CARGO_BIN_EXE_spillway-monitoring"));
    command.current_dir(root).env_remove("PROMETHEUS_URL").args(arguments).output().expect("it runs")
}

#[test]
fn objectives_with_a_wrong_target_window_or_query_are_refused() {
    const FILE: &str = "infra/slo/spillway.yaml";
    for (from, to, says) in [
        ("target: 0.9999", "target: 99.99", "target 99.99 must be above 0 and below 1: 99.9 % is written 0.999"),
        ("duration: 30d", "duration: 30 days", "is no duration such as 30d"),
        ("duration: 30d", "duration: 120d", "must be between 1h and 90d"),
    ] {
        let copy = Copy::new();
        let line = copy.spoil(FILE, from, to);
        copy.refuses(&format!("{FILE}:{line}"), says);
    }
}

#[test]
fn objectives_whose_query_cannot_be_asked_are_refused_where_it_stands() {
    const FILE: &str = "infra/slo/spillway.yaml";
    // The query is a block under its key, which is what is named.
    let copy = Copy::new();
    let line = copy.spoil(
        FILE,
        "sum(increase(spillway_intake_requests_total[{{.window}}]))",
        "sum(increase(spillway_intake_requests_total[{{.window}}])",
    );
    let told = String::from_utf8_lossy(&copy.check().stderr).into_owned();
    let places = [line - 1, line].map(|line| format!("{FILE}:{line}: Prometheus does not understand the query"));
    assert!(places.iter().any(|place| told.contains(place)), "{told}");

    let copy = Copy::new();
    let line = copy.spoil(FILE, "increase(spillway_intake_requests_total{", "increase(spillway_intake_request_total{");
    let told = String::from_utf8_lossy(&copy.check().stderr).into_owned();
    let places =
        [line - 1, line].map(|line| format!("{FILE}:{line}: the query asks for spillway_intake_request_total;"));
    assert!(places.iter().any(|place| told.contains(place)), "{told}");
}

#[test]
fn an_alert_without_a_runbook_is_refused() {
    const FILE: &str = "infra/prometheus/rules/alerts.yml";
    let copy = Copy::new();
    copy.spoil(FILE, "runbooks/alerts/intake_queue.md", "runbooks/alerts/intake_lane.md");
    let line = copy.spoil(FILE, "- alert: IntakeQueueFilling", "- alert: IntakeQueueFilling");
    copy.refuses(
        &format!("{FILE}:{line}"),
        "the alert IntakeQueueFilling has no runbook: write runbooks/alerts/intake_lane.md",
    );
}

#[test]
fn a_dashboard_with_an_unknown_metric_is_refused() {
    let copy = Copy::new();
    copy.spoil("runbooks/metrics.md", "`spillway_breaker_open`", "`spillway_breakers`");
    let told = String::from_utf8_lossy(&copy.check().stderr).into_owned();
    let panel =
        told.lines().find(|line| line.starts_with("dashboards/") && line.contains("asks for spillway_breaker_open"));
    let line = panel.and_then(|line| line.split(':').nth(1)?.parse::<usize>().ok());
    assert!(line.is_some_and(|line| line > 0) && told.contains("mend the query"), "{told}");
}

#[test]
fn a_dashboard_that_was_edited_is_refused() {
    let copy = Copy::new();
    let line = copy.spoil("dashboards/slo.json", "\"refresh\": \"10s\"", "\"refresh\": \"5s\"");
    copy.refuses(&format!("dashboards/slo.json:{line}"), "run `cargo xtask slo generate`");
}

#[test]
fn runbooks_with_a_dead_link_or_a_query_that_cannot_be_asked_are_refused() {
    let copy = Copy::new();
    let line = copy.spoil("runbooks/README.md", "(errors/intake_full.md)", "(errors/intake_fuller.md)");
    copy.refuses(&format!("runbooks/README.md:{line}"), "errors/intake_fuller.md leads nowhere");
    copy.refuses("runbooks/errors/intake_full.md:1", "nobody finds this page");

    let copy = Copy::new();
    let line = copy.spoil("runbooks/api.md", "```promql\n", "```promql\nsum(up\n\n") + 1;
    copy.refuses(&format!("runbooks/api.md:{line}"), "Prometheus does not understand the query");

    let copy = Copy::new();
    std::fs::remove_file(copy.0.path().join("runbooks/errors/store_timeout.md")).expect("a page");
    let told = String::from_utf8_lossy(&copy.check().stderr).into_owned();
    let source = told.lines().find(|line| line.contains("the error code store_timeout has no page"));
    assert!(source.is_some_and(|line| line.starts_with("./crates/webhook-api/src/")), "{told}");
}

#[test]
fn a_prometheus_that_does_not_answer_is_told_with_what_to_do() {
    let url = format!("http://127.0.0.1:{}", free_port());
    let output = run(&repository(), &["status", "--prometheus", &url]);
    let told = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(!output.status.success() && output.stdout.is_empty(), "{told}");
    for part in [&format!("{url} does not answer: Connection refused"), "Is it running", "--prometheus"] {
        assert!(told.contains(part), "{part:?} is missing: {told}");
    }
}

#[test]
fn what_is_no_prometheus_is_told() {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
    let url = format!("http://{}", listener.local_addr().expect("an address"));
    std::thread::spawn(move || {
        for mut stream in listener.incoming().flatten() {
            let _ = stream.read(&mut [0; 4_096]);
            let _ = stream.write_all(b"HTTP/1.1 200 OK\r\ncontent-length: 6\r\nconnection: close\r\n\r\n<html>");
        }
    });
    let output = run(&repository(), &["status", "--prometheus", &url]);
    let told = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(!output.status.success() && told.contains(&format!("{url} is no Prometheus")), "{told}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_prometheus_without_the_rules_is_told() {
    let prometheus = Prometheus::start(&PrometheusOptions::default()).await;
    let output = run(&repository(), &["status", "--prometheus", &prometheus.url()]);
    let told = String::from_utf8_lossy(&output.stdout).into_owned();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    assert!(told.contains("intake-availability") && told.contains("needs infra/prometheus/rules"), "{told}");
}
