//! Live events: `/api/v1/events/stream` (server-sent events) and `/api/v1/stream` (WebSocket).

mod deliver;
mod session;
pub(crate) mod socket;
pub(crate) mod sse;
mod tail;

use spillway_model::{Configuration, EventId, SourceId};

use super::entry::find;
use super::error::ApiError;
use crate::feed::{FeedFilter, TypePattern};

/// The filter that a query names.
fn filter(
    configuration: &Configuration,
    source: Option<&str>,
    event_type: Option<&str>,
    status: Option<&str>,
) -> Result<FeedFilter, ApiError> {
    let status = status.map(|text| text.parse().map_err(|error| query(format!("{error}"))));
    Ok(FeedFilter {
        source: source.map(|wanted| source_id(configuration, wanted)).transpose()?,
        event_type: event_type.map(TypePattern::from),
        status: status.transpose()?,
    })
}

/// The id of a source that exists, or that is named by an id.
fn source_id(configuration: &Configuration, wanted: &str) -> Result<SourceId, ApiError> {
    match wanted.parse() {
        Ok(id) => Ok(id),
        Err(_) => find::<spillway_model::Source>(configuration, wanted).map(|source| source.id),
    }
}

/// An event id out of this parameter.
fn event_id(parameter: &str, text: &str) -> Result<EventId, ApiError> {
    text.parse().map_err(|_| query(format!("{parameter} is no id of an event, such as evt_01k9zv5w3hf6p8r2t4x6y8a0b2")))
}

fn query(reason: String) -> ApiError {
    ApiError::Query { reason }
}
