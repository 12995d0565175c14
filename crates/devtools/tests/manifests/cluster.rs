//! `diff` and `apply` against a real API server.
//!
//! The server of the test kit is Kubernetes 1.20. Left out of what is applied, because it does not know them, are autoscaling/v2 (in 1.23), policy/v1 (in 1.21),
//! preStop.sleep (in 1.30) and the CEL rules of a definition (in 1.25); `validate` holds those to the schemas of a current one. Kinds of Istio, KEDA and others are the definitions that
//! `validate` goes by.

use std::path::PathBuf;
use std::process::Output;

use serde_json::{Value, json};
use spillway_testkit::kubernetes::ApiServer;

use crate::support::{Manifests, command, stderr, stdout};

/// A cluster without anything that acts on what is applied.
struct Cluster {
    server: ApiServer,
    manifests: Manifests,
    kubeconfig: PathBuf,
}

impl Cluster {
    async fn start() -> Self {
        let server = ApiServer::start().await;
        let manifests = Manifests::new();
        manifests.replace(
            "kubernetes/base/kustomization.yaml",
            "  - autoscalers.yaml\n  - disruption-budgets.yaml\n",
            "",
        );
        let sleep = "          lifecycle:\n            # The listener closes at SIGTERM: proxies first have to learn that the pod goes.\n            preStop:\n              sleep:\n                seconds: 5\n";
        manifests.replace("kubernetes/base/api.yaml", sleep, "");
        let definition = PathBuf::from(manifests.path()).join("kubernetes/crd/rollouts.spillway.dev.yaml");
        let text = std::fs::read_to_string(&definition).expect("the definition of Rollouts");
        let mut value: Value = serde_saphyr::from_str(&text).expect("YAML");
        without_rules(&mut value);
        std::fs::write(&definition, value.to_string()).expect("write in the temporary folder");
        let kubeconfig = PathBuf::from(manifests.path()).join("kubeconfig");
        std::fs::write(&kubeconfig, server.access().kubeconfig("default")).expect("write in the temporary folder");
        Self { server, manifests, kubeconfig }
    }

    async fn run(&self, arguments: &[&str]) -> Output {
        let mut command = command(arguments);
        command.args(["--infra", self.manifests.path()]).env("KUBECONFIG", &self.kubeconfig);
        command.stdin(std::process::Stdio::null());
        let run = tokio::task::spawn_blocking(move || command.output().expect("run the program"));
        run.await.expect("it ran")
    }

    async fn good(&self, arguments: &[&str]) -> String {
        let output = self.run(arguments).await;
        assert!(output.status.success(), "{arguments:?}: {}\n{}", stderr(&output), stdout(&output));
        stdout(&output)
    }

    async fn get(&self, path: &str) -> Value {
        let (status, body) = self.server.access().request("GET", path, "").await.expect("an answer");
        assert_eq!(status, 200, "{path}: {body}");
        serde_json::from_str(&body).expect("JSON")
    }

    /// What a Deployment's controller would say when all pods run.
    async fn make_ready(&self, path: &str) {
        let mut deployment = self.get(path).await;
        deployment["status"] = json!({
            "observedGeneration": deployment["metadata"]["generation"], "replicas": 1, "updatedReplicas": 1, "readyReplicas": 1,
            "availableReplicas": 1,
        });
        let answer = self.server.access().request("PUT", &format!("{path}/status"), &deployment.to_string()).await;
        assert!(matches!(answer, Some((200, _))), "{answer:?}");
    }
}

/// Takes the rules in CEL away.
fn without_rules(schema: &mut Value) {
    match schema {
        Value::Object(fields) => {
            fields.remove("x-kubernetes-validations");
            fields.values_mut().for_each(without_rules);
        }
        Value::Array(items) => items.iter_mut().for_each(without_rules),
        _ => {}
    }
}

#[tokio::test]
async fn staging_is_applied_compared_changed_and_waited_for() {
    const API: &str = "/apis/apps/v1/namespaces/spillway-staging/deployments/spillway-api";
    const WORKER: &str = "/apis/apps/v1/namespaces/spillway-staging/deployments/spillway-worker";
    let cluster = Cluster::start().await;
    let monitor = "  - ../../components/monitoring\n";

    // A component whose kind the cluster does not have is told with what to do.
    let output = cluster.run(&["diff", "--overlay", "staging"]).await;
    assert_eq!(output.status.code(), Some(2));
    let said = stderr(&output);
    assert!(
        said.contains(
            "PodMonitor spillway: the cluster has no PodMonitor of monitoring.coreos.com/v1: install what brings it"
        ),
        "{said}"
    );
    cluster.manifests.replace("kubernetes/overlays/staging/kustomization.yaml", monitor, "");

    // All of it is new, the namespace too.
    let output = cluster.run(&["diff", "--overlay", "staging"]).await;
    assert_eq!(output.status.code(), Some(1), "{}", stderr(&output));
    assert!(stdout(&output).contains("+++ Deployment spillway-api (overlay)"), "{}", stdout(&output));
    assert!(stdout(&output).contains(" would be created, 0 changed, 0 stay as they are"), "{}", stdout(&output));

    let applied = cluster.good(&["apply", "--overlay", "staging", "--timeout", "0"]).await;
    assert!(
        applied.contains("+ Namespace spillway-staging\n") && applied.contains("+ Deployment spillway-worker\n"),
        "{applied}"
    );
    let same = cluster.good(&["diff", "--overlay", "staging"]).await;
    assert!(same.ends_with(" is as the overlay says\n") && same.lines().count() == 1, "{same}");

    // One field.
    cluster.manifests.replace(
        "kubernetes/base/worker.yaml",
        "terminationGracePeriodSeconds: 35",
        "terminationGracePeriodSeconds: 45",
    );
    let output = cluster.run(&["diff", "--overlay", "staging"]).await;
    assert_eq!(output.status.code(), Some(1));
    let diff = stdout(&output);
    assert!(
        diff.contains("-      terminationGracePeriodSeconds: 35\n+      terminationGracePeriodSeconds: 45\n"),
        "{diff}"
    );
    assert!(diff.contains("0 would be created, 1 changed"), "{diff}");
    let output = cluster.run(&["diff", "--overlay", "staging", "--output", "json"]).await;
    let lines: Vec<Value> = serde_json::from_slice(&output.stdout).expect("JSON");
    let changed: Vec<_> = lines.iter().filter(|line| line["change"] != "same").map(|line| &line["object"]).collect();
    assert_eq!(changed, [&json!("Deployment spillway-worker")]);
    assert_eq!(
        cluster.get(WORKER).await["spec"]["template"]["spec"]["terminationGracePeriodSeconds"],
        35,
        "diff changes nothing"
    );

    // Nobody makes pods here: the wait ends, and says how far it is.
    let output = cluster.run(&["apply", "--overlay", "staging", "--timeout", "1"]).await;
    assert_eq!(output.status.code(), Some(1));
    let said = stderr(&output);
    assert!(said.contains("Deployment spillway-api is not ready after 1 s: nobody has looked at it yet"), "{said}");
    assert!(said.contains("kubectl describe deployment spillway-api --namespace spillway-staging"), "{said}");
    for deployment in [API, WORKER] {
        cluster.make_ready(deployment).await;
    }
    let applied = cluster.good(&["apply", "--overlay", "staging", "--timeout", "60"]).await;
    assert!(applied.contains("= Deployment spillway-worker\n") && applied.contains("2 objects are ready"), "{applied}");
}

#[tokio::test]
async fn production_asks_and_the_mesh_with_every_component_is_taken() {
    let cluster = Cluster::start().await;
    // The base's autoscaler is left out already.
    let delete = "patches:\n  - patch: |-\n      apiVersion: autoscaling/v2\n      kind: HorizontalPodAutoscaler\n      metadata:\n        name: spillway-worker\n      $patch: delete\n";
    cluster.manifests.replace("kubernetes/components/keda/kustomization.yaml", delete, "");
    let folder = PathBuf::from(cluster.manifests.path()).join("kubernetes");
    let list = "resources: [istio.yaml, gateway-api.yaml, keda.yaml, vpa.yaml, prometheus-operator.yaml, external-secrets.yaml]\n";
    std::fs::write(folder.join("schemas/kustomization.yaml"), list).expect("write");
    std::fs::create_dir(folder.join("overlays/definitions")).expect("make a folder");
    std::fs::write(folder.join("overlays/definitions/kustomization.yaml"), "resources: [../../schemas]\n")
        .expect("write");

    let output = cluster.run(&["apply", "--overlay", "production-istio", "--timeout", "0"]).await;
    assert_eq!(output.status.code(), Some(1));
    assert!(stderr(&output).contains("nobody is there to ask, so give --yes"), "{}", stderr(&output));

    // Definitions are served when `apply` returns.
    cluster.good(&["apply", "--overlay", "definitions", "--yes"]).await;
    for overlay in ["rollouts", "production-istio", "production", "canary-istio"] {
        let applied = cluster.good(&["apply", "--overlay", overlay, "--yes", "--timeout", "0"]).await;
        assert!(!applied.is_empty(), "{overlay}");
        let same = cluster.good(&["diff", "--overlay", overlay]).await;
        assert!(same.ends_with(" is as the overlay says\n"), "{overlay}: {same}");
    }
    let rule = cluster.get("/apis/networking.istio.io/v1/namespaces/spillway/destinationrules/spillway").await;
    assert_eq!(rule["spec"]["trafficPolicy"]["connectionPool"]["tcp"]["maxConnections"], 10);

    // A field that somebody else has set is not taken over silently.
    let path = "/apis/networking.istio.io/v1/namespaces/spillway/virtualservices/spillway";
    let weight = async |manager: &str, weight: u8| {
        let mut route = cluster.get(path).await;
        route["spec"]["http"][0]["route"][0]["weight"] = json!(weight);
        let path = format!("{path}?fieldManager={manager}");
        let answer = cluster.server.access().request("PUT", &path, &route.to_string()).await;
        assert!(matches!(answer, Some((200, _))), "{answer:?}");
    };
    weight("somebody", 90).await;
    let output = cluster.run(&["apply", "--overlay", "production-istio", "--yes", "--timeout", "0"]).await;
    assert_eq!(output.status.code(), Some(1));
    assert!(stderr(&output).contains("--force-conflicts"), "{}", stderr(&output));
    cluster.good(&["apply", "--overlay", "production-istio", "--yes", "--timeout", "0", "--force-conflicts"]).await;
    assert_eq!(cluster.get(path).await["spec"]["http"][0]["route"][0]["weight"], 100);

    // What a rollout has moved is left to it, and the rest is applied.
    weight("spillway-rollout", 75).await;
    let applied = cluster.good(&["apply", "--overlay", "production-istio", "--yes", "--timeout", "0"]).await;
    assert!(applied.contains("= VirtualService spillway, whose weights a rollout moves\n"), "{applied}");
    cluster.good(&["diff", "--overlay", "production-istio"]).await;
    assert_eq!(cluster.get(path).await["spec"]["http"][0]["route"][0]["weight"], 75);
}

#[tokio::test]
async fn a_cluster_that_is_away_is_told() {
    let mut command = command(&["diff", "--overlay", "staging"]);
    let kubeconfig = tempfile::NamedTempFile::new().expect("a file");
    let text = "apiVersion: v1\nkind: Config\ncurrent-context: a\ncontexts: [{ name: a, context: { cluster: a, user: a } }]\n\
        clusters: [{ name: a, cluster: { server: 'http://127.0.0.1:1' } }]\nusers: [{ name: a, user: {} }]\n";
    std::fs::write(kubeconfig.path(), text).expect("write");
    let output = command.env("KUBECONFIG", kubeconfig.path()).output().expect("run the program");
    assert_eq!(output.status.code(), Some(2));
    assert!(stderr(&output).contains("the cluster cannot be asked"), "{}", stderr(&output));
}
