use super::*;

/// The same mistake in each format, on the same line.
#[test]
fn every_format_points_at_the_line_of_a_mistake() {
    let toml = "vus = 1\n\n[scenarios.smoke]\nexecutor = \"constant-arrival-rate\"\nrate = 5\nduration = \"1s\"\npreAllocatedVUs = 10\nmaxVUs = 5\n";
    let yaml = "vus: 1\n\nscenarios:\n  smoke:\n    executor: constant-arrival-rate\n    rate: 5\n    preAllocatedVUs: 10\n    maxVUs: 5\n    duration: 1s\n";
    let json = "{\n \"vus\": 1,\n \"scenarios\": {\n  \"smoke\": {\n   \"executor\": \"constant-arrival-rate\",\n   \"rate\": 5, \"preAllocatedVUs\": 10,\n   \"duration\": \"1s\",\n   \"maxVUs\":\n    5\n  }\n }\n}\n";
    for (text, format, name) in
        [(toml, Format::Toml, "a.toml"), (yaml, Format::Yaml, "a.yaml"), (json, Format::Json, "a.json")]
    {
        let expected = format!("{name}:8: scenarios.smoke.maxVUs: 5 is less than preAllocatedVUs, which is 10");
        assert_eq!(refused(text, format, name), expected);
        let misspelt = text.replace("maxVUs", "maxVU");
        let expected = format!("{name}:8: scenarios.smoke.maxVU: there is no such option, the nearest is `maxVUs`");
        assert_eq!(refused(&misspelt, format, name), expected);
        let wrong = text
            .replace("rate: 5", "rate: fast")
            .replace("rate = 5", "rate = \"fast\"")
            .replace("\"rate\": 5", "\"rate\": \"fast\"");
        let line = if format == Format::Toml { 5 } else { 6 };
        assert_eq!(
            refused(&wrong, format, name),
            format!("{name}:{line}: scenarios.smoke.rate: expected a number, not the text \"fast\"")
        );
    }
}

#[test]
fn broken_syntax_names_the_line() {
    for (text, format, begin) in [
        ("vus = 1\nvus = 2\n", Format::Toml, "f:2: "),
        ("vus = 1\n[scenarios\n", Format::Toml, "f:2: "),
        ("vus: 1\nvus: 2\n", Format::Yaml, "f:2: "),
        ("vus: 1\nscenarios: [\n", Format::Yaml, "f:"),
        ("{\n\"vus\": 1,\n\"vus\": 2}", Format::Json, "f:3: duplicate key `vus`"),
        ("{\n\"vus\": 1,\n}", Format::Json, "f:3: "),
        ("{} x", Format::Json, "f:1: "),
        ("", Format::Json, "f:1: "),
        ("[1]", Format::Json, "f:1: a file of options is a table"),
        ("- 1", Format::Yaml, "f:1: a file of options is a table"),
        ("since = 2020-01-01", Format::Toml, "f:1: no option is a date"),
    ] {
        let error = refused(text, format, "f");
        assert!(error.starts_with(begin), "{text}: {error}");
        assert!(!error.contains(" column ") && !error.contains('\n'), "the place is said once: {error}");
    }
}

#[test]
fn deep_files_are_refused() {
    for (text, format) in [
        (format!("a = {}", "[".repeat(100_000)), Format::Toml),
        (format!("a: {}", "[".repeat(100_000)), Format::Yaml),
        (format!("{}1{}", "{\"a\":".repeat(100_000), "}".repeat(100_000)), Format::Json),
    ] {
        assert!(refused(&text, format, "f").starts_with("f:1: "), "{format:?}");
    }
}

#[test]
fn rules_are_said_where_they_are_broken() {
    let scenario = |lines: &str| format!("[scenarios.x]\n{lines}");
    let mut wrong = Vec::new();
    for (toml, expected) in [
        ("vu = 1".to_owned(), "1: vu: there is no such option, the nearest is `vus`"),
        ("vus = 1\nbatch = 3".to_owned(), "2: batch: k6 has this option, spillway-loadgen has not: remove it"),
        (
            "iterations = 4\nvus = 5".to_owned(),
            "1: iterations: 4 iterations are not enough for 5 users: each of them needs one",
        ),
        (
            "iterations = 4\nstages = [{ duration = 1, target = 1 }]".to_owned(),
            "1: iterations: with `stages` it is not clear",
        ),
        (
            "duration = 4\nstages = [{ duration = 1, target = 1 }]".to_owned(),
            "1: duration: with `stages` it is not clear",
        ),
        (
            "duration = 4\n[scenarios.x]\nexecutor = \"constant-vus\"\nduration = 1".to_owned(),
            "1: duration: a file has either `scenarios`",
        ),
        ("duration = \"1 s\"".to_owned(), "1: duration: this number has no unit"),
        ("duration = 0".to_owned(), "1: duration: give more than 0"),
        ("duration = 1\nvus = 0".to_owned(), "2: vus: give more than 0"),
        ("vus = -1".to_owned(), "1: vus: expected a whole number from 0 to 4294967295, not -1"),
        ("vus = 1.5".to_owned(), "1: vus: expected a whole number from 0 to 4294967295, not 1.5"),
        (
            "duration = 1\nvus = 1000001".to_owned(),
            "1: scenarios: 1000001 users are too many: a test has at most 1000000",
        ),
        (
            "[scenarios.\"a b\"]\nexecutor = \"constant-vus\"".to_owned(),
            "1: scenarios.a b: a scenario's name has letters",
        ),
        (scenario("vus = 1"), "1: scenarios.x: `executor` is missing: it is one of shared-iterations, "),
        (
            scenario("executor = \"constant-vu\""),
            "2: scenarios.x.executor: there is no executor `constant-vu`, the nearest is `constant-vus`",
        ),
        (scenario("executor = \"constant-vus\""), "1: scenarios.x: `duration` is missing: constant-vus needs it"),
        (
            scenario("executor = \"constant-vus\"\nduration = 1\nrate = 1"),
            "4: scenarios.x.rate: constant-vus has no such option, it has vus, duration",
        ),
        (scenario("executor = \"ramping-vus\""), "1: scenarios.x: `stages` is missing"),
        (scenario("executor = \"ramping-vus\"\nstages = []"), "3: scenarios.x.stages: give at least one stage"),
        (
            scenario(
                "executor = \"ramping-vus\"\nstages = [\n{ duration = 1, target = 1 },\n{ duration = 1, target = 1.5 }]",
            ),
            "5: scenarios.x.stages[1].target: users are whole numbers, not 1.5",
        ),
        (
            scenario("executor = \"ramping-vus\"\nstages = [\n{ duration = 1 }]"),
            "4: scenarios.x.stages[0]: `target` is missing",
        ),
        (
            scenario("executor = \"ramping-vus\"\nstages = [\n{ duration = 0, target = 1 }]"),
            "3: scenarios.x.stages: all stages together have no length",
        ),
        (
            scenario(
                "executor = \"ramping-arrival-rate\"\npreAllocatedVUs = 1\nstages = [{ duration = 1, target = -1 }]",
            ),
            "4: scenarios.x.stages[0].target: a target is a number of at least 0, not -1",
        ),
        (
            scenario(
                "executor = \"ramping-arrival-rate\"\npreAllocatedVUs = 1\nstartRate = nan\nstages = [{ duration = 1, target = 1 }]",
            ),
            "4: scenarios.x.startRate: a rate is a number of at least 0",
        ),
        (
            scenario("executor = \"constant-arrival-rate\"\nrate = 0\nduration = 1\npreAllocatedVUs = 1"),
            "3: scenarios.x.rate: a rate is a number greater than 0, not 0",
        ),
        (
            scenario("executor = \"constant-arrival-rate\"\nrate = 1\nduration = 1"),
            "1: scenarios.x: `preAllocatedVUs` is missing",
        ),
        (
            scenario("executor = \"constant-arrival-rate\"\nrate = 1\nduration = 1\npreAllocatedVUs = 0"),
            "5: scenarios.x.preAllocatedVUs: give more than 0",
        ),
        (
            scenario("executor = \"constant-arrival-rate\"\nrate = 1\nduration = 1\npreAllocatedVUs = 1\ntimeUnit = 0"),
            "6: scenarios.x.timeUnit: give more than 0",
        ),
        (
            scenario("executor = \"constant-arrival-rate\"\nrate = 1e9\nduration = 1\npreAllocatedVUs = 1"),
            "1: scenarios.x: a scenario starts at most 10000000 iterations per second",
        ),
        (
            scenario("executor = \"constant-arrival-rate\"\nspacing = \"poison\""),
            "3: scenarios.x.spacing: `poison` is none of even, poisson, the nearest is `poisson`",
        ),
        (
            scenario("executor = \"constant-vus\"\nduration = \"366d\""),
            "1: scenarios.x: a scenario is over within 366 days",
        ),
        (
            scenario("executor = \"externally-controlled\"\nduration = 0\nvus = 2\nmaxVUs = 1"),
            "5: scenarios.x.maxVUs: 1 is less than one, or than vus, which is 2",
        ),
        (
            scenario("executor = \"constant-vus\"\nduration = 1\nexec = \"othr\""),
            "4: scenarios.x.exec: there is no flow `othr`, the nearest is `other`",
        ),
        (
            scenario("executor = \"constant-vus\"\nduration = 1\ntags = { a = 1 }"),
            "4: scenarios.x.tags.a: expected text, not 1",
        ),
        (
            "[thresholds]\nhttp_req_duraton = \"p(95)<1\"".to_owned(),
            "2: thresholds.http_req_duraton: there is no metric `http_req_duraton`, the nearest is `http_req_duration`",
        ),
        (
            "[thresholds]\nhttp_reqs = [\n\"count>1\",\n\"p(95)<1\"]".to_owned(),
            "4: thresholds.http_reqs[1]: `http_reqs` is a counter and has no `p(95)`: use count or rate",
        ),
        (
            "[thresholds]\n\"http_reqs{scenari:x}\" = \"count>1\"".to_owned(),
            "2: thresholds.http_reqs{scenari:x}: there is no tag `scenari`, the nearest is `scenario`",
        ),
        ("[thresholds]\nhttp_reqs = \"p95<1\"".to_owned(), "2: thresholds.http_reqs: "),
        (
            "[thresholds]\nhttp_reqs = { threshold = \"count>1\", abortOnFal = true }".to_owned(),
            "2: thresholds.http_reqs.abortOnFal: there is no such option, the nearest is `abortOnFail`",
        ),
        ("[thresholds]\n\"http reqs\" = \"count>1\"".to_owned(), "2: thresholds: expected a metric's name"),
        ("thresholds = 1".to_owned(), "1: thresholds: expected a table of metrics"),
        (
            "executionSegment = \"1/4:3/4\"".to_owned(),
            "1: executionSegment: the segment `1/4:3/4` is not one of several equal parts",
        ),
        ("executionSegmentSequence = \"0,1\"".to_owned(), "1: executionSegmentSequence: a sequence alone says nothing"),
        ("target = \"localhost:80\"".to_owned(), "1: target: a target is an http:// or https:// URL with a host"),
        ("target = \"/x\"".to_owned(), "1: target: relative URL without a base"),
        ("summaryTrendStats = [\"avg\", \"rate\"]".to_owned(), "1: summaryTrendStats[1]: a trend has no `rate`"),
        ("summaryTimeUnit = \"m\"".to_owned(), "1: summaryTimeUnit: `m` is none of s, ms, us"),
        ("rps = 0".to_owned(), "1: rps: 0 would send nothing"),
        ("setupTimeout = 0".to_owned(), "1: setupTimeout: nothing is done in no time"),
    ] {
        let error = refused(&toml, Format::Toml, "f");
        if !error.starts_with(&format!("f:{expected}")) {
            wrong.push(format!("{toml}\n  says      {error}\n  should be f:{expected}"));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n\n"));
}

#[test]
fn mistakes_of_the_command_line_name_its_option() {
    let default = Overrides::default;
    let second = Some(Duration::from_secs(1));
    let stage: Stage = "1s:5".parse().unwrap();
    let threshold =
        |selector: &str, expression: &str| Threshold::new(selector.parse().unwrap(), expression.parse().unwrap());
    for (overrides, expected) in [
        (
            Overrides { vus: Some(5), iterations: Some(2), ..default() },
            "--iterations: 2 iterations are not enough for 5 users: each of them needs one",
        ),
        (Overrides { vus: Some(0), duration: second, ..default() }, "--vus: give more than 0"),
        (
            Overrides { duration: second, stages: vec![stage], ..default() },
            "--duration: with `stages` it is not clear which scenario is meant: leave one of them out",
        ),
        (Overrides { scale: 0.0, ..default() }, "--scale: give a number greater than 0, such as 0.1"),
        (Overrides { time_scale: f64::NAN, ..default() }, "--time-scale: give a number greater than 0, such as 0.1"),
        (Overrides { rps: Some(0), ..default() }, "--rps: 0 would send nothing: leave it out for no limit"),
        (
            Overrides { target: Some("ftp://x".parse().unwrap()), ..default() },
            "--target: a target is an http:// or https:// URL with a host",
        ),
        (
            Overrides { thresholds: vec![threshold("vus", "avg<1")], ..default() },
            "threshold vus: avg<1: `vus` is a gauge and has no `avg`: use value",
        ),
    ] {
        assert_eq!(plan_with("vus = 1", &overrides).unwrap_err().to_string(), expected);
    }
    for text in ["10s", "10:x", "x:1", "1s:-1", "1s:1.5"] {
        assert!(
            text.parse::<Stage>().unwrap_err().to_string().starts_with("write DURATION:USERS, such as 30s:10"),
            "{text}"
        );
    }
    let error = Options::from_file(Path::new("nowhere/test.toml")).unwrap_err().to_string();
    assert!(error.starts_with("nowhere/test.toml: "), "{error}");
    assert!(Options::from_file(Path::new("test.js")).unwrap_err().to_string().contains("ends with none of .toml"));
}
