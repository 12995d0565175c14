//! One value out of a JSON document, without building the document.

use std::borrow::Cow;
use std::fmt;

use serde::de::{DeserializeSeed, Deserializer, Error, IgnoredAny, MapAccess, SeqAccess, Visitor};

/// The text of the string or 64-bit integer at the end of `steps` (object names and array indices). None when there is
/// no such value, or `document` is not JSON from its first to its last byte. Of a name that comes twice the last counts.
pub(crate) fn scalar_at<'d, S: AsRef<str>>(document: &'d [u8], steps: &[S]) -> Option<Cow<'d, str>> {
    let mut deserializer = serde_json::Deserializer::from_slice(document);
    let found = Walk { steps }.deserialize(&mut deserializer).ok()?;
    deserializer.end().ok()?;
    found
}

/// Steps are at most as many as a pointer may have, and so is the depth of recursion here; what lies beside the path
/// is skipped without recursion.
struct Walk<'s, S> {
    steps: &'s [S],
}

impl<'d, S: AsRef<str>> DeserializeSeed<'d> for Walk<'_, S> {
    type Value = Option<Cow<'d, str>>;

    fn deserialize<D: Deserializer<'d>>(self, deserializer: D) -> Result<Self::Value, D::Error> {
        deserializer.deserialize_any(self)
    }
}

impl<'d, S: AsRef<str>> Visitor<'d> for Walk<'_, S> {
    type Value = Option<Cow<'d, str>>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("any JSON value")
    }

    fn visit_borrowed_str<E: Error>(self, text: &'d str) -> Result<Self::Value, E> {
        Ok(self.steps.is_empty().then_some(Cow::Borrowed(text)))
    }

    fn visit_str<E: Error>(self, text: &str) -> Result<Self::Value, E> {
        Ok(self.steps.is_empty().then(|| Cow::Owned(text.to_owned())))
    }

    fn visit_u64<E: Error>(self, number: u64) -> Result<Self::Value, E> {
        Ok(self.steps.is_empty().then(|| Cow::Owned(number.to_string())))
    }

    fn visit_i64<E: Error>(self, number: i64) -> Result<Self::Value, E> {
        Ok(self.steps.is_empty().then(|| Cow::Owned(number.to_string())))
    }

    /// Not a key: two large integers may be one float.
    fn visit_f64<E: Error>(self, _: f64) -> Result<Self::Value, E> {
        Ok(None)
    }

    fn visit_bool<E: Error>(self, _: bool) -> Result<Self::Value, E> {
        Ok(None)
    }

    fn visit_unit<E: Error>(self) -> Result<Self::Value, E> {
        Ok(None)
    }

    fn visit_map<A: MapAccess<'d>>(self, mut map: A) -> Result<Self::Value, A::Error> {
        let mut found = None;
        match self.steps.split_first() {
            Some((name, steps)) => {
                while let Some(is_next_step) = map.next_key_seed(NameIs(name.as_ref()))? {
                    if is_next_step {
                        found = map.next_value_seed(Walk { steps })?;
                    } else {
                        map.next_value::<IgnoredAny>()?;
                    }
                }
            }
            None => while map.next_entry::<IgnoredAny, IgnoredAny>()?.is_some() {},
        }
        Ok(found)
    }

    fn visit_seq<A: SeqAccess<'d>>(self, mut elements: A) -> Result<Self::Value, A::Error> {
        let mut found = None;
        if let Some((index, steps)) = self.steps.split_first()
            && let Some(index) = array_index(index.as_ref())
        {
            for _ in 0..index {
                if elements.next_element::<IgnoredAny>()?.is_none() {
                    return Ok(None);
                }
            }
            found = elements.next_element_seed(Walk { steps })?.flatten();
        }
        while elements.next_element::<IgnoredAny>()?.is_some() {}
        Ok(found)
    }
}

/// An array index of RFC 6901: digits without a leading zero.
fn array_index(step: &str) -> Option<usize> {
    let canonical = step == "0" || (!step.starts_with('0') && step.bytes().all(|byte| byte.is_ascii_digit()));
    step.parse().ok().filter(|_| canonical)
}

/// Compares an object's name without copying it.
struct NameIs<'s>(&'s str);

impl<'d> DeserializeSeed<'d> for NameIs<'_> {
    type Value = bool;

    fn deserialize<D: Deserializer<'d>>(self, deserializer: D) -> Result<bool, D::Error> {
        deserializer.deserialize_str(self)
    }
}

impl Visitor<'_> for NameIs<'_> {
    type Value = bool;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a name")
    }

    fn visit_str<E: Error>(self, name: &str) -> Result<bool, E> {
        Ok(name == self.0)
    }
}
