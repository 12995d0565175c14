//! The program, and copies of the manifests to break.

use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use serde_json::Value;
use tempfile::TempDir;

/// The workspace.
pub(crate) fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../..").canonicalize().expect("the workspace")
}

/// The command with everything that it needs.
pub(crate) fn command(arguments: &[&str]) -> Command {
    let devtools = Path::new(env!("CARGO_BIN_EXE_spillway-devtools"));
    let gateway = devtools.with_file_name("spillway");
    assert!(gateway.exists(), "{} is missing: `cargo build --workspace --bins` makes it", gateway.display());
    let mut command = Command::new(devtools);
    command.current_dir(root()).arg("manifests").args(arguments).arg("--gateway").arg(gateway);
    command
}

pub(crate) fn run(arguments: &[&str]) -> Output {
    command(arguments).output().expect("run the program")
}

pub(crate) fn stdout(output: &Output) -> String {
    String::from_utf8_lossy(&output.stdout).into_owned()
}

pub(crate) fn stderr(output: &Output) -> String {
    String::from_utf8_lossy(&output.stderr).into_owned()
}

/// An overlay, rendered.
pub(crate) struct Rendered(Vec<Value>);

impl Rendered {
    pub(crate) fn of(overlay: &str) -> Self {
        let output = run(&["render", "--overlay", overlay, "--output", "json"]);
        assert!(output.status.success(), "{}", stderr(&output));
        Self(serde_json::from_slice(&output.stdout).expect("JSON"))
    }

    pub(crate) fn all(&self, kind: &str) -> Vec<&Value> {
        self.0.iter().filter(|object| object["kind"] == kind).collect()
    }

    pub(crate) fn objects(&self) -> &[Value] {
        &self.0
    }

    /// The object of this kind and name.
    pub(crate) fn get(&self, kind: &str, name: &str) -> &Value {
        let found = self.all(kind).into_iter().find(|object| object["metadata"]["name"] == name);
        found.unwrap_or_else(|| panic!("there is no {kind} {name}"))
    }

    pub(crate) fn has(&self, kind: &str, name: &str) -> bool {
        self.all(kind).iter().any(|object| object["metadata"]["name"] == name)
    }
}

/// A copy of `infra` to change.
pub(crate) struct Manifests {
    folder: TempDir,
}

impl Manifests {
    pub(crate) fn new() -> Self {
        let folder = tempfile::tempdir().expect("a folder");
        for part in ["kubernetes", "istio", "load"] {
            copy(&root().join("infra").join(part), &folder.path().join(part));
        }
        Self { folder }
    }

    pub(crate) fn path(&self) -> &str {
        self.folder.path().to_str().expect("a path of a temporary folder")
    }

    /// Writes something else in the place of a text that is there; returns the line that it begins on.
    pub(crate) fn replace(&self, file: &str, from: &str, to: &str) -> usize {
        let path = self.folder.path().join(file);
        let text = std::fs::read_to_string(&path).unwrap_or_else(|error| panic!("{file}: {error}"));
        let at = text.find(from).unwrap_or_else(|| panic!("{file} has no {from:?}"));
        std::fs::write(&path, text.replacen(from, to, 1)).expect("write in the temporary folder");
        text[..at].matches('\n').count() + 1
    }
}

fn copy(from: &Path, to: &Path) {
    std::fs::create_dir_all(to).expect("make a folder");
    for entry in std::fs::read_dir(from).expect("read a folder") {
        let entry = entry.expect("an entry");
        let target = to.join(entry.file_name());
        if entry.path().is_dir() {
            copy(&entry.path(), &target);
        } else {
            std::fs::copy(entry.path(), target).expect("copy a file");
        }
    }
}
