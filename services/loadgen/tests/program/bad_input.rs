//! What is wrong is refused before anything is sent: with the code, the place in the file, and what to do.

use crate::support::Folder;

const REQUEST: &str = "[[flows.default.requests]]\npath = \"/\"\n";

/// Runs `check` on a file of this name and these lines, and a flow that is right.
fn refused(name: &str, text: &str) -> String {
    let folder = Folder::with(&[(name, text)]);
    let ended = folder.run(&["check", name]);
    assert_eq!(ended.code, Some(104), "{text}: {ended:#?}");
    assert_eq!(ended.stdout, "", "{text}");
    ended.stderr
}

#[test]
fn each_mistake_names_its_line_and_what_is_right() {
    for (line, text, says) in [
        (1_usize, "vuz = 5\n", "vus"),
        (2, "vus = 5\ndurration = \"5s\"\n", "duration"),
        (2, "[scenarios.a]\nexecutor = \"constant-vu\"\nvus = 1\nduration = \"1s\"\n", "constant-vus"),
        (4, "[scenarios.a]\nexecutor = \"constant-vus\"\nduration = \"1s\"\nrate = 5\n", "rate"),
        (2, "[thresholds]\nhttp_req_durations = \"p(95)<5\"\n", "http_req_duration"),
        (2, "[thresholds]\nhttp_reqs = \"p(95)<5\"\n", "count or rate"),
        (2, "[thresholds]\n\"http_req_duration{scenari:a}\" = \"p(95)<5\"\n", "scenario"),
        (1, "iterations = 5\nstages = [{ duration = \"1s\", target = 1 }]\n", "stages"),
        (1, "duration = \"5s\"\nstages = [{ duration = \"1s\", target = 1 }]\n", "stages"),
        (1, "duration = \"5s\"\n[scenarios.a]\nexecutor = \"constant-vus\"\nduration = \"1s\"\n", "scenarios"),
        (
            6,
            "[scenarios.a]\nexecutor = \"constant-arrival-rate\"\nrate = 5\nduration = \"1s\"\npreAllocatedVUs = 5\nmaxVUs = 2\n",
            "preAllocatedVUs",
        ),
        (2, "[scenarios.\"not good\"]\nexecutor = \"constant-vus\"\nduration = \"1s\"\n", "not good"),
    ] {
        let message = refused("load.toml", &format!("{text}{REQUEST}"));
        let place = format!("load.toml:{line}:");
        // Either of two contradicting lines is a good place.
        let near = [line, line + 1, line.saturating_sub(1)].map(|line| format!("load.toml:{line}:"));
        assert!(near.iter().any(|near| message.contains(near)), "{place} {text}\n{message}");
        assert!(message.contains(says), "{says} {text}\n{message}");
    }
}

#[test]
fn yaml_and_json_point_at_their_lines_too() {
    let message = refused(
        "load.yaml",
        "vus: 2\nduration: 5s\nthresholds:\n  http_req_failed: ['rate<<0.1']\nflows: { default: { requests: [{ path: / }] } }\n",
    );
    assert!(message.contains("load.yaml:4:") && message.contains("rate"), "{message}");
    let message = refused("load.json", "{\n  \"vus\": 2,\n  \"durations\": \"5s\"\n}\n");
    assert!(message.contains("load.json:3:") && message.contains("duration"), "{message}");
}

#[test]
fn a_flow_that_cannot_run_says_which_request_and_why() {
    for (flow, says) in [
        ("[[flows.default.requests]]\npath = \"/{{random.itn 1 2}}\"\n", "random.int"),
        ("[[flows.default.requests]]\npath = \"/{{env.NOWHERE}}\"\n", "NOWHERE"),
        (
            "[flows.default]\nsign = { provider = \"githubb\", secret = \"x\" }\n[[flows.default.requests]]\npath = \"/\"\n",
            "github",
        ),
        ("[[flows.default.requests]]\npath = \"/\"\nmethods = \"GET\"\n", "method"),
    ] {
        let message = refused("load.toml", &format!("target = \"http://127.0.0.1:1\"\nvus = 1\n{flow}"));
        assert!(message.contains(says) && message.contains("load.toml:"), "{says}: {message}");
    }
}

#[test]
fn nothing_runs_against_a_target_that_is_not_there() {
    let folder = Folder::with(&[("load.toml", &format!("vus = 1\nduration = \"60s\"\n{REQUEST}"))]);
    let begun = std::time::Instant::now();
    let ended = folder.run(&["run", "load.toml", "--target", "http://127.0.0.1:1"]);
    assert_eq!(ended.code, Some(107), "{ended:#?}");
    assert!(ended.stderr.contains("127.0.0.1:1") && ended.stderr.contains("refused"), "{ended:#?}");
    assert!(begun.elapsed().as_secs() < 20, "it failed fast");
    let ended = folder.run(&["run", "load.toml"]);
    assert_eq!(ended.code, Some(104), "{ended:#?}");
    assert!(ended.stderr.contains("--target"), "{ended:#?}");
}

#[test]
fn a_missing_file_and_a_wrong_flag_are_configuration_errors() {
    let folder = Folder::with(&[]);
    let ended = folder.run(&["run", "nowhere.toml"]);
    assert_eq!(ended.code, Some(104), "{ended:#?}");
    assert!(ended.stderr.contains("nowhere.toml"), "{ended:#?}");
    assert_eq!(folder.run(&["run", "x.toml", "--vuz", "4"]).code, Some(104));
    assert_eq!(folder.run(&["flood", "not a url"]).code, Some(104));
    assert_eq!(folder.run(&["--version"]).code, Some(0));
}

#[test]
fn a_k6_script_gives_its_options_and_not_its_code() {
    let script = "import http from 'k6/http';\nexport const options = { vus: 3, duration: '5s', thresholds: { http_req_failed: ['rate<0.01'] } };\n\
        export default function () { http.get('http://127.0.0.1:1/'); }\n";
    let computed = "export const options = {\n  vus: Number(__ENV.VUS),\n};\n";
    let flows = format!("target = \"http://127.0.0.1:1\"\n{REQUEST}");
    let folder = Folder::with(&[("a.js", script), ("b.js", computed), ("flows.toml", &flows)]);
    let ended = folder.run(&["check", "a.js", "--flows", "flows.toml", "--target", "http://127.0.0.1:1"]);
    assert_eq!(ended.code, Some(0), "{ended:#?}");
    assert!(ended.stdout.contains("constant-vus") && ended.stdout.contains("rate<0.01"), "{ended:#?}");
    let ended = folder.run(&["k6", "a.js"]);
    assert_eq!(ended.code, Some(104), "{ended:#?}");
    assert!(ended.stderr.contains("--flows"), "{ended:#?}");
    let ended = folder.run(&["k6", "b.js", "--flows", "flows.toml"]);
    assert_eq!(ended.code, Some(104), "{ended:#?}");
    assert!(ended.stderr.contains("b.js:2") && ended.stderr.contains("Number(__ENV.VUS)"), "{ended:#?}");
}
