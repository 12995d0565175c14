//! The names of metrics that queries may use, and the names that a query uses.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use crate::slo::Problem;

/// The lists of a folder of runbooks.
const LISTS: [&str; 2] = ["metrics.md", "rollout_metrics.md"];

/// Metrics of others: of Prometheus itself, of the exporters that the alerts are written for, and what the rules record.
const OTHERS: [&str; 8] =
    ["ALERTS", "up", "slo:", "node_", "probe_", "loadtest_", "alertmanager_", "nginx_connections"];

/// Words of the query language that are no metric.
const WORDS: [&str; 13] = [
    "by",
    "without",
    "on",
    "ignoring",
    "group_left",
    "group_right",
    "and",
    "or",
    "unless",
    "offset",
    "bool",
    "inf",
    "nan",
];

/// Aggregations, which may be followed by `by` instead of what they are applied to.
const AGGREGATIONS: [&str; 9] = ["sum", "min", "max", "avg", "count", "group", "stddev", "topk", "bottomk"];

/// Every name that the lists of metrics in the runbooks have, with the series of histograms.
///
/// # Errors
/// When a list cannot be read or is empty.
pub fn known(lists: &[&Path]) -> Result<BTreeSet<String>, String> {
    let mut names = BTreeSet::new();
    for list in lists {
        let text =
            std::fs::read_to_string(list).map_err(|error| format!("{}: it cannot be read: {error}", list.display()))?;
        let before = names.len();
        for line in text.lines() {
            let Some(name) = line.strip_prefix("| `").and_then(|rest| rest.split('`').next()) else { continue };
            if line.split('|').nth(2).is_some_and(|kind| kind.trim() == "histogram") {
                names.extend(["_bucket", "_sum", "_count"].map(|suffix| format!("{name}{suffix}")));
            }
            names.insert(name.to_owned());
        }
        if names.len() == before {
            return Err(format!("{}: it lists no metric", list.display()));
        }
    }
    Ok(names)
}

/// The same for the lists of a folder of runbooks.
///
/// # Errors
/// When a list cannot be read or is empty.
pub fn known_in(runbooks: &Path) -> Result<BTreeSet<String>, Problem> {
    let lists = LISTS.map(|list| runbooks.join(list));
    known(&lists.each_ref().map(PathBuf::as_path)).map_err(|text| Problem::of_file(runbooks, text))
}

/// Names in the query that nobody has.
#[must_use]
pub fn unknown(query: &str, known: &BTreeSet<String>) -> Vec<String> {
    let others = |name: &str| OTHERS.iter().any(|other| name == *other || (other.len() > 2 && name.starts_with(other)));
    used(query).into_iter().filter(|name| !known.contains(name) && !others(name)).collect()
}

/// Names of metrics in a query: words outside of selectors, texts, windows and lists of labels that are not called like a function.
fn used(query: &str) -> BTreeSet<String> {
    let is_word = |c: char| c.is_ascii_alphanumeric() || c == '_' || c == ':';
    let mut names = BTreeSet::new();
    let mut rest = query;
    while let Some(c) = rest.chars().next() {
        if let Some(end) = [('{', '}'), ('[', ']'), ('"', '"'), ('\'', '\'')]
            .iter()
            .find_map(|(open, end)| (*open == c).then_some(*end))
        {
            rest = rest[1..].split_once(end).map_or("", |(_, after)| after);
        } else if is_word(c) {
            let (word, after) = rest.split_at(rest.find(|c| !is_word(c)).unwrap_or(rest.len()));
            let called = after.trim_start().starts_with('(');
            if WORDS.contains(&word.to_lowercase().as_str()) {
                // What follows in brackets are labels.
                rest = match after.trim_start().strip_prefix('(') {
                    Some(labels) if word != "and" && word != "or" && word != "unless" => {
                        labels.split_once(')').map_or("", |(_, after)| after)
                    }
                    _ => after,
                };
                continue;
            }
            if !called && !c.is_ascii_digit() && !AGGREGATIONS.contains(&word) {
                names.insert(word.to_owned());
            }
            rest = after;
        } else {
            rest = &rest[c.len_utf8()..];
        }
    }
    names
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_found_and_labels_functions_and_texts_are_not() {
        let cases = [
            ("sum by (le) (rate(a_bucket{le=\"1\", x=~\"b|c\"}[5m])) > 0.5", vec!["a_bucket"]),
            ("a / on (instance) group_left () count by (instance) (b{mode=\"idle\"}) and (c > 1)", vec!["a", "b", "c"]),
            ("histogram_quantile(0.99, sum without (x) (increase(a_bucket[1h:5m] offset 1d)))", vec!["a_bucket"]),
            ("slo:objective:ratio unless on (slo) d == 1e3", vec!["d", "slo:objective:ratio"]),
        ];
        for (query, expected) in cases {
            assert_eq!(used(query).into_iter().collect::<Vec<_>>(), expected, "{query}");
        }
    }

    #[test]
    fn a_name_that_nobody_has_is_told() {
        let folder = tempfile::tempdir().expect("a folder");
        let list = folder.path().join("metrics.md");
        std::fs::write(
            &list,
            "| metric | type |\n|---|---|\n| `ack_seconds` | histogram |  | it |\n| `depth` | gauge |  | it |\n",
        )
        .expect("a list");
        let known = known(&[&list]).expect("names");
        assert!(unknown("rate(ack_seconds_bucket[5m]) + depth + node_load1", &known).is_empty());
        assert_eq!(unknown("rate(ack_second_bucket[5m])", &known), ["ack_second_bucket"]);
    }
}
