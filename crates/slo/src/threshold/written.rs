//! The shapes in which option files write thresholds.

use std::borrow::Cow;
use std::fmt;
use std::time::Duration;

use serde::Deserialize;
use serde::de::value::MapAccessDeserializer;
use serde::de::{Deserializer, Error, MapAccess, SeqAccess, Visitor};

use super::{Expression, NoSamples, Selector, Threshold};
use crate::duration::Timespan;

/// The `thresholds` of an options file, in the file's order: from each selector to an expression, an object, or a list of either.
///
/// An object has `threshold`, `abortOnFail`, `delayAbortEval` and `noSamples`; anything else is an error. A list may be empty.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Thresholds(pub Vec<Threshold>);

#[derive(Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct Condition {
    threshold: Expression,
    #[serde(default)]
    abort_on_fail: bool,
    #[serde(default)]
    delay_abort_eval: Timespan,
    #[serde(default)]
    no_samples: NoSamples,
}

impl Condition {
    fn on(self, selector: Selector) -> Threshold {
        Threshold {
            selector,
            expression: self.threshold,
            abort_on_fail: self.abort_on_fail,
            delay_abort_eval: Duration::from(self.delay_abort_eval),
            no_samples: self.no_samples,
        }
    }
}

impl<'de> Deserialize<'de> for Expression {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        Cow::<'de, str>::deserialize(deserializer)?.parse().map_err(D::Error::custom)
    }
}

impl<'de> Deserialize<'de> for Thresholds {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_map(BySelector)
    }
}

struct BySelector;

impl<'de> Visitor<'de> for BySelector {
    type Value = Thresholds;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("thresholds by metric, such as http_req_duration = \"p(95)<500\"")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Thresholds, A::Error> {
        let mut thresholds = Vec::new();
        while let Some(selector) = map.next_key::<Selector>()? {
            let OneOrMany(conditions) = map.next_value()?;
            thresholds.extend(conditions.into_iter().map(|One(condition)| condition.on(selector.clone())));
        }
        Ok(Thresholds(thresholds))
    }
}

struct One(Condition);

impl<'de> Deserialize<'de> for One {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(OneVisitor)
    }
}

struct OneVisitor;

impl<'de> Visitor<'de> for OneVisitor {
    type Value = One;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an expression such as \"p(95)<500\", or an object with `threshold`")
    }

    fn visit_str<E: Error>(self, text: &str) -> Result<One, E> {
        let threshold = text.parse().map_err(E::custom)?;
        let (delay_abort_eval, no_samples) = Default::default();
        Ok(One(Condition { threshold, abort_on_fail: false, delay_abort_eval, no_samples }))
    }

    fn visit_map<A: MapAccess<'de>>(self, map: A) -> Result<One, A::Error> {
        Condition::deserialize(MapAccessDeserializer::new(map)).map(One)
    }
}

struct OneOrMany(Vec<One>);

impl<'de> Deserialize<'de> for OneOrMany {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(OneOrManyVisitor)
    }
}

struct OneOrManyVisitor;

impl<'de> Visitor<'de> for OneOrManyVisitor {
    type Value = OneOrMany;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        OneVisitor.expecting(f)?;
        f.write_str(", or a list of these")
    }

    fn visit_str<E: Error>(self, text: &str) -> Result<OneOrMany, E> {
        Ok(OneOrMany(vec![OneVisitor.visit_str(text)?]))
    }

    fn visit_map<A: MapAccess<'de>>(self, map: A) -> Result<OneOrMany, A::Error> {
        Ok(OneOrMany(vec![OneVisitor.visit_map(map)?]))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut list: A) -> Result<OneOrMany, A::Error> {
        let mut conditions = Vec::new();
        while let Some(condition) = list.next_element()? {
            conditions.push(condition);
        }
        Ok(OneOrMany(conditions))
    }
}
