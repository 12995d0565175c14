use super::*;

/// A whole Rollout with these lines in its spec, beside a target.
fn yaml(spec: &str) -> String {
    format!(
        r#"
apiVersion: spillway.dev/v1alpha1
kind: Rollout
metadata: {{ name: shop }}
spec:
  target:
    host:
      nginx: {{ file: /tmp/shop.conf }}
      slots:
        blue: {{ addresses: ["127.0.0.1:8081"] }}
        green: {{ addresses: ["127.0.0.1:8082"] }}
      candidate: {{ revision: v2 }}
{spec}"#
    )
}

fn plan_of(text: &str) -> Result<Plan, Vec<PlanProblem>> {
    Plan::new(&Rollout::from_yaml(text).unwrap_or_else(|problem| panic!("{problem}")))
}

fn plan(spec: &str) -> Plan {
    plan_of(&yaml(spec)).unwrap_or_else(|problems| panic!("{problems:?}"))
}

fn problems(text: &str) -> Vec<String> {
    plan_of(text).expect_err("it has problems").iter().map(ToString::to_string).collect()
}

fn weights(plan: &Plan) -> Vec<u8> {
    plan.steps.iter().map(|step| step.weight).collect()
}

#[test]
fn a_plan_that_says_nothing_has_the_usual_steps_and_guards() {
    let plan = plan("");
    assert_eq!(weights(&plan), [10, 25, 50, 100]);
    assert!(plan.steps.iter().all(|step| step.bake == Duration::from_secs(1800) && step.mirror == 0));
    assert_eq!(plan.observation, HOUR);
    assert_eq!(plan.progress_deadline, 10 * MINUTE);
    assert_eq!(plan.analysis.interval, 15 * SECOND);
    assert_eq!(plan.analysis.latency.metric, "http_server_request_duration_seconds");
    assert_eq!(plan.judge.metrics.len(), 2);
    let thresholds: Vec<_> = plan
        .guards
        .iter()
        .filter_map(|guard| guard.threshold.as_ref().map(|threshold| (guard.name.as_str(), threshold)))
        .map(|(name, threshold)| (name, threshold.max, threshold.windows, threshold.window.unwrap().to_string()))
        .collect();
    assert_eq!(
        thresholds,
        [
            ("error-ratio", 0.01, Some(5), "1m".to_owned()),
            ("latency-p99", 10.0, Some(5), "1m".to_owned()),
            ("restarts", 0.0, Some(1), "1m".to_owned()),
            ("pool", 0.99, Some(2), "1m".to_owned()),
        ]
    );
    let host = plan.target.host.unwrap();
    assert_eq!(host.nginx.program.as_deref(), Some("nginx"));
    assert_eq!(host.slots.blue.ready_path.as_deref(), Some("/readyz"));
}

#[test]
fn strategies_have_their_own_steps_and_observation() {
    let blue_green = plan("  strategy: blueGreen");
    assert_eq!((weights(&blue_green), blue_green.observation), (vec![10, 50, 100], 24 * HOUR));
    let shadow = plan("  strategy: shadow");
    assert_eq!((weights(&shadow), shadow.steps[0].mirror), (vec![0], 100));
    assert_eq!(shadow.observation, Duration::ZERO);
}

#[test]
fn short_bakes_have_short_windows() {
    let plan = plan("  steps: [{ weight: 100, bake: 20s }]\n  analysis: { interval: 1s }");
    let window = plan.guards.iter().find_map(|guard| guard.threshold.as_ref()?.window).unwrap();
    assert_eq!(window.to_string(), "4s");
}

#[test]
fn a_step_before_any_traffic_is_allowed_and_bakes_for_nothing() {
    let plan = plan("  steps: [{ weight: 0, smoke: [{ path: /healthz }] }, { weight: 100 }]");
    assert_eq!(plan.steps[0].bake, Duration::ZERO);
    assert_eq!(plan.steps[0].smoke[0].method.as_deref(), Some("GET"));
    assert_eq!(plan.steps[1].bake, Duration::from_secs(1800));
}

#[test]
fn a_weight_that_is_left_out_is_that_of_the_step_before() {
    let plan = plan("  steps: [{ weight: 10 }, { approval: true }, { weight: 100 }]");
    assert_eq!(weights(&plan), [10, 10, 100]);
}

#[test]
fn everything_that_is_wrong_is_told_with_its_place() {
    let text = yaml(
        r#"  steps:
    - { weight: 50, bake: 1s }
    - { weight: 20, mirror: 200, smoke: [{ path: healthz, method: FETCH }] }
    - { weight: 90, webhooks: [{ name: a, url: "ftp://x" }, { name: a, url: "http://x" }] }
  guards:
    - { name: a, threshold: { metric: errorRatio, max: 5 } }
    - { name: a, threshold: { query: up, max: 1 } }
    - { name: b }
    - { name: c, alerts: { from: alertmanager } }
    - { name: d, budget: { target: 1.5, bad: "", total: x } }
    - { name: e, threshold: { metric: latencyP99, max: 1, window: 2h, windows: 0 } }
  analysis: { source: prometheus, interval: 1ms, alpha: 0.5, latency: { metric: x_bucket } }
  progressDeadline: 100d
  notifications: [{ kind: slack, to: hello }]"#,
    )
    .replace("name: shop", "name: The-Shop")
    .replace("8082", "8081");
    insta::assert_snapshot!(problems(&text).join("\n"));
}

#[test]
fn a_console_has_an_address_and_names_where_its_key_is() {
    let wrong = yaml("  console: { url: gateway, key: spk_secret }");
    assert_eq!(
        problems(&wrong),
        [
            "spec.console.url: is `gateway`: write the gateway's address, such as http://127.0.0.1:8080",
            "spec.console.key: names no place: write `env:NAME` or `file:PATH`, never the key itself",
        ]
    );
    assert!(plan("  console: { url: 'http://gateway:8080', key: 'env:KEY' }").console.is_some());
}

#[test]
fn a_candidate_never_needs_more_replicas_than_everything_does() {
    let target =
        "workload: { deployment: shop, port: 80, replicas: 2, minReplicas: 3, httpRoute: { name: a, rule: b } }";
    let text = format!(
        "apiVersion: {API_VERSION}\nkind: {KIND}\nmetadata: {{ name: shop }}\nspec: {{ target: {{ {target} }} }}"
    );
    let said = "spec.target.workload.minReplicas: is 3, more than `replicas`, which is 2: a candidate never has more than the live slot";
    assert_eq!(problems(&text), [said]);
}

#[test]
fn a_router_that_cannot_copy_refuses_a_mirror() {
    let text = |spec: &str| {
        let slots = r#"slots: { blue: { addresses: ["127.0.0.1:1"] }, green: { addresses: ["127.0.0.1:2"] } }"#;
        format!(
            "apiVersion: {API_VERSION}\nkind: {KIND}\nmetadata: {{ name: workers }}\nspec:\n  target:\n    workers:\n      \
             gateway: http://127.0.0.1:8080\n      apiKey: env:KEY\n      {slots}\n      candidate: {{ revision: v2 }}\n{spec}"
        )
    };
    assert_eq!(
        problems(&text("  strategy: shadow")),
        ["spec.strategy: a queue of deliveries cannot copy requests: use `strategy: canary` without mirror"]
    );
    let plan = plan_of(&text("")).unwrap();
    assert_eq!(plan.analysis.requests.metric, "spillway_attempts_total");
    assert_eq!(plan.analysis.errors.labels["class"], "platform");
}

#[test]
fn exactly_one_target_and_router() {
    let both = r"
    workload: { deployment: shop, port: 80, virtualService: { name: a, route: b }, httpRoute: { name: a, rule: b } }";
    let text = yaml("").replace("  target:\n", &format!("  target:{both}\n"));
    insta::assert_snapshot!(problems(&text).join("\n"));
    let text = "apiVersion: spillway.dev/v1alpha1\nkind: Rollout\nmetadata: { name: shop }\nspec: { target: {} }";
    insta::assert_snapshot!(problems(text).join("\n"));
}

#[test]
fn what_does_not_read_names_its_place_and_the_nearest_name() {
    let read = |text: &str| Rollout::from_yaml(text).expect_err("it does not read").to_string();
    let texts = [
        yaml("  steps: [{ wieght: 10 }]"),
        yaml("  strategy: blue-green"),
        yaml("  guards: [{ name: a, threshold: { metric: latencyP98, max: 1 } }]"),
        yaml("  steps: [{ weight: ten }]"),
        yaml("  steps: [{ bake: 10min }]"),
        yaml("  steps: [{ weight: 10 }"),
        String::new(),
        "spec: {}".to_owned(),
        "- 1".to_owned(),
    ];
    insta::assert_snapshot!(texts.map(|text| read(&text)).join("\n"));
}

#[test]
fn the_fix_label_marks_a_fix() {
    let text = yaml("").replace("name: shop", r#"name: shop, labels: { spillway.dev/fix: "true" }"#);
    assert!(plan_of(&text).unwrap().is_fix);
    assert!(!plan("").is_fix);
}
