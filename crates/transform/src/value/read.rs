//! JSON text as a value. Strings stay in the memory of the text where they can; numbers that cannot be held exactly keep their text.

use std::sync::Arc;

use bytes::Bytes;
use jaq_json::Num;

use super::language::number;
use super::{Entries, Value};
use crate::error::ProgramError;
use crate::limits::MAX_BODY_NESTING;

/// Reads one JSON value, and nothing beside it.
///
/// # Errors
/// What is wrong, and at which byte.
pub(crate) fn json(text: &Bytes) -> Result<Value, String> {
    if text.is_empty() {
        return Err("it is empty".to_owned());
    }
    if let Err(error) = std::str::from_utf8(text) {
        return Err(format!("it is not UTF-8 from byte {} on", error.valid_up_to()));
    }
    let mut reader = Reader { text, at: 0 };
    let value = reader.value(0)?;
    reader.skip_space();
    if reader.at < text.len() { Err(reader.unexpected("the end")) } else { Ok(value) }
}

struct Reader<'t> {
    text: &'t Bytes,
    at: usize,
}

impl Reader<'_> {
    fn peek(&self) -> Option<u8> {
        self.text.get(self.at).copied()
    }

    fn skip_space(&mut self) {
        while matches!(self.peek(), Some(b' ' | b'\n' | b'\r' | b'\t')) {
            self.at += 1;
        }
    }

    fn unexpected(&self, wanted: &str) -> String {
        match self.peek() {
            Some(_) => format!("{wanted} should be at byte {}", self.at),
            None => "it ends too early".to_owned(),
        }
    }

    fn value(&mut self, depth: u16) -> Result<Value, String> {
        self.skip_space();
        match self.peek() {
            Some(b'{') => self.object(nested(depth)?),
            Some(b'[') => self.array(nested(depth)?),
            Some(b'"') => self.string().map(Value::Str),
            Some(b'-' | b'0'..=b'9') => self.number().map(Value::Num),
            Some(b't') => self.word(b"true", Value::Bool(true)),
            Some(b'f') => self.word(b"false", Value::Bool(false)),
            Some(b'n') => self.word(b"null", Value::Null),
            _ => Err(self.unexpected("a value")),
        }
    }

    fn word(&mut self, word: &[u8], value: Value) -> Result<Value, String> {
        if !self.text[self.at..].starts_with(word) {
            return Err(self.unexpected("a value"));
        }
        self.at += word.len();
        Ok(value)
    }

    fn array(&mut self, depth: u16) -> Result<Value, String> {
        let mut items = Vec::new();
        self.at += 1;
        self.skip_space();
        if self.peek() == Some(b']') {
            self.at += 1;
            return Ok(Value::array(items));
        }
        loop {
            items.push(self.value(depth)?);
            if self.is_last(b']', "a comma or ]")? {
                return Ok(Value::array(items));
            }
        }
    }

    fn object(&mut self, depth: u16) -> Result<Value, String> {
        let mut entries = Entries::default();
        self.at += 1;
        self.skip_space();
        if self.peek() == Some(b'}') {
            self.at += 1;
            return Ok(Value::object(entries));
        }
        loop {
            self.skip_space();
            if self.peek() != Some(b'"') {
                return Err(self.unexpected("a key in quotation marks"));
            }
            let key = self.string()?;
            self.skip_space();
            if self.peek() != Some(b':') {
                return Err(self.unexpected("a colon"));
            }
            self.at += 1;
            let value = self.value(depth)?;
            entries.insert(key, value);
            if self.is_last(b'}', "a comma or }")? {
                return Ok(Value::object(entries));
            }
        }
    }

    /// Whether the container ends here; if not, its comma is passed.
    fn is_last(&mut self, end: u8, wanted: &str) -> Result<bool, String> {
        self.skip_space();
        let found = self.peek();
        if found != Some(end) && found != Some(b',') {
            return Err(self.unexpected(wanted));
        }
        self.at += 1;
        Ok(found == Some(end))
    }

    fn string(&mut self) -> Result<Bytes, String> {
        self.at += 1;
        let start = self.at;
        loop {
            match self.peek() {
                Some(b'"') => {
                    let text = self.text.slice(start..self.at);
                    self.at += 1;
                    return Ok(text);
                }
                Some(b'\\') => return self.escaped_string(start),
                Some(0x00..=0x1f) | None => return Err(self.unexpected("a quotation mark, or a character of text")),
                Some(_) => self.at += 1,
            }
        }
    }

    /// The rest of a string that has an escape here.
    fn escaped_string(&mut self, start: usize) -> Result<Bytes, String> {
        let mut text = self.text[start..self.at].to_vec();
        loop {
            let byte = self.peek();
            self.at += 1;
            match byte {
                Some(b'"') => return Ok(text.into()),
                Some(b'\\') => {
                    let character = self.escape()?;
                    text.extend_from_slice(character.encode_utf8(&mut [0; 4]).as_bytes());
                }
                Some(byte) if byte > 0x1f => text.push(byte),
                _ => {
                    self.at -= 1;
                    return Err(self.unexpected("a quotation mark, or a character of text"));
                }
            }
        }
    }

    /// The character of an escape. Half of a surrogate pair is replaced, as there is no such character.
    fn escape(&mut self) -> Result<char, String> {
        let Some(kind) = self.peek() else { return Err(self.unexpected("an escape")) };
        self.at += 1;
        Ok(match kind {
            b'"' | b'\\' | b'/' => char::from(kind),
            b'b' => '\u{8}',
            b'f' => '\u{c}',
            b'n' => '\n',
            b'r' => '\r',
            b't' => '\t',
            b'u' => {
                let first = self.four_digits()?;
                if !(0xd800..0xdc00).contains(&first) || !self.text[self.at..].starts_with(b"\\u") {
                    return Ok(char::from_u32(first).unwrap_or(char::REPLACEMENT_CHARACTER));
                }
                let before_second = self.at;
                self.at += 2;
                let second = self.four_digits()?;
                if (0xdc00..0xe000).contains(&second) {
                    let pair = 0x10000 + ((first - 0xd800) << 10) + (second - 0xdc00);
                    return Ok(char::from_u32(pair).unwrap_or(char::REPLACEMENT_CHARACTER));
                }
                self.at = before_second;
                char::REPLACEMENT_CHARACTER
            }
            _ => {
                self.at -= 1;
                return Err(self.unexpected("an escape that JSON has"));
            }
        })
    }

    fn four_digits(&mut self) -> Result<u32, String> {
        let digits = self.text.get(self.at..self.at + 4).filter(|digits| digits.iter().all(u8::is_ascii_hexdigit));
        let value = digits.and_then(|digits| u32::from_str_radix(std::str::from_utf8(digits).ok()?, 16).ok());
        let value = value.ok_or_else(|| self.unexpected("four hexadecimal digits"))?;
        self.at += 4;
        Ok(value)
    }

    fn number(&mut self) -> Result<Num, String> {
        let start = self.at;
        if self.peek() == Some(b'-') {
            self.at += 1;
        }
        if self.peek() == Some(b'0') {
            self.at += 1
        } else {
            self.digits()?
        }
        let mut is_integer = true;
        if self.peek() == Some(b'.') {
            is_integer = false;
            self.at += 1;
            self.digits()?;
        }
        if matches!(self.peek(), Some(b'e' | b'E')) {
            is_integer = false;
            self.at += 1;
            if matches!(self.peek(), Some(b'+' | b'-')) {
                self.at += 1;
            }
            self.digits()?;
        }
        // All of it is ASCII.
        let text = std::str::from_utf8(&self.text[start..self.at]).unwrap_or_default();
        // Minus zero is not the same as zero to everybody.
        Ok(if is_integer && text != "-0" { number(text) } else { Num::Dec(Arc::new(text.to_owned())) })
    }

    fn digits(&mut self) -> Result<(), String> {
        if !matches!(self.peek(), Some(b'0'..=b'9')) {
            return Err(self.unexpected("a digit"));
        }
        while matches!(self.peek(), Some(b'0'..=b'9')) {
            self.at += 1;
        }
        Ok(())
    }
}

fn nested(depth: u16) -> Result<u16, String> {
    if depth >= MAX_BODY_NESTING { Err(ProgramError::body_too_nested()) } else { Ok(depth + 1) }
}
