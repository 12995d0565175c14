//! Forms as browsers post them.

use serde_json::{Number, Value};
use url::form_urlencoded;

/// Largest form that is read.
pub(crate) const MAX_FORM_BYTES: usize = 1 << 20;
/// Fields that are read of a form; the rest is left alone.
const MAX_FIELDS: usize = 1_000;

/// The fields of a form or a query, in their order.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Form(Vec<(String, String)>);

impl Form {
    /// Reads `application/x-www-form-urlencoded`. Every text is one; lines end as in Unix.
    pub(crate) fn parse(bytes: &[u8]) -> Self {
        let fields = form_urlencoded::parse(bytes).take(MAX_FIELDS);
        Self(fields.map(|(name, value)| (name.into_owned(), value.replace("\r\n", "\n"))).collect())
    }

    /// The field, trimmed; empty when it is missing.
    pub(crate) fn get(&self, name: &str) -> &str {
        self.0.iter().find(|(known, _)| known == name).map_or("", |(_, value)| value.trim())
    }

    /// The field, unless it is empty.
    pub(crate) fn some(&self, name: &str) -> Option<&str> {
        Some(self.get(name)).filter(|value| !value.is_empty())
    }

    /// Whether the form has no such field, not even an empty one.
    pub(crate) fn is_absent(&self, name: &str) -> bool {
        self.0.iter().all(|(known, _)| known != name)
    }

    /// Whether a box is ticked.
    pub(crate) fn is_ticked(&self, name: &str) -> bool {
        matches!(self.get(name), "on" | "true")
    }

    /// Puts a value in place of what the field had.
    pub(crate) fn set(&mut self, name: &str, value: impl Into<String>) {
        self.0.retain(|(known, _)| known != name);
        self.0.push((name.to_owned(), value.into()));
    }

    /// The field as a document has it: null when it is empty.
    pub(crate) fn text_or_null(&self, name: &str) -> Value {
        self.some(name).map_or(Value::Null, Value::from)
    }

    /// The field as a number, or as the text that it is: the API then says what it should have been.
    pub(crate) fn number_or_null(&self, name: &str) -> Value {
        self.some(name).map_or(Value::Null, number)
    }

    /// The field as JSON; the error says what is wrong with it.
    pub(crate) fn json(&self, name: &str) -> Result<Option<Value>, String> {
        self.some(name).map(|text| serde_json::from_str(text).map_err(|error| error.to_string())).transpose()
    }
}

/// A number as people write it, with or without separators.
fn number(text: &str) -> Value {
    let plain: String = text.chars().filter(|c| !matches!(c, ' ' | '_' | ',' | '\u{a0}')).collect();
    let whole = plain.parse::<u64>().ok().map(Number::from);
    let number = whole.or_else(|| plain.parse::<f64>().ok().and_then(Number::from_f64));
    number.map_or_else(|| Value::from(text), Value::Number)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn fields_are_read_as_documents_have_them() {
        let form = Form::parse(b"name=+a+b+&n=10%2C000&x=1.5&bad=ten&empty=&tick=on&v=1&v=2");
        assert_eq!(form.get("name"), "a b");
        assert_eq!(form.number_or_null("n"), serde_json::json!(10_000));
        assert_eq!(form.number_or_null("x"), serde_json::json!(1.5));
        assert_eq!(form.number_or_null("bad"), serde_json::json!("ten"));
        assert_eq!(form.text_or_null("empty"), Value::Null);
        assert!(form.is_ticked("tick") && !form.is_ticked("tock"));
        assert!(form.is_absent("w") && !form.is_absent("empty"));
    }
}
