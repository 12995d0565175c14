//! The program as its user runs it: files in, requests out, a verdict as the exit code.

mod bad_input;
mod distributed;
mod documents;
mod flood;
mod run;
mod support;
