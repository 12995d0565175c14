//! JSON Schemas of event types.

use std::fmt;
use std::sync::Arc;

use jsonschema::{PatternOptions, Retrieve, Uri, Validator};
use serde_json::Value;

use crate::limits::{MAX_SCHEMA_BYTES, MAX_VIOLATIONS};

/// Stack that validation has at least.
const STACK_LEFT: usize = 512 * 1_024;
/// A stack of its own where less is left.
const STACK_BYTES: usize = 4 << 20;
/// Memory of a compiled pattern.
const PATTERN_BYTES: usize = 256 * 1_024;
/// Longest text of one reason.
const MAX_REASON: usize = 300;

/// A compiled JSON Schema: draft 2020-12 unless it names another. References lead to places in the schema itself and nowhere else;
/// formats are annotations, as the draft has them; patterns are regular expressions without look-around and back references.
#[derive(Clone)]
pub struct Schema(Arc<Validator>);

/// Why a schema cannot be used, or a body does not satisfy one.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum SchemaError {
    /// The schema is too large.
    #[error("the schema has {bytes} bytes of JSON; it may have {MAX_SCHEMA_BYTES}")]
    TooLarge {
        /// Its size as compact JSON.
        bytes: usize,
    },
    /// It is not a schema that can be used.
    #[error("the schema cannot be used: {reason}")]
    Invalid {
        /// Why.
        reason: String,
    },
    /// The body is not JSON.
    #[error("the body is not JSON: {reason}")]
    NotJson {
        /// What the parser says.
        reason: String,
    },
    /// The body does not satisfy it.
    #[error("{}", listed(.0))]
    Violated(Vec<Violation>),
}

/// One thing that a body should have and has not.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Violation {
    /// Where in the body, as a JSON pointer; empty for the whole.
    pub pointer: String,
    /// What is wrong there.
    pub reason: String,
}

impl fmt::Display for Violation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let place = if self.pointer.is_empty() { "the body" } else { &self.pointer };
        write!(f, "{place}: {}", self.reason)
    }
}

fn listed(violations: &[Violation]) -> String {
    violations.iter().map(ToString::to_string).collect::<Vec<_>>().join("; ")
}

impl Schema {
    /// Compiles a schema.
    ///
    /// # Errors
    /// It is too large, or not a schema that can be used here.
    pub fn compile(schema: &Value) -> Result<Self, SchemaError> {
        let bytes = schema.to_string().len();
        if bytes > MAX_SCHEMA_BYTES {
            return Err(SchemaError::TooLarge { bytes });
        }
        let patterns = PatternOptions::regex().size_limit(PATTERN_BYTES).dfa_size_limit(PATTERN_BYTES);
        let options =
            jsonschema::options().with_base_uri("schema:///").with_retriever(Nowhere).with_pattern_options(patterns);
        let built = stacker::maybe_grow(STACK_LEFT, STACK_BYTES, || options.build(schema));
        match built {
            Ok(validator) => Ok(Self(Arc::new(validator))),
            Err(error) => {
                let place = error.instance_path().to_string();
                let place = if place.is_empty() { String::new() } else { format!(" (at {place})") };
                Err(SchemaError::Invalid { reason: format!("{}{place}", shortened(&error.to_string())) })
            }
        }
    }

    /// Whether the body is JSON that satisfies the schema.
    ///
    /// # Errors
    /// The first violations.
    pub fn validate(&self, body: &[u8]) -> Result<(), SchemaError> {
        let body: Value =
            serde_json::from_slice(body).map_err(|error| SchemaError::NotJson { reason: error.to_string() })?;
        let violations = stacker::maybe_grow(STACK_LEFT, STACK_BYTES, || self.violations(&body));
        if violations.is_empty() { Ok(()) } else { Err(SchemaError::Violated(violations)) }
    }

    fn violations(&self, body: &Value) -> Vec<Violation> {
        if self.0.is_valid(body) {
            return Vec::new();
        }
        let errors = self.0.iter_errors(body).take(MAX_VIOLATIONS);
        errors
            .map(|error| Violation {
                pointer: shortened(&error.instance_path().to_string()),
                reason: shortened(&error.masked().to_string()),
            })
            .collect()
    }
}

impl fmt::Debug for Schema {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Schema")
    }
}

fn shortened(text: &str) -> String {
    match text.char_indices().nth(MAX_REASON) {
        Some((end, _)) => format!("{}…", &text[..end]),
        None => text.to_owned(),
    }
}

/// References to other documents lead nowhere: no schema makes this process fetch anything.
struct Nowhere;

impl Retrieve for Nowhere {
    fn retrieve(&self, uri: &Uri<String>) -> Result<Value, Box<dyn std::error::Error + Send + Sync>> {
        let uri = shortened(uri.as_str());
        Err(format!("{uri} is another document, which is not read; put it into $defs and refer to it as #/$defs/…")
            .into())
    }
}
