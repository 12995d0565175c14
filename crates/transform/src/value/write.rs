//! Values as JSON text.

use std::fmt::Write as _;

use jaq_json::Num;

use super::Value;
use crate::error::ProgramError;
use crate::limits::MAX_OUTPUT_BYTES;
use crate::meter::{allocate, spend, stop};

/// Longest message of an error.
const MAX_MESSAGE_BYTES: usize = 400;

/// The output of a program as compact JSON. What JSON has no form for ends the program.
pub(crate) fn output(value: &Value) -> String {
    written(value, |number| match number {
        Num::Float(float) if float.is_nan() => stop(ProgramError::OutputNotJson { what: "nan" }),
        _ => stop(ProgramError::OutputNotJson { what: "infinite" }),
    })
}

/// JSON text for the program itself, as jq writes it: what is not a number is null, what is infinite the largest number.
pub(crate) fn within_program(value: &Value) -> String {
    written(value, |number| match number {
        Num::Float(float) if float.is_nan() => "null".to_owned(),
        Num::Float(float) => format!("{:?}", f64::MAX.copysign(*float)),
        other => other.to_string(),
    })
}

fn written(value: &Value, odd: fn(&Num) -> String) -> String {
    let mut writer = Writer { text: String::new(), limit: MAX_OUTPUT_BYTES, counted: 0, odd };
    if !writer.value(value) {
        stop(ProgramError::OutputTooLarge);
    }
    writer.text
}

/// What an error says: its text, or the value that a program made an error of.
pub(crate) fn message(value: &Value) -> String {
    let Value::Str(text) = value else { return preview(value, MAX_MESSAGE_BYTES) };
    let text = String::from_utf8_lossy(text);
    let end = boundary(&text, MAX_MESSAGE_BYTES);
    if end < text.len() { format!("{}…", &text[..end]) } else { text.into_owned() }
}

/// The beginning of a value, uncounted and bounded.
pub(super) fn preview(value: &Value, bytes: usize) -> String {
    let mut writer = Writer { text: String::new(), limit: bytes, counted: usize::MAX, odd: ToString::to_string };
    if !writer.value(value) {
        writer.text.truncate(boundary(&writer.text, bytes));
        writer.text.push('…');
    }
    writer.text
}

/// The last place at or before `byte` where a character begins.
fn boundary(text: &str, byte: usize) -> usize {
    (0..=byte.min(text.len())).rev().find(|end| text.is_char_boundary(*end)).unwrap_or(0)
}

struct Writer {
    text: String,
    limit: usize,
    /// Bytes that were counted so far; all of them when nothing is to be counted.
    counted: usize,
    /// How to write a number that JSON has not.
    odd: fn(&Num) -> String,
}

impl Writer {
    /// Writes it. False when the limit was passed; the text is then only a beginning.
    fn value(&mut self, value: &Value) -> bool {
        match value {
            Value::Null => self.text.push_str("null"),
            Value::Bool(true) => self.text.push_str("true"),
            Value::Bool(false) => self.text.push_str("false"),
            Value::Num(number) => self.number(number),
            Value::Str(text) => self.string(text),
            Value::Arr(array) => {
                self.text.push('[');
                for (position, item) in array.items.iter().enumerate() {
                    if position > 0 {
                        self.text.push(',');
                    }
                    if !self.value(item) {
                        return false;
                    }
                }
                self.text.push(']');
            }
            Value::Obj(object) => {
                self.text.push('{');
                for (position, (key, value)) in object.entries.iter().enumerate() {
                    if position > 0 {
                        self.text.push(',');
                    }
                    self.string(key);
                    self.text.push(':');
                    if !self.value(value) {
                        return false;
                    }
                }
                self.text.push('}');
            }
            Value::Unread(_) if self.counted == usize::MAX => self.text.push_str(value.kind()),
            Value::Unread(_) => value.look(),
        }
        self.count();
        self.text.len() <= self.limit
    }

    fn count(&mut self) {
        if self.counted < self.text.len() {
            allocate(self.text.len() - self.counted);
            self.counted = self.text.len();
        } else if self.counted != usize::MAX {
            spend(1);
        }
    }

    fn number(&mut self, number: &Num) {
        // Writing to a string cannot fail.
        let _ = match number {
            Num::Float(float) if !float.is_finite() => {
                let text = (self.odd)(number);
                self.text.write_str(&text)
            }
            Num::Float(float) if float.fract() == 0.0 && float.abs() < 1e17 => write!(self.text, "{}", *float as i64),
            Num::Float(float) => write!(self.text, "{float:?}"),
            Num::Int(int) => write!(self.text, "{int}"),
            Num::Dec(_) | Num::BigInt(_) => write!(self.text, "{number}"),
        };
    }

    /// Text in quotation marks. What is not UTF-8 is replaced.
    fn string(&mut self, text: &[u8]) {
        let text = String::from_utf8_lossy(text);
        // Far more than fits is not looked at.
        let shown = if text.len() > self.limit { &text[..boundary(&text, self.limit + 4)] } else { &*text };
        let is_cut = shown.len() < text.len();
        self.text.reserve(shown.len() + 2);
        self.text.push('"');
        let mut plain = 0;
        for (at, byte) in shown.bytes().enumerate() {
            let escape = match byte {
                b'"' => "\\\"",
                b'\\' => "\\\\",
                b'\n' => "\\n",
                b'\r' => "\\r",
                b'\t' => "\\t",
                0x00..=0x1f => "",
                _ => continue,
            };
            self.text.push_str(&shown[plain..at]);
            plain = at + 1;
            if escape.is_empty() {
                let _ = write!(self.text, "\\u{byte:04x}");
            } else {
                self.text.push_str(escape);
            }
        }
        self.text.push_str(&shown[plain..]);
        if !is_cut {
            self.text.push('"');
        }
    }
}
