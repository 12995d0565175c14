use std::path::PathBuf;

use super::violations;
use crate::metadata::{Dependency, DependencyKind, Metadata, Node, NodeDependency, Package, Resolve};

/// A workspace of these crates (`place`, dependencies). A dependency is `name`, `name+feature` or `dev:name`.
fn workspace(members: &[(&str, &[&str])], outside: &[(&str, &[&str])]) -> Metadata {
    let member = |&(place, dependencies): &(&str, &[&str])| {
        package(&member_name(place), &format!("/ws/{place}/Cargo.toml"), dependencies)
    };
    let external =
        |&(name, dependencies): &(&str, &[&str])| package(name, &format!("/registry/{name}/Cargo.toml"), dependencies);
    let packages: Vec<Package> = members.iter().map(member).chain(outside.iter().map(external)).collect();
    let nodes = packages.iter().map(node).collect();
    Metadata {
        workspace_members: members.iter().map(|(place, _)| member_name(place)).collect(),
        packages,
        workspace_root: PathBuf::from("/ws"),
        target_directory: PathBuf::from("/ws/target"),
        resolve: Some(Resolve { nodes }),
    }
}

fn member_name(place: &str) -> String {
    place.rsplit('/').next().map(|directory| format!("spillway-{directory}")).expect("a directory")
}

fn package(name: &str, manifest_path: &str, dependencies: &[&str]) -> Package {
    let dependencies = dependencies.iter().map(|text| {
        let (kind, text) = text.strip_prefix("dev:").map_or((None, *text), |text| (Some("dev".to_owned()), text));
        let (name, feature) =
            text.split_once('+').map_or((text, None), |(name, feature)| (name, Some(feature.to_owned())));
        Dependency { name: name.to_owned(), kind, features: feature.into_iter().collect() }
    });
    Package {
        id: name.to_owned(),
        name: name.to_owned(),
        manifest_path: manifest_path.into(),
        dependencies: dependencies.collect(),
    }
}

fn node(package: &Package) -> Node {
    let deps = package.dependencies.iter().map(|dependency| NodeDependency {
        pkg: dependency.name.clone(),
        dep_kinds: vec![DependencyKind { kind: dependency.kind.clone() }],
    });
    Node { id: package.id.clone(), deps: deps.collect() }
}

#[test]
fn dependencies_that_point_down_are_fine() {
    let metadata = workspace(
        &[
            ("crates/model", &[]),
            ("crates/signature", &["dev:spillway-model", "dev:tokio"]),
            ("crates/store", &["spillway-model", "sqlx", "dev:spillway-testkit", "dev:spillway-telemetry"]),
            ("crates/telemetry", &["spillway-model", "tokio"]),
            ("crates/coordination", &["redis"]),
            ("crates/worker", &["spillway-store", "spillway-model"]),
            ("crates/devtools", &["spillway-testkit", "spillway-worker", "sqlx"]),
            ("crates/testkit", &["tokio"]),
            ("services/gateway", &["spillway-worker", "spillway-store+sqlite", "spillway-coordination+redis"]),
            ("xtask", &["clap"]),
        ],
        &[("tokio", &[]), ("sqlx", &["tokio"]), ("redis", &[]), ("clap", &[])],
    );
    assert_eq!(violations(&metadata), Vec::<String>::new());
}

#[test]
fn upward_and_sideways_dependencies_are_named() {
    let metadata = workspace(
        &[
            ("crates/model", &["spillway-signature"]),
            ("crates/signature", &[]),
            ("crates/store", &["spillway-worker"]),
            ("crates/worker", &["spillway-testkit"]),
            ("crates/testkit", &["spillway-model"]),
            ("services/gateway", &["spillway-devtools"]),
            ("crates/devtools", &[]),
            ("crates/extra", &[]),
        ],
        &[],
    );
    assert_eq!(
        violations(&metadata),
        [
            "crates/extra has no floor: give it one in xtask/src/check/floors.rs",
            "crates/model (floor 0) depends on crates/signature (floor 0): dependencies point strictly down",
            "crates/store (floor 1) depends on crates/worker (floor 2): dependencies point strictly down",
            "crates/testkit (beside the floors) depends on crates/model (floor 0): dependencies point strictly down",
            "crates/worker depends on crates/testkit, which is for [dev-dependencies] alone",
            "services/gateway (floor 3) depends on crates/devtools (beside the floors): dependencies point strictly down",
        ]
    );
}

#[test]
fn drivers_and_engines_stay_behind_their_contracts() {
    let metadata = workspace(
        &[
            ("crates/store", &["redis"]),
            ("crates/worker", &["sqlx-core", "spillway-store+postgres"]),
            ("crates/webhook-api", &["redis-protocol"]),
        ],
        &[],
    );
    assert_eq!(
        violations(&metadata),
        [
            "crates/store depends on redis: only crates/coordination may use redis",
            "crates/webhook-api depends on redis-protocol: only crates/coordination may use redis",
            "crates/worker depends on sqlx-core: only crates/store may use sqlx",
            "crates/worker enables feature postgres of spillway-store: only programs choose an engine",
        ]
    );
}

#[test]
fn what_must_not_be_linked_is_found_along_any_path() {
    let metadata = workspace(
        &[
            ("crates/model", &["friendly"]),
            ("crates/rollout-drivers", &["kube"]),
            ("services/gateway", &["spillway-rollout-drivers"]),
            ("services/rollout-controller", &["spillway-rollout-drivers"]),
        ],
        &[("friendly", &["tokio"]), ("tokio", &[]), ("kube", &["tokio"])],
    );
    assert_eq!(
        violations(&metadata),
        [
            "crates/model must not link tokio, and does: friendly → tokio",
            "services/gateway must not link kube, and does: spillway-rollout-drivers → kube",
        ]
    );
}
