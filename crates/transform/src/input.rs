//! What programs read of an event.

use std::sync::OnceLock;

use bytes::Bytes;
use jiff::Timestamp;
use spillway_model::{Event, EventId, HeaderBlock};

use crate::value::{Value, read};

/// An event as programs see it. Body and headers are read when the first program wants them, once for all programs.
#[derive(Debug)]
pub struct Input {
    body: Bytes,
    headers: HeaderBlock,
    source: Bytes,
    event_type: Option<Bytes>,
    id: EventId,
    read_body: OnceLock<Value>,
    read_headers: OnceLock<Value>,
}

/// What a program can read beside the body.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Variable {
    Headers,
    Source,
    Type,
    Id,
    ReceivedAt,
}

impl Variable {
    pub(crate) const ALL: [Self; 5] = [Self::Headers, Self::Source, Self::Type, Self::Id, Self::ReceivedAt];

    pub(crate) const fn name(self) -> &'static str {
        match self {
            Self::Headers => "$headers",
            Self::Source => "$source",
            Self::Type => "$type",
            Self::Id => "$id",
            Self::ReceivedAt => "$received_at",
        }
    }
}

impl Input {
    /// The event, which came from the source of this name.
    #[must_use]
    pub fn new(event: &Event, source_name: &str) -> Self {
        Self {
            body: event.body.clone(),
            headers: event.headers.clone(),
            source: Bytes::copy_from_slice(source_name.as_bytes()),
            event_type: event.event_type.as_deref().map(|name| Bytes::copy_from_slice(name.as_bytes())),
            id: event.id,
            read_body: OnceLock::new(),
            read_headers: OnceLock::new(),
        }
    }

    /// Size of the body in bytes.
    #[must_use]
    pub fn body_bytes(&self) -> usize {
        self.body.len()
    }

    /// The body as a value; one that says why it cannot be read, when it is not JSON.
    pub(crate) fn body(&self) -> Value {
        let read = || read::json(&self.body).unwrap_or_else(|reason| Value::Unread(reason.into()));
        self.read_body.get_or_init(read).clone()
    }

    pub(crate) fn variable(&self, variable: Variable) -> Value {
        match variable {
            Variable::Headers => self.read_headers.get_or_init(|| headers(&self.headers)).clone(),
            Variable::Source => Value::Str(self.source.clone()),
            Variable::Type => self.event_type.clone().map_or(Value::Null, Value::Str),
            Variable::Id => Value::Str(self.id.to_string().into()),
            Variable::ReceivedAt => received_at(self.id),
        }
    }
}

/// The headers by their names in lower case; several of one name are one text, separated by commas.
fn headers(block: &HeaderBlock) -> Value {
    let mut texts: Vec<(String, String)> = Vec::new();
    for (name, value) in block.iter() {
        let (name, value) = (name.to_ascii_lowercase(), String::from_utf8_lossy(value));
        match texts.iter_mut().find(|(known, _)| *known == name) {
            Some((_, text)) => {
                text.push_str(", ");
                text.push_str(&value);
            }
            None => texts.push((name, value.into_owned())),
        }
    }
    Value::object(texts.into_iter().map(|(name, text)| (name.into(), Value::Str(text.into()))).collect())
}

fn received_at(id: EventId) -> Value {
    let time = Timestamp::from_millisecond(id.timestamp());
    time.map_or(Value::Null, |time| Value::Str(format!("{time:.3}").into()))
}
