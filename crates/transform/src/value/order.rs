//! The order of values: null, booleans, numbers, strings, arrays, objects.

use std::cmp::Ordering;

use jaq_json::Num;

use super::{ENTRY_BYTES, Entries, Value, float};
use crate::meter::{allocate, scan, spend};

/// The place of a kind among the others.
fn rank(value: &Value) -> u8 {
    match value {
        Value::Null | Value::Unread(_) => 0,
        Value::Bool(_) => 1,
        Value::Num(_) => 2,
        Value::Str(_) => 3,
        Value::Arr(_) => 4,
        Value::Obj(_) => 5,
    }
}

fn compare(left: &Value, right: &Value, numbers: fn(&Num, &Num) -> Ordering) -> Ordering {
    spend(1);
    left.look();
    right.look();
    match (left, right) {
        (Value::Bool(left), Value::Bool(right)) => left.cmp(right),
        (Value::Num(left), Value::Num(right)) => numbers(left, right),
        (Value::Str(left), Value::Str(right)) => {
            scan(left.len().min(right.len()));
            left.cmp(right)
        }
        (Value::Arr(left), Value::Arr(right)) => in_turn(left.items.iter(), right.items.iter(), numbers),
        (Value::Obj(left), Value::Obj(right)) => {
            let (left, right) = (sorted(&left.entries), sorted(&right.entries));
            let keys = left.iter().map(|(key, _)| key).cmp(right.iter().map(|(key, _)| key));
            keys.then_with(|| in_turn(left.iter().map(|(_, v)| *v), right.iter().map(|(_, v)| *v), numbers))
        }
        _ => rank(left).cmp(&rank(right)),
    }
}

/// Compares pair by pair; the shorter of two that begin alike is the smaller.
fn in_turn<'v>(
    mut left: impl Iterator<Item = &'v Value>,
    mut right: impl Iterator<Item = &'v Value>,
    numbers: fn(&Num, &Num) -> Ordering,
) -> Ordering {
    loop {
        match (left.next(), right.next()) {
            (Some(left), Some(right)) => match compare(left, right, numbers) {
                Ordering::Equal => {}
                different => return different,
            },
            (None, None) => return Ordering::Equal,
            (left, _) => return if left.is_some() { Ordering::Greater } else { Ordering::Less },
        }
    }
}

fn sorted(entries: &Entries) -> Vec<(&bytes::Bytes, &Value)> {
    allocate(entries.len() * ENTRY_BYTES);
    let mut entries: Vec<_> = entries.iter().collect();
    entries.sort_unstable_by_key(|(key, _)| *key);
    entries
}

/// As jq compares: what is not a number is smaller than every number, itself included.
fn as_language(left: &Num, right: &Num) -> Ordering {
    left.cmp(right)
}

/// A total order, which sorting needs: what is not a number is equal to itself.
fn as_order(left: &Num, right: &Num) -> Ordering {
    let is_none = |number: &Num| matches!(number, Num::Float(_)) && float(number).is_nan();
    match (is_none(left), is_none(right)) {
        (true, true) => Ordering::Equal,
        _ => left.cmp(right),
    }
}

impl PartialEq for Value {
    fn eq(&self, other: &Self) -> bool {
        compare(self, other, as_language) == Ordering::Equal
    }
}

impl Eq for Value {}

#[expect(clippy::non_canonical_partial_ord_impl, reason = "operators and sorting differ on what is not a number")]
impl PartialOrd for Value {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(compare(self, other, as_language))
    }
}

impl Ord for Value {
    fn cmp(&self, other: &Self) -> Ordering {
        compare(self, other, as_order)
    }
}
