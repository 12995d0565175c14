//! The values that programs work on: JSON, where every operation is counted.

mod arithmetic;
mod change;
mod language;
mod library;
mod order;
pub(crate) mod read;
pub(crate) mod write;

use std::sync::Arc;

use bytes::Bytes;
use jaq_core::Error;
use jaq_json::{Map, Num};

use crate::error::ProgramError;
use crate::limits::MAX_NESTING;
use crate::meter::{allocate, spend, stop};

/// A value that fails.
pub(crate) type Fallible<T = Value> = Result<T, Error<Value>>;

/// Entries of an object, in their order.
pub(crate) type Entries = Map<Bytes, Value>;

/// A JSON value. Cloning one is cheap.
#[derive(Debug, Clone, Default)]
pub(crate) enum Value {
    #[default]
    Null,
    Bool(bool),
    Num(Num),
    /// Text. What decoding functions make of it need not be UTF-8; it is made so when it is written.
    Str(Bytes),
    Arr(Arc<Array>),
    Obj(Arc<Object>),
    /// A body that is not JSON, and why. Whatever looks at it ends the program.
    Unread(Arc<str>),
}

/// An array, and how deep it is nested at most.
#[derive(Debug, Clone)]
pub(crate) struct Array {
    depth: u16,
    pub(crate) items: Vec<Value>,
}

/// An object, and how deep it is nested at most.
#[derive(Debug, Clone)]
pub(crate) struct Object {
    depth: u16,
    pub(crate) entries: Entries,
}

/// Bytes that a value takes in its container.
const ITEM_BYTES: usize = size_of::<Value>();
/// Bytes that an entry takes in its object.
const ENTRY_BYTES: usize = size_of::<Value>() + size_of::<Bytes>() + 24;
/// Bytes of an empty container.
const CONTAINER_BYTES: usize = 64;

impl Value {
    /// An array of these items.
    pub(crate) fn array(items: Vec<Self>) -> Self {
        let depth = depth_of(items.iter());
        Self::Arr(Arc::new(Array { depth, items }))
    }

    /// An object of these entries.
    pub(crate) fn object(entries: Entries) -> Self {
        let depth = depth_of(entries.values());
        Self::Obj(Arc::new(Object { depth, entries }))
    }

    pub(crate) fn text(text: impl Into<Bytes>) -> Self {
        Self::Str(text.into())
    }

    /// How deep it is nested: zero for what holds nothing.
    fn depth(&self) -> u16 {
        match self {
            Self::Arr(array) => array.depth,
            Self::Obj(object) => object.depth,
            _ => 0,
        }
    }

    /// Ends the program if this is a body that is not JSON.
    pub(crate) fn look(&self) {
        if let Self::Unread(reason) = self {
            stop(ProgramError::BodyNotJson { reason: reason.to_string() });
        }
    }

    /// What it is, for messages.
    pub(crate) fn kind(&self) -> &'static str {
        match self {
            Self::Null => "null",
            Self::Bool(_) => "a boolean",
            Self::Num(_) => "a number",
            Self::Str(_) => "a string",
            Self::Arr(_) => "an array",
            Self::Obj(_) => "an object",
            Self::Unread(_) => "a body that is not JSON",
        }
    }

    /// The number as a position, if it is a whole one.
    fn position(&self) -> Fallible<isize> {
        self.look();
        match self {
            Self::Num(number) => whole(number).ok_or_else(|| Error::typ(self.clone(), "integer")),
            _ => Err(Error::typ(self.clone(), "integer")),
        }
    }
}

/// A number without fraction as a machine's integer.
pub(crate) fn whole(number: &Num) -> Option<isize> {
    number.as_isize().or_else(|| {
        let float = float(number);
        (float.fract() == 0.0 && float.abs() < 9e15).then_some(float as isize)
    })
}

/// The number as a machine's float, rounded.
pub(crate) fn float(number: &Num) -> f64 {
    match number {
        Num::Int(int) => *int as f64,
        Num::Float(float) => *float,
        Num::Dec(text) => text.parse().unwrap_or(f64::NAN),
        Num::BigInt(_) => number.to_string().parse().unwrap_or(f64::NAN),
    }
}

/// The depth of a container of these values.
fn depth_of<'v>(values: impl Iterator<Item = &'v Value>) -> u16 {
    deeper(values.map(Value::depth).max().unwrap_or(0))
}

/// The depth of what holds something of this depth. Ends the program where nothing may be nested deeper.
fn deeper(depth: u16) -> u16 {
    if depth >= MAX_NESTING {
        stop(ProgramError::Nesting);
    }
    depth + 1
}

impl Array {
    /// The items to change, copied first if somebody else has them too.
    fn items_mut(shared: &mut Arc<Self>) -> &mut Vec<Value> {
        if Arc::get_mut(shared).is_none() {
            allocate(CONTAINER_BYTES + shared.items.len() * ITEM_BYTES);
        }
        &mut Arc::make_mut(shared).items
    }

    /// Notes that a value of this depth is in it now.
    fn holds(shared: &mut Arc<Self>, depth: u16) {
        if shared.depth <= depth {
            Arc::make_mut(shared).depth = deeper(depth);
        }
    }
}

impl Object {
    /// The entries to change, copied first if somebody else has them too.
    fn entries_mut(shared: &mut Arc<Self>) -> &mut Entries {
        if Arc::get_mut(shared).is_none() {
            allocate(CONTAINER_BYTES + shared.entries.len() * ENTRY_BYTES);
        }
        &mut Arc::make_mut(shared).entries
    }

    /// Notes that a value of this depth is in it now.
    fn holds(shared: &mut Arc<Self>, depth: u16) {
        if shared.depth <= depth {
            Arc::make_mut(shared).depth = deeper(depth);
        }
    }
}

/// Collects what may be endless, counting before it grows.
fn gather(values: impl Iterator<Item = Value>) -> Vec<Value> {
    let mut items = Vec::new();
    for value in values {
        if items.len() == items.capacity() {
            let more = items.len().max(4);
            allocate(more * ITEM_BYTES);
            items.reserve(more);
        }
        spend(2);
        items.push(value);
    }
    items
}
