use super::*;

const SCRIPT: &str = r#"import http from 'k6/http';
import { check } from 'k6';

const MINUTE = 60 * 1000;
const users = 10 + 2 * 5;
const steps = [{ duration: '30s', target: users }, { duration: `${users}s`, target: 0 }];

export const options = {
  systemTags: ['url'],
  discardResponseBodies: true,
  scenarios: {
    ramp: { executor: 'ramping-vus', startVUs: 0, stages: steps, exec: 'browse' },
    'steady': {
      executor: 'constant-arrival-rate', rate: 1e2 / 4, duration: 2 * MINUTE,
      preAllocatedVUs: (users), maxVUs: 50, startTime: '30' + 's',
    },
  },
  thresholds: {
    http_req_duration: ['p(95)<500', { threshold: 'p(99)<1500', abortOnFail: !false }],
    ['http_reqs{scenario:ramp}']: [`rate>${users}`],
  },
};

export default function () { http.get('https://test.k6.io'); }
export function browse() { check(http.get(`${__ENV.URL}/x`), { ok: (r) => r.status == 200 }); }
"#;

#[test]
fn a_scripts_options_are_read_without_running_it() {
    let options = k6_options(SCRIPT, "script.js").unwrap();
    let plan = options.plan(&Overrides::default(), &["default", "browse"]).unwrap();
    let schedules: Vec<_> =
        plan.describe().scenarios.iter().map(|one| format!("{}: {} {}", one.name, one.exec, one.schedule)).collect();
    assert_eq!(schedules, ["ramp: browse 0 → 20 users in 30s, 20 → 0 users in 20s", "steady: default 25/s for 2m"]);
    let thresholds: Vec<_> =
        plan.thresholds.iter().map(|one| format!("{}: {}", one.selector, one.expression)).collect();
    assert_eq!(
        thresholds,
        ["http_req_duration: p(95)<500", "http_req_duration: p(99)<1500", "http_reqs{scenario:ramp}: rate>20"]
    );
    assert!(plan.thresholds[1].abort_on_fail && plan.discard_response_bodies);
    assert_eq!(plan.scenarios[1].start_time, Duration::from_secs(30));
    assert_eq!(plan.warnings, ["script.js:9: k6's option systemTags changes nothing here"]);
}

#[test]
fn flows_come_from_another_file() {
    let flows =
        "[[flows.default.requests]]\npath = \"/\"\n\n[[flows.browse.requests]]\npath = \"/x\"\ntags = { step = \"x\" }";
    let flows = Options::parse(flows, Format::Toml, "flows.toml").unwrap();
    let text = SCRIPT.replace("http_reqs{scenario:ramp}", "http_reqs{step:x}");
    let alone = k6_options(&text, "script.js").unwrap();
    let error = alone.plan(&Overrides::default(), &[]).unwrap_err().to_string();
    assert_eq!(
        error,
        "script.js:12: scenarios.ramp.exec: there is no flow `browse`: add [flows.NAME] and name it with `exec`"
    );
    let options = alone.with_flows(flows);
    assert_eq!(options.plan(&Overrides::default(), &[]).unwrap().scenarios.len(), 2);
    assert_eq!(options.flows().len(), 2);
    assert_eq!(
        (options.place(&["flows", "browse"]), options.place(&["thresholds"])),
        ("flows.toml:4".to_owned(), "script.js:18".to_owned())
    );
}

#[test]
fn what_needs_a_run_is_refused_with_line_and_expression() {
    for (script, expected) in [
        (
            "export const options = {\n vus: __ENV.VUS };",
            "2: vus: `__ENV.VUS` needs a run of the script, which is not done: write a literal value",
        ),
        ("export const options = {\n vus: parseInt('3') };", "2: vus: `parseInt('3')` needs a run"),
        ("export const options = {\n ...common };", "2: options: `...common` spreads a value, which needs a run"),
        ("export const options = { stages: [\n ...common] };", "2: stages[0]: `...common` spreads a value"),
        ("let n = 3;\nexport const options = { vus: n };", "2: vus: `n` is no constant of the script's top level"),
        ("const n = n;\nexport const options = { vus: n };", "1: vus: `n` is nested too deeply, or made of itself"),
        ("export const options = { vus: n > 1 ? 2 : 3 };", "1: vus: `n > 1 ? 2 : 3` needs a run"),
        ("export const options = { vus: 'a' * 2 };", "1: vus: `'a' * 2` is no arithmetic on numbers"),
        ("export const options = { vus: `${[]}` };", "1: vus: `[]` is neither text nor a whole number"),
        (
            "export const options = { vus() { return 1; } };",
            "1: vus: `vus() { return 1; }` is a function, which is not run",
        ),
        ("export const options = { vus: 1,\n vus: 2 };", "2: vus: `vus: 2` stands twice"),
        ("export const options = make();", "1: options: `make()` needs a run"),
        ("export const options = {\n vus: -1 };", "2: vus: expected a whole number from 0 to 4294967295, not -1"),
        ("export const options = {\n vu: 1 };", "2: vu: there is no such option, the nearest is `vus`"),
        ("export const options = {\n vus: };", "2: "),
        ("export const options = [1];", "1: a file of options is a table"),
    ] {
        let error = k6_options(script, "k.js").unwrap_err().to_string();
        assert!(error.starts_with(&format!("k.js:{expected}")), "\n{script}\n{error}\n{expected}");
    }
    for script in ["const options = { vus: 1 };", "export default function () {}", ""] {
        let error = k6_options(script, "k.js").unwrap_err().to_string();
        assert_eq!(error, "k.js: it exports no options: write `export const options = { … }`");
    }
}

#[test]
fn every_way_to_export_counts_and_no_script_is_too_deep() {
    for (script, name) in [
        ("export let options = { vus: 3, duration: '1s' };", "k.js"),
        ("const opts = { vus: 3, duration: '1s' }; export { opts as options };", "k.js"),
        ("export const options: Options = { vus: 3 as number, duration: '1s' } satisfies Options;", "k.ts"),
    ] {
        let plan = k6_options(script, name).unwrap().plan(&Overrides::default(), &["default"]).unwrap();
        assert_eq!(plan.scenarios[0].executor, ExecutorPlan::ConstantVus { vus: 3, duration: Duration::from_secs(1) });
    }
    for deep in ["(", "[", "-", "!", "{a:", "a=>"] {
        let script = format!("export const options = {}", deep.repeat(200_000 / deep.len()));
        assert!(k6_options(&script, "k.js").is_err());
    }
    let doubling: String = (0..24).map(|n| format!("const c{n} = [c{}, c{}];\n", n + 1, n + 1)).collect();
    let error =
        k6_options(&format!("{doubling}const c24 = 1;\nexport const options = {{ stages: c0 }};"), "k.js").unwrap_err();
    assert!(error.to_string().contains("makes the options too large"), "{error}");
    assert!(k6_options(&" ".repeat(300 << 10), "k.js").unwrap_err().to_string().contains("at most 262144 bytes"));
}
