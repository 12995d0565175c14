//! The text that metrics are exposed in: Prometheus's and OpenMetrics's, exemplars and timestamps passed over.

use std::collections::{BTreeSet, HashMap};

/// The sum of a metric's samples over all labels.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Reading {
    pub(super) value: f64,
    /// It only grows, so what it gains per second is what counts.
    pub(super) is_counter: bool,
}

/// Each of the wanted metrics, `None` where it has no sample. Lines that are no samples are passed over.
pub(super) fn read(text: &str, wanted: &[&str]) -> Vec<Option<Reading>> {
    let mut types = HashMap::new();
    let mut sums = vec![None; wanted.len()];
    for line in text.lines() {
        if let Some((family, kind)) = declared_type(line) {
            types.insert(family, kind);
        } else if let Some((name, rest)) = sample(line)
            && let Some(place) = wanted.iter().position(|wanted| *wanted == name)
            && let Some(value) = value(rest)
        {
            *sums[place].get_or_insert(0.0) += value;
        }
    }
    let reading =
        |(sum, name): (Option<f64>, &&str)| Some(Reading { value: sum?, is_counter: is_counter(name, &types) });
    sums.into_iter().zip(wanted).map(reading).collect()
}

/// The names of all samples.
pub(super) fn names(text: &str) -> BTreeSet<&str> {
    text.lines().filter_map(sample).filter(|(_, rest)| value(rest).is_some()).map(|(name, _)| name).collect()
}

fn declared_type(line: &str) -> Option<(&str, &str)> {
    let mut words = line.strip_prefix('#')?.split_ascii_whitespace();
    (words.next()? == "TYPE").then_some(())?;
    Some((words.next()?, words.next()?))
}

/// Name, and the rest of the line from its labels on.
fn sample(line: &str) -> Option<(&str, &str)> {
    let line = line.trim_start();
    let end = line.find(['{', ' ', '\t'])?;
    let is_name = end > 0 && !line.starts_with('#');
    is_name.then(|| line.split_at(end))
}

/// The value after the labels.
fn value(rest: &str) -> Option<f64> {
    let rest = if rest.starts_with('{') { &rest[end_of_labels(rest)?..] } else { rest };
    rest.split_ascii_whitespace().next()?.parse().ok()
}

/// Where the labels end: a brace within quotes is part of a value.
fn end_of_labels(text: &str) -> Option<usize> {
    let (mut quoted, mut escaped) = (false, false);
    for (place, byte) in text.bytes().enumerate() {
        match byte {
            _ if escaped => escaped = false,
            b'\\' if quoted => escaped = true,
            b'"' => quoted = !quoted,
            b'}' if !quoted => return Some(place + 1),
            _ => {}
        }
    }
    None
}

/// By its declared type: OpenMetrics declares a counter without its `_total`, and a histogram without the names of its parts.
fn is_counter(name: &str, types: &HashMap<&str, &str>) -> bool {
    let parts = [
        ("_total", &["counter"][..]),
        ("_count", &["histogram", "summary"]),
        ("_sum", &["histogram", "summary"]),
        ("_bucket", &["histogram"]),
    ];
    if let Some(kind) = types.get(name) {
        return *kind == "counter";
    }
    for (suffix, kinds) in parts {
        if let Some(kind) = name.strip_suffix(suffix).and_then(|family| types.get(family)) {
            return kinds.contains(kind);
        }
    }
    name.ends_with("_total")
}

#[cfg(test)]
mod tests;
