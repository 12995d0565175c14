//! The text that metrics are exposed in, Prometheus's and OpenMetrics's, with labels.
//!
//! Own because the parsers with a licence that fits cut label values at `}` and `,`, which routes such as `/sources/{id}` hold.

use std::borrow::Cow;

/// What a line says.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Item<'a> {
    /// A sample. Timestamp and exemplar are passed over.
    Sample(Line<'a>),
    /// The declaration of a metric family's type, which may have no sample yet.
    Family(&'a str),
}

/// A sample.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Line<'a> {
    pub(super) name: &'a str,
    pub(super) labels: Labels<'a>,
    pub(super) value: f64,
}

/// Names and values, in the order of the text.
pub(super) type Labels<'a> = Vec<(&'a str, Cow<'a, str>)>;

/// The text is something else.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("line {line} is no metric in the text form of Prometheus or OpenMetrics: `{excerpt}`")]
pub(super) struct Garbage {
    line: usize,
    excerpt: String,
}

/// Every sample and declaration, in order. Comments and help are passed over.
pub(super) fn read(text: &str) -> impl Iterator<Item = Result<Item<'_>, Garbage>> {
    text.lines().enumerate().filter_map(|(place, line)| {
        let line = line.trim();
        match line.strip_prefix('#') {
            _ if line.is_empty() => None,
            Some(comment) => family(comment).map(|name| Ok(Item::Family(name))),
            None => Some(sample(line).map(Item::Sample).ok_or_else(|| Garbage {
                line: place + 1,
                excerpt: line.chars().take(60).map(|c| if c.is_control() { '?' } else { c }).collect(),
            })),
        }
    })
}

fn family(comment: &str) -> Option<&str> {
    let mut words = comment.split_ascii_whitespace();
    (words.next()? == "TYPE").then_some(())?;
    words.next()
}

fn sample(line: &str) -> Option<Line<'_>> {
    let (name, rest) = name(line, true)?;
    let (labels, rest) = match rest.trim_start().strip_prefix('{') {
        Some(inside) => labels(inside)?,
        None => (Vec::new(), rest.starts_with([' ', '\t']).then_some(rest)?),
    };
    let mut words = rest.split_ascii_whitespace();
    let value = words.next()?.parse().ok()?;
    // Nothing, a timestamp, or an exemplar behind a hash.
    let is_sample = words.next().is_none_or(|word| word.starts_with('#') || word.parse::<f64>().is_ok());
    is_sample.then_some(Line { name, labels, value })
}

/// A name, and what follows it.
fn name(text: &str, colons: bool) -> Option<(&str, &str)> {
    let is_part = |c: char| c.is_ascii_alphanumeric() || c == '_' || (colons && c == ':');
    let end = text.find(|c| !is_part(c)).unwrap_or(text.len());
    let (name, rest) = text.split_at(end);
    (!name.is_empty() && !name.starts_with(|c: char| c.is_ascii_digit())).then_some((name, rest))
}

/// The labels up to their closing brace, and what follows it.
fn labels(mut text: &str) -> Option<(Labels<'_>, &str)> {
    let mut labels = Vec::new();
    loop {
        text = text.trim_start();
        if let Some(rest) = text.strip_prefix('}') {
            return Some((labels, rest));
        }
        let (label, rest) = name(text, false)?;
        let (value, rest) = quoted(rest.trim_start().strip_prefix('=')?.trim_start().strip_prefix('"')?)?;
        labels.push((label, value));
        text = rest.trim_start();
        match text.strip_prefix(',') {
            Some(rest) => text = rest,
            None if text.starts_with('}') => {}
            None => return None,
        }
    }
}

/// A value up to its closing quote, without its escapes, and what follows.
fn quoted(text: &str) -> Option<(Cow<'_, str>, &str)> {
    let end = text.find(['"', '\\'])?;
    if text.as_bytes()[end] == b'"' {
        return Some((Cow::Borrowed(&text[..end]), &text[end + 1..]));
    }
    let mut value = text[..end].to_owned();
    let mut chars = text[end..].char_indices();
    while let Some((place, c)) = chars.next() {
        match c {
            '"' => return Some((Cow::Owned(value), &text[end + place + 1..])),
            '\\' => match chars.next()?.1 {
                'n' => value.push('\n'),
                escaped => value.push(escaped),
            },
            c => value.push(c),
        }
    }
    None
}

#[cfg(test)]
mod tests;
