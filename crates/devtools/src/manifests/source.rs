//! Where a field of a rendered object was written: file and line. What follows is for messages only, so what cannot be found is no error.

mod node;

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use super::object::{Object, Step};
use node::Node;

const KUSTOMIZATION: &str = "kustomization.yaml";
/// Lists of a kustomization that name files and folders.
const LISTS: [&str; 2] = ["resources", "components"];

/// The files that an overlay is made of.
pub(super) struct Sources {
    files: Vec<File>,
}

struct File {
    path: PathBuf,
    documents: Vec<Node>,
}

/// How deep a path was found, and where.
type Found<'a> = (usize, &'a Path, usize);

impl Sources {
    /// The files that a folder's kustomization leads to.
    pub(super) fn of(folder: &Path) -> Self {
        let mut sources = Self { files: Vec::new() };
        sources.add(folder, &mut BTreeSet::new());
        sources
    }

    /// `infra/kubernetes/base/api.yaml:34`, or nothing.
    ///
    /// A field may have been written in several places: the one that holds most of the path wins, and of these the last, which is the overlay's own.
    pub(super) fn place(&self, object: &Object, path: &[Step]) -> Option<String> {
        let names = names(object, path);
        let names = names.as_slice();
        let written = self.files.iter().flat_map(|file| {
            let documents = file.documents.iter().filter(move |document| is_of(document, object));
            documents.map(move |document| {
                let (depth, line) = document.follow(names);
                (depth, file.path.as_path(), line)
            })
        });
        let patched = self.files.iter().flat_map(|file| patches(file, object, names));
        let generated = self.files.iter().filter_map(|file| generator(file, object));
        let all = written.chain(patched).chain(generated);
        let (_, file, line) = all.fold(None, |best: Option<Found<'_>>, next| match best {
            Some(best) if best.0 > next.0 => Some(best),
            _ => Some(next),
        })?;
        Some(format!("{}:{line}", file.display()))
    }

    fn add(&mut self, folder: &Path, seen: &mut BTreeSet<PathBuf>) {
        let real = folder.canonicalize().unwrap_or_else(|_| folder.to_owned());
        if !seen.insert(real) {
            return;
        }
        let Some(file) = File::read(&folder.join(KUSTOMIZATION)) else { return };
        let listed = LISTS.iter().flat_map(|list| file.documents.iter().filter_map(move |node| node.get(list)));
        let paths: Vec<PathBuf> =
            listed.flat_map(Node::items).filter_map(Node::text).map(|text| join(folder, text)).collect();
        for path in paths {
            if path.is_dir() {
                self.add(&path, seen);
            } else {
                self.files.extend(File::read(&path));
            }
        }
        // After what it includes: a patch counts more than what it changes.
        self.files.push(file);
    }
}

impl File {
    fn read(path: &Path) -> Option<Self> {
        let text = std::fs::read_to_string(path).ok()?;
        Some(Self { path: path.to_owned(), documents: node::parse(&text, 0) })
    }
}

/// Without the `..` that kustomizations are full of.
fn join(folder: &Path, path: &str) -> PathBuf {
    let mut joined = folder.to_owned();
    for part in path.split('/') {
        let can_go_up = joined.file_name().is_some_and(|name| name != "..");
        match part {
            "." | "" => {}
            ".." if can_go_up => {
                joined.pop();
            }
            part => joined.push(part),
        }
    }
    joined
}

/// A path whose items of lists are told by their names, since patches count differently.
fn names(object: &Object, path: &[Step]) -> Vec<(Step, Option<String>)> {
    let mut at = Some(object.value());
    let mut names = Vec::new();
    for step in path {
        at = at.and_then(|value| super::object::child(value, step));
        let name = at.and_then(|value| value.get("name")?.as_str()).map(str::to_owned);
        names.push((step.clone(), name.filter(|_| matches!(step, Step::Index(_)))));
    }
    names
}

fn is_of(document: &Node, object: &Object) -> bool {
    let text = |node: Option<&Node>| node.and_then(Node::text).unwrap_or_default().to_owned();
    let name = text(document.get("metadata").and_then(|metadata| metadata.get("name")));
    text(document.get("kind")) == object.kind() && name == object.name()
}

/// Patches of a kustomization that touch the path.
fn patches<'a>(file: &'a File, object: &Object, path: &[(Step, Option<String>)]) -> Vec<Found<'a>> {
    let lists = file.documents.iter().filter_map(|document| document.get("patches"));
    let mut found = Vec::new();
    for patch in lists.flat_map(Node::items) {
        let Some(text) = patch.get("patch") else { continue };
        let target = patch.get("target").and_then(|target| target.get("kind")).and_then(Node::text);
        // The line of a literal block is that of its first line of text.
        for document in node::parse(text.text().unwrap_or_default(), text.line() - 1) {
            if is_of(&document, object) {
                let (depth, line) = document.follow(path);
                found.push((depth, file.path.as_path(), line));
            }
            for operation in document.items().filter(|_| target.is_none_or(|kind| kind == object.kind())) {
                let (Some(at), Some(value)) = (operation.get("path"), operation.get("value")) else { continue };
                let steps: Vec<&str> = at.text().unwrap_or_default().split('/').skip(1).collect();
                let is_above = steps.len() <= path.len()
                    && steps.iter().zip(path).all(|(left, (right, _))| match right {
                        Step::Key(key) => *left == key.replace('~', "~0").replace('/', "~1"),
                        Step::Index(index) => *left == index.to_string(),
                    });
                if is_above {
                    let (depth, line) = value.follow(&path[steps.len()..]);
                    found.push((steps.len() + depth, file.path.as_path(), line));
                }
            }
        }
    }
    found
}

/// The generator of a ConfigMap, whose name has a hash behind it.
fn generator<'a>(file: &'a File, object: &Object) -> Option<Found<'a>> {
    let lists = file.documents.iter().filter_map(|document| document.get("configMapGenerator"));
    let mut generators = lists.flat_map(Node::items);
    let is_its = |node: &&Node| {
        let name = node.get("name").and_then(Node::text);
        name.is_some_and(|name| {
            object.name().strip_prefix(name).is_some_and(|rest| rest.is_empty() || rest.starts_with('-'))
        })
    };
    let node = generators.find(is_its).filter(|_| object.kind() == "ConfigMap")?;
    Some((1, file.path.as_path(), node.line()))
}

#[cfg(test)]
mod tests;
