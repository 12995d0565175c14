use proptest::prelude::*;

use super::*;

const TOML: &str = r#"
target = "http://127.0.0.1:8080"
rps = 500
userAgent = "test"
insecureSkipTLSVerify = true
noConnectionReuse = true
discardResponseBodies = true
setupTimeout = "5s"
summaryTrendStats = ["med", "p(99.9)", "count"]
summaryTimeUnit = "ms"
executionSegment = "1/2:1"
executionSegmentSequence = "0,1/2,1"
[tags]
team = "a"
[scenarios.b]
executor = "ramping-arrival-rate"
startRate = 1
timeUnit = "1m"
preAllocatedVUs = 2
maxVUs = 3
spacing = "poisson"
seed = 9
startTime = "1s"
gracefulStop = 500
exec = "other"
env = { KEY = "value" }
tags = { team = "b" }
stages = [{ duration = "1s", target = 5.5 }, { duration = 0, target = 1 }]
[scenarios.a]
executor = "shared-iterations"
vus = 2
iterations = 10
[thresholds]
http_reqs = ["count>1", { threshold = "rate>=1", abortOnFail = true, delayAbortEval = "1s" }]
"checks{team:a}" = { threshold = "rate>0.9", noSamples = "pass" }
"#;

const YAML: &str = r#"
target: http://127.0.0.1:8080
rps: 500
userAgent: test
insecureSkipTLSVerify: true
noConnectionReuse: true
discardResponseBodies: true
setupTimeout: 5s
summaryTrendStats: [med, p(99.9), count]
summaryTimeUnit: ms
executionSegment: "1/2:1"
executionSegmentSequence: 0,1/2,1
tags: { team: a }
scenarios:
  b:
    executor: ramping-arrival-rate
    startRate: 1
    timeUnit: 1m
    preAllocatedVUs: 2
    maxVUs: 3
    spacing: poisson
    seed: 9
    startTime: 1s
    gracefulStop: 500
    exec: other
    env: { KEY: value }
    tags:
      team: b
    stages:
      - { duration: 1s, target: 5.5 }
      - duration: 0
        target: 1
  a:
    executor: shared-iterations
    vus: 2
    iterations: 10
thresholds:
  http_reqs:
    - count>1
    - threshold: rate>=1
      abortOnFail: true
      delayAbortEval: 1s
  checks{team:a}: { threshold: rate>0.9, noSamples: pass }
"#;

const JSON: &str = r#"{
"target": "http://127.0.0.1:8080", "rps": 500, "userAgent": "test", "insecureSkipTLSVerify": true, "noConnectionReuse": true,
"discardResponseBodies": true, "setupTimeout": "5s", "summaryTrendStats": ["med", "p(99.9)", "count"], "summaryTimeUnit": "ms",
"executionSegment": "1/2:1", "executionSegmentSequence": "0,1/2,1", "tags": {"team": "a"}, "duration": null,
"scenarios": {
  "b": {"executor": "ramping-arrival-rate", "startRate": 1, "timeUnit": "1m", "preAllocatedVUs": 2, "maxVUs": 3, "spacing": "poisson",
    "seed": 9, "startTime": "1s", "gracefulStop": 500, "exec": "other", "env": {"KEY": "value"}, "tags": {"team": "b"},
    "stages": [{"duration": "1s", "target": 5.5}, {"duration": 0, "target": 1}]},
  "a": {"executor": "shared-iterations", "vus": 2, "iterations": 10}},
"thresholds": {"http_reqs": ["count>1", {"threshold": "rate>=1", "abortOnFail": true, "delayAbortEval": "1s"}],
  "checks{team:a}": {"threshold": "rate>0.9", "noSamples": "pass"}}
}"#;

#[test]
fn all_formats_mean_the_same() {
    let plans = [(TOML, Format::Toml), (YAML, Format::Yaml), (JSON, Format::Json)].map(|(text, format)| {
        let options = Options::parse(text, format, "test").unwrap_or_else(|error| panic!("{format:?}: {error}"));
        options.plan(&Overrides::default(), &["default", "other"]).unwrap_or_else(|error| panic!("{format:?}: {error}"))
    });
    let [toml, others @ ..] = &plans;
    for other in others {
        assert_eq!(format!("{toml:?}"), format!("{other:?}"));
    }
    let [a, b] = toml.scenarios.as_slice() else { panic!("two scenarios") };
    assert_eq!(
        a.executor,
        ExecutorPlan::SharedIterations { vus: 2, iterations: 10, max_duration: Duration::from_secs(600) }
    );
    assert_eq!(
        (a.exec.as_str(), a.graceful_stop, &a.tags["team"]),
        ("default", Duration::from_secs(30), &"a".to_owned())
    );
    assert_eq!(
        (b.exec.as_str(), b.graceful_stop, &b.tags["team"]),
        ("other", Duration::from_millis(500), &"b".to_owned())
    );
    let ExecutorPlan::RampingArrivalRate { time_unit, stages, spacing, .. } = &b.executor else { panic!("{b:?}") };
    assert_eq!((*time_unit, *spacing), (Duration::from_secs(60), Spacing::Poisson { seed: 9 }));
    assert_eq!(stages[0], Stage { duration: Duration::from_secs(1), target: 5.5 });
    let thresholds: Vec<_> =
        toml.thresholds.iter().map(|one| format!("{}: {}", one.selector, one.expression)).collect();
    assert_eq!(thresholds, ["http_reqs: count>1", "http_reqs: rate>=1", "checks{team:a}: rate>0.9"]);
    assert_eq!((toml.rps, toml.segment.to_string().as_str()), (Some(500), "1/2:1"));
    assert_eq!(toml.warnings, Vec::<String>::new());
}

#[test]
fn places_are_lines_and_what_is_not_there_has_the_line_of_what_would_hold_it() {
    let options = Options::parse(TOML, Format::Toml, "x.toml").unwrap();
    for (path, place) in [
        (&["scenarios", "b", "seed"][..], "x.toml:22"),
        (&["scenarios", "b", "nothing"], "x.toml:15"),
        (&["scenarios", "b", "stages", "1", "target"], "x.toml:28"),
        (&["nothing", "at all"], "x.toml:1"),
    ] {
        assert_eq!(options.place(path), place);
    }
}

#[test]
fn every_shipped_test_has_a_plan() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../infra/load");
    let mut described = String::new();
    let mut files: Vec<_> = std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()).collect();
    files.sort();
    for file in files.iter().filter(|file| Format::of(file) == Some(Format::Toml)) {
        let options = Options::from_file(file).unwrap_or_else(|error| panic!("{error}"));
        let plan = options.plan(&Overrides::default(), &[]).unwrap_or_else(|error| panic!("{error}"));
        assert_eq!(plan.warnings, Vec::<String>::new(), "{}", file.display());
        assert!(!plan.thresholds.is_empty(), "{}", file.display());
        for scenario in plan.describe().scenarios {
            let name = file.file_stem().unwrap().to_str().unwrap();
            described.push_str(&format!(
                "{name}: {} {}, {} users\n",
                scenario.executor, scenario.schedule, scenario.max_vus
            ));
        }
    }
    insta::assert_snapshot!(described, @r"
    ai: constant-vus 500 users for 5m, 500 users
    baseline: constant-arrival-rate 50/s for 5m, 200 users
    mobile: constant-vus 2000 users for 5m, 2000 users
    peak: ramping-vus 0 → 10000 users in 15m, 10000 users for 20m, 10000 → 0 users in 10m, 10000 users
    progressive: ramping-arrival-rate 100/s for 2m, 100 → 250/s in 30s, 250/s for 2m, 250 → 500/s in 30s, 500/s for 2m, 500 → 750/s in 30s, 750/s for 2m, 750 → 1000/s in 30s, 1000/s for 2m, 1000 users
    smoke: constant-vus 2 users for 10s, 2 users
    spike-15000: ramping-vus 0 → 15000 users in 30s, 15000 users for 2m, 15000 → 0 users in 30s, 15000 users
    spike: ramping-arrival-rate 100/s for 1m, 100 → 2000/s in 10s, 2000/s for 1m, 2000 → 100/s in 10s, 100/s for 2m, 4000 users
    sustained: constant-arrival-rate 800/s for 30m, 2000 users
    users-100: constant-vus 100 users for 5m, 100 users
    websocket: ramping-vus 0 → 2000 users in 30s, 2000 users for 2m, 2000 users
    ");
}

proptest! {
    #[test]
    fn no_text_panics(text in "(vus|duration|scenarios|[a-z]|[\\[\\]{}:=,\"'\n .0-9&*!|>-]|\\PC){0,40}") {
        for format in [Format::Toml, Format::Yaml, Format::Json] {
            if let Ok(options) = Options::parse(&text, format, "f") {
                let _ = options.plan(&Overrides::default(), &["default"]);
            }
        }
    }
}
