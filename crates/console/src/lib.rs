//! The console under `/console`: pages for people, drawn on the server.
//!
//! It is a client of the management API like the command line: every page asks the API of this process with the key of the session, so
//! that validation, scopes, rate limits and errors are the API's. A page asks a constant number of questions, whatever is stored.

mod api;
mod assets;
mod console;
mod cookies;
mod form;
mod guard;
mod live;
mod look;
mod pages;
mod read;
mod routes;
mod session;
mod visit;

pub use console::ConsoleSettings;
pub use routes::router;
pub use session::{Keyring, KeyringError};
