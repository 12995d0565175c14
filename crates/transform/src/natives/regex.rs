//! `test`, `match`, `capture`, `scan`, `split`, `sub`: their common ground, with expressions that take time in proportion to the text.

use std::borrow::Cow;
use std::cell::RefCell;

use bytes::Bytes;
use jaq_core::native::{Filter, bome};
use jaq_core::{Bind, Cv, Error, RunPtr};
use regex::{Regex, RegexBuilder};

use super::Language;
use crate::limits::MAX_REGEX_BYTES;
use crate::meter::{allocate, spend};
use crate::value::{Entries, Fallible, Value};

/// Memory of a compiled expression, and of what it remembers while it searches.
const COMPILED_BYTES: usize = 64 * 1_024;
/// Expressions that a thread keeps compiled.
const KEPT: usize = 32;
/// Steps of compiling an expression, and for each byte of it.
const COMPILE_STEPS: u64 = 2_000;
const COMPILE_STEPS_PER_BYTE: u64 = 50;
/// Bytes of text that are searched in one step.
const BYTES_PER_STEP: usize = 2;

pub(super) fn functions() -> [Filter<RunPtr<Language>>; 3] {
    let two = || [Bind::Var(()), Bind::Var(())].into();
    [
        ("matches", two(), |cv| bome(search(cv, false, true))),
        ("split_matches", two(), |cv| bome(search(cv, true, true))),
        ("split_", two(), |cv| bome(search(cv, true, false))),
    ]
}

thread_local! {
    static COMPILED: RefCell<Vec<(String, Regex)>> = const { RefCell::new(Vec::new()) };
}

/// How an expression is applied.
#[derive(Debug, Clone, Copy, Default)]
struct Flags {
    all: bool,
    skip_empty: bool,
    ignore_case: bool,
    lines: bool,
    dot_all: bool,
    lazy: bool,
    extended: bool,
}

impl Flags {
    fn read(text: &str) -> Fallible<Self> {
        let mut flags = Self::default();
        for flag in text.chars() {
            match flag {
                'g' => flags.all = true,
                'n' => flags.skip_empty = true,
                'i' => flags.ignore_case = true,
                'x' => flags.extended = true,
                's' => flags.dot_all = true,
                'l' => flags.lazy = true,
                'm' => flags.lines = true,
                'p' => (flags.lines, flags.dot_all) = (true, true),
                other => return Err(Error::str(format_args!("{other:?} is not a flag of regular expressions"))),
            }
        }
        Ok(flags)
    }

    fn compile(self, expression: &str) -> Result<Regex, regex::Error> {
        RegexBuilder::new(expression)
            .case_insensitive(self.ignore_case)
            .multi_line(self.lines)
            .dot_matches_new_line(self.dot_all)
            .swap_greed(self.lazy)
            .ignore_whitespace(self.extended)
            .size_limit(COMPILED_BYTES)
            .dfa_size_limit(COMPILED_BYTES)
            .build()
    }
}

/// The expression compiled, from this thread's store when it was used lately.
fn compiled(expression: &str, flag_text: &str, flags: Flags) -> Fallible<Regex> {
    if expression.len() > MAX_REGEX_BYTES {
        let length = expression.len();
        return Err(Error::str(format_args!("a regular expression has {length} bytes; it may have {MAX_REGEX_BYTES}")));
    }
    let key = format!("{flag_text}/{expression}");
    COMPILED.with_borrow_mut(|kept| {
        if let Some(place) = kept.iter().position(|(known, _)| *known == key) {
            kept[..=place].rotate_right(1);
            return Ok(kept[0].1.clone());
        }
        spend(COMPILE_STEPS + COMPILE_STEPS_PER_BYTE * expression.len() as u64);
        let fresh = flags.compile(expression);
        let fresh = fresh.map_err(|error| {
            Error::str(format_args!("{expression:?} is not a regular expression that can be used: {error}"))
        })?;
        kept.truncate(KEPT - 1);
        kept.insert(0, (key, fresh.clone()));
        Ok(fresh)
    })
}

fn text_of(value: &Value) -> Fallible<Cow<'_, str>> {
    value.look();
    match value {
        Value::Str(text) => Ok(String::from_utf8_lossy(text)),
        other => Err(Error::typ(other.clone(), "string")),
    }
}

/// The matches (`matched`) of an expression, and what is between them (`between`).
fn search(mut cv: Cv<'_, Language>, between: bool, matched: bool) -> Fallible {
    let flag_value = cv.0.pop_var();
    let expression = cv.0.pop_var();
    let flag_text = text_of(&flag_value)?;
    let flags = Flags::read(&flag_text)?;
    let regex = compiled(&text_of(&expression)?, &flag_text, flags)?;
    let text = text_of(&cv.1)?;
    spend(1 + (text.len() / BYTES_PER_STEP) as u64);
    let mut parts = Vec::new();
    let mut characters = Characters { text: &text, byte: 0, passed: 0 };
    let mut end_of_last = 0;
    for captures in regex.captures_iter(&text) {
        let Some(whole) = captures.get(0) else { continue };
        if flags.skip_empty && whole.is_empty() {
            continue;
        }
        if between {
            parts.push(piece(&text[end_of_last..whole.start()]));
            end_of_last = whole.end();
        }
        if matched {
            let offset = characters.before(whole.start());
            let found = captures.iter().zip(regex.capture_names());
            let found =
                found.filter_map(|(group, name)| Some(group_object(&text, group?, name, offset, whole.start())));
            parts.push(found.collect());
        }
        if !flags.all {
            break;
        }
    }
    if between {
        parts.push(piece(&text[end_of_last..]));
    }
    Ok(parts.into_iter().collect())
}

fn piece(text: &str) -> Value {
    allocate(text.len());
    Value::text(text.to_owned())
}

/// What jq says of a match or a group; offsets count characters.
fn group_object(
    text: &str,
    group: regex::Match<'_>,
    name: Option<&str>,
    whole_offset: usize,
    whole_start: usize,
) -> Value {
    allocate(512 + group.len());
    spend(group.len() as u64);
    let offset = match group.start().checked_sub(whole_start) {
        Some(inside) => whole_offset + text[whole_start..whole_start + inside].chars().count(),
        None => whole_offset,
    };
    let mut entries = Entries::default();
    let mut set = |key: &'static str, value| entries.insert(Bytes::from_static(key.as_bytes()), value);
    set("offset", Value::from(offset));
    set("length", Value::from(group.as_str().chars().count()));
    set("string", Value::text(group.as_str().to_owned()));
    if let Some(name) = name {
        set("name", Value::text(name.to_owned()));
    }
    Value::object(entries)
}

/// Counts the characters of a text as far as it has been asked for.
struct Characters<'t> {
    text: &'t str,
    byte: usize,
    passed: usize,
}

impl Characters<'_> {
    /// The characters before this byte, which is not before the one that was asked for last.
    fn before(&mut self, byte: usize) -> usize {
        self.passed += self.text[self.byte..byte].chars().count();
        self.byte = byte;
        self.passed
    }
}
