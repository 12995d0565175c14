//! The program as its user runs it: files in, a verdict as the exit code.

mod bad_input;
mod documents;
mod plans;
mod simulate;
mod support;
mod verify;
