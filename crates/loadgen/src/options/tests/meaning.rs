use super::*;

fn only(plan: &Plan) -> &ScenarioPlan {
    let [scenario] = plan.scenarios.as_slice() else { panic!("one scenario: {:?}", plan.scenarios) };
    scenario
}

const MINUTE: Duration = Duration::from_secs(60);

#[test]
fn shortcuts_are_one_scenario_named_default() {
    let ten_minutes = 10 * MINUTE;
    let ramp = ExecutorPlan::RampingVus {
        start_vus: 3,
        stages: vec![Stage { duration: MINUTE, target: 5.0 }],
        graceful_ramp_down: Duration::from_secs(30),
    };
    for (toml, executor) in [
        ("", ExecutorPlan::PerVuIterations { vus: 1, iterations: 1, max_duration: ten_minutes }),
        ("iterations = 7", ExecutorPlan::SharedIterations { vus: 1, iterations: 7, max_duration: ten_minutes }),
        (
            "iterations = 7\nvus = 3\nduration = \"1m\"",
            ExecutorPlan::SharedIterations { vus: 3, iterations: 7, max_duration: MINUTE },
        ),
        ("duration = \"1m\"", ExecutorPlan::ConstantVus { vus: 1, duration: MINUTE }),
        ("duration = \"1m\"\nvus = 3", ExecutorPlan::ConstantVus { vus: 3, duration: MINUTE }),
        ("vus = 3\nstages = [{ duration = \"1m\", target = 5 }]", ramp),
    ] {
        let plan = plan(toml).unwrap();
        assert_eq!((only(&plan).name.as_str(), only(&plan).exec.as_str()), ("default", "default"));
        assert_eq!(only(&plan).executor, executor, "{toml}");
        assert_eq!(plan.warnings, Vec::<String>::new());
    }
}

#[test]
fn defaults_are_those_of_k6() {
    let executor = |lines: &str| only(&plan(&format!("[scenarios.x]\n{lines}")).unwrap()).executor.clone();
    let rate = executor("executor = \"constant-arrival-rate\"\nrate = 5\nduration = \"1m\"\npreAllocatedVUs = 4");
    assert_eq!(
        rate,
        ExecutorPlan::ConstantArrivalRate {
            rate: 5.0,
            time_unit: Duration::from_secs(1),
            duration: MINUTE,
            pre_allocated_vus: 4,
            max_vus: 4,
            spacing: Spacing::Even,
        }
    );
    let ExecutorPlan::RampingVus { start_vus: 1, .. } =
        executor("executor = \"ramping-vus\"\nstages = [{ duration = 1, target = 0 }]")
    else {
        panic!("one user at the start")
    };
    let ExecutorPlan::RampingArrivalRate { start_rate: 0.0, .. } =
        executor("executor = \"ramping-arrival-rate\"\npreAllocatedVUs = 1\nstages = [{ duration = 1, target = 1 }]")
    else {
        panic!("no rate at the start")
    };
    let outside = executor("executor = \"externally-controlled\"\nduration = 0\nvus = 2\nmaxVUs = 9");
    assert_eq!(outside, ExecutorPlan::ExternallyControlled { vus: 2, max_vus: 9, duration: None });

    let plan = plan("").unwrap();
    assert_eq!((plan.setup_timeout, plan.teardown_timeout), (MINUTE, MINUTE));
    let stats: Vec<_> = plan.summary_trend_stats.iter().map(ToString::to_string).collect();
    assert_eq!(stats, ["avg", "min", "med", "max", "p(90)", "p(95)"]);
    assert!(plan.segment.is_whole() && plan.target.is_none() && plan.rps.is_none());
}

const TWO: &str = "
    [scenarios.a]\nexecutor = \"constant-vus\"\nduration = \"1m\"\nexec = \"other\"\nenv = { K = \"v\" }
    [scenarios.b]\nexecutor = \"constant-vus\"\nduration = \"1m\"";

#[test]
fn the_command_line_takes_the_place_of_all_scenarios_as_in_k6() {
    let duration = Overrides { vus: Some(4), duration: Some(MINUTE), ..Overrides::default() };
    let executor = ExecutorPlan::ConstantVus { vus: 4, duration: MINUTE };
    let one = TWO.split("[scenarios.b]").next().unwrap();
    let sole = plan_with(one, &duration).unwrap();
    assert_eq!(only(&sole).executor, executor);
    assert_eq!(
        (only(&sole).name.as_str(), only(&sole).exec.as_str(), only(&sole).env["K"].as_str()),
        ("default", "other", "v")
    );
    let both = plan_with(TWO, &duration).unwrap();
    assert_eq!((&only(&both).executor, only(&both).exec.as_str()), (&executor, "default"));

    // Later shortcuts replace earlier ones, except the users.
    let iterations = Overrides { iterations: Some(9), ..Overrides::default() };
    let plan = plan_with("vus = 2\nduration = \"5m\"", &iterations).unwrap();
    assert_eq!(
        only(&plan).executor,
        ExecutorPlan::SharedIterations { vus: 2, iterations: 9, max_duration: 10 * MINUTE }
    );
    let stages = Overrides { stages: vec!["1m:5".parse().unwrap(), "0:7".parse().unwrap()], ..Overrides::default() };
    let ExecutorPlan::RampingVus { start_vus: 1, stages, .. } =
        only(&plan_with(TWO, &stages).unwrap()).executor.clone()
    else {
        panic!("stages")
    };
    assert_eq!(stages, [Stage { duration: MINUTE, target: 5.0 }, Stage { duration: Duration::ZERO, target: 7.0 }]);

    // Users alone decide nothing, and it is said.
    let vus = plan_with(TWO, &Overrides { vus: Some(9), ..Overrides::default() }).unwrap();
    assert_eq!(vus.scenarios.len(), 2);
    assert!(vus.warnings[0].starts_with("--vus changes nothing"), "{:?}", vus.warnings);
}

#[test]
fn the_command_line_adds_and_replaces() {
    let threshold = Threshold::new("checks{build:1}".parse().unwrap(), "rate>0.5".parse().unwrap());
    let overrides = Overrides {
        tags: BTreeMap::from([("build".to_owned(), "1".to_owned()), ("team".to_owned(), "b".to_owned())]),
        thresholds: vec![threshold],
        target: Some("https://other.test/base".parse().unwrap()),
        rps: Some(7),
        segment: Some(Segment::parse(Some("0:1/2"), None).unwrap()),
        ..Overrides::default()
    };
    let file = "target = \"http://file.test\"\nrps = 3\nexecutionSegment = \"1/2:1\"\ntags = { team = \"a\" }\n[thresholds]\nvus = \"value<9\"";
    let plan = plan_with(file, &overrides).unwrap();
    assert_eq!(
        plan.tags.iter().map(|(name, value)| format!("{name}={value}")).collect::<Vec<_>>(),
        ["build=1", "team=b"]
    );
    assert_eq!(only(&plan).tags, plan.tags);
    assert_eq!(
        plan.thresholds.iter().map(|one| one.selector.to_string()).collect::<Vec<_>>(),
        ["vus", "checks{build:1}"]
    );
    assert_eq!(plan.target.unwrap().as_str(), "https://other.test/base");
    assert_eq!((plan.rps, plan.segment.to_string().as_str()), (Some(7), "0:1/2"));
}

#[test]
fn tags_of_requests_can_be_selected() {
    let file = "[[flows.default.requests]]\npath = \"/\"\ntags = { step = \"login\" }\n[thresholds]\n\"http_reqs{step:login}\" = \"count>0\"";
    assert_eq!(plan(file).unwrap().thresholds.len(), 1);
}

#[test]
fn what_is_probably_not_meant_is_said() {
    let scenario = "[scenarios.x]\nexecutor = \"constant-vus\"\nduration = 1000\n";
    let flow = |name: &str| format!("[[flows.{name}.requests]]\npath = \"/\"\n");
    for (toml, warning) in [
        ("vus = 5".to_owned(), "without duration, iterations or stages one user runs one iteration, whatever vus says"),
        (format!("vus = 5\n{scenario}"), "test.toml:1: vus changes nothing beside `scenarios`"),
        (format!("{scenario}{}", flow("unused")), "test.toml:4: no scenario runs the flow unused"),
        (format!("{scenario}exec = \"setup\"\n{}", flow("setup")), "test.toml:5: the flow setup runs once by itself, and scenario x runs it again"),
        (format!("{scenario}startTime = \"5s\""), "nothing runs for the first 5s"),
        ("[thresholds]\nchecks = []".to_owned(), "test.toml:2: checks has no condition"),
        ("[thresholds]\n\"vus{scenario:y}\" = \"value<9\"".to_owned(), "threshold vus{scenario:y}: value<9 has no samples: there is no scenario y"),
        (
            "[thresholds]\nvus = { threshold = \"value<9\", delayAbortEval = \"1s\" }".to_owned(),
            "threshold vus: value<9: delayAbortEval changes nothing without abortOnFail",
        ),
        ("tags = { method = \"x\" }".to_owned(), "test.toml:1: samples have a tag method of their own, which hides this one"),
        ("executionSegment = \"1/2:1\"".to_owned(), "test.toml:1: the segment 1/2:1 has none of the users of scenario default"),
        (
            "[scenarios.x]\nexecutor = \"ramping-vus\"\nstartVUs = 0\nstages = [{ duration = 1, target = 0 }]".to_owned(),
            "test.toml:1: scenario x never has a user",
        ),
        (
            "[scenarios.x]\nexecutor = \"ramping-arrival-rate\"\npreAllocatedVUs = 1\nstages = [{ duration = 1, target = 0 }]".to_owned(),
            "test.toml:1: scenario x never starts an iteration: all its rates are 0",
        ),
        (
            "rps = 9\n[scenarios.x]\nexecutor = \"constant-arrival-rate\"\npreAllocatedVUs = 1\nrate = 10\nduration = 1000\nseed = 4".to_owned(),
            "test.toml:2: scenario x starts more iterations per second than the 9 requests that rps allows\n\
             test.toml:2: the seed of scenario x changes nothing without spacing = \"poisson\"",
        ),
    ] {
        assert_eq!(plan(&toml).unwrap().warnings.join("\n"), warning, "{toml}");
    }
    let once = format!("{scenario}{}{}", flow("setup"), flow("teardown"));
    assert_eq!(plan(&once).unwrap().warnings, Vec::<String>::new());
}
