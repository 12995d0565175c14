//! The Kubernetes API server starts, answers, tells users apart and leaves nothing behind.

use std::path::Path;

use spillway_testkit::kubernetes::{ApiServer, ClusterAccess, shared_namespace};

const CONFIG_MAP: &str = r#"{"apiVersion":"v1","kind":"ConfigMap","metadata":{"name":"kept"}}"#;

#[tokio::test]
async fn dropped_api_server_leaves_no_process_and_no_files() {
    let server = ApiServer::start().await;
    let (pids, ca_file) = (server.pids(), server.access().ca_file().to_owned());
    assert!(ca_file.is_file());
    let created = server.access().request("POST", "/api/v1/namespaces/default/configmaps", CONFIG_MAP).await;
    assert!(matches!(created, Some((201, _))), "{created:?}");

    drop(server);
    assert!(!ca_file.exists());
    for pid in pids {
        assert!(!Path::new(&format!("/proc/{pid}")).exists(), "process {pid} still runs");
    }
}

#[tokio::test]
async fn shared_namespaces_are_empty_and_separate() {
    let (one, other) = tokio::join!(shared_namespace(), shared_namespace());
    assert_eq!(one.access().url(), other.access().url());
    let config_maps = |name: &str| format!("/api/v1/namespaces/{name}/configmaps");
    let created = one.access().request("POST", &config_maps(one.name()), CONFIG_MAP).await;
    assert!(matches!(created, Some((201, _))), "{created:?}");
    let look = async |access: &ClusterAccess, name: &str| {
        access.request("GET", &format!("{}/kept", config_maps(name)), "").await
    };
    assert!(matches!(look(one.access(), one.name()).await, Some((200, _))));
    assert!(matches!(look(other.access(), other.name()).await, Some((404, _))));
}

#[tokio::test]
async fn kubeconfigs_name_server_namespace_and_user() {
    let namespace = shared_namespace().await;
    let kubeconfig = namespace.kubeconfig_as("guest");
    for line in [
        format!("    server: {}", namespace.access().url()),
        format!("    certificate-authority: {}", namespace.access().ca_file().display()),
        format!("    namespace: {}", namespace.name()),
        format!("    token: {}", namespace.access().token()),
        "    as: guest".to_owned(),
    ] {
        assert!(kubeconfig.lines().any(|each| each == line), "{line} in {kubeconfig}");
    }
    assert!(!namespace.kubeconfig().contains("as:"));
}
