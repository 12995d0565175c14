//! Reads types from the tree of a file, with errors that know their place.

use std::fmt;

use serde::de::value::StrDeserializer;
use serde::de::{
    self, Deserialize, DeserializeSeed, Deserializer, EnumAccess, Expected, IntoDeserializer, MapAccess, SeqAccess,
    Unexpected, VariantAccess, Visitor,
};
use serde::forward_to_deserialize_any;

use super::super::ConfigurationError;
use super::{Document, Node, Value, hint};

pub(super) fn read<'de, T: Deserialize<'de>>(node: &'de Node) -> Result<T, ReadError> {
    T::deserialize(Reader(node)).map_err(|error| error.on(node.line))
}

pub(super) fn read_entry<'de, T: Deserialize<'de>>(entry: &'de (String, Node)) -> Result<T, ReadError> {
    T::deserialize(de::value::MapAccessDeserializer::new(Entries::of(std::slice::from_ref(entry))))
}

/// Why a value does not fit its type.
#[derive(Debug)]
pub(super) struct ReadError {
    line: Option<usize>,
    /// From the inside to the outside.
    path: Vec<String>,
    message: String,
}

impl ReadError {
    fn new(message: impl fmt::Display) -> Self {
        Self { line: None, path: Vec::new(), message: message.to_string() }
    }

    /// Keeps the innermost line.
    fn on(mut self, line: usize) -> Self {
        self.line.get_or_insert(line);
        self
    }

    fn within(mut self, step: impl fmt::Display) -> Self {
        self.path.push(step.to_string());
        self
    }

    /// The error of a document, from a value at a path.
    pub(super) fn inside(self, document: &Document, outer: &[&str]) -> ConfigurationError {
        let inner = self.path.iter().rev().map(String::as_str);
        let path: Vec<&str> = outer.iter().copied().chain(inner).collect();
        let mut error = document.refuse(&path, self.message);
        if let Some(line) = self.line {
            error.place = Some(format!("{}:{line}", document.file));
        }
        error
    }
}

impl fmt::Display for ReadError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message)
    }
}

impl std::error::Error for ReadError {}

impl de::Error for ReadError {
    fn custom<T: fmt::Display>(message: T) -> Self {
        Self::new(message)
    }

    fn invalid_type(found: Unexpected<'_>, expected: &dyn Expected) -> Self {
        Self::new(format_args!("expected {}, not {}", wanted(expected), shown(&found)))
    }

    fn invalid_value(found: Unexpected<'_>, expected: &dyn Expected) -> Self {
        Self::invalid_type(found, expected)
    }

    fn unknown_field(field: &str, expected: &'static [&'static str]) -> Self {
        Self::new(format_args!("there is no such option{}", hint(field, expected.iter().copied()))).within(field)
    }

    fn unknown_variant(variant: &str, expected: &'static [&'static str]) -> Self {
        Self::new(format_args!(
            "`{variant}` is none of {}{}",
            expected.join(", "),
            hint(variant, expected.iter().copied())
        ))
    }

    fn missing_field(field: &'static str) -> Self {
        Self::new(format_args!("`{field}` is missing"))
    }
}

/// Rust's names of types, for people.
fn wanted(expected: &dyn Expected) -> String {
    match expected.to_string().as_str() {
        "u8" => "a whole number from 0 to 255".to_owned(),
        "u16" => "a whole number from 0 to 65535".to_owned(),
        "u32" => "a whole number from 0 to 4294967295".to_owned(),
        "u64" | "usize" => "a whole number that is not negative".to_owned(),
        "i32" | "i64" => "a whole number".to_owned(),
        "f32" | "f64" => "a number".to_owned(),
        "a string" | "string" => "text".to_owned(),
        "a boolean" => "true or false".to_owned(),
        "a map" => "a table".to_owned(),
        "a sequence" => "a list".to_owned(),
        other => match other.strip_prefix("struct ") {
            Some(_) => "a table".to_owned(),
            None => other.to_owned(),
        },
    }
}

fn shown(found: &Unexpected<'_>) -> String {
    match found {
        Unexpected::Bool(yes) => yes.to_string(),
        Unexpected::Unsigned(number) => number.to_string(),
        Unexpected::Signed(number) => number.to_string(),
        Unexpected::Float(number) => number.to_string(),
        Unexpected::Str(text) if text.chars().count() <= 80 => format!("the text {text:?}"),
        Unexpected::Str(_) => "a long text".to_owned(),
        Unexpected::Unit | Unexpected::Option => "nothing".to_owned(),
        Unexpected::Seq => "a list".to_owned(),
        Unexpected::Map => "a table".to_owned(),
        other => other.to_string(),
    }
}

#[derive(Clone, Copy)]
struct Reader<'de>(&'de Node);

impl<'de> Deserializer<'de> for Reader<'de> {
    type Error = ReadError;

    fn deserialize_any<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, ReadError> {
        match &self.0.value {
            Value::Null => visitor.visit_unit(),
            Value::Boolean(yes) => visitor.visit_bool(*yes),
            Value::Integer(number) => match (u64::try_from(*number), i64::try_from(*number)) {
                (Ok(number), _) => visitor.visit_u64(number),
                (_, Ok(number)) => visitor.visit_i64(number),
                _ => Err(ReadError::new("the number is too large")),
            },
            Value::Float(number) => visitor.visit_f64(*number),
            Value::Text(text) => visitor.visit_borrowed_str(text),
            Value::List(nodes) => visitor.visit_seq(Elements { rest: nodes.iter().enumerate() }),
            Value::Table(entries) => visitor.visit_map(Entries::of(entries)),
        }
    }

    fn deserialize_option<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, ReadError> {
        match self.0.value {
            Value::Null => visitor.visit_none(),
            _ => visitor.visit_some(self),
        }
    }

    fn deserialize_newtype_struct<V: Visitor<'de>>(self, _: &'static str, visitor: V) -> Result<V::Value, ReadError> {
        visitor.visit_newtype_struct(self)
    }

    fn deserialize_enum<V: Visitor<'de>>(
        self,
        _: &'static str,
        _: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, ReadError> {
        match &self.0.value {
            Value::Text(text) => visitor.visit_enum(text.as_str().into_deserializer()),
            Value::Table(entries) => match entries.as_slice() {
                [(variant, node)] => visitor.visit_enum(Variant { variant, node }),
                _ => Err(ReadError::new("expected a table with one entry")),
            },
            _ => self.deserialize_any(visitor),
        }
    }

    forward_to_deserialize_any! {
        bool i8 i16 i32 i64 i128 u8 u16 u32 u64 u128 f32 f64 char str string bytes byte_buf unit unit_struct seq tuple tuple_struct map
        struct identifier ignored_any
    }
}

struct Elements<'de> {
    rest: std::iter::Enumerate<std::slice::Iter<'de, Node>>,
}

impl<'de> SeqAccess<'de> for Elements<'de> {
    type Error = ReadError;

    fn next_element_seed<T: DeserializeSeed<'de>>(&mut self, seed: T) -> Result<Option<T::Value>, ReadError> {
        let Some((place, node)) = self.rest.next() else { return Ok(None) };
        seed.deserialize(Reader(node)).map(Some).map_err(|error| error.on(node.line).within(place))
    }
}

struct Entries<'de> {
    rest: std::slice::Iter<'de, (String, Node)>,
    value: Option<&'de (String, Node)>,
}

impl<'de> Entries<'de> {
    fn of(entries: &'de [(String, Node)]) -> Self {
        Self { rest: entries.iter(), value: None }
    }
}

impl<'de> MapAccess<'de> for Entries<'de> {
    type Error = ReadError;

    fn next_key_seed<K: DeserializeSeed<'de>>(&mut self, seed: K) -> Result<Option<K::Value>, ReadError> {
        self.value = self.rest.next();
        let Some((key, node)) = self.value else { return Ok(None) };
        seed.deserialize(de::value::BorrowedStrDeserializer::new(key))
            .map(Some)
            .map_err(|error: ReadError| error.on(node.line))
    }

    fn next_value_seed<V: DeserializeSeed<'de>>(&mut self, seed: V) -> Result<V::Value, ReadError> {
        let (key, node) = self.value.take().ok_or_else(|| ReadError::new("a value was asked for before its key"))?;
        seed.deserialize(Reader(node)).map_err(|error| error.on(node.line).within(key))
    }
}

/// An enumeration's variant with a value, `{ variant = value }`.
struct Variant<'de> {
    variant: &'de str,
    node: &'de Node,
}

impl<'de> EnumAccess<'de> for Variant<'de> {
    type Error = ReadError;
    type Variant = Content<'de>;

    fn variant_seed<V: DeserializeSeed<'de>>(self, seed: V) -> Result<(V::Value, Content<'de>), ReadError> {
        let variant: StrDeserializer<'de, ReadError> = self.variant.into_deserializer();
        let variant = seed.deserialize(variant).map_err(|error| error.on(self.node.line))?;
        Ok((variant, Content(self.variant, self.node)))
    }
}

struct Content<'de>(&'de str, &'de Node);

impl Content<'_> {
    fn place(&self) -> impl FnOnce(ReadError) -> ReadError + use<'_> {
        |error| error.on(self.1.line).within(self.0)
    }
}

impl<'de> VariantAccess<'de> for Content<'de> {
    type Error = ReadError;

    fn unit_variant(self) -> Result<(), ReadError> {
        <()>::deserialize(Reader(self.1)).map_err(self.place())
    }

    fn newtype_variant_seed<T: DeserializeSeed<'de>>(self, seed: T) -> Result<T::Value, ReadError> {
        seed.deserialize(Reader(self.1)).map_err(self.place())
    }

    fn tuple_variant<V: Visitor<'de>>(self, _: usize, visitor: V) -> Result<V::Value, ReadError> {
        Reader(self.1).deserialize_any(visitor).map_err(self.place())
    }

    fn struct_variant<V: Visitor<'de>>(self, _: &'static [&'static str], visitor: V) -> Result<V::Value, ReadError> {
        Reader(self.1).deserialize_any(visitor).map_err(self.place())
    }
}
