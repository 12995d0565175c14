//! The gateway over real connections, on the embedded store.

mod bad_input;
mod concurrency;
mod configuration;
mod description;
mod health;
mod intake;
mod keys;
mod lists;
mod publishing;
mod secrets;
mod shares;
mod store_double;
mod support;
mod transport;
