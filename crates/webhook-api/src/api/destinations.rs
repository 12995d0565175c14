//! `/api/v1/destinations`: where deliveries go.

pub(super) mod budget;
mod input;
pub(super) mod rotation;
pub(super) mod routes;
pub(super) mod state;
pub(super) mod view;
