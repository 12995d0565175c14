//! Why a program cannot be used, or failed for an event.

use crate::limits::{
    MAX_BODY_NESTING, MAX_INTEGER_BITS, MAX_NESTING, MAX_OUTPUT_BYTES, MAX_PATH_PARTS, MAX_PROGRAM_BYTES,
    MAX_PROGRAM_DEPTH,
};

/// A place in the text of a program, counted from one.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Place {
    /// The line.
    pub line: usize,
    /// The character in the line.
    pub column: usize,
}

impl std::fmt::Display for Place {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "line {}, column {}", self.line, self.column)
    }
}

/// Why a program cannot be used, or failed for an event. Its text is a sentence for the person who wrote the program.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ProgramError {
    /// There is nothing in it.
    #[error("the program is empty")]
    Empty,
    /// Its text is over the limit.
    #[error("the program has {bytes} bytes; it may have {MAX_PROGRAM_BYTES}")]
    TooLong {
        /// Length of the text.
        bytes: usize,
    },
    /// It cannot be read.
    #[error("the program cannot be read at {place}: {reason}")]
    Syntax {
        /// Where.
        place: Place,
        /// What is wrong there.
        reason: String,
    },
    /// It uses what does not exist.
    #[error("the program uses {what} at {place}, which does not exist")]
    Undefined {
        /// Where.
        place: Place,
        /// A filter, variable, label or module, with its name.
        what: String,
    },
    /// Its terms are nested too deep.
    #[error("the program is nested deeper than {MAX_PROGRAM_DEPTH} levels; name its parts with def")]
    TooNested,
    /// The body is not JSON, and the program reads it.
    #[error("the program reads the body, and the body is not JSON: {reason}")]
    BodyNotJson {
        /// What the body is instead.
        reason: String,
    },
    /// The program ended itself, or did what cannot be done with such a value.
    #[error("the program failed: {reason}")]
    Failed {
        /// What it says.
        reason: String,
    },
    /// It did not end within its steps.
    #[error("the program did not end within {steps} steps; does it loop?")]
    Steps {
        /// The limit for this body.
        steps: u64,
    },
    /// It allocated too much.
    #[error("the program needs more than {} MiB of memory", bytes >> 20)]
    Memory {
        /// The limit for this body.
        bytes: u64,
    },
    /// It called itself too deep.
    #[error("the program calls itself too deep")]
    Recursion,
    /// It built a value that is nested too deep.
    #[error("the program nests arrays and objects deeper than {MAX_NESTING} levels")]
    Nesting,
    /// A path became too long.
    #[error("the program makes a path of more than {MAX_PATH_PARTS} parts")]
    Path,
    /// A number became too large.
    #[error("the program calculates an integer of more than {MAX_INTEGER_BITS} bits")]
    Integer,
    /// The output is too large.
    #[error("the program makes more than {MAX_OUTPUT_BYTES} bytes of JSON")]
    OutputTooLarge,
    /// A transform has no output.
    #[error("the program has no output; a transform has exactly one")]
    NoOutput,
    /// A transform has several outputs.
    #[error("the program has more than one output; a transform has exactly one. Put them into an array: [ … ]")]
    SeveralOutputs,
    /// An output has no form in JSON.
    #[error("the output of the program is not JSON: it contains {what}")]
    OutputNotJson {
        /// What cannot be written.
        what: &'static str,
    },
    /// The interpreter broke.
    #[error("the program cannot be run: the interpreter failed")]
    Interpreter,
}

impl ProgramError {
    /// Where in its text, if that is where the fault is.
    #[must_use]
    pub const fn place(&self) -> Option<Place> {
        match self {
            Self::Syntax { place, .. } | Self::Undefined { place, .. } => Some(*place),
            _ => None,
        }
    }

    pub(crate) fn body_too_nested() -> String {
        format!("it is nested deeper than {MAX_BODY_NESTING} levels")
    }
}
