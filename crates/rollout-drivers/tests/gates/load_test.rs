//! Load tests as processes: a script stands in for the generator and ends as it would.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::PathBuf;
use std::time::Duration;

use spillway_rollout::decision::{Gate, GateRequest};
use spillway_rollout::observed::GateState;
use spillway_rollout::ports::Gatekeeper;
use spillway_rollout::spec::LoadTest;
use spillway_rollout_drivers::gates::Gates;
use spillway_slo::duration::Timespan;
use spillway_testkit::wait_until;
use tempfile::TempDir;

use crate::plan::plan;
use crate::support::{DEADLINE, end, keeper, request, told};

/// A generator that is a script. `$JSON` and `$HTML` are where it shall write its results, `$DIR` is a folder of the test.
struct Generator {
    dir: TempDir,
}

impl Generator {
    fn new(script: &str) -> Self {
        let dir = tempfile::tempdir().unwrap();
        let header = format!(
            "#!/bin/sh\nDIR='{}'\necho \"$@\" > \"$DIR/arguments\"\n\
             for argument; do case $argument in json=*) JSON=${{argument#json=}};; html=*) HTML=${{argument#html=}};; esac; done\n",
            dir.path().display()
        );
        let program = dir.path().join("generator");
        fs::write(&program, header + script).unwrap();
        fs::set_permissions(&program, fs::Permissions::from_mode(0o755)).unwrap();
        Self { dir }
    }

    fn path(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }

    fn gates(&self) -> Gates {
        keeper(&self.path("generator"), &self.path("reports"))
    }

    async fn run(&self, test: LoadTest) -> GateState {
        end(&mut self.gates(), &plan(&[], &["127.0.0.1:8082".to_owned()]), &gate(test)).await
    }
}

fn test() -> LoadTest {
    LoadTest { file: "smoke.toml".to_owned(), ..LoadTest::default() }
}

fn gate(test: LoadTest) -> GateRequest {
    request("v2-1-0-load", Gate::LoadTest(test))
}

fn result(verdict: &str, reason: &str, code: u8) -> String {
    format!(
        "echo '{{\"format\":\"spillway-loadgen-result\",\"verdict\":\"{verdict}\",\"reason\":\"{reason}\"}}' > \"$JSON\"\n\
         echo '<html>' > \"$HTML\"\nexit {code}\n"
    )
}

#[tokio::test]
async fn a_passed_test_says_why_and_where_its_report_is() {
    let generator = Generator::new(&result("passed", "all 3 thresholds held", 0));
    let arguments = vec!["--scale".to_owned(), "0.1".to_owned()];
    let state = generator.run(LoadTest { arguments, ..test() }).await;
    let report = generator.path("reports/v2-1-0-load.html").display().to_string();
    let summary = "the load test passed: all 3 thresholds held".to_owned();
    assert_eq!(state, GateState::Passed { summary, report: Some(report.clone()) });
    let json = report.replace(".html", ".json");
    let expected =
        format!("run smoke.toml --target http://127.0.0.1:8082 --out json={json} --out html={report} --scale 0.1\n");
    assert_eq!(fs::read_to_string(generator.path("arguments")).unwrap(), expected);
}

#[tokio::test]
async fn only_thresholds_fail_a_gate() {
    let failed = Generator::new(&result("failed", "1 of 2 thresholds did not hold: p(95)", 99)).run(test()).await;
    let GateState::Failed { summary, report: Some(_) } = failed else { panic!("{failed:?}") };
    assert_eq!(summary, "the load test failed: 1 of 2 thresholds did not hold: p(95)");
    let broken = [
        (result("invalid", "late by 2 s", 3), "the generator was the bottleneck: late by 2 s"),
        ("echo 'error: no such option' >&2; exit 104".to_owned(), "could not run (exit code 104): no such option"),
        (result("interrupted", "stopped from outside", 105), "exit code 105"),
        ("exit 107".to_owned(), "could not run (exit code 107)"),
        ("kill -KILL $$".to_owned(), "was killed"),
    ];
    for (script, expected) in broken {
        let (verdict, text) = told(Generator::new(&script).run(test()).await);
        assert!(verdict == "broken" && text.contains(expected), "{script}: {text}");
    }
}

#[tokio::test]
async fn its_last_line_is_the_progress() {
    let generator = Generator::new(
        "echo one >&2; printf '  12 s, 50 users\\n\\n' >&2; while [ ! -e \"$DIR/go\" ]; do sleep 0.01; done\n",
    );
    let (mut gates, plan, gate) = (generator.gates(), plan(&[], &["127.0.0.1:1".to_owned()]), gate(test()));
    wait_until("the progress", DEADLINE, async || {
        let state = gates.tend(&plan, std::slice::from_ref(&gate)).await.remove(&gate.id).unwrap();
        state == GateState::Running { progress: "12 s, 50 users".to_owned() }
    })
    .await;
    fs::write(generator.path("go"), "").unwrap();
    assert_eq!(told(end(&mut gates, &plan, &gate).await).0, "passed");
}

#[tokio::test]
async fn beyond_its_timeout_it_is_ended_and_fails() {
    let generator = Generator::new("trap 'touch \"$DIR/ended\"; exit 105' TERM; while :; do sleep 0.01; done\n");
    let timeout = Some(Timespan(Duration::from_millis(300)));
    let (verdict, text) = told(generator.run(LoadTest { timeout, ..test() }).await);
    assert_eq!((verdict, text.as_str()), ("failed", "the load test took longer than 0 s and was stopped"));
    assert!(generator.path("ended").exists(), "it was asked to end first");
}

#[tokio::test]
async fn one_that_is_no_longer_wanted_is_ended() {
    let generator = Generator::new(
        "trap 'touch \"$DIR/ended\"; exit 105' TERM; touch \"$DIR/began\"; while :; do sleep 0.01; done\n",
    );
    let (mut gates, plan, gate) = (generator.gates(), plan(&[], &["127.0.0.1:1".to_owned()]), gate(test()));
    gates.tend(&plan, std::slice::from_ref(&gate)).await;
    wait_until("its begin", DEADLINE, async || generator.path("began").exists()).await;
    assert!(gates.tend(&plan, &[]).await.is_empty());
    wait_until("its end", DEADLINE, async || generator.path("ended").exists()).await;

    fs::remove_file(generator.path("ended")).unwrap();
    fs::remove_file(generator.path("began")).unwrap();
    gates.tend(&plan, std::slice::from_ref(&gate)).await;
    wait_until("its begin", DEADLINE, async || generator.path("began").exists()).await;
    drop(gates);
    wait_until("its end with its keeper", DEADLINE, async || generator.path("ended").exists()).await;
}

#[tokio::test]
async fn a_result_of_an_earlier_run_is_not_taken_for_this_ones() {
    let generator = Generator::new(&result("passed", "all thresholds held", 0));
    generator.run(test()).await;
    let header = fs::read_to_string(generator.path("generator")).unwrap();
    let script = header.split("echo '{").next().unwrap().to_owned() + "exit 99\n";
    fs::write(generator.path("generator"), script).unwrap();
    let state = generator.run(test()).await;
    assert_eq!(state, GateState::Failed { summary: "the load test failed".to_owned(), report: None });
}

#[tokio::test]
async fn a_missing_program_is_named() {
    let dir = tempfile::tempdir().unwrap();
    let mut gates = keeper(&dir.path().join("spillway-loadgen"), dir.path());
    let plan = plan(&[], &["127.0.0.1:1".to_owned()]);
    let (verdict, text) = told(end(&mut gates, &plan, &gate(test())).await);
    assert!(verdict == "broken" && text.contains("install it"), "{text}");
    let odd = request("../v2", Gate::LoadTest(test()));
    assert_eq!(told(end(&mut gates, &plan, &odd).await).0, "broken", "an id is never a path");
}
