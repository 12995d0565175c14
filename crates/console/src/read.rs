//! Reads what the API answered. What is missing reads as nothing: workers of another version may say less.

use serde_json::Value;

/// Access by JSON pointer.
pub(crate) trait Read {
    /// The text there, or the empty one.
    fn text(&self, pointer: &str) -> &str;
    /// The text there, unless it is empty.
    fn some_text(&self, pointer: &str) -> Option<&str>;
    /// The number there.
    fn number(&self, pointer: &str) -> Option<f64>;
    /// The whole number there.
    fn count(&self, pointer: &str) -> Option<u64>;
    /// Whether there is `true`.
    fn is_set(&self, pointer: &str) -> bool;
    /// The entries of the list there.
    fn list(&self, pointer: &str) -> &[Value];
    /// The instant there, RFC 3339 or milliseconds since the Unix epoch.
    fn instant(&self, pointer: &str) -> Option<i64>;
}

impl Read for Value {
    fn text(&self, pointer: &str) -> &str {
        self.pointer(pointer).and_then(Value::as_str).unwrap_or_default()
    }

    fn some_text(&self, pointer: &str) -> Option<&str> {
        self.pointer(pointer).and_then(Value::as_str).filter(|text| !text.is_empty())
    }

    fn number(&self, pointer: &str) -> Option<f64> {
        self.pointer(pointer).and_then(Value::as_f64)
    }

    fn count(&self, pointer: &str) -> Option<u64> {
        self.pointer(pointer).and_then(Value::as_u64)
    }

    fn is_set(&self, pointer: &str) -> bool {
        self.pointer(pointer).and_then(Value::as_bool).unwrap_or_default()
    }

    fn list(&self, pointer: &str) -> &[Value] {
        self.pointer(pointer).and_then(Value::as_array).map(Vec::as_slice).unwrap_or_default()
    }

    fn instant(&self, pointer: &str) -> Option<i64> {
        let value = self.pointer(pointer)?;
        value.as_i64().or_else(|| Some(value.as_str()?.parse::<jiff::Timestamp>().ok()?.as_millisecond()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_missing_reads_as_nothing() {
        let value = serde_json::json!({"a": {"at": "1970-01-01T00:00:01Z", "n": 3}, "l": [1]});
        assert_eq!(value.instant("/a/at"), Some(1_000));
        assert_eq!((value.count("/a/n"), value.count("/a/m")), (Some(3), None));
        assert_eq!((value.text("/a/n"), value.list("/l").len(), value.list("/a").len()), ("", 1, 0));
    }
}
