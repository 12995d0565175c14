//! YAML with its lines.

use std::fmt;

use serde::de::{Deserialize, Deserializer, Error, MapAccess, SeqAccess, Visitor};
use serde_saphyr::{Location, Spanned};

use super::{Node, Problem, Value};

pub(super) fn parse(text: &str) -> Result<Node, Problem> {
    let empty = text.lines().all(|line| line.trim().is_empty() || line.trim_start().starts_with('#'));
    if empty {
        return Ok(Node { line: 1, value: Value::Table(Vec::new()) });
    }
    let options = serde_saphyr::options! { with_snippet: false, strict_booleans: true };
    let root: Spanned<Tree> = serde_saphyr::from_str_with_options(text, options).map_err(|error| {
        let line = error.location().map(line).filter(|line| *line > 0);
        Problem { line, message: message(&error.to_string()) }
    })?;
    Ok(Node { line: line(root.referenced), value: root.value.0 })
}

/// The parser puts the place at the end of its sentence; ours stands at the beginning.
fn message(text: &str) -> String {
    let end = [" at line ", " (line "].iter().filter_map(|place| text.rfind(place)).min();
    text[..end.unwrap_or(text.len())].trim_end_matches([':', ',']).to_owned()
}

fn line(location: Location) -> usize {
    usize::try_from(location.line()).unwrap_or(usize::MAX)
}

struct Tree(Value);

impl<'de> Deserialize<'de> for Tree {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(Any).map(Self)
    }
}

struct Any;

impl<'de> Visitor<'de> for Any {
    type Value = Value;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a value")
    }

    fn visit_unit<E: Error>(self) -> Result<Value, E> {
        Ok(Value::Null)
    }

    fn visit_none<E: Error>(self) -> Result<Value, E> {
        Ok(Value::Null)
    }

    fn visit_some<D: Deserializer<'de>>(self, deserializer: D) -> Result<Value, D::Error> {
        deserializer.deserialize_any(self)
    }

    fn visit_bool<E: Error>(self, yes: bool) -> Result<Value, E> {
        Ok(Value::Boolean(yes))
    }

    fn visit_i64<E: Error>(self, number: i64) -> Result<Value, E> {
        Ok(Value::Integer(number.into()))
    }

    fn visit_u64<E: Error>(self, number: u64) -> Result<Value, E> {
        Ok(Value::Integer(number.into()))
    }

    fn visit_i128<E: Error>(self, number: i128) -> Result<Value, E> {
        Ok(Value::Integer(number))
    }

    fn visit_f64<E: Error>(self, number: f64) -> Result<Value, E> {
        Ok(Value::Float(number))
    }

    fn visit_str<E: Error>(self, text: &str) -> Result<Value, E> {
        Ok(Value::Text(text.to_owned()))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut list: A) -> Result<Value, A::Error> {
        let mut nodes = Vec::new();
        while let Some(Spanned { value: Tree(value), referenced, .. }) = list.next_element()? {
            nodes.push(Node { line: line(referenced), value });
        }
        Ok(Value::List(nodes))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Value, A::Error> {
        let mut entries = Vec::new();
        while let Some(Spanned { value: key, referenced, .. }) = map.next_key::<Spanned<String>>()? {
            let Tree(value) = map.next_value()?;
            entries.push((key, Node { line: line(referenced), value }));
        }
        Ok(Value::Table(entries))
    }
}
