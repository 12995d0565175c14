//! What a user relies on in each overlay.

use serde_json::{Value, json};

use crate::support::{Rendered, run, stdout};

const BOTH: [&str; 2] = ["spillway-api", "spillway-worker"];
const GATEWAYS: [&str; 3] = ["staging", "production", "production-istio"];

/// The gateway's own container of a Deployment.
fn container(deployment: &Value) -> &Value {
    &deployment["spec"]["template"]["spec"]["containers"][0]
}

#[test]
fn overlays_and_samples_are_listed_with_what_they_are() {
    let listed = stdout(&run(&["render"]));
    for name in [
        "staging",
        "production",
        "production-istio",
        "rollouts",
        "load-test",
        "canary-istio",
        "canary-gateway-api",
        "canary-nginx",
    ] {
        let line = listed.lines().find(|line| line.split(' ').next() == Some(name));
        assert!(line.is_some_and(|line| line.len() > name.len() + 20), "{name}: {listed}");
    }
}

#[test]
fn what_is_printed_is_what_kubectl_kustomize_gives() {
    let kubectl = crate::support::root().join("target/tools/python/bin/kubectl");
    let overlay = crate::support::root().join("infra/kubernetes/overlays/production");
    let theirs = std::process::Command::new(kubectl).arg("kustomize").arg(overlay).output().expect("run kubectl");
    assert_eq!(stdout(&run(&["render", "--overlay", "production"])), stdout(&theirs));
}

#[test]
fn a_folder_gets_a_file_for_each_object_in_the_order_of_application() {
    let folder = tempfile::tempdir().expect("a folder");
    let output = run(&["render", "--overlay", "staging", "--to", folder.path().to_str().expect("a path")]);
    let mut names: Vec<String> = std::fs::read_dir(folder.path())
        .expect("the folder")
        .map(|entry| entry.expect("an entry").file_name().to_string_lossy().into_owned())
        .collect();
    names.sort();
    assert_eq!(names[0], "000-namespace-spillway-staging.yaml");
    assert_eq!(names.len(), Rendered::of("staging").objects().len());
    assert!(stdout(&output).contains(&format!("{} objects", names.len())), "{output:?}");
}

#[test]
fn api_and_worker_drain_before_they_are_killed_and_a_lost_database_restarts_nothing() {
    for overlay in GATEWAYS {
        let rendered = Rendered::of(overlay);
        for name in BOTH {
            let deployment = rendered.get("Deployment", name);
            let pod = &deployment["spec"]["template"]["spec"];
            let before = container(deployment)["lifecycle"]["preStop"]["sleep"]["seconds"].as_u64().unwrap_or_default();
            let grace = pod["terminationGracePeriodSeconds"].as_u64().expect("a grace period");
            assert!(grace > before + 25, "{overlay}, {name}: {grace} s for {before} s and a drain of 25 s");
            assert_eq!(before > 0, name == "spillway-api", "requests are led to the api alone");
            let probe = |name: &str| container(deployment)[name]["httpGet"]["path"].clone();
            assert_eq!(
                [probe("startupProbe"), probe("readinessProbe"), probe("livenessProbe")],
                ["/healthz", "/readyz", "/health"]
            );
            assert_eq!(pod["initContainers"][0]["args"][0], "migrate");
            assert_eq!(deployment["spec"]["strategy"]["rollingUpdate"]["maxUnavailable"], 0);
            assert!(deployment["spec"]["replicas"].is_null(), "they are the autoscaler's, or a rollout's");
        }
        let settings = &rendered
            .all("ConfigMap")
            .into_iter()
            .find(|map| !map["data"]["spillway.toml"].is_null())
            .expect("settings")["data"];
        assert!(settings["spillway.toml"].as_str().is_some_and(|text| text.contains("drain_timeout = \"25s\"")));
    }
}

#[test]
fn each_program_has_an_account_of_its_own_without_a_token_or_a_role() {
    for overlay in GATEWAYS {
        let rendered = Rendered::of(overlay);
        for name in BOTH {
            let pod = &rendered.get("Deployment", name)["spec"]["template"]["spec"];
            assert_eq!(pod["serviceAccountName"], name);
            assert_eq!(pod["automountServiceAccountToken"], false);
            assert_eq!(rendered.get("ServiceAccount", name)["automountServiceAccountToken"], false);
        }
        for kind in ["Role", "ClusterRole", "RoleBinding", "ClusterRoleBinding", "Secret"] {
            assert!(rendered.all(kind).is_empty(), "{overlay} has a {kind}");
        }
    }
}

#[test]
fn pods_spread_over_zones_and_drains_of_nodes_take_one_at_a_time() {
    for (overlay, when) in
        [("staging", "ScheduleAnyway"), ("production", "DoNotSchedule"), ("production-istio", "DoNotSchedule")]
    {
        let rendered = Rendered::of(overlay);
        for name in BOTH {
            let zone = &rendered.get("Deployment", name)["spec"]["template"]["spec"]["topologySpreadConstraints"][0];
            assert_eq!(
                (&zone["topologyKey"], &zone["whenUnsatisfiable"]),
                (&json!("topology.kubernetes.io/zone"), &json!(when))
            );
            assert_eq!(rendered.get("PodDisruptionBudget", name)["spec"]["maxUnavailable"], 1);
        }
    }
}

#[test]
fn scaling_is_by_processor_time_and_memory_and_in_production_by_the_age_of_the_queue() {
    let targets = |autoscaler: &Value| {
        let metrics = autoscaler["spec"]["metrics"].as_array().expect("metrics");
        let one = |metric: &Value| {
            (metric["resource"]["name"].clone(), metric["resource"]["target"]["averageUtilization"].clone())
        };
        metrics.iter().map(one).collect::<Vec<_>>()
    };
    let base = vec![(json!("cpu"), json!(70)), (json!("memory"), json!(80))];
    let staging = Rendered::of("staging");
    for name in BOTH {
        assert_eq!(targets(staging.get("HorizontalPodAutoscaler", name)), base);
    }
    let production = Rendered::of("production");
    let api = production.get("HorizontalPodAutoscaler", "spillway-api");
    assert_eq!((targets(api), &api["spec"]["maxReplicas"]), (base, &json!(10)));
    // Two autoscalers for one Deployment would work against each other.
    assert!(!production.has("HorizontalPodAutoscaler", "spillway-worker"));
    let worker = &production.get("ScaledObject", "spillway-worker")["spec"];
    assert_eq!((&worker["minReplicaCount"], &worker["maxReplicaCount"]), (&json!(2), &json!(10)));
    let triggers = worker["triggers"].as_array().expect("triggers");
    let values: Vec<_> = triggers.iter().map(|trigger| (&trigger["type"], &trigger["metadata"]["value"])).collect();
    assert_eq!(values[1..], [(&json!("cpu"), &json!("70")), (&json!("memory"), &json!("80"))]);
    assert!(
        triggers[0]["metadata"]["query"].as_str().is_some_and(|query| query.contains("spillway_oldest_due_seconds"))
    );
    for name in BOTH {
        assert_eq!(production.get("VerticalPodAutoscaler", name)["spec"]["updatePolicy"]["updateMode"], "Off");
    }
}

#[test]
fn nothing_is_reached_but_what_is_needed_and_metadata_services_never() {
    for overlay in GATEWAYS {
        let rendered = Rendered::of(overlay);
        let deny = &rendered.get("NetworkPolicy", "default-deny")["spec"];
        assert_eq!(deny, &json!({ "podSelector": {}, "policyTypes": ["Ingress", "Egress"] }));
        let worker = &rendered.get("NetworkPolicy", "spillway-worker")["spec"];
        let blocks = worker["egress"][0]["to"].as_array().expect("blocks");
        let excepted: Vec<&str> = blocks
            .iter()
            .flat_map(|block| block["ipBlock"]["except"].as_array().expect("exceptions"))
            .filter_map(Value::as_str)
            .collect();
        for address in ["169.254.0.0/16", "100.100.100.200/32", "fd00:ec2::/32"] {
            assert!(excepted.contains(&address), "{address}: {excepted:?}");
        }
        let api = &rendered.get("NetworkPolicy", "spillway-api")["spec"];
        let ports: Vec<_> =
            api["egress"][0]["ports"].as_array().expect("ports").iter().map(|port| port["port"].as_u64()).collect();
        assert!(!ports.contains(&Some(443)), "the api asks nobody over the internet: {ports:?}");
    }
}

#[test]
fn a_change_of_the_settings_restarts_the_pods() {
    let rendered = Rendered::of("production");
    let maps: Vec<_> = rendered.all("ConfigMap").iter().map(|map| map["metadata"]["name"].clone()).collect();
    let pod = &rendered.get("Deployment", "spillway-api")["spec"]["template"]["spec"];
    let named = &pod["volumes"][0]["configMap"]["name"];
    assert!(
        named.as_str().is_some_and(|name| name.len() > "spillway-settings-".len()) && maps.contains(named),
        "{named}"
    );
    assert!(
        maps.contains(&container(rendered.get("Deployment", "spillway-api"))["envFrom"][0]["configMapRef"]["name"])
    );
}

#[test]
fn in_the_mesh_traffic_is_encrypted_authorised_limited_and_moved_by_weights() {
    let mesh = Rendered::of("production-istio");
    assert_eq!(mesh.get("Namespace", "spillway")["metadata"]["labels"]["istio-injection"], "enabled");
    assert_eq!(mesh.get("PeerAuthentication", "default")["spec"]["mtls"]["mode"], "STRICT");
    let tls = &mesh.get("Gateway", "spillway")["spec"]["servers"][1]["tls"];
    assert_eq!(tls["minProtocolVersion"], "TLSV1_3");
    assert_eq!(mesh.get("AuthorizationPolicy", "deny-all")["spec"], json!({}));
    let policy = &mesh.get("DestinationRule", "spillway")["spec"]["trafficPolicy"];
    assert_eq!(policy["connectionPool"]["tcp"]["maxConnections"], 10);
    assert_eq!(policy["connectionPool"]["tcp"]["tcpKeepalive"]["time"], "7200s");
    assert_eq!(policy["connectionPool"]["http"]["maxConcurrentStreams"], 100);
    assert!(policy["outlierDetection"]["consecutive5xxErrors"].is_u64());
    let route = &mesh.get("VirtualService", "spillway")["spec"]["http"][0];
    assert_eq!((&route["name"], &route["route"][0]["weight"]), (&json!("main"), &json!(100)));
    // A webhook that may have been stored is not sent again by a proxy.
    assert!(
        route["retries"]["retryOn"].as_str().is_some_and(|on| !on.split(',').any(|on| on == "reset" || on == "5xx"))
    );
    assert!(mesh.all("HTTPRoute").is_empty() && mesh.all("Ingress").is_empty(), "one way in");
}

#[test]
fn samples_of_rollouts_move_routes_that_their_overlays_have() {
    let target = |sample: &str| {
        let rendered = Rendered::of(sample);
        rendered.get("Rollout", "spillway-api")["spec"]["target"]["workload"].clone()
    };
    let (mesh, production) = (Rendered::of("production-istio"), Rendered::of("production"));
    let istio = target("canary-istio");
    let route = mesh.get("VirtualService", istio["virtualService"]["name"].as_str().expect("a name"));
    assert_eq!(route["spec"]["http"][0]["name"], istio["virtualService"]["route"]);
    let gateway = target("canary-gateway-api");
    let route = production.get("HTTPRoute", gateway["httpRoute"]["name"].as_str().expect("a name"));
    assert_eq!(route["spec"]["rules"][0]["name"], gateway["httpRoute"]["rule"]);
    for workload in [istio, gateway, target("canary-nginx")] {
        assert!(production.has("Deployment", workload["deployment"].as_str().expect("a Deployment")));
        assert!(production.has("HorizontalPodAutoscaler", workload["autoscaler"].as_str().expect("an autoscaler")));
    }
    // The load test's ConfigMap has the name that the Rollout gives, without a hash.
    let sample = Rendered::of("canary-gateway-api");
    let test = &sample.get("Rollout", "spillway-api")["spec"]["steps"][0]["loadTest"];
    let map = sample.get("ConfigMap", test["configMap"].as_str().expect("a name"));
    assert!(map["data"][test["file"].as_str().expect("a file")].is_string());
}
