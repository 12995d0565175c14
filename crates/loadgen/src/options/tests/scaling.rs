use super::*;

const ALL: &str = r#"
rps = 300
[scenarios.a]
executor = "shared-iterations"
vus = 3
iterations = 104
maxDuration = "10s"
startTime = "4s"
[scenarios.b]
executor = "per-vu-iterations"
vus = 26
iterations = 104
[scenarios.c]
executor = "constant-vus"
vus = 24
duration = "10s"
gracefulStop = "7s"
[scenarios.d]
executor = "ramping-vus"
startVUs = 0
stages = [{ duration = "10s", target = 2 }, { duration = 0, target = 95 }, { duration = "1s", target = 0 }]
[scenarios.e]
executor = "constant-arrival-rate"
rate = 25
timeUnit = "1m"
duration = "10s"
preAllocatedVUs = 4
maxVUs = 100
[scenarios.f]
executor = "ramping-arrival-rate"
startRate = 5
stages = [{ duration = "10s", target = 12 }, { duration = "10s", target = 12 }, { duration = 0, target = 1 }]
preAllocatedVUs = 0
maxVUs = 9
[scenarios.g]
executor = "externally-controlled"
vus = 0
maxVUs = 50
duration = 0
[thresholds]
http_reqs = ["rate>100", "count>5"]
http_req_duration = "p(95)<100"
"#;

fn described(overrides: &Overrides) -> String {
    let plan = plan_with(ALL, overrides).unwrap();
    let description = plan.describe();
    let mut text = String::new();
    for scenario in &description.scenarios {
        let end = scenario.end.map_or_else(|| "open".to_owned(), |end| Timespan(end).to_string());
        let iterations = scenario.iterations.map_or_else(|| "?".to_owned(), |n| n.to_string());
        text.push_str(&format!(
            "{}: {}, {}-{} users, {iterations} iterations, {} to {end}\n",
            scenario.name,
            scenario.schedule,
            scenario.vus,
            scenario.max_vus,
            Timespan(scenario.start),
        ));
    }
    text.push_str(&format!("{} users, rps {:?}\n{}", description.max_vus, plan.rps, plan.warnings.join("\n")));
    text
}

#[test]
fn a_test_is_described_as_it_is_written() {
    insta::assert_snapshot!(described(&Overrides::default()), @r"
    a: 104 iterations shared by 3 users, at most 10s, 3-3 users, 104 iterations, 4s to 14s
    b: 104 iterations by each of 26 users, at most 10m, 26-26 users, 2704 iterations, 0s to 10m
    c: 24 users for 10s, 24-24 users, ? iterations, 0s to 10s
    d: 0 → 2 users in 10s, at once 95 users, 95 → 0 users in 1s, 0-95 users, ? iterations, 0s to 11s
    e: 25/min for 10s, 4-100 users, 5 iterations, 0s to 10s
    f: 5 → 12/s in 10s, 12/s for 10s, at once 1/s, 0-9 users, 205 iterations, 0s to 20s
    g: 0 users at first, at most 50, as controlled from outside, until it is stopped, 0-50 users, ? iterations, 0s to open
    307 users, rps Some(300)
    ");
}

#[test]
fn a_scaled_test_keeps_its_shape() {
    insta::assert_snapshot!(described(&Overrides { scale: 0.1, time_scale: 0.5, ..Overrides::default() }), @r"
    a: 10 iterations shared by 1 user, at most 5s, 1-1 users, 10 iterations, 2s to 7s
    b: 104 iterations by each of 3 users, at most 5m, 3-3 users, 312 iterations, 0s to 5m
    c: 2 users for 5s, 2-2 users, ? iterations, 0s to 5s
    d: 0 → 1 users in 5s, at once 10 users, 10 → 0 users in 500ms, 0-10 users, ? iterations, 0s to 5s500ms
    e: 2.5/min for 5s, 1-10 users, 1 iterations, 0s to 5s
    f: 0.5 → 1.2/s in 5s, 1.2/s for 5s, at once 0.1/s, 0-1 users, 10 iterations, 0s to 10s
    g: 0 users at first, at most 5, as controlled from outside, until it is stopped, 0-5 users, ? iterations, 0s to open
    32 users, rps Some(30)
    threshold http_reqs: rate>100 is not scaled with the test
    threshold http_reqs: count>5 is not scaled with the test
    ");
}

#[test]
fn grace_iterations_of_each_user_and_the_command_lines_limit_are_not_scaled() {
    let plan =
        plan_with(ALL, &Overrides { scale: 4.0, time_scale: 2.0, rps: Some(9), ..Overrides::default() }).unwrap();
    assert_eq!(plan.scenarios[2].graceful_stop, Duration::from_secs(7));
    assert_eq!(
        plan.scenarios[1].executor,
        ExecutorPlan::PerVuIterations { vus: 104, iterations: 104, max_duration: Duration::from_secs(1200) }
    );
    assert_eq!(plan.rps, Some(9));
    let error = plan_with(ALL, &Overrides { scale: 1e6, ..Overrides::default() }).unwrap_err().to_string();
    assert!(error.contains("users are too many"), "{error}");
    let error = plan_with(ALL, &Overrides { time_scale: 1e9, ..Overrides::default() }).unwrap_err().to_string();
    assert!(error.contains("is over within 366 days"), "{error}");
    let error = plan_with(ALL, &Overrides { time_scale: 1e-9, ..Overrides::default() }).unwrap_err().to_string();
    assert!(error.contains("lasts at least 1ms"), "{error}");
}
