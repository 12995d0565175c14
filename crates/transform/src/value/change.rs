//! Values with a part of them changed: `|=` and all that is made of it.

use std::ops::Range;
use std::sync::Arc;

use bytes::Bytes;
use jaq_core::path::Opt;
use jaq_core::{Error, Exn, ValX};

use super::language::{absolute, bounds, characters, slice_bounds};
use super::{Array, CONTAINER_BYTES, ENTRY_BYTES, Entries, ITEM_BYTES, Object, Value};
use crate::meter::{allocate, spend};

/// The outcome of a change that was not possible: the value as it was, where that was allowed for.
fn refused<'a>(opt: Opt, value: Value, error: impl FnOnce(Value) -> Error<Value>) -> ValX<'a, Value> {
    opt.fail(value, |value| Exn::from(error(value)))
}

impl Value {
    /// `.[] |= f`.
    pub(super) fn change_all<'a, I: Iterator<Item = ValX<'a, Self>>>(
        self,
        opt: Opt,
        f: impl Fn(Self) -> I,
    ) -> ValX<'a, Self> {
        spend(4);
        self.look();
        match self {
            Self::Arr(array) => {
                let items = Arc::try_unwrap(array).map_or_else(|array| copied(&array), |array| array.items);
                let changed = items.into_iter().flat_map(|item| {
                    spend(4);
                    f(item)
                });
                changed.collect()
            }
            Self::Obj(object) => {
                let entries =
                    Arc::try_unwrap(object).map_or_else(|object| copied_entries(&object), |object| object.entries);
                let mut changed = Entries::default();
                for (key, value) in entries {
                    allocate(ENTRY_BYTES);
                    if let Some(value) = f(value).next().transpose()? {
                        changed.insert(key, value);
                    }
                }
                Ok(Self::object(changed))
            }
            other => refused(opt, other, |other| Error::typ(other, "iterable (array or object)")),
        }
    }

    /// `.[index] |= f`. As in jq, null is an empty object or array, and an array is filled up with null.
    pub(super) fn change_one<'a, I: Iterator<Item = ValX<'a, Self>>>(
        self,
        index: &Self,
        opt: Opt,
        f: impl Fn(Self) -> I,
    ) -> ValX<'a, Self> {
        spend(4);
        self.look();
        match (self, index) {
            (value @ (Self::Arr(_) | Self::Str(_)), Self::Obj(slice)) => {
                value.change_slice(slice_bounds(&slice.entries), opt, f)
            }
            (Self::Obj(object), Self::Str(key)) => change_entry(object, key, f),
            (Self::Null, Self::Str(key)) => {
                allocate(CONTAINER_BYTES);
                change_entry(Arc::new(Object { depth: 1, entries: Entries::default() }), key, f)
            }
            (Self::Arr(array), Self::Num(_)) => change_item(array, index, opt, f),
            (Self::Null, Self::Num(_)) => {
                allocate(CONTAINER_BYTES);
                change_item(Arc::new(Array { depth: 1, items: Vec::new() }), index, opt, f)
            }
            (other, index) => refused(opt, other, |other| Error::index(other, index.clone())),
        }
    }

    /// `.[from:to] |= f`.
    pub(super) fn change_slice<'a, I: Iterator<Item = ValX<'a, Self>>>(
        self,
        range: Range<Option<&Self>>,
        opt: Opt,
        f: impl Fn(Self) -> I,
    ) -> ValX<'a, Self> {
        spend(4);
        self.look();
        match self {
            Self::Arr(mut array) => {
                let chosen = match bounds(range, array.items.len()) {
                    Ok(chosen) => chosen,
                    Err(error) => return refused(opt, Self::Arr(array), |_| error),
                };
                allocate(CONTAINER_BYTES + chosen.len() * ITEM_BYTES);
                let part = Self::array(array.items.get(chosen.clone()).unwrap_or_default().to_vec());
                let new = match f(part).next().transpose()? {
                    None => Vec::new(),
                    Some(Self::Arr(new)) => copied(&new),
                    Some(other) => return Err(Error::typ(other, "array").into()),
                };
                let depth = new.iter().map(Self::depth).max().unwrap_or(0);
                allocate(new.len() * ITEM_BYTES);
                Array::items_mut(&mut array).splice(chosen, new);
                Array::holds(&mut array, depth);
                Ok(Self::Arr(array))
            }
            Self::Str(text) => {
                let chosen = match characters(&text, range) {
                    Ok(chosen) => chosen,
                    Err(error) => return refused(opt, Self::Str(text), |_| error),
                };
                let new = match f(Self::Str(text.slice(chosen.clone()))).next().transpose()? {
                    None => Bytes::new(),
                    Some(Self::Str(new)) => new,
                    Some(other) => return Err(Error::typ(other, "string").into()),
                };
                allocate(text.len() + new.len());
                Ok(Self::text([&text[..chosen.start], &new[..], &text[chosen.end..]].concat()))
            }
            other => refused(opt, other, |other| Error::typ(other, "rangeable (array or string)")),
        }
    }
}

/// The items of an array that somebody else has too.
fn copied(array: &Array) -> Vec<Value> {
    allocate(array.items.len() * ITEM_BYTES);
    array.items.clone()
}

fn copied_entries(object: &Object) -> Entries {
    allocate(object.entries.len() * ENTRY_BYTES);
    object.entries.clone()
}

fn change_entry<'a, I: Iterator<Item = ValX<'a, Value>>>(
    mut object: Arc<Object>,
    key: &Bytes,
    f: impl Fn(Value) -> I,
) -> ValX<'a, Value> {
    let entries = Object::entries_mut(&mut object);
    // Taken out while it is changed, so that it need not be copied.
    let old = entries.get_mut(key).map(std::mem::take);
    let was_there = old.is_some();
    match f(old.unwrap_or_default()).next().transpose()? {
        Some(new) => {
            let depth = new.depth();
            if !was_there {
                allocate(ENTRY_BYTES);
            }
            entries.insert(key.clone(), new);
            Object::holds(&mut object, depth);
        }
        None => {
            spend(entries.len() as u64 / 8);
            entries.shift_remove(key);
        }
    }
    Ok(Value::Obj(object))
}

fn change_item<'a, I: Iterator<Item = ValX<'a, Value>>>(
    mut array: Arc<Array>,
    index: &Value,
    opt: Opt,
    f: impl Fn(Value) -> I,
) -> ValX<'a, Value> {
    let length = array.items.len();
    let position = index.position().map(|position| absolute(position, length));
    let position = match position {
        Ok(Some(position)) => position,
        Ok(None) => {
            let error = Error::str(format_args!("index {index} is before the beginning of the array"));
            return refused(opt, Value::Arr(array), |_| error);
        }
        Err(error) => return refused(opt, Value::Arr(array), |_| error),
    };
    let items = Array::items_mut(&mut array);
    let old = items.get_mut(position).map(std::mem::take).unwrap_or_default();
    match f(old).next().transpose()? {
        Some(new) => {
            let depth = new.depth();
            if position >= length {
                allocate((position - length).saturating_add(1).saturating_mul(ITEM_BYTES));
                items.resize(position + 1, Value::Null);
            }
            items[position] = new;
            Array::holds(&mut array, depth);
        }
        None if position < length => {
            spend(length as u64 / 8);
            items.remove(position);
        }
        None => {}
    }
    Ok(Value::Arr(array))
}
