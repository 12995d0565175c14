//! Queries with the places where they stand, and what Prometheus' own parser says to them.

use std::collections::BTreeSet;
use std::path::PathBuf;
use std::process::Command;

use serde::Serialize;

use crate::metrics;
use crate::slo::Problem;
use crate::slo::rules::{Group, Rule, RuleFile};

/// A query in a file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Query {
    /// The file.
    pub file: PathBuf,
    /// The first line of the query in it, from 1.
    pub line: u64,
    /// The query.
    pub text: String,
}

/// Queries that Prometheus does not understand, as promtool tells.
#[must_use]
pub fn syntax(queries: &[Query]) -> Vec<Problem> {
    let Some(first) = queries.first() else { return Vec::new() };
    // A group for each, so that what is said of it can be told from what is said of others.
    let group = |(n, query): (usize, &Query)| Group {
        name: format!("query-{n}"),
        rules: vec![Rule { record: Some(format!("query:{n}")), expr: query.text.clone(), ..Rule::default() }],
        interval: None,
    };
    let rules = RuleFile { groups: queries.iter().enumerate().map(group).collect() };
    let said = match promtool(&rules) {
        Ok(said) => said,
        Err(text) => return vec![Problem::of_file(&first.file, text)],
    };
    said.lines().filter_map(|line| wrong(line, queries)).collect()
}

/// A line of promtool's about one of the queries.
fn wrong(said: &str, queries: &[Query]) -> Option<Problem> {
    let (_, rest) = said.split_once("group \"query-")?;
    let (n, rest) = rest.split_once('"')?;
    let query = queries.get(n.parse::<usize>().ok()?)?;
    let reason = rest.split_once("could not parse expression: ").map_or(rest, |(_, reason)| reason);
    // The reason begins with line and column in the query.
    let line = reason.split_once(':').and_then(|(line, _)| line.parse::<u64>().ok()).unwrap_or(1);
    let text = format!("Prometheus does not understand the query (line:column {reason}); mend it");
    Some(Problem { file: query.file.clone(), line: query.line + line.max(1) - 1, text })
}

fn promtool(rules: &impl Serialize) -> Result<String, String> {
    let text = serde_saphyr::to_string(rules).map_err(|error| format!("the queries cannot be written: {error}"))?;
    let folder = tempfile::tempdir().map_err(|error| format!("there is no temporary folder: {error}"))?;
    let file = folder.path().join("queries.yml");
    std::fs::write(&file, text).map_err(|error| format!("the queries cannot be written: {error}"))?;
    let output = Command::new("promtool").args(["check", "rules", "--lint=none"]).arg(&file).output();
    let output =
        output.map_err(|error| format!("promtool cannot be run ({error}): `cargo xtask setup` installs it"))?;
    let said = [output.stdout, output.stderr].concat();
    Ok(String::from_utf8_lossy(&said).into_owned())
}

/// Queries that ask for metrics that nobody has.
#[must_use]
pub fn unknown_names(queries: &[Query], known: &BTreeSet<String>) -> Vec<Problem> {
    let of_query = |query: &Query| {
        let problem = |name: String| {
            let text = format!(
                "the query asks for {name}; the lists of metrics in runbooks have no such name: mend the query"
            );
            Problem { file: query.file.clone(), line: query.line, text }
        };
        metrics::unknown(&query.text, known).into_iter().map(problem).collect::<Vec<_>>()
    };
    queries.iter().flat_map(of_query).collect()
}
