//! `/api/v1/destinations`: where deliveries go.

mod input;
pub(super) mod rotation;
pub(super) mod routes;
pub(super) mod state;
mod view;

use spillway_model::{Configuration, Destination, DestinationId};

use super::error::{ApiError, Kind};

/// The destination with this id or name.
pub(super) fn find<'c>(configuration: &'c Configuration, wanted: &str) -> Result<&'c Destination, ApiError> {
    let id = wanted.parse::<DestinationId>().ok();
    let mut destinations = configuration.destinations.iter();
    let found = destinations.find(|destination| Some(destination.id) == id || destination.name.as_str() == wanted);
    found.ok_or_else(|| ApiError::not_found(Kind::Destination, wanted))
}
