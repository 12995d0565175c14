use serde_json::{Value, json};

use super::*;

fn messages(objects: &[Value]) -> Vec<String> {
    let objects: Vec<_> = objects.iter().map(|value| Object::new(value.clone()).expect("a manifest")).collect();
    let known = BTreeSet::from(["spillway_oldest_due_seconds".to_owned()]);
    let found = check(&objects, &known);
    found.iter().map(|(_, finding)| format!("{}: {}", object::Path(&finding.path), finding.message)).collect()
}

fn deployment() -> Value {
    let container = json!({
        "name": "web", "image": "registry:5000/web:1.0",
        "readinessProbe": { "httpGet": {} }, "livenessProbe": { "httpGet": {} },
        "resources": { "requests": { "cpu": "1", "memory": "1Mi" }, "limits": { "memory": "1Mi" } },
        "securityContext": { "allowPrivilegeEscalation": false, "readOnlyRootFilesystem": true, "capabilities": { "drop": ["ALL"] } },
    });
    json!({
        "apiVersion": "apps/v1", "kind": "Deployment", "metadata": { "name": "web" },
        "spec": {
            "selector": { "matchLabels": { "app": "web" } },
            "template": {
                "metadata": { "labels": { "app": "web", "more": "x" } },
                "spec": {
                    "securityContext": { "runAsNonRoot": true, "seccompProfile": { "type": "RuntimeDefault" } },
                    "containers": [container],
                },
            },
        },
    })
}

/// What is said when a value of the Deployment is another one, or none.
fn changed(pointer: &str, value: Value) -> Vec<String> {
    let mut web = deployment();
    let (parent, key) = pointer.rsplit_once('/').expect("a pointer");
    let parent = web.pointer_mut(parent).expect("a place").as_object_mut().expect("fields");
    if value.is_null() {
        parent.remove(key)
    } else {
        parent.insert(key.to_owned(), value)
    };
    messages(&[web])
}

#[test]
fn a_container_has_limits_probes_few_rights_and_a_fixed_image() {
    assert_eq!(messages(&[deployment()]), [""; 0]);
    const POD: &str = "/spec/template/spec";
    let cases = [
        ("/containers/0/image", json!("web:latest"), ".image"),
        ("/containers/0/image", json!("registry:5000/web"), ".image"),
        ("/containers/0/resources", Value::Null, ".resources.requests.cpu"),
        ("/containers/0/resources/limits", json!({ "cpu": "1" }), ".resources.limits.memory"),
        ("/containers/0/readinessProbe", Value::Null, ".readinessProbe"),
        ("/containers/0/livenessProbe", Value::Null, ".livenessProbe"),
        ("/containers/0/securityContext", Value::Null, ".securityContext.allowPrivilegeEscalation"),
        ("/containers/0/securityContext/readOnlyRootFilesystem", json!(false), ".readOnlyRootFilesystem"),
        ("/containers/0/securityContext/privileged", json!(true), ".securityContext.privileged"),
        ("/securityContext/runAsNonRoot", Value::Null, ".securityContext.runAsNonRoot"),
        ("/securityContext", Value::Null, ".securityContext.seccompProfile.type"),
        ("/serviceAccountName", json!("other"), ".serviceAccountName: there is no ServiceAccount other"),
        ("/containers/0/env", json!([{ "name": "DB_PASSWORD", "value": "x" }]), ".env[0].value"),
        ("/containers/0/env", json!([{ "name": "UPSTREAM", "value": "http://a:b@c/" }]), ".env[0].value"),
    ];
    for (pointer, value, expected) in cases {
        let said = changed(&format!("{POD}{pointer}"), value.clone());
        assert!(said.iter().any(|line| line.contains(expected)), "{pointer} = {value}: {said:?}");
    }
    let references = json!([{ "name": "TOKEN", "valueFrom": { "secretKeyRef": { "name": "a", "key": "b" } } }]);
    assert_eq!(changed(&format!("{POD}/containers/0/env"), references), [""; 0]);
    assert_eq!(changed(&format!("{POD}/containers/0/image"), json!("web@sha256:00")), [""; 0]);
}

#[test]
fn secrets_have_no_values() {
    let secret =
        json!({ "apiVersion": "v1", "kind": "Secret", "metadata": { "name": "a" }, "stringData": { "k": "v" } });
    let map = |text: &str| json!({ "apiVersion": "v1", "kind": "ConfigMap", "metadata": { "name": "a" }, "data": { "a.toml": text } });
    assert_eq!(messages(&[secret]).len(), 1);
    assert_eq!(messages(&[map("url = \"postgres://user:hunter2@host/db\"")]).len(), 1);
    assert_eq!(messages(&[map("url = \"postgres://user@host/db\" # http://a.example:80/x@y")]), [""; 0]);
}

#[test]
fn names_of_metrics_and_of_other_objects_have_to_be_right() {
    let scaled = |target: &str, query: &str| {
        json!({
            "apiVersion": "keda.sh/v1alpha1", "kind": "ScaledObject", "metadata": { "name": "a" },
            "spec": { "scaleTargetRef": { "name": target }, "triggers": [{ "metadata": { "query": query } }] },
        })
    };
    let good = "max(spillway_oldest_due_seconds)";
    assert_eq!(messages(&[deployment(), scaled("web", good)]), [""; 0]);
    let said = messages(&[deployment(), scaled("web", "max(spillway_oldest_due_second)")]);
    assert!(said.len() == 1 && said[0].contains("did you mean `spillway_oldest_due_seconds`?"), "{said:?}");
    let said = messages(&[deployment(), scaled("wep", good)]);
    assert!(said.len() == 1 && said[0].contains("there is no Deployment wep"), "{said:?}");
    let service = |label: &str| json!({ "apiVersion": "v1", "kind": "Service", "metadata": { "name": "a" }, "spec": { "selector": { "app": label } } });
    assert_eq!(messages(&[deployment(), service("web")]), [""; 0]);
    let said = messages(&[deployment(), service("wep")]);
    assert!(said.len() == 1 && said[0].contains("no pod of this overlay has these labels"), "{said:?}");
}
