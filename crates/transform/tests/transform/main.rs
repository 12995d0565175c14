//! Programs and schemas over events, through what other crates use of them.

mod hostile;
mod order;
mod programs;
mod properties;
mod schemas;
mod support;
