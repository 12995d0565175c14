//! What `validate` catches, with file and line.

use crate::support::{Manifests, run, stderr, stdout};

#[test]
fn the_manifests_are_valid() {
    let output = run(&["validate"]);
    assert!(output.status.success(), "{}", stderr(&output));
    assert!(stdout(&output).contains("of 8 overlays are valid"), "{}", stdout(&output));
}

struct Typo {
    file: &'static str,
    from: &'static str,
    to: &'static str,
    /// The field and what is said of it.
    said: &'static [&'static str],
}

const fn typo(file: &'static str, from: &'static str, to: &'static str, said: &'static [&'static str]) -> Typo {
    Typo { file, from, to, said }
}

const API: &str = "kubernetes/base/api.yaml";
const TYPOS: [Typo; 22] = [
    // Kubernetes' own kinds.
    typo(
        API,
        "enableServiceLinks: false",
        "enableServiceLink: false",
        &["Deployment spillway-api, spec.template.spec.enableServiceLink:", "did you mean `enableServiceLinks`?"],
    ),
    typo(API, "timeoutSeconds: 3", "timeoutSeconds: three", &["startupProbe.timeoutSeconds: 'three' is not of type"]),
    typo(
        "kubernetes/base/autoscalers.yaml",
        "stabilizationWindowSeconds",
        "stabilisationWindowSeconds",
        &["spec.behavior.scaleUp.stabilisationWindowSeconds:", "did you mean `stabilizationWindowSeconds`?"],
    ),
    typo(
        "kubernetes/base/disruption-budgets.yaml",
        "apiVersion: policy/v1\n",
        "apiVersion: policy/v1beta1\n",
        &["PodDisruptionBudget spillway-api, apiVersion:", "has no PodDisruptionBudget in policy/v1beta1"],
    ),
    // Kinds of others.
    typo(
        "istio/destination-rules.yaml",
        "maxConnections: 10",
        "maxConnection: 10",
        &["spec.trafficPolicy.connectionPool.tcp.maxConnection:", "did you mean `maxConnections`?"],
    ),
    typo(
        "istio/gateway.yaml",
        "TLSV1_3",
        "TLS1_3",
        &["Gateway spillway, spec.servers[1].tls.minProtocolVersion:", "TLSV1_3"],
    ),
    typo(
        "istio/peer-authentication.yaml",
        "STRICT",
        "STRICTLY",
        &["PeerAuthentication default, spec.mtls.mode:", "STRICTLY"],
    ),
    typo(
        "kubernetes/components/gateway-api/http-route.yaml",
        "backendRefs",
        "backendRef",
        &["HTTPRoute spillway, spec.rules[0].backendRef:", "did you mean `backendRefs`?"],
    ),
    typo(
        "kubernetes/components/keda/scaled-object.yaml",
        "maxReplicaCount",
        "maxReplicas",
        &["ScaledObject spillway-worker, spec.maxReplicas:", "did you mean `maxReplicaCount`?"],
    ),
    typo(
        "kubernetes/components/vpa/vertical-pod-autoscalers.yaml",
        "updateMode: \"Off\"",
        "updateMode: off",
        &["spec.updatePolicy.updateMode:"],
    ),
    typo(
        "kubernetes/components/monitoring/pod-monitor.yaml",
        "scrapeTimeout: 10s",
        "scrapeTimeout: 10 s",
        &["PodMonitor spillway, spec.podMetricsEndpoints[0].scrapeTimeout:"],
    ),
    typo(
        "kubernetes/components/external-secrets/external-secret.yaml",
        "remoteRef",
        "remoteref",
        &["ExternalSecret spillway, spec.data[0].remoteref:", "did you mean `remoteRef`?"],
    ),
    typo(
        "kubernetes/samples/canary-istio/rollout.yaml",
        "observation: 60m",
        "observe: 60m",
        &["Rollout spillway-api, spec.observe:", "did you mean `observation`?"],
    ),
    // Our own rules.
    typo(
        API,
        "allowPrivilegeEscalation: false",
        "allowPrivilegeEscalation: true",
        &["initContainers[0].securityContext.allowPrivilegeEscalation: set it to false"],
    ),
    typo(
        "kubernetes/overlays/staging/kustomization.yaml",
        "newTag: 0.1.0",
        "newTag: latest",
        &["containers[0].image:", "`latest` says nothing"],
    ),
    typo(
        "kubernetes/components/keda/scaled-object.yaml",
        "spillway_oldest_due_seconds",
        "spillway_oldest_seconds",
        &[
            "spec.triggers[0].metadata.query: no metric is called `spillway_oldest_seconds`",
            "did you mean `spillway_oldest_due_seconds`?",
        ],
    ),
    typo(
        "kubernetes/base/autoscalers.yaml",
        "    name: spillway-api\n  minReplicas",
        "    name: spillway-apis\n  minReplicas",
        &["spec.scaleTargetRef.name: there is no Deployment spillway-apis"],
    ),
    typo(
        "kubernetes/base/worker.yaml",
        "serviceAccountName: spillway-worker",
        "serviceAccountName: worker",
        &["there is no ServiceAccount worker in this overlay; there is spillway-api, spillway-worker"],
    ),
    typo(
        "kubernetes/base/config/spillway.toml",
        "env:SPILLWAY_DATABASE_URL",
        "postgres://spillway:hunter2@db/spillway",
        &["data[\"spillway.toml\"]: it holds an address with a password"],
    ),
    // Settings, by the gateway itself.
    typo(
        "kubernetes/base/config/spillway.toml",
        "drain_timeout",
        "drain_time",
        &["data[\"spillway.toml\"]:", "server.drain_time", "drain_timeout"],
    ),
    typo(
        "kubernetes/overlays/staging/kustomization.yaml",
        "PUBLIC_URL=https",
        "PUBLIC_URL=ftp",
        &["server.public_url"],
    ),
    // What kustomize itself says.
    typo(
        "kubernetes/base/kustomization.yaml",
        "  - api.yaml",
        "  - apis.yaml",
        &["kustomize cannot render it", "apis.yaml"],
    ),
];

/// Parts of files' names, and an overlay that has them; all others are in staging.
const OVERLAYS: [(&str, &str); 6] = [
    ("samples/canary-istio", "canary-istio"),
    ("istio/", "production-istio"),
    ("components/gateway-api", "production"),
    ("components/keda", "production"),
    ("components/vpa", "production"),
    ("components/external-secrets", "production"),
];

#[test]
fn a_typo_is_told_with_its_place_and_what_to_do() {
    for Typo { file, from, to, said } in TYPOS {
        let overlay = OVERLAYS.iter().find(|(part, _)| file.contains(part)).map_or("staging", |(_, overlay)| overlay);
        let copy = Manifests::new();
        let line = copy.replace(file, from, to);
        let output = run(&["validate", "--infra", copy.path(), "--overlay", overlay]);
        let errors = stderr(&output);
        assert_eq!(output.status.code(), Some(1), "{file}, {to}: {errors}");
        let told = errors.lines().find(|line| said.iter().all(|part| line.contains(part)));
        let told = told.unwrap_or_else(|| panic!("{file}, {to}: {said:?} is not told in\n{errors}"));
        // kustomize names the file itself, and what it generates or sets is found by what was there before.
        if !["spillway.toml", "kustomization.yaml"].iter().any(|other| file.ends_with(other)) {
            let place = format!("{}/{file}:{line}:", copy.path());
            assert!(told.starts_with(&place), "{place} is not the place in\n{told}");
        }
    }
}

#[test]
fn problems_are_json_for_scripts() {
    let copy = Manifests::new();
    copy.replace(API, "enableServiceLinks", "enableServiceLink");
    let output = run(&["validate", "--infra", copy.path(), "--overlay", "staging", "--output", "json"]);
    assert_eq!(output.status.code(), Some(1));
    let checked: serde_json::Value = serde_json::from_slice(&output.stdout).expect("JSON");
    let problem = &checked["problems"][0];
    assert_eq!(problem["object"], "Deployment spillway-api");
    assert_eq!(problem["field"], "spec.template.spec.enableServiceLink");
    assert_eq!(problem["overlays"], serde_json::json!(["staging"]));
}

#[test]
fn an_overlay_that_does_not_exist_is_told_with_those_that_do() {
    let output = run(&["render", "--overlay", "stagging"]);
    assert_eq!(output.status.code(), Some(1));
    assert!(
        stderr(&output).contains("there is no overlay \"stagging\"; there are canary-gateway-api"),
        "{}",
        stderr(&output)
    );
}
