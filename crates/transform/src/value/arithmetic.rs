//! `+ - * / %` on values, as jq has them.

use std::collections::BTreeSet;
use std::ops::{Add, Div, Mul, Neg, Rem, Sub};
use std::sync::Arc;

use bytes::Bytes;
use jaq_core::{Error, ValR, ops};
use jaq_json::Num;

use super::{Array, CONTAINER_BYTES, ENTRY_BYTES, ITEM_BYTES, Object, Value, gather, whole};
use crate::error::ProgramError;
use crate::limits::MAX_INTEGER_BITS;
use crate::meter::{allocate, scan, spend, stop};

/// Bits of an integer; none of what is not calculated with exactly.
fn bits(number: &Num) -> u64 {
    match number {
        Num::Int(int) => u64::from(usize::BITS - int.unsigned_abs().leading_zeros()),
        Num::BigInt(int) => int.bits(),
        Num::Float(_) | Num::Dec(_) => 0,
    }
}

/// Ends the program before an integer becomes too large.
fn bounded(left: &Num, right: &Num, result_bits: impl FnOnce(u64, u64) -> u64) {
    spend(2);
    if matches!((left, right), (Num::Int(_), Num::Int(_))) {
        return;
    }
    let (left, right) = (bits(left), bits(right));
    if left > 0 && right > 0 && result_bits(left, right) > MAX_INTEGER_BITS {
        stop(ProgramError::Integer);
    }
}

impl Value {
    fn look_at_both(&self, other: &Self) {
        spend(2);
        self.look();
        other.look();
    }
}

impl Add for Value {
    type Output = ValR<Self>;

    fn add(self, other: Self) -> ValR<Self> {
        self.look_at_both(&other);
        match (self, other) {
            (Self::Null, other) | (other, Self::Null) => Ok(other),
            (Self::Num(left), Self::Num(right)) => {
                bounded(&left, &right, |left, right| left.max(right) + 1);
                Ok(Self::Num(left + right))
            }
            (Self::Str(left), Self::Str(right)) => Ok(Self::Str(joined(left, &right))),
            (Self::Arr(mut left), Self::Arr(right)) => {
                allocate(right.items.len() * ITEM_BYTES);
                Array::items_mut(&mut left).extend_from_slice(&right.items);
                Array::holds(&mut left, right.depth.saturating_sub(1));
                Ok(Self::Arr(left))
            }
            (Self::Obj(mut left), Self::Obj(right)) => {
                allocate(right.entries.len() * ENTRY_BYTES);
                let entries = right.entries.iter().map(|(key, value)| (key.clone(), value.clone()));
                Object::entries_mut(&mut left).extend(entries);
                Object::holds(&mut left, right.depth.saturating_sub(1));
                Ok(Self::Obj(left))
            }
            (left, right) => Err(Error::math(left, ops::Math::Add, right)),
        }
    }
}

/// One text after the other, in the memory of the first if nobody else has it.
fn joined(left: Bytes, right: &[u8]) -> Bytes {
    if right.is_empty() {
        return left;
    }
    allocate(right.len());
    let mut text = left.try_into_mut().unwrap_or_else(|left| {
        allocate(left.len());
        let mut text = bytes::BytesMut::with_capacity(left.len() + right.len());
        text.extend_from_slice(&left);
        text
    });
    text.extend_from_slice(right);
    text.freeze()
}

impl Sub for Value {
    type Output = ValR<Self>;

    fn sub(self, other: Self) -> ValR<Self> {
        self.look_at_both(&other);
        match (self, other) {
            (Self::Num(left), Self::Num(right)) => {
                bounded(&left, &right, |left, right| left.max(right) + 1);
                Ok(Self::Num(left - right))
            }
            (Self::Arr(left), Self::Arr(right)) => {
                allocate(CONTAINER_BYTES + right.items.len() * ITEM_BYTES);
                let removed: BTreeSet<&Self> = right.items.iter().collect();
                let kept = left.items.iter().filter(|item| !removed.contains(item)).cloned();
                Ok(Self::array(gather(kept)))
            }
            (left, right) => Err(Error::math(left, ops::Math::Sub, right)),
        }
    }
}

impl Mul for Value {
    type Output = ValR<Self>;

    fn mul(self, other: Self) -> ValR<Self> {
        self.look_at_both(&other);
        match (self, other) {
            (Self::Num(left), Self::Num(right)) => {
                bounded(&left, &right, u64::saturating_add);
                Ok(Self::Num(left * right))
            }
            (Self::Str(text), Self::Num(times)) | (Self::Num(times), Self::Str(text)) => Ok(repeated(&text, &times)),
            (Self::Obj(mut left), Self::Obj(right)) => {
                merge(&mut left, &right);
                Ok(Self::Obj(left))
            }
            (left, right) => Err(Error::math(left, ops::Math::Mul, right)),
        }
    }
}

/// The text so many times; null for none.
fn repeated(text: &Bytes, times: &Num) -> Value {
    let Some(times) = whole(times).and_then(|times| usize::try_from(times).ok()).filter(|times| *times > 0) else {
        return Value::Null;
    };
    allocate(text.len().saturating_mul(times));
    Value::text(text.repeat(times))
}

/// Objects in objects are merged, everything else is replaced.
fn merge(left: &mut Arc<Object>, right: &Object) {
    allocate(right.entries.len() * ENTRY_BYTES);
    for (key, value) in &right.entries {
        spend(4);
        let entries = Object::entries_mut(left);
        let new = match (entries.get_mut(key), value) {
            (Some(Value::Obj(old)), Value::Obj(new)) => {
                merge(old, new);
                old.depth
            }
            _ => {
                entries.insert(key.clone(), value.clone());
                value.depth()
            }
        };
        Object::holds(left, new);
    }
}

impl Div for Value {
    type Output = ValR<Self>;

    fn div(self, other: Self) -> ValR<Self> {
        self.look_at_both(&other);
        match (self, other) {
            (Self::Num(left), Self::Num(right)) => Ok(Self::Num(left / right)),
            (Self::Str(text), Self::Str(separator)) => Ok(split(&text, &separator)),
            (left, right) => Err(Error::math(left, ops::Math::Div, right)),
        }
    }
}

/// The parts of a text between separators; its characters for an empty one.
fn split(text: &Bytes, separator: &[u8]) -> Value {
    scan(text.len());
    let (text_view, separator) = (String::from_utf8_lossy(text), String::from_utf8_lossy(separator));
    if text_view.is_empty() {
        return Value::array(Vec::new());
    }
    // What is UTF-8 already is sliced, and the rest copied.
    let part = |part: &str| match &text_view {
        std::borrow::Cow::Borrowed(_) => Value::Str(text.slice_ref(part.as_bytes())),
        std::borrow::Cow::Owned(_) => Value::text(part.to_owned()),
    };
    if separator.is_empty() {
        let characters = text_view.char_indices().map(|(at, character)| &text_view[at..at + character.len_utf8()]);
        return Value::array(gather(characters.map(part)));
    }
    Value::array(gather(text_view.split(separator.as_ref()).map(part)))
}

impl Rem for Value {
    type Output = ValR<Self>;

    fn rem(self, other: Self) -> ValR<Self> {
        self.look_at_both(&other);
        match (self, other) {
            (Self::Num(left), Self::Num(right)) if !(is_integer(&left) && right == Num::Int(0)) => {
                Ok(Self::Num(left % right))
            }
            (left, right) => Err(Error::math(left, ops::Math::Rem, right)),
        }
    }
}

/// Whether it is an integer, which zero cannot divide.
fn is_integer(number: &Num) -> bool {
    matches!(number, Num::Int(_) | Num::BigInt(_))
}

impl Neg for Value {
    type Output = ValR<Self>;

    fn neg(self) -> ValR<Self> {
        spend(2);
        self.look();
        match self {
            Self::Num(number) => Ok(Self::Num(-number)),
            other => Err(Error::typ(other, "number")),
        }
    }
}
