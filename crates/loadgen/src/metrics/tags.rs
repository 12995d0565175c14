use std::borrow::Cow;
use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

/// The `name` of the series that takes the samples of all tags beyond the limit.
pub const OTHER: &str = "other";

/// An interned set of tags, valid in the registry that gave it out. Cheap to copy; keep it instead of its tags.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Series(pub(crate) u32);

impl Series {
    /// Takes what has no series of its own.
    pub(crate) const OTHER: Self = Self(0);
    /// Belongs to the whole run: no tags.
    pub(crate) const RUN: Self = Self(1);
}

/// What a sample is about. An empty text and `None` mean that the tag is absent.
///
/// Only values of which there are few belong here: a tag that differs in each request leads everything into the series [`OTHER`].
#[derive(Debug, Clone, Default, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[expect(clippy::derived_hash_with_manual_eq, reason = "the same equality, found faster")]
#[serde(default, deny_unknown_fields)]
pub struct Tags {
    /// The scenario's name.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub scenario: String,
    /// The group, as `::outer::inner`.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub group: String,
    /// The request's name; by default its URL.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub name: String,
    /// The request's method.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub method: String,
    /// The answer's status; 0 for a request without answer.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub status: Option<u16>,
    /// The kind of error.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub error: String,
    /// Whether the status was one of those expected.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub expected_response: Option<bool>,
    /// The check's name.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub check: String,
    /// Tags of the user's own, of the run, the scenario or the request.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub extra: BTreeMap<String, String>,
}

impl Tags {
    /// The tags of a scenario, without those of a request.
    pub fn scenario(name: &str, extra: &BTreeMap<String, String>) -> Self {
        Self { scenario: name.to_owned(), extra: extra.clone(), ..Self::default() }
    }

    pub(crate) fn other() -> Self {
        Self { name: OTHER.to_owned(), ..Self::default() }
    }

    fn texts(&self) -> [&str; 6] {
        [&self.scenario, &self.group, &self.name, &self.method, &self.error, &self.check]
    }

    /// The value of a tag, under the name it has in a selector. Where a tag of the user's own has the name of one of ours, ours counts
    /// if it is there.
    pub fn get(&self, tag: &str) -> Option<Cow<'_, str>> {
        let own = match tag {
            "scenario" => present(&self.scenario),
            "group" => present(&self.group),
            "name" => present(&self.name),
            "method" => present(&self.method),
            "status" => self.status.map(|status| Cow::Owned(status.to_string())),
            "error" => present(&self.error),
            "expected_response" => self.expected_response.map(|expected| Cow::Owned(expected.to_string())),
            "check" => present(&self.check),
            _ => None,
        };
        own.or_else(|| self.extra.get(tag).map(|value| Cow::Borrowed(value.as_str())))
    }

    /// Whether each of these tags is there with this value. No tags at all match everything.
    pub fn matches(&self, wanted: &[(String, String)]) -> bool {
        wanted.iter().all(|(tag, value)| self.get(tag).is_some_and(|own| own == value.as_str()))
    }
}

impl PartialEq for Tags {
    /// Most tags are absent, and comparing two empty texts byte by byte takes 100 ns on some processors.
    fn eq(&self, other: &Self) -> bool {
        let same = |(own, other): (&str, &str)| own.len() == other.len() && (own.is_empty() || own == other);
        self.status == other.status
            && self.expected_response == other.expected_response
            && self.texts().into_iter().zip(other.texts()).all(same)
            && self.extra == other.extra
    }
}

fn present(value: &str) -> Option<Cow<'_, str>> {
    (!value.is_empty()).then_some(Cow::Borrowed(value))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn wanted(tags: &[(&str, &str)]) -> Vec<(String, String)> {
        tags.iter().map(|(tag, value)| ((*tag).to_owned(), (*value).to_owned())).collect()
    }

    #[test]
    fn a_selector_matches_when_all_its_tags_do() {
        let tags = Tags {
            scenario: "peak".to_owned(),
            group: "::checkout".to_owned(),
            name: "/orders".to_owned(),
            method: "POST".to_owned(),
            status: Some(503),
            error: "status".to_owned(),
            expected_response: Some(false),
            check: "is fast".to_owned(),
            extra: BTreeMap::from([("tier".to_owned(), "gold".to_owned()), ("name".to_owned(), "hidden".to_owned())]),
        };
        for (selector, matches) in [
            (&[][..], true),
            (&[("scenario", "peak")], true),
            (&[("group", "::checkout"), ("name", "/orders"), ("method", "POST")], true),
            (&[("status", "503"), ("expected_response", "false"), ("error", "status"), ("check", "is fast")], true),
            (&[("tier", "gold")], true),
            (&[("tier", "silver")], false),
            (&[("name", "hidden")], false),
            (&[("status", "200")], false),
            (&[("scenario", "peak"), ("region", "eu")], false),
        ] {
            assert_eq!(tags.matches(&wanted(selector)), matches, "{selector:?}");
        }
        assert!(!Tags::default().matches(&wanted(&[("name", "")])), "an absent tag has no value, not an empty one");
    }

    #[test]
    fn tags_differ_when_one_of_them_does() {
        let text = |set: fn(&mut Tags) -> &mut String| {
            let mut tags = Tags::default();
            "x".clone_into(set(&mut tags));
            tags
        };
        let all = [
            Tags::default(),
            text(|tags| &mut tags.scenario),
            text(|tags| &mut tags.group),
            text(|tags| &mut tags.name),
            text(|tags| &mut tags.method),
            text(|tags| &mut tags.error),
            text(|tags| &mut tags.check),
            Tags { status: Some(0), ..Tags::default() },
            Tags { expected_response: Some(false), ..Tags::default() },
            Tags::scenario("", &BTreeMap::from([("x".to_owned(), String::new())])),
        ];
        for (place, one) in all.iter().enumerate() {
            let equals: Vec<_> = all.iter().enumerate().filter(|(_, other)| *other == one).map(|(at, _)| at).collect();
            assert_eq!(equals, [place]);
        }
    }
}
