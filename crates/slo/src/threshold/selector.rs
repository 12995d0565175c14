//! Which samples a threshold is about: a metric, and tags that they must have.

use std::borrow::Cow;
use std::fmt;
use std::str::FromStr;

use serde::de::{Deserialize, Deserializer, Error};

use crate::SyntaxError;

/// A metric and the tags its samples must have, written `http_req_duration` or `http_req_duration{method:GET,status:200}`.
///
/// As in k6, a value reaches to the next comma and may hold colons; blanks and quotes around names and values do not
/// count, so that `name:" "` and `name:""` can be written.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Selector {
    /// Name of the metric; whether there is such a metric is not known here.
    pub metric: String,
    /// Names and values, each name once, in the order written; none selects every sample.
    pub tags: Vec<(String, String)>,
}

/// What is wrong with the text of a [`Selector`].
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum SelectorProblem {
    /// No name, or one with other characters.
    #[error("expected a metric's name: letters, digits and `_`, not beginning with a digit")]
    Metric,
    /// The braces do not close at the end.
    #[error("expected `}}` at the end: tags are written metric{{tag:value,tag:value}}")]
    Unclosed,
    /// A tag without a value.
    #[error("expected `tag:value`: tags are written metric{{tag:value,tag:value}}, and a value cannot hold a comma")]
    Tag,
    /// A tag's name is empty or has blanks or quotes.
    #[error("a tag's name has at least one character, no blanks and no quotes")]
    TagName,
    /// A tag stands twice.
    #[error("the tag `{0}` is named twice")]
    Twice(String),
}

impl FromStr for Selector {
    type Err = SyntaxError<SelectorProblem>;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let error = |problem, offset| SyntaxError::new(problem, text, offset);
        let (metric, braced) = text.split_at(text.find('{').unwrap_or(text.len()));
        let foreign = metric.find(|c: char| !c.is_ascii_alphanumeric() && c != '_');
        if metric.is_empty() || metric.starts_with(|c: char| c.is_ascii_digit()) || foreign.is_some() {
            return Err(error(SelectorProblem::Metric, foreign.unwrap_or(0)));
        }
        let mut tags = Vec::new();
        if let Some(inner) = braced.strip_prefix('{') {
            let Some(inner) = inner.strip_suffix('}') else {
                return Err(error(
                    SelectorProblem::Unclosed,
                    inner.rfind('}').map_or(text.len(), |at| metric.len() + at + 2),
                ));
            };
            let mut offset = metric.len() + 1;
            for part in inner.split(',') {
                let (name, value) = tag(part).map_err(|problem| error(problem, offset))?;
                if tags.iter().any(|(named, _)| *named == name) {
                    return Err(error(SelectorProblem::Twice(name), offset));
                }
                tags.push((name, value));
                offset += part.len() + 1;
            }
        }
        Ok(Self { metric: metric.to_owned(), tags })
    }
}

fn tag(text: &str) -> Result<(String, String), SelectorProblem> {
    const QUOTES: [char; 2] = ['"', '\''];

    let (name, value) = text.split_once(':').filter(|(_, value)| !value.is_empty()).ok_or(SelectorProblem::Tag)?;
    let name = name.trim().trim_matches(QUOTES);
    if name.is_empty() || name.contains(|c: char| c.is_whitespace() || QUOTES.contains(&c)) {
        return Err(SelectorProblem::TagName);
    }
    Ok((name.to_owned(), value.trim().trim_matches(QUOTES).to_owned()))
}

impl fmt::Display for Selector {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.metric)?;
        for (index, (name, value)) in self.tags.iter().enumerate() {
            let before = if index == 0 { '{' } else { ',' };
            let quote = if value.trim().len() < value.len() || value.is_empty() { "\"" } else { "" };
            write!(f, "{before}{name}:{quote}{value}{quote}")?;
        }
        if self.tags.is_empty() { Ok(()) } else { f.write_str("}") }
    }
}

impl<'de> Deserialize<'de> for Selector {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        Cow::<'de, str>::deserialize(deserializer)?.parse().map_err(D::Error::custom)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn tags_are_read_as_k6_reads_them() {
        for (text, metric, tags) in [
            ("http_reqs", "http_reqs", &[][..]),
            ("checks{check:login ok}", "checks", &[("check", "login ok")]),
            ("m{ a : b , \"c\":'d' }", "m", &[("a", "b"), ("c", "d")]),
            ("m{name:http://[::1]/x}", "m", &[("name", "http://[::1]/x")]),
            ("m{name:/items/{id}}", "m", &[("name", "/items/{id}")]),
            ("m{group:::login}", "m", &[("group", "::login")]),
            ("m{error:\"\"}", "m", &[("error", "")]),
        ] {
            let read = text.parse::<Selector>().expect(text);
            let found: Vec<_> = read.tags.iter().map(|(name, value)| (name.as_str(), value.as_str())).collect();
            assert_eq!((read.metric.as_str(), found.as_slice()), (metric, tags), "{text}");
            assert_eq!(read.to_string().parse(), Ok(read), "{text}");
        }
    }

    #[test]
    fn errors_point_at_the_character() {
        use SelectorProblem::{Metric, Tag, TagName, Twice, Unclosed};
        for (text, problem, character) in [
            ("", Metric, 1),
            ("{a:b}", Metric, 1),
            ("2xx", Metric, 1),
            ("http-reqs", Metric, 5),
            ("m {a:b}", Metric, 2),
            ("m}", Metric, 2),
            ("m{a:b", Unclosed, 6),
            ("m{a:b}x", Unclosed, 7),
            ("m{a:b} ", Unclosed, 7),
            ("m{}", Tag, 3),
            ("m{a}", Tag, 3),
            ("m{a:}", Tag, 3),
            ("m{a:ü,b}", Tag, 7),
            ("m{a:b,}", Tag, 7),
            ("m{:b}", TagName, 3),
            ("m{a b:c}", TagName, 3),
            ("m{a:b,a:c}", Twice("a".to_owned()), 7),
        ] {
            let error = text.parse::<Selector>().expect_err(text);
            assert_eq!((error.problem(), error.character()), (&problem, character), "{text}");
        }
    }

    proptest! {
        #[test]
        fn what_was_read_is_written_and_read_back(
            metric in "[a-z_][a-z0-9_]{0,8}",
            tags in prop::collection::btree_map("[a-z_.-]{1,4}", "[ \"'a-z:{}/ü]{1,6}", 0..4),
        ) {
            let tags: Vec<_> = tags.iter().map(|(name, value)| format!("{name}:{value}")).collect();
            let text = if tags.is_empty() { metric } else { format!("{metric}{{{}}}", tags.join(",")) };
            let selector: Selector = text.parse().expect("valid");
            prop_assert_eq!(selector.to_string().parse(), Ok(selector));
        }

        #[test]
        fn no_text_panics(text in "[a-z]{0,3}[{}:,\"' ü\\PC]{0,12}") {
            let _ = text.parse::<Selector>();
        }
    }
}
