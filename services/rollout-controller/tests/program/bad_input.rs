//! What is refused, and what is said then. Nothing is written meanwhile.

use crate::support::{Folder, HOST};

#[test]
fn all_problems_of_a_plan_are_told_with_their_places() {
    let plan = format!("{HOST}  steps: [{{weight: 50}}, {{weight: 10}}, {{weight: 100}}]\n  observation: 900d\n");
    let folder = Folder::with(&[("rollout.yaml", &plan)]);
    let ended = folder.run(&["check", "-f", "rollout.yaml"]);
    ended.refused(&[
        "rollout.yaml has 2 problems",
        "spec.steps[1].weight",
        "spec.observation",
        "(rollout_plan_invalid)",
    ]);
}

#[test]
fn an_unknown_name_is_told_with_its_line() {
    let plan = HOST.replace("revision: v2", "revison: v2");
    let folder = Folder::with(&[("rollout.yaml", &plan)]);
    folder.run(&["check", "-f", "rollout.yaml"]).refused(&[
        "revison",
        "line ",
        "spec.target.host.candidate",
        "`revision`",
    ]);
}

#[test]
fn what_is_no_plan_is_refused_in_a_sentence() {
    let huge = "x".repeat(2 << 20);
    let folder = Folder::with(&[("empty.yaml", ""), ("text.yaml", "just text"), ("huge.yaml", &huge)]);
    std::fs::write(folder.path().join("binary.yaml"), [0xff, 0xfe, 0x00]).expect("a file");
    for (file, words) in [
        ("empty.yaml", "empty"),
        ("text.yaml", "text.yaml"),
        ("huge.yaml", "MiB"),
        ("binary.yaml", "UTF-8"),
        ("missing.yaml", "cannot read missing.yaml"),
    ] {
        let ended = folder.run(&["check", "-f", file]);
        ended.refused(&[words]);
        assert!(ended.stderr.len() < 1_000, "{ended:#?}");
    }
}

#[test]
fn a_wrong_plan_starts_nothing_and_leaves_nothing_behind() {
    let plan = HOST.replace("kind: Rollout", "kind: Deployment");
    let folder = Folder::with(&[("rollout.yaml", &plan)]);
    folder.run(&["run", "-f", "rollout.yaml"]).refused(&["kind"]);
    folder.has_only(&["rollout.yaml"]);
}

#[test]
fn a_rollout_that_is_not_there_is_told_where_to_look() {
    let folder = Folder::with(&[]);
    for arguments in [&["status"][..], &["promote"], &["abort", "checkout"], &["report"]] {
        folder.run(arguments).refused(&["--state-dir DIR", "--namespace NAMESPACE"]);
    }
    folder.run(&["status", "--state-dir", "nowhere"]).refused(&["no controller has worked in nowhere"]);
    folder.run(&["pause", "--state-dir", "nowhere"]).refused(&["no controller has worked in nowhere"]);
    folder.run(&["status"]).refused(&["(rollout_not_found)"]);
    folder.has_only(&[]);
}

#[test]
fn without_a_cluster_it_says_what_is_missing() {
    let folder = Folder::with(&[]);
    for arguments in [&["status", "web", "--namespace", "shop"][..], &["controller", "--namespace", "shop"]] {
        let ended = folder.run(arguments);
        assert_eq!(ended.code, Some(3), "{ended:#?}");
        assert!(
            ended.stderr.contains("KUBECONFIG") && ended.stderr.contains("(rollout_cluster_unreachable)"),
            "{ended:#?}"
        );
    }
}

#[test]
fn an_exception_from_the_freeze_needs_a_reason_and_an_end() {
    let folder = Folder::with(&[]);
    folder.run(&["override", "--state-dir", "x"]).refused(&["--for"]);
    folder.run(&["override", "--state-dir", "x", "--for", "2h"]).refused(&["--reason"]);
    folder.run(&["override", "--state-dir", "x", "--for", "30d", "--reason", "r"]).refused(&["at most 7d"]);
    folder.run(&["override", "--state-dir", "x", "--for", "soon", "--reason", "r"]).refused(&["duration"]);
}

#[test]
fn verify_refuses_what_is_no_address_limit_or_file() {
    let folder = Folder::with(&[]);
    let verify = |more: &[&str]| {
        let mut arguments =
            vec!["verify", "--canary-url", "http://127.0.0.1:1", "--production-url", "http://127.0.0.1:2"];
        arguments.extend(more);
        folder.run(&arguments)
    };
    folder
        .run(&["verify", "--canary-url", "nowhere", "--production-url", "http://127.0.0.1:2"])
        .refused(&["base address"]);
    verify(&["--threshold", "p42=1s"]).refused(&["p99=500ms"]);
    verify(&["--requests-path", "healthz"]).refused(&["write a path"]);
    verify(&["--rate", "100000"]).refused(&["--load-test"]);
    verify(&["--load-test", "missing.toml"]).refused(&["cannot read the load test missing.toml"]);
    verify(&["--auto-rollback-on-loadfail"]).refused(&["--state-dir DIR"]);
}
