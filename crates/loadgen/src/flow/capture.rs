//! Values of an answer that later requests use.

use http::HeaderName;
use regex::Regex;
use serde_json::Value;

use super::answer::{Answer, pointer};
use super::spec::CaptureSpec;

/// A capture and the place that its value has in a user's state.
#[derive(Debug)]
pub(super) struct Capture {
    pub(super) name: String,
    pub(super) place: usize,
    source: Source,
}

#[derive(Debug)]
enum Source {
    Json(String),
    Header(HeaderName),
    Regex(Box<Regex>),
}

impl Capture {
    pub(super) fn compile(name: &str, place: usize, spec: &CaptureSpec) -> Result<Self, String> {
        let source = match spec {
            CaptureSpec::Json(text) => Source::Json(pointer(text)?),
            CaptureSpec::Header(header) => {
                let header = HeaderName::try_from(header).map_err(|_| format!("{header:?} is no name of a header"))?;
                Source::Header(header)
            }
            CaptureSpec::Regex(pattern) => {
                Source::Regex(Box::new(Regex::new(pattern).map_err(|error| error.to_string())?))
            }
        };
        Ok(Self { name: name.to_owned(), place, source })
    }

    /// Whether it looks at the body.
    pub(super) fn needs_body(&self) -> bool {
        !matches!(self.source, Source::Header(_))
    }

    /// The value, if the answer has it.
    pub(super) fn find(&self, answer: &Answer<'_>) -> Option<Box<str>> {
        match &self.source {
            Source::Json(pointer) => match answer.json(pointer)? {
                Value::Null => None,
                Value::String(text) => Some(text.as_str().into()),
                other => Some(other.to_string().into()),
            },
            Source::Header(name) => answer.header(name).map(Box::from),
            Source::Regex(pattern) => {
                let text = answer.text();
                let found = pattern.captures(&text)?;
                found.get(1).or_else(|| found.get(0)).map(|found| found.as_str().into())
            }
        }
    }
}
