//! An options file as a tree that knows its lines, whatever its format.

mod json;
mod reader;
mod toml;
mod yaml;

use std::fmt::Write;

use serde::de::DeserializeOwned;

use super::{ConfigurationError, Format};

/// A file's content with its name.
#[derive(Debug, Clone)]
pub(super) struct Document {
    file: String,
    pub(super) root: Node,
}

/// A value and the line where it begins; that of a table's entry is the line of its key.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Node {
    pub(super) line: usize,
    pub(super) value: Value,
}

#[derive(Debug, Clone, PartialEq)]
pub(super) enum Value {
    Null,
    Boolean(bool),
    Integer(i128),
    Float(f64),
    Text(String),
    List(Vec<Node>),
    /// In the file's order, each key once.
    Table(Vec<(String, Node)>),
}

/// What is wrong with a text, before its file's name is known.
#[derive(Debug, PartialEq)]
pub(super) struct Problem {
    /// None when it is not known.
    pub(super) line: Option<usize>,
    pub(super) message: String,
}

impl Document {
    /// Reads a text; an empty one is an empty table.
    pub(super) fn parse(text: &str, format: Format, file: &str) -> Result<Self, ConfigurationError> {
        // Editors on one system put a mark before the text.
        let text = text.strip_prefix('\u{feff}').unwrap_or(text);
        let root = match format {
            Format::Toml => toml::parse(text),
            Format::Yaml => yaml::parse(text),
            Format::Json => json::parse(text),
        };
        let root = root.map_err(|problem| ConfigurationError {
            place: Some(match problem.line {
                Some(line) => format!("{file}:{line}"),
                None => file.to_owned(),
            }),
            message: problem.message,
        })?;
        Self::new(root, file)
    }

    /// A tree that a file called `file` holds; its root is a table.
    pub(super) fn new(root: Node, file: &str) -> Result<Self, ConfigurationError> {
        let document = Self { file: file.to_owned(), root };
        match document.root.value {
            Value::Table(_) => Ok(document),
            _ => Err(document.refuse(&[], "a file of options is a table of names and values")),
        }
    }

    /// Reads what stands at a path into a type.
    pub(super) fn read<T: DeserializeOwned>(&self, path: &[&str]) -> Result<Option<T>, ConfigurationError> {
        let Some(node) = self.get(path) else { return Ok(None) };
        let value = reader::read(node).map_err(|error| error.inside(self, path))?;
        Ok(Some(value))
    }

    /// Reads a single entry of a table as if the table had no other one.
    pub(super) fn read_entry<T: DeserializeOwned>(
        &self,
        path: &[&str],
        entry: &(String, Node),
    ) -> Result<T, ConfigurationError> {
        reader::read_entry(entry).map_err(|error| error.inside(self, path))
    }

    /// What stands at a path of keys and, in lists, places counted from 0.
    pub(super) fn get(&self, path: &[&str]) -> Option<&Node> {
        path.iter().try_fold(&self.root, |node, step| node.get(step))
    }

    /// The entries of the table at a path; none when there is no table.
    pub(super) fn entries(&self, path: &[&str]) -> &[(String, Node)] {
        match self.get(path).map(|node| &node.value) {
            Some(Value::Table(entries)) => entries,
            _ => &[],
        }
    }

    /// `FILE:LINE` of a path, or of the part of it that the file has.
    pub(super) fn place(&self, path: &[&str]) -> String {
        let mut node = &self.root;
        for step in path {
            match node.get(step) {
                Some(inner) => node = inner,
                None => break,
            }
        }
        format!("{}:{}", self.file, node.line)
    }

    /// An error about what stands at a path.
    pub(super) fn refuse(&self, path: &[&str], message: impl std::fmt::Display) -> ConfigurationError {
        let named = self.name(path);
        let message = if named.is_empty() { message.to_string() } else { format!("{named}: {message}") };
        ConfigurationError { place: Some(self.place(path)), message }
    }

    /// A path as people write it, such as `scenarios.ramp.stages[0].target`.
    fn name(&self, path: &[&str]) -> String {
        let mut named = String::new();
        let mut node = Some(&self.root);
        for step in path {
            // Writing to a text cannot fail.
            let _ = match node.map(|node| &node.value) {
                Some(Value::List(_)) => write!(named, "[{step}]"),
                _ if named.is_empty() => write!(named, "{step}"),
                _ => write!(named, ".{step}"),
            };
            node = node.and_then(|node| node.get(step));
        }
        named
    }
}

impl Node {
    fn get(&self, step: &str) -> Option<&Self> {
        match &self.value {
            Value::Table(entries) => entries.iter().find(|(key, _)| key == step).map(|(_, node)| node),
            Value::List(nodes) => nodes.get(step.parse::<usize>().ok()?),
            _ => None,
        }
    }
}

/// The known name that is most like a word.
pub(super) fn nearest<'a>(word: &str, known: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    let likeness = |name: &str| strsim::jaro_winkler(&word.to_lowercase(), &name.to_lowercase());
    known.into_iter().max_by(|one, other| likeness(one).total_cmp(&likeness(other)))
}

/// `, the nearest is …`, or nothing when nothing is known.
pub(super) fn hint<'a>(word: &str, known: impl IntoIterator<Item = &'a str>) -> String {
    nearest(word, known).map(|name| format!(", the nearest is `{name}`")).unwrap_or_default()
}

/// Where lines begin, to tell a byte's line.
pub(super) struct Lines(Vec<usize>);

impl Lines {
    pub(super) fn of(text: &str) -> Self {
        Self(text.match_indices('\n').map(|(end, _)| end + 1).collect())
    }

    /// Counted from 1.
    pub(super) fn at(&self, byte: usize) -> usize {
        self.0.partition_point(|begin| *begin <= byte) + 1
    }
}
