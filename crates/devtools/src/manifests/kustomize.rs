//! Overlays and samples, rendered by kustomize.

use std::path::{Path, PathBuf};
use std::process::Command;

use super::object::short;
use crate::Failure;

/// Folders whose folders are rendered.
const PARENTS: [&str; 2] = ["kubernetes/overlays", "kubernetes/samples"];
const FILE: &str = "kustomization.yaml";

/// kustomize, and the folder that it renders.
#[derive(Debug)]
pub(super) struct Kustomize {
    kubectl: PathBuf,
    infra: PathBuf,
}

/// Something that can be rendered and applied.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Overlay {
    pub(super) name: String,
    pub(super) folder: PathBuf,
    /// The comment at the head of its file.
    pub(super) about: String,
}

impl Kustomize {
    /// # Errors
    /// When `kubectl` is not in the folder of tools.
    pub(super) fn new(infra: &Path, tools: &Path) -> Result<Self, Failure> {
        let kubectl = tools.join("kubectl");
        if !kubectl.is_file() {
            return Err(format!("{} is missing: run `cargo xtask setup`", kubectl.display()).into());
        }
        Ok(Self { kubectl, infra: infra.to_owned() })
    }

    pub(super) fn infra(&self) -> &Path {
        &self.infra
    }

    /// All of them, by name.
    ///
    /// # Errors
    /// When a folder cannot be read, or there is none at all.
    pub(super) fn overlays(&self) -> Result<Vec<Overlay>, Failure> {
        let mut overlays = Vec::new();
        for parent in PARENTS.map(|parent| self.infra.join(parent)).iter().filter(|parent| parent.is_dir()) {
            for entry in std::fs::read_dir(parent).map_err(|error| format!("{}: {error}", parent.display()))? {
                let folder = entry?.path();
                let Ok(text) = std::fs::read_to_string(folder.join(FILE)) else { continue };
                let name = folder.file_name().unwrap_or_default().to_string_lossy().into_owned();
                overlays.push(Overlay { name, folder, about: head(&text) });
            }
        }
        if overlays.is_empty() {
            let places = PARENTS.join(" or ");
            return Err(format!("{} has no overlay in {places}: give --infra FOLDER", self.infra.display()).into());
        }
        overlays.sort_by(|left, right| left.name.cmp(&right.name));
        Ok(overlays)
    }

    /// # Errors
    /// When there is none of this name; it says which there are.
    pub(super) fn overlay(&self, name: &str) -> Result<Overlay, Failure> {
        let mut overlays = self.overlays()?;
        if let Some(at) = overlays.iter().position(|overlay| overlay.name == name) {
            return Ok(overlays.swap_remove(at));
        }
        let names: Vec<_> = overlays.iter().map(|overlay| overlay.name.as_str()).collect();
        Err(format!("there is no overlay {name:?}; there are {}", names.join(", ")).into())
    }

    /// What kustomize makes of it, in YAML.
    ///
    /// # Errors
    /// What kustomize says, with the file that it does not understand.
    pub(super) fn render(&self, overlay: &Overlay) -> Result<String, Failure> {
        let output = Command::new(&self.kubectl)
            .arg("kustomize")
            .arg(&overlay.folder)
            .output()
            .map_err(|error| format!("cannot run {}: {error}", self.kubectl.display()))?;
        let said = String::from_utf8_lossy(&output.stderr);
        if !output.status.success() {
            return Err(format!("{}: kustomize cannot render it: {}", overlay.folder.display(), reason(&said)).into());
        }
        // Deprecations and the like: what was rendered is not what the file says for long.
        if !said.trim().is_empty() {
            return Err(format!("{}: kustomize warns: {}", overlay.folder.display(), short(said.trim())).into());
        }
        Ok(String::from_utf8(output.stdout).map_err(|_| "kustomize printed what is no text")?)
    }
}

/// The innermost of kustomize's nested reasons says which file it is.
fn reason(said: &str) -> String {
    let said = said.trim().trim_start_matches("error: ");
    let innermost = said.rsplit("accumulation err='").next().unwrap_or(said);
    short(innermost.split("': must build at directory").next().unwrap_or(innermost))
}

/// The comment that a file begins with, as one line.
fn head(text: &str) -> String {
    let lines = text.lines().map_while(|line| line.strip_prefix('#')).map(str::trim);
    lines.collect::<Vec<_>>().join(" ")
}
