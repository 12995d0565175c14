//! `run`: what is sent, what is measured, what is said.

use std::time::{Duration, Instant};

use rustix::process::Signal;
use spillway_testkit::{Answer, Sink, wait_until};

use crate::support::{Folder, SOON, signal, wait};

const FLOW: &str = "[[flows.default.requests]]\nname = \"home\"\npath = \"/home\"\n[flows.default.requests.checks]\n\"is fine\" = { status = 200 }\n";

fn load(options: &str) -> Folder {
    Folder::with(&[("load.toml", &format!("{options}\n{FLOW}"))])
}

#[tokio::test(flavor = "multi_thread")]
async fn a_run_sends_what_it_says_and_writes_every_result() {
    let sink = Sink::start().await;
    let folder = load("vus = 3\niterations = 50\n[thresholds]\nhttp_req_failed = \"rate<0.01\"\nchecks = \"rate==1\"");
    let arguments = ["run", "load.toml", "--target", &sink.url(""), "--output", "json", "--summary-export", "k6.json"];
    let outs = ["json", "html", "csv", "ndjson", "junit", "markdown"].map(|kind| format!("{kind}=result.{kind}"));
    let outs = outs.iter().flat_map(|out| ["--out", out.as_str()]).collect::<Vec<_>>();
    let json = folder.run_beside(&[&arguments[..], &outs].concat()).await.json(0);
    assert_eq!(sink.count(), 50);
    assert_eq!(json["schema_version"], 1);
    let written: serde_json::Value = serde_json::from_str(&folder.read("result.json")).expect("JSON");
    assert_eq!(written["snapshot"], json["snapshot"]);
    let k6: serde_json::Value = serde_json::from_str(&folder.read("k6.json")).expect("JSON");
    assert_eq!(k6["metrics"]["http_reqs"]["count"], 50);
    assert_eq!(k6["metrics"]["iterations"]["count"], 50);
    for stat in ["avg", "min", "med", "max", "p(90)", "p(95)"] {
        assert!(k6["metrics"]["http_req_duration"][stat].as_f64() > Some(0.0), "{stat} of {k6}");
    }
    assert!(folder.read("result.html").starts_with("<!DOCTYPE html>"));
    assert!(folder.read("result.csv").lines().count() > 1);
    assert!(folder.read("result.ndjson").lines().all(|line| serde_json::from_str::<serde_json::Value>(line).is_ok()));
    assert!(folder.read("result.junit").contains("http_req_failed"));
    assert!(folder.read("result.markdown").contains("home"));
}

#[tokio::test(flavor = "multi_thread")]
async fn thresholds_decide_the_exit_code_and_show_their_value() {
    let sink = Sink::start().await;
    sink.on("/home", Answer::status(500));
    let folder =
        load("vus = 1\niterations = 10\n[thresholds]\nhttp_req_failed = \"rate<0.01\"\nhttp_reqs = \"count==10\"");
    let ended = folder.run_beside(&["run", "load.toml", "--target", &sink.url("")]).await;
    assert_eq!(ended.code, Some(99), "{ended:#?}");
    let line = |part: &str| {
        ended.stdout.lines().find(|line| line.contains(part)).unwrap_or_else(|| panic!("{part}: {ended:#?}"))
    };
    assert!(line("rate<0.01").contains('✗'), "{ended:#?}");
    assert!(line("count==10").contains('✓'), "{ended:#?}");
    assert!(!ended.stdout.contains('\u{1b}'), "no colours in a pipe");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_threshold_that_aborts_ends_the_run() {
    let sink = Sink::start().await;
    sink.on("/home", Answer::status(500));
    let folder = load(
        "vus = 1\nduration = \"60s\"\n[thresholds]\nhttp_req_failed = { threshold = \"rate<0.01\", abortOnFail = true }",
    );
    let begun = Instant::now();
    let ended = folder.run_beside(&["run", "load.toml", "--target", &sink.url("")]).await;
    assert_eq!(ended.code, Some(99), "{ended:#?}");
    assert!(begun.elapsed() < Duration::from_secs(30), "{:?}", begun.elapsed());
}

#[tokio::test(flavor = "multi_thread")]
async fn an_interrupted_run_says_so_and_keeps_its_results() {
    let sink = Sink::start().await;
    let folder = load("vus = 1\nduration = \"60s\"\n");
    let child = folder.start(&["run", "load.toml", "--target", &sink.url(""), "--out", "json=result.json"]);
    sink.wait_for_count(5, SOON).await;
    signal(&child, Signal::INT);
    let ended = wait(child).await;
    assert_eq!(ended.code, Some(105), "{ended:#?}");
    let written: serde_json::Value = serde_json::from_str(&folder.read("result.json")).expect("JSON");
    assert!(written.to_string().contains("http_req_duration"));
}

#[tokio::test(flavor = "multi_thread")]
async fn an_slo_file_and_its_environment_become_thresholds() {
    let sink = Sink::start().await;
    let folder = Folder::with(&[
        ("load.toml", &format!("vus = 1\niterations = 5\n{FLOW}")),
        ("slo.toml", "p95_ms = 10000\nthroughput_rps = 1000000\n[environments.staging]\nthroughput_rps = 0.001\n"),
    ]);
    let arguments = ["run", "load.toml", "--target", &sink.url(""), "--slo", "slo.toml"];
    assert_eq!(folder.run_beside(&arguments).await.code, Some(99), "the base asks for a million a second");
    let mut staging = folder.command(&arguments);
    staging.env("ENVIRONMENT", "staging");
    let ended = tokio::task::spawn_blocking(move || crate::support::finish(&mut staging)).await.expect("it runs");
    assert_eq!(ended.code, Some(0), "{ended:#?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn results_can_be_compared_merged_and_drawn_later() {
    let sink = Sink::start().await;
    let folder = load("vus = 2\niterations = 20\n");
    for name in ["a.json", "b.json"] {
        let out = format!("json={name}");
        let ended = folder.run_beside(&["run", "load.toml", "--target", &sink.url(""), "--out", &out]).await;
        assert_eq!(ended.code, Some(0), "{ended:#?}");
    }
    let ended = folder.run(&["compare", "a.json", "b.json"]);
    assert_eq!(ended.code, Some(0), "{ended:#?}");
    assert!(ended.stdout.contains("no evidence"), "twenty requests prove nothing: {ended:#?}");
    let ended = folder.run(&["report", "a.json", "--baseline", "b.json", "--out", "html=drawn.html"]);
    assert_eq!(ended.code, Some(0), "{ended:#?}");
    assert!(folder.read("drawn.html").starts_with("<!DOCTYPE html>"));
    let merged = folder.run(&["merge", "a.json", "b.json", "--output", "json"]).json(0);
    let requests = merged["metrics"]["http_reqs"].to_string();
    assert!(requests.contains("40"), "{requests}");
    let ended = folder.run(&["report", "load.toml", "--out", "html=x.html"]);
    assert_eq!(ended.code, Some(104), "{ended:#?}");
    assert!(ended.stderr.contains("load.toml"), "{ended:#?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn an_externally_controlled_scenario_follows_its_control() {
    let sink = Sink::start().await;
    let folder = Folder::with(&[(
        "load.toml",
        &format!(
            "[scenarios.open]\nexecutor = \"externally-controlled\"\nvus = 1\nmaxVUs = 5\nduration = \"60s\"\ngracefulStop = \"1s\"\n{FLOW}"
        ),
    )]);
    let address = format!("127.0.0.1:{}", spillway_testkit::free_port());
    let child = folder.start(&["run", "load.toml", "--target", &sink.url(""), "--address", &address, "-q"]);
    sink.wait_for_count(5, SOON).await;
    let status = |folder: &Folder| folder.run(&["status", "--address", &address, "--output", "json"]);
    let ended = folder.run(&["scale", "--vus", "4", "--address", &address]);
    assert_eq!(ended.code, Some(0), "{ended:#?}");
    wait_until("four users", SOON, async || sink.connection_count() >= 4).await;
    let ended = folder.run(&["scale", "--vus", "9", "--address", &address]);
    assert_ne!(ended.code, Some(0), "more than maxVUs: {ended:#?}");
    assert!(ended.stderr.contains('5'), "{ended:#?}");
    wait_until("a status of four users", SOON, async || status(&folder).json(0)["vus"] == 4).await;
    assert_eq!(folder.run(&["stop", "--address", &address]).code, Some(0));
    let ended = wait(child).await;
    assert!(matches!(ended.code, Some(0 | 105)), "{ended:#?}");
}
