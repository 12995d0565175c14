//! The gateway over real connections, on the embedded store.

mod bad_input;
mod budgets;
mod client;
mod concurrency;
mod configuration;
mod description;
mod documents;
mod event_types;
mod feed;
mod health;
mod intake;
mod keys;
mod lists;
mod performance;
mod programs;
mod publishing;
mod replays;
mod retention;
mod search;
mod secrets;
mod shares;
mod store_double;
mod streams;
mod support;
mod transport;
