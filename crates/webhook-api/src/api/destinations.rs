//! `/api/v1/destinations`: where deliveries go.

mod input;
pub(super) mod rotation;
pub(super) mod routes;
pub(super) mod state;
pub(super) mod view;
