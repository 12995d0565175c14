//! Kubernetes' own kinds, by the schemas of the package kubernetes-validate.

use std::io::Write as _;
use std::path::Path;
use std::process::{Command, Stdio};

use serde::Deserialize;
use serde_json::Value;

use super::object::{Object, Step, short};
use super::schema::{self, Finding};
use crate::Failure;

const SCRIPT: &str = include_str!("builtin.py");

/// What the script says.
#[derive(Debug, Deserialize)]
struct Said {
    object: usize,
    path: Vec<Value>,
    #[serde(default)]
    message: String,
    unknown: Option<String>,
    #[serde(default)]
    known: Vec<String>,
}

/// What is wrong, by the number of the object.
///
/// # Errors
/// When Python or the package is not there, or has no schemas of this version.
pub(super) fn check(tools: &Path, version: &str, objects: &[&Object]) -> Result<Vec<(usize, Finding)>, Failure> {
    let python = tools.join("python3");
    let mut child = Command::new(&python)
        .args(["-c", SCRIPT, version])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .map_err(|error| format!("cannot run {}: {error}; run `cargo xtask setup`", python.display()))?;
    let values: Vec<_> = objects.iter().map(|object| object.value()).collect();
    let mut input = child.stdin.take().ok_or("the script takes no input")?;
    // A script that ended says why below.
    let _ = input.write_all(serde_json::to_string(&values)?.as_bytes());
    drop(input);
    let output = child.wait_with_output()?;
    if !output.status.success() {
        let said = String::from_utf8_lossy(&output.stderr);
        let last = said.lines().rfind(|line| !line.trim().is_empty()).unwrap_or("it ended without a word");
        return Err(format!("kubernetes-validate cannot be used: {}; run `cargo xtask setup`", short(last)).into());
    }
    let said: Vec<Said> = serde_json::from_slice(&output.stdout)?;
    Ok(said.into_iter().map(finding).collect())
}

fn finding(said: Said) -> (usize, Finding) {
    let path = said.path.iter().map(|step| match step.as_u64().and_then(|index| usize::try_from(index).ok()) {
        Some(index) => Step::Index(index),
        None => Step::Key(step.as_str().unwrap_or_default().to_owned()),
    });
    let message = match &said.unknown {
        Some(unknown) => schema::unknown_field(unknown, said.known.iter().map(String::as_str)),
        None => short(&said.message),
    };
    (said.object, Finding { path: path.collect(), message })
}
