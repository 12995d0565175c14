use std::io::Write;

use rand::Rng;
use spillway_model::{Clock, SystemClock};

use super::{Part, Template, Value};
use crate::flow::data::Data;
use crate::flow::run::FlowRun;
use crate::flow::text::Escape;

/// What the values of a template are taken from.
pub(in crate::flow) struct Context<'a> {
    pub(in crate::flow) vu: u32,
    pub(in crate::flow) iteration: u64,
    pub(in crate::flow) scenario: &'a str,
    pub(in crate::flow) run: &'a FlowRun,
    /// Each captured value at its place.
    pub(in crate::flow) captured: &'a [Option<Box<str>>],
    pub(in crate::flow) data: &'a [Data],
    /// The row of each data file.
    pub(in crate::flow) rows: &'a [usize],
}

/// A value that was to be there by now and is not.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub(in crate::flow) enum MissingValue {
    #[error("the requests before it in this iteration captured no {0}")]
    Capture(String),
    #[error("the flow setup captured no {0}")]
    Setup(String),
}

impl Template {
    /// Appends the text to `out`.
    pub(in crate::flow) fn render(&self, context: &Context<'_>, out: &mut Vec<u8>) -> Result<(), MissingValue> {
        for part in &self.parts {
            match part {
                Part::Text(text) => out.extend_from_slice(text),
                Part::Value(value, escape) => value.render(context, *escape, out)?,
            }
        }
        Ok(())
    }

    /// The text by itself.
    pub(in crate::flow) fn text(&self, context: &Context<'_>) -> Result<String, MissingValue> {
        let mut out = Vec::new();
        self.render(context, &mut out)?;
        Ok(String::from_utf8_lossy(&out).into_owned())
    }
}

impl Value {
    fn render(&self, context: &Context<'_>, escape: Escape, out: &mut Vec<u8>) -> Result<(), MissingValue> {
        match self {
            Self::Vu => number(context.vu, out),
            Self::Iteration => number(context.iteration, out),
            Self::Scenario => escape.append(context.scenario.as_bytes(), out),
            Self::Uuid => {
                let id = uuid::Builder::from_random_bytes(rand::random()).into_uuid();
                let mut buffer = uuid::Uuid::encode_buffer();
                out.extend_from_slice(id.hyphenated().encode_lower(&mut buffer).as_bytes());
            }
            Self::Timestamp => number(SystemClock.now().div_euclid(1_000), out),
            Self::TimestampMillis => number(SystemClock.now(), out),
            Self::Sequence => number(context.run.next_in_sequence(), out),
            Self::Int(least, most) => number(rand::random_range(*least..=*most), out),
            Self::Float(least, most) => number(rand::random_range(*least..=*most), out),
            Self::Letters(length) => random(*length, LETTERS, out),
            Self::Hex(length) => random(*length, b"0123456789abcdef", out),
            Self::Choice(choices) => {
                let choice = &choices[rand::random_range(0..choices.len())];
                escape.append(choice.as_bytes(), out);
            }
            Self::Capture(place, name) => {
                let captured = context.captured.get(*place).and_then(Option::as_deref);
                let captured = captured.ok_or_else(|| MissingValue::Capture(name.to_string()))?;
                escape.append(captured.as_bytes(), out);
            }
            Self::Setup(name) => {
                let value = context.run.setup(name).ok_or_else(|| MissingValue::Setup(name.to_string()))?;
                escape.append(value.as_bytes(), out);
            }
            Self::Csv(file, column) => {
                let row = context.rows.get(*file).copied().unwrap_or(0);
                escape.append(context.data[*file].cell(row, *column).as_bytes(), out);
            }
        }
        Ok(())
    }
}

const LETTERS: &[u8; 62] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789";

fn number(number: impl std::fmt::Display, out: &mut Vec<u8>) {
    // Writing to memory does not fail.
    let _ = write!(out, "{number}");
}

/// Appends random letters of `alphabet`, which has at most 256. One that does not divide 256 is not quite even: it is for bulk, not for keys.
fn random(length: usize, alphabet: &[u8], out: &mut Vec<u8>) {
    let from = out.len();
    out.resize(from + length, 0);
    let letters = &mut out[from..];
    rand::rng().fill_bytes(letters);
    for letter in letters {
        *letter = alphabet[usize::from(*letter) * alphabet.len() / 256];
    }
}
