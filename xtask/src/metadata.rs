//! The parts of `cargo metadata` that the commands read.

use std::path::PathBuf;

use serde::Deserialize;
use xshell::{Shell, cmd};

use crate::failure::{Failure, Result};

#[derive(Debug, Deserialize)]
pub(crate) struct Metadata {
    pub(crate) packages: Vec<Package>,
    pub(crate) workspace_members: Vec<String>,
    pub(crate) workspace_root: PathBuf,
    pub(crate) target_directory: PathBuf,
    /// Absent when dependencies were not resolved.
    pub(crate) resolve: Option<Resolve>,
}

#[derive(Debug, Deserialize)]
pub(crate) struct Package {
    pub(crate) id: String,
    pub(crate) name: String,
    pub(crate) manifest_path: PathBuf,
    pub(crate) dependencies: Vec<Dependency>,
}

/// A dependency as a manifest declares it.
#[derive(Debug, Deserialize)]
pub(crate) struct Dependency {
    pub(crate) name: String,
    /// `None` for a normal dependency, else `dev` or `build`.
    pub(crate) kind: Option<String>,
    pub(crate) features: Vec<String>,
}

#[derive(Debug, Deserialize)]
pub(crate) struct Resolve {
    pub(crate) nodes: Vec<Node>,
}

#[derive(Debug, Deserialize)]
pub(crate) struct Node {
    pub(crate) id: String,
    pub(crate) deps: Vec<NodeDependency>,
}

/// A dependency as it was resolved.
#[derive(Debug, Deserialize)]
pub(crate) struct NodeDependency {
    pub(crate) pkg: String,
    pub(crate) dep_kinds: Vec<DependencyKind>,
}

#[derive(Debug, Deserialize)]
pub(crate) struct DependencyKind {
    pub(crate) kind: Option<String>,
}

impl Metadata {
    /// The workspace with everything it depends on.
    pub(crate) fn with_dependencies(sh: &Shell) -> Result<Self> {
        parse(&cmd!(sh, "cargo metadata --format-version 1").quiet().read()?)
    }

    /// Cargo's target directory, wherever configuration or environment put it.
    pub(crate) fn target_directory(sh: &Shell) -> Result<PathBuf> {
        let metadata = parse(&cmd!(sh, "cargo metadata --format-version 1 --no-deps").quiet().read()?)?;
        Ok(metadata.target_directory)
    }
}

fn parse(json: &str) -> Result<Metadata> {
    serde_json::from_str(json)
        .map_err(|error| Failure::new(format!("cannot read the output of cargo metadata: {error}")))
}
