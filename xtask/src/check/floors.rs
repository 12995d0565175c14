//! The dependency rules of ARCHITECTURE.md.
//!
//! Every crate of the workspace stands on a floor, and its normal dependencies point strictly down. Development dependencies are free.

use std::collections::{HashMap, VecDeque};
use std::fmt;

use crate::metadata::{Dependency, Metadata, Package};

/// Where a crate stands.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Floor {
    /// 0 words, 1 contracts, 2 applications, 3 programs.
    Level(u8),
    /// Built beside the house and used by developers: no crate of the workspace below it.
    Beside,
    /// A developer's program, which may use everything.
    Workbench,
}

const CRATES: &[(&str, Floor)] = &[
    ("crates/model", Floor::Level(0)),
    ("crates/signature", Floor::Level(0)),
    ("crates/slo", Floor::Level(0)),
    ("crates/performance", Floor::Level(0)),
    ("crates/store", Floor::Level(1)),
    ("crates/coordination", Floor::Level(1)),
    ("crates/telemetry", Floor::Level(1)),
    ("crates/settings", Floor::Level(1)),
    ("crates/report", Floor::Level(1)),
    ("crates/rollout", Floor::Level(1)),
    ("crates/transform", Floor::Level(1)),
    ("crates/webhook-api", Floor::Level(2)),
    ("crates/worker", Floor::Level(2)),
    ("crates/console", Floor::Level(2)),
    ("crates/loadgen", Floor::Level(2)),
    ("crates/rollout-drivers", Floor::Level(2)),
    ("crates/doctor", Floor::Level(2)),
    ("crates/testkit", Floor::Beside),
    ("crates/devtools", Floor::Workbench),
    ("crates/monitoring", Floor::Workbench),
    ("xtask", Floor::Beside),
];

/// Drivers, and the one crate that may name them.
const ONLY_IN: &[(&str, &str)] =
    &[("sqlx", "crates/store"), ("redis", "crates/coordination"), ("augurs", "crates/performance")];

/// Features that bring a concrete engine, which applications must not choose.
const ENGINES: &[(&str, &[&str])] =
    &[("spillway-store", &["sqlite", "postgres"]), ("spillway-coordination", &["redis"])];

/// Contracts without I/O, which stand above the words they use: held to the rules of floor 0.
const PURE_CONTRACTS: &[&str] = &["crates/rollout", "crates/transform"];

/// Crates that must not be reached, by any path of normal dependencies.
const PURE_NEVER_REACHES: &[&str] = &["tokio"];
const GATEWAY_NEVER_REACHES: &[&str] = &["kube", "goose"];

const TESTKIT: &str = "spillway-testkit";
const GATEWAY: &str = "services/gateway";

/// One line for each dependency that breaks a rule.
pub(super) fn violations(metadata: &Metadata) -> Vec<String> {
    let members = Members::of(metadata);
    let mut violations = Vec::new();
    for (&place, &package) in &members.by_place {
        let Some(floor) = floor_of(place) else {
            violations.push(format!("{place} has no floor: give it one in xtask/src/check/floors.rs"));
            continue;
        };
        for dependency in package.dependencies.iter().filter(|dependency| dependency.kind.as_deref() != Some("dev")) {
            violations.extend(direction(&members, place, floor, dependency));
            violations.extend(driver(place, floor, dependency));
            violations.extend(engine(place, floor, dependency));
        }
        if floor == Floor::Level(0) || PURE_CONTRACTS.contains(&place) {
            violations.extend(reached(metadata, place, package, PURE_NEVER_REACHES));
        }
        if place == GATEWAY {
            violations.extend(reached(metadata, place, package, GATEWAY_NEVER_REACHES));
        }
    }
    violations.sort();
    violations
}

/// Normal dependencies between crates of the workspace point strictly down.
fn direction(members: &Members<'_>, place: &str, floor: Floor, dependency: &Dependency) -> Option<String> {
    let target = members.place_of(&dependency.name)?;
    if dependency.name == TESTKIT && floor != Floor::Workbench {
        return Some(format!("{place} depends on {target}, which is for [dev-dependencies] alone"));
    }
    let target_floor = floor_of(target)?;
    let allowed = match (floor, target_floor) {
        (Floor::Workbench, _) => true,
        (Floor::Level(from), Floor::Level(to)) => to < from,
        _ => false,
    };
    (!allowed)
        .then(|| format!("{place} ({floor}) depends on {target} ({target_floor}): dependencies point strictly down"))
}

/// A driver is named by the one crate that fences it. Developer's programs measure against bare drivers.
fn driver(place: &str, floor: Floor, dependency: &Dependency) -> Option<String> {
    let (driver, owner) = ONLY_IN.iter().find(|(driver, _)| is_or_extends(&dependency.name, driver))?;
    let allowed = place == *owner || floor == Floor::Workbench;
    (!allowed).then(|| format!("{place} depends on {}: only {owner} may use {driver}", dependency.name))
}

/// Programs choose engines; what is below them works with the contract.
fn engine(place: &str, floor: Floor, dependency: &Dependency) -> Option<String> {
    let (_, engines) = ENGINES.iter().find(|(contract, _)| dependency.name == *contract)?;
    let feature = dependency.features.iter().find(|feature| engines.contains(&feature.as_str()))?;
    let chooses = matches!(floor, Floor::Level(0..=2));
    chooses.then(|| format!("{place} enables feature {feature} of {}: only programs choose an engine", dependency.name))
}

/// The shortest path to each of the crates that must not be reached.
fn reached(metadata: &Metadata, place: &str, package: &Package, banned: &[&str]) -> Vec<String> {
    let names: HashMap<&str, &str> =
        metadata.packages.iter().map(|package| (package.id.as_str(), package.name.as_str())).collect();
    let nodes = metadata.resolve.iter().flat_map(|resolve| &resolve.nodes);
    let nodes: HashMap<&str, _> = nodes.map(|node| (node.id.as_str(), node)).collect();
    let mut path_to: HashMap<&str, Vec<&str>> = HashMap::from([(package.id.as_str(), Vec::new())]);
    let mut queue = VecDeque::from([package.id.as_str()]);
    let mut found = Vec::new();
    while let Some(id) = queue.pop_front() {
        for dependency in nodes.get(id).into_iter().flat_map(|node| &node.deps) {
            let is_normal = dependency.dep_kinds.iter().any(|kind| kind.kind.is_none());
            if !is_normal || path_to.contains_key(dependency.pkg.as_str()) {
                continue;
            }
            let name = names.get(dependency.pkg.as_str()).copied().unwrap_or_default();
            let path = [&path_to[id][..], &[name]].concat();
            if banned.contains(&name) {
                found.push(format!("{place} must not link {name}, and does: {}", path.join(" → ")));
            }
            path_to.insert(&dependency.pkg, path);
            queue.push_back(&dependency.pkg);
        }
    }
    found
}

/// `sqlx-core` extends `sqlx`.
fn is_or_extends(name: &str, prefix: &str) -> bool {
    name.strip_prefix(prefix).is_some_and(|rest| rest.is_empty() || rest.starts_with('-'))
}

fn floor_of(place: &str) -> Option<Floor> {
    if place.starts_with("services/") {
        return Some(Floor::Level(3));
    }
    CRATES.iter().find(|(name, _)| *name == place).map(|(_, floor)| *floor)
}

/// Crates of the workspace by their directory, relative to its root.
struct Members<'a> {
    by_place: HashMap<&'a str, &'a Package>,
}

impl<'a> Members<'a> {
    fn of(metadata: &'a Metadata) -> Self {
        let members = metadata.packages.iter().filter(|package| metadata.workspace_members.contains(&package.id));
        let placed = members.filter_map(|package| {
            let directory = package.manifest_path.parent()?.strip_prefix(&metadata.workspace_root).ok()?;
            Some((directory.to_str()?, package))
        });
        Self { by_place: placed.collect() }
    }

    fn place_of(&self, name: &str) -> Option<&'a str> {
        self.by_place.iter().find(|(_, package)| package.name == name).map(|(place, _)| *place)
    }
}

impl fmt::Display for Floor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Level(level) => write!(f, "floor {level}"),
            Self::Beside | Self::Workbench => f.write_str("beside the floors"),
        }
    }
}

#[cfg(test)]
mod tests;
