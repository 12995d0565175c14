//! jq programs over events.

mod check;
mod compile;
mod evaluate;
mod prelude;

use std::fmt;
use std::sync::Arc;

use bytes::Bytes;

use crate::error::ProgramError;
use crate::input::Input;
use compile::Compiled;

/// A compiled jq program. Cloning one is cheap.
///
/// The body is `.`; `$headers` (an object with names in lower case), `$source`, `$type` (null when the sender has no name for it),
/// `$id` and `$received_at` (RFC 3339) are beside it. A body that is not JSON fails only programs that read it. There are no modules, no
/// `input`, no environment and no time zone of the machine; `now` is the only thing that is not the event's.
#[derive(Clone)]
pub struct Program(Arc<Compiled>);

impl Program {
    /// Compiles the text of a program.
    ///
    /// # Errors
    /// What is wrong with the text, and where.
    pub fn compile(text: &str) -> Result<Self, ProgramError> {
        compile::compile(text).map(|compiled| Self(Arc::new(compiled)))
    }

    /// Its text.
    #[must_use]
    pub fn text(&self) -> &str {
        &self.0.text
    }

    /// Whether the first output is neither `false` nor `null`. No output is no.
    ///
    /// # Errors
    /// The program failed for this event, or did not stay within its limits.
    pub fn matches(&self, input: &Input) -> Result<bool, ProgramError> {
        evaluate::first(&self.0, input, |first| Ok(first.is_some_and(evaluate::is_true)))
    }

    /// The one output as compact JSON.
    ///
    /// # Errors
    /// The program failed for this event, did not stay within its limits, or has no output or more than one.
    pub fn transform(&self, input: &Input) -> Result<Bytes, ProgramError> {
        evaluate::only(&self.0, input)
    }

    /// The first output as compact JSON; `None` when it is `null` or there is none.
    ///
    /// # Errors
    /// The program failed for this event, or did not stay within its limits.
    pub fn key(&self, input: &Input) -> Result<Option<String>, ProgramError> {
        evaluate::first(&self.0, input, |first| Ok(first.and_then(evaluate::key)))
    }
}

impl fmt::Debug for Program {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Program").field(&self.text()).finish()
    }
}

impl PartialEq for Program {
    /// Programs of the same text are the same.
    fn eq(&self, other: &Self) -> bool {
        self.text() == other.text()
    }
}

impl Eq for Program {}
