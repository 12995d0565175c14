//! What is wrong with a text, and at which character.

use std::error::Error;
use std::fmt;

/// Longest part of a refused text that is kept and shown, in characters.
const SHOWN: usize = 80;

/// A text that breaks its grammar: what is wrong, and where.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SyntaxError<P> {
    problem: P,
    character: usize,
    text: String,
}

impl<P> SyntaxError<P> {
    /// `offset` counts bytes of `text`.
    pub(crate) fn new(problem: P, text: &str, offset: usize) -> Self {
        let character = text.char_indices().take_while(|(start, _)| *start < offset).count() + 1;
        Self { problem, character, text: excerpt(text) }
    }

    /// The same problem in the text that holds the refused one from byte `offset` on.
    pub(crate) fn inside<Q: From<P>>(self, text: &str, offset: usize) -> SyntaxError<Q> {
        let before = SyntaxError::new((), text, offset).character - 1;
        SyntaxError { problem: self.problem.into(), character: before + self.character, text: excerpt(text) }
    }

    /// What is wrong.
    #[must_use]
    pub fn problem(&self) -> &P {
        &self.problem
    }

    /// The first character that does not fit, counted from 1; one past the end where something is missing.
    #[must_use]
    pub fn character(&self) -> usize {
        self.character
    }
}

impl<P: fmt::Display> fmt::Display for SyntaxError<P> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} (at character {} of `{}`)", self.problem, self.character, self.text)
    }
}

impl<P: Error> Error for SyntaxError<P> {}

/// As much of a refused text as a message shows.
pub(crate) fn excerpt(text: &str) -> String {
    match text.char_indices().nth(SHOWN) {
        Some((end, _)) => format!("{}…", &text[..end]),
        None => text.to_owned(),
    }
}
