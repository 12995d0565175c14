//! The commands of `spillway`, run as a user runs them, against a gateway of their own.

mod applying;
mod configuration;
mod documents;
mod errors;
mod events;
mod health;
mod keys;
mod performance;
mod published;
mod reconcile;
mod replays;
mod secure;
mod sending;
mod support;
mod workers;
