//! An answer as checks and captures see it.

use std::borrow::Cow;
use std::cell::OnceCell;
use std::time::Duration;

use http::{HeaderMap, HeaderName};
use serde_json::Value;

/// What came of a request; the body is parsed when somebody first asks for JSON.
pub(super) struct Answer<'a> {
    pub(super) status: u16,
    pub(super) headers: &'a HeaderMap,
    pub(super) body: &'a [u8],
    /// Sending, waiting and receiving.
    pub(super) duration: Duration,
    json: OnceCell<Option<Value>>,
}

impl<'a> Answer<'a> {
    pub(super) fn new(status: u16, headers: &'a HeaderMap, body: &'a [u8], duration: Duration) -> Self {
        Self { status, headers, body, duration, json: OnceCell::new() }
    }

    /// The value at a JSON pointer; `None` when the body is no JSON or has none there.
    pub(super) fn json(&self, pointer: &str) -> Option<&Value> {
        let document = self.json.get_or_init(|| serde_json::from_slice(self.body).ok());
        document.as_ref()?.pointer(pointer)
    }

    /// The first header of that name, if it is text.
    pub(super) fn header(&self, name: &HeaderName) -> Option<&str> {
        self.headers.get(name)?.to_str().ok()
    }

    /// The body as text.
    pub(super) fn text(&self) -> Cow<'_, str> {
        String::from_utf8_lossy(self.body)
    }
}

/// A pointer as RFC 6901 writes it, or what is wrong with it.
pub(super) fn pointer(text: &str) -> Result<String, String> {
    if text.is_empty() || text.starts_with('/') {
        return Ok(text.to_owned());
    }
    Err(format!("{text:?} is no JSON pointer: it begins with a slash, as in \"/data/id\""))
}
