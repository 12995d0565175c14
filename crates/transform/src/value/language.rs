//! What the language itself asks of values: making them, and looking into them.

use std::fmt::{self, Display};
use std::ops::Range;
use std::sync::Arc;

use bytes::Bytes;
use jaq_core::box_iter::{BoxIter, box_once};
use jaq_core::path::Opt;
use jaq_core::{Error, ValR, ValT, ValX};
use jaq_json::Num;

use super::{CONTAINER_BYTES, ENTRY_BYTES, Entries, Fallible, ITEM_BYTES, Value, gather, write};
use crate::meter::{allocate, scan, spend};

/// Longest text of a value in a message.
const PREVIEW_BYTES: usize = 120;
/// Digits up to which an integer is calculated with exactly when it is written in a program or a body.
const EXACT_DIGITS: usize = 38;

/// A number as JSON or a program writes it. What is longer than can be calculated with keeps its text.
pub(super) fn number(text: &str) -> Num {
    if let Ok(int) = text.parse() {
        return Num::Int(int);
    }
    let digits = text.strip_prefix('-').unwrap_or(text);
    let is_exact = digits.len() <= EXACT_DIGITS && digits.bytes().all(|byte| byte.is_ascii_digit());
    let exact = if is_exact { Num::from_str_radix(text, 10) } else { None };
    exact.unwrap_or_else(|| Num::Dec(Arc::new(text.to_owned())))
}

/// Where a range of `length` things begins and ends.
pub(super) fn bounds(range: Range<Option<&Value>>, length: usize) -> Fallible<Range<usize>> {
    let place = |bound: Option<&Value>, otherwise: usize| match bound {
        None | Some(Value::Null) => Ok(otherwise),
        Some(value) => value.position().map(|position| absolute(position, length).unwrap_or(0).min(length)),
    };
    let start = place(range.start, 0)?;
    Ok(start..place(range.end, length)?.max(start))
}

/// A position counted from the end when it is negative; `None` before the beginning.
pub(super) fn absolute(position: isize, length: usize) -> Option<usize> {
    if position >= 0 { Some(position.unsigned_abs()) } else { length.checked_sub(position.unsigned_abs()) }
}

/// The byte range of a range of characters.
pub(super) fn characters(text: &Bytes, range: Range<Option<&Value>>) -> Fallible<Range<usize>> {
    scan(text.len());
    let text = String::from_utf8_lossy(text);
    let chosen = bounds(range, text.chars().count())?;
    let byte = |place: usize| text.char_indices().nth(place).map_or(text.len(), |(byte, _)| byte);
    Ok(byte(chosen.start)..byte(chosen.end))
}

/// The bounds of a slice that is written as an object, as paths do.
pub(super) fn slice_bounds(object: &Entries) -> Range<Option<&Value>> {
    object.get(b"start".as_slice())..object.get(b"end".as_slice())
}

impl ValT for Value {
    fn from_num(text: &str) -> ValR<Self> {
        scan(text.len());
        // A program may write `.5` or `01.0`, which JSON may not.
        Ok(Self::Num(match number(text) {
            Num::Dec(text) => Num::Float(text.parse().unwrap_or(f64::NAN)),
            number => number,
        }))
    }

    fn from_map<I: IntoIterator<Item = (Self, Self)>>(iter: I) -> ValR<Self> {
        let mut entries = Entries::default();
        allocate(CONTAINER_BYTES);
        for (key, value) in iter {
            allocate(ENTRY_BYTES);
            key.look();
            let Self::Str(key) = key else { return Err(Error::typ(key, "key of an object, which is a string")) };
            entries.insert(key, value);
        }
        Ok(Self::object(entries))
    }

    fn key_values(self) -> BoxIter<'static, ValR<(Self, Self), Self>> {
        self.look();
        match self {
            Self::Arr(array) => Box::new((0..array.items.len()).map(move |position| {
                spend(4);
                Ok((Self::from(position), array.items[position].clone()))
            })),
            Self::Obj(object) => Box::new((0..object.entries.len()).map_while(move |position| {
                spend(4);
                let (key, value) = object.entries.get_index(position)?;
                Some(Ok((Self::Str(key.clone()), value.clone())))
            })),
            other => box_once(Err(Error::typ(other, "iterable (array or object)"))),
        }
    }

    fn values(self) -> BoxIter<'static, ValR<Self>> {
        self.look();
        match self {
            Self::Arr(array) => Box::new((0..array.items.len()).map(move |position| {
                spend(4);
                Ok(array.items[position].clone())
            })),
            Self::Obj(object) => Box::new((0..object.entries.len()).map_while(move |position| {
                spend(4);
                object.entries.get_index(position).map(|(_, value)| Ok(value.clone()))
            })),
            other => box_once(Err(Error::typ(other, "iterable (array or object)"))),
        }
    }

    fn index(self, index: &Self) -> ValR<Self> {
        spend(4);
        self.look();
        match (&self, index) {
            (Self::Obj(object), Self::Str(key)) => Ok(object.entries.get(key).cloned().unwrap_or_default()),
            (Self::Arr(array), Self::Num(_)) => {
                let position = absolute(index.position()?, array.items.len());
                Ok(position.and_then(|position| array.items.get(position)).cloned().unwrap_or_default())
            }
            (Self::Null, Self::Str(_) | Self::Num(_) | Self::Null) => Ok(Self::Null),
            (Self::Arr(_), Self::Arr(_)) => self.indices(index),
            (Self::Arr(_) | Self::Str(_) | Self::Null, Self::Obj(slice)) => {
                let slice = slice.clone();
                self.range(slice_bounds(&slice.entries))
            }
            _ => Err(Error::index(self, index.clone())),
        }
    }

    fn range(self, range: Range<Option<&Self>>) -> ValR<Self> {
        spend(4);
        self.look();
        match &self {
            Self::Null => Ok(Self::Null),
            Self::Str(text) => Ok(Self::Str(text.slice(characters(text, range)?))),
            Self::Arr(array) => {
                let chosen = bounds(range, array.items.len())?;
                allocate(CONTAINER_BYTES + chosen.len() * ITEM_BYTES);
                Ok(Self::array(array.items.get(chosen).unwrap_or_default().to_vec()))
            }
            _ => Err(Error::typ(self, "rangeable (array or string)")),
        }
    }

    fn map_values<'a, I: Iterator<Item = ValX<'a, Self>>>(self, opt: Opt, f: impl Fn(Self) -> I) -> ValX<'a, Self> {
        self.change_all(opt, f)
    }

    fn map_index<'a, I: Iterator<Item = ValX<'a, Self>>>(
        self,
        index: &Self,
        opt: Opt,
        f: impl Fn(Self) -> I,
    ) -> ValX<'a, Self> {
        self.change_one(index, opt, f)
    }

    fn map_range<'a, I: Iterator<Item = ValX<'a, Self>>>(
        self,
        range: Range<Option<&Self>>,
        opt: Opt,
        f: impl Fn(Self) -> I,
    ) -> ValX<'a, Self> {
        self.change_slice(range, opt, f)
    }

    fn as_bool(&self) -> bool {
        spend(1);
        self.look();
        !matches!(self, Self::Null | Self::Bool(false))
    }

    fn into_string(self) -> Self {
        self.look();
        match self {
            Self::Str(_) => self,
            other => Self::text(write::within_program(&other)),
        }
    }
}

impl Display for Value {
    /// A beginning of it, for messages.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&write::preview(self, PREVIEW_BYTES))
    }
}

impl From<bool> for Value {
    fn from(truth: bool) -> Self {
        Self::Bool(truth)
    }
}

impl From<isize> for Value {
    fn from(int: isize) -> Self {
        spend(1);
        Self::Num(Num::Int(int))
    }
}

impl From<usize> for Value {
    fn from(int: usize) -> Self {
        Self::Num(Num::from_integral(int))
    }
}

impl From<f64> for Value {
    fn from(float: f64) -> Self {
        Self::Num(Num::Float(float))
    }
}

impl From<String> for Value {
    fn from(text: String) -> Self {
        allocate(text.len());
        Self::text(text)
    }
}

impl From<Range<Option<Self>>> for Value {
    fn from(range: Range<Option<Self>>) -> Self {
        allocate(CONTAINER_BYTES + 2 * ENTRY_BYTES);
        let bounds = [("start", range.start), ("end", range.end)];
        let named = bounds.into_iter().filter_map(|(name, bound)| Some((Bytes::from_static(name.as_bytes()), bound?)));
        Self::object(named.collect())
    }
}

impl FromIterator<Self> for Value {
    fn from_iter<T: IntoIterator<Item = Self>>(iter: T) -> Self {
        allocate(CONTAINER_BYTES);
        Self::array(gather(iter.into_iter()))
    }
}
