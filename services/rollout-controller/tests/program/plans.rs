//! `check` and `crd`.

use serde_json::Value;

use crate::support::{Folder, HOST};

#[test]
fn a_plan_is_printed_with_its_defaults() {
    let folder = Folder::with(&[("rollout.yaml", HOST)]);
    let text = folder.run(&["check", "-f", "rollout.yaml"]).text();
    assert!(text.starts_with("checkout: canary of v2 on this host, behind nginx\n"), "{text}");
    for part in ["10 %", "25 %", "50 %", "100 %", "30m", "errors against the live version", "rollout.yaml is valid"] {
        assert!(text.contains(part), "{part}: {text}");
    }
    assert!(text.lines().all(|line| line.chars().count() <= 80), "{text}");

    let json = folder.run(&["check", "-f", "rollout.yaml", "-o", "json"]).json(0);
    assert_eq!(json["steps"].as_array().map(Vec::len), Some(4));
    assert_eq!(json["steps"][0]["weight"], 10);
    assert_eq!(json["observation"], "1h");
    assert_eq!(json["judge"]["alpha"], 0.01);
}

#[test]
fn json_and_standard_input_are_plans_too() {
    let plan: Value = serde_saphyr::from_str(HOST).expect("YAML");
    let folder = Folder::with(&[("rollout.json", &plan.to_string())]);
    folder.run(&["check", "-f", "rollout.json"]).text();
    let mut command = folder.command(&["check", "-f", "-"]);
    command.stdin(std::fs::File::open(folder.path().join("rollout.json")).expect("the file"));
    assert_eq!(command.output().expect("it runs").status.code(), Some(0));
}

#[test]
fn the_definition_for_kubernetes_is_yaml_with_the_plans_schema() {
    let text = Folder::with(&[]).run(&["crd"]).text();
    let crd: Value = serde_saphyr::from_str(&text).expect("YAML");
    assert_eq!(crd["kind"], "CustomResourceDefinition");
    assert_eq!(crd["metadata"]["name"], "rollouts.spillway.dev");
    let version = &crd["spec"]["versions"][0];
    assert_eq!(version["name"], "v1alpha1");
    let spec = &version["schema"]["openAPIV3Schema"]["properties"]["spec"]["properties"];
    for field in ["target", "steps", "guards", "analysis", "onFailure"] {
        assert!(spec.get(field).is_some(), "{field}");
    }
}
