//! What the standard library asks of values, and what it leaves to them.

use std::sync::Arc;

use bytes::Bytes;
use jaq_core::{Error, ValR};
use jaq_json::Num;
use jaq_std::ValT;

use super::language::absolute;
use super::{ITEM_BYTES, Value, float, gather};
use crate::meter::{allocate, scan, spend};

impl ValT for Value {
    fn into_seq<S: FromIterator<Self>>(self) -> Result<S, Self> {
        self.look();
        match self {
            Self::Arr(array) => {
                allocate(array.items.len() * ITEM_BYTES);
                match Arc::try_unwrap(array) {
                    Ok(array) => Ok(array.items.into_iter().collect()),
                    Err(array) => Ok(array.items.iter().cloned().collect()),
                }
            }
            other => Err(other),
        }
    }

    fn is_int(&self) -> bool {
        self.look();
        matches!(self, Self::Num(Num::Int(_) | Num::BigInt(_)))
    }

    fn as_isize(&self) -> Option<isize> {
        spend(1);
        self.look();
        match self {
            Self::Num(number) if self.is_int() => number.as_isize(),
            _ => None,
        }
    }

    fn as_f64(&self) -> Option<f64> {
        spend(1);
        self.look();
        match self {
            Self::Num(number) => Some(float(number)),
            _ => None,
        }
    }

    fn is_utf8_str(&self) -> bool {
        self.look();
        matches!(self, Self::Str(_))
    }

    fn as_bytes(&self) -> Option<&[u8]> {
        self.look();
        match self {
            Self::Str(text) => {
                scan(text.len());
                Some(text)
            }
            _ => None,
        }
    }

    fn as_sub_str(&self, part: &[u8]) -> Self {
        spend(2);
        match self {
            Self::Str(text) => Self::Str(text.slice_ref(part)),
            _ => Self::Null,
        }
    }

    fn from_utf8_bytes(bytes: impl AsRef<[u8]> + Send + 'static) -> Self {
        allocate(bytes.as_ref().len());
        Self::Str(Bytes::from_owner(bytes))
    }
}

impl Value {
    /// Zero for null, the amount of a number, the characters of a string, the items of an array, the entries of an object.
    pub(crate) fn length(&self) -> ValR<Self> {
        spend(2);
        self.look();
        match self {
            Self::Null => Ok(Self::from(0_usize)),
            Self::Num(number) if *number < Num::Int(0) => Ok(Self::Num(-number.clone())),
            Self::Num(_) => Ok(self.clone()),
            Self::Str(text) => {
                scan(text.len());
                Ok(Self::from(String::from_utf8_lossy(text).chars().count()))
            }
            Self::Arr(array) => Ok(Self::from(array.items.len())),
            Self::Obj(object) => Ok(Self::from(object.entries.len())),
            Self::Bool(_) | Self::Unread(_) => Err(Error::str(format_args!("{self} has no length"))),
        }
    }

    /// Whether there is an entry of this key, or an item at this position.
    pub(crate) fn has(&self, key: &Self) -> ValR<Self> {
        spend(4);
        self.look();
        match (self, key) {
            (Self::Obj(object), Self::Str(key)) => Ok(Self::Bool(object.entries.contains_key(key))),
            (Self::Arr(array), Self::Num(_)) => {
                let position = absolute(key.position()?, array.items.len());
                Ok(Self::Bool(position.is_some_and(|position| position < array.items.len())))
            }
            _ => Err(Error::index(self.clone(), key.clone())),
        }
    }

    /// Whether the string, or every item or entry of `other`, is contained in this one.
    pub(crate) fn contains(&self, other: &Self) -> bool {
        spend(1);
        match (self, other) {
            (Self::Str(text), Self::Str(part)) => {
                scan(text.len());
                text.is_empty() && part.is_empty()
                    || String::from_utf8_lossy(text).contains(String::from_utf8_lossy(part).as_ref())
            }
            (Self::Arr(items), Self::Arr(others)) => {
                others.items.iter().all(|other| items.items.iter().any(|item| item.contains(other)))
            }
            (Self::Obj(object), Self::Obj(others)) => others
                .entries
                .iter()
                .all(|(key, other)| object.entries.get(key).is_some_and(|value| value.contains(other))),
            _ => self == other,
        }
    }

    /// Positions where `part` begins: of characters in a string, of items in an array.
    pub(crate) fn indices(&self, part: &Self) -> ValR<Self> {
        spend(2);
        self.look();
        match (self, part) {
            (Self::Str(_), Self::Str(part)) if part.is_empty() => Ok(Self::Null),
            (Self::Arr(_), Self::Arr(part)) if part.items.is_empty() => Ok(Self::Null),
            (Self::Str(text), Self::Str(part)) => Ok(positions_in_text(text, part)),
            (Self::Arr(array), Self::Arr(part)) => {
                let windows = array.items.windows(part.items.len()).enumerate();
                let found = windows.filter(|(_, window)| {
                    spend(1);
                    *window == part.items.as_slice()
                });
                Ok(Self::array(gather(found.map(|(position, _)| Self::from(position)))))
            }
            (Self::Arr(array), item) => {
                let found = array.items.iter().enumerate().filter(|(_, candidate)| *candidate == item);
                Ok(Self::array(gather(found.map(|(position, _)| Self::from(position)))))
            }
            (Self::Null, _) => Ok(Self::Null),
            _ => Err(Error::index(self.clone(), part.clone())),
        }
    }

    /// The position of `item` in a sorted array, or where it would be inserted, negative and less one.
    pub(crate) fn binary_search(&self, item: &Self) -> ValR<Self> {
        self.look();
        let Self::Arr(array) = self else { return Err(Error::typ(self.clone(), "array")) };
        let position = match array.items.binary_search(item) {
            Ok(position) => isize::try_from(position).unwrap_or(isize::MAX),
            Err(position) => -1 - isize::try_from(position).unwrap_or(isize::MAX - 1),
        };
        Ok(Self::from(position))
    }
}

fn positions_in_text(text: &[u8], part: &[u8]) -> Value {
    scan(text.len());
    let text = String::from_utf8_lossy(text);
    let part = String::from_utf8_lossy(part);
    let places = text.char_indices().enumerate().filter(|(_, (at, _))| {
        spend(1);
        text[*at..].starts_with(part.as_ref())
    });
    Value::array(gather(places.map(|(place, _)| Value::from(place))))
}
