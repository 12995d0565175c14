//! `/api/v1/events`: what was received or published.

use std::sync::Arc;

use axum::Json;
use axum::extract::State;
use axum::response::{IntoResponse, Response};
use data_encoding::BASE64;
use serde::{Deserialize, Serialize};
use spillway_model::{Configuration, Event, EventId, EventSummary, Source, SourceId};
use spillway_store::EventFilter;
use utoipa::{IntoParams, ToSchema};

use super::entry::find;
use super::error::{ApiError, Kind};
use super::page::{List, PageRequest};
use super::path::PathValue;
use super::query::Parameters;
use super::timestamp::{self, Timestamp};
use crate::gateway::Gateway;

/// An event without its payload.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct EventView {
    /// Identifier.
    #[schema(value_type = String, example = "evt_01k9zv5w3hf6p8r2t4x6y8a0b2")]
    id: EventId,
    /// The source's id.
    #[schema(value_type = String)]
    source: SourceId,
    /// The source's name; null when the source was deleted.
    source_name: Option<String>,
    /// The sender's name for this kind of event; null when its scheme has none.
    r#type: Option<String>,
    /// When it was received.
    #[schema(value_type = String, format = DateTime)]
    received_at: Timestamp,
    /// Size of the body.
    body_bytes: u64,
}

/// An event with its payload.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct EventWithPayload {
    #[serde(flatten)]
    summary: EventView,
    /// The headers of the request, in their order.
    headers: Vec<HeaderView>,
    /// The body, if it is UTF-8.
    #[serde(skip_serializing_if = "Option::is_none")]
    body: Option<String>,
    /// The body in base64, if it is not UTF-8.
    #[serde(skip_serializing_if = "Option::is_none")]
    body_base64: Option<String>,
}

/// A header of a stored request.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct HeaderView {
    /// Its name.
    name: String,
    /// Its value, if it is UTF-8.
    #[serde(skip_serializing_if = "Option::is_none")]
    value: Option<String>,
    /// Its value in base64, if it is not UTF-8.
    #[serde(skip_serializing_if = "Option::is_none")]
    value_base64: Option<String>,
}

/// Which events to list.
#[derive(Debug, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(crate) struct EventQuery {
    /// Only those of this source, by id or name.
    source: Option<String>,
    /// Only those received at or after this time (RFC 3339, or milliseconds since the Unix epoch).
    from: Option<String>,
    /// Only those received before this time (RFC 3339, or milliseconds since the Unix epoch).
    to: Option<String>,
    /// Most entries to answer with, 1 to 200; 50 when absent.
    #[param(minimum = 1, maximum = 200)]
    limit: Option<u64>,
    /// The field `next` of the page before, unchanged.
    cursor: Option<String>,
    /// Fields of the entries to answer with, separated by commas; all when absent.
    fields: Option<String>,
}

/// List events, the newest first.
#[utoipa::path(get, path = "/api/v1/events", tag = "events", operation_id = "list_events", params(EventQuery),
    responses((status = 200, description = "A page of events", body = List<EventView>)))]
pub(crate) async fn list(
    State(gateway): State<Arc<Gateway>>,
    Parameters(query): Parameters<EventQuery>,
) -> Result<Response, ApiError> {
    let page = PageRequest::new::<EventView>(query.limit, query.cursor.as_deref(), query.fields.as_deref())?;
    let configuration = gateway.routing.load().configuration.clone();
    let source = query.source.as_deref().map(|wanted| source_id(&configuration, wanted)).transpose()?;
    let before_time = query.to.as_deref().map(|text| first_of("to", text)).transpose()?;
    let before_place = page.cursor.map(|cursor| EventId::from_u128(cursor.id));
    let filter = EventFilter {
        source,
        before: [before_time, before_place].into_iter().flatten().min(),
        from: query.from.as_deref().map(|text| first_of("from", text)).transpose()?,
        limit: page.limit,
    };
    let rows = gateway.store.events(filter).await?;
    Ok(page.answer(rows, |summary| view(summary, &configuration)))
}

/// Show an event with its headers and body.
#[utoipa::path(get, path = "/api/v1/events/{event}", tag = "events", operation_id = "show_event",
    params(("event" = String, Path, description = "Id")),
    responses((status = 200, description = "The event", body = EventWithPayload)))]
pub(crate) async fn show(
    State(gateway): State<Arc<Gateway>>,
    PathValue(wanted): PathValue<String>,
) -> Result<Response, ApiError> {
    let unknown = || ApiError::not_found(Kind::Event, &wanted);
    let id: EventId = wanted.parse().map_err(|_| unknown())?;
    let event = gateway.store.event(id).await?.ok_or_else(unknown)?;
    let configuration = gateway.routing.load().configuration.clone();
    Ok(Json(with_payload(&event, &configuration)).into_response())
}

/// The id of a source that exists, or that is named by an id: its events outlive it.
fn source_id(configuration: &Configuration, wanted: &str) -> Result<SourceId, ApiError> {
    match wanted.parse() {
        Ok(id) => Ok(id),
        Err(_) => find::<Source>(configuration, wanted).map(|source| source.id),
    }
}

fn first_of(parameter: &str, text: &str) -> Result<EventId, ApiError> {
    let time = timestamp::parse(text).ok_or_else(|| ApiError::Query {
        reason: format!("{parameter} is not a time such as 2026-01-31T12:00:00Z, or milliseconds since the Unix epoch"),
    })?;
    Ok(EventId::first_of(time))
}

fn view(summary: EventSummary, configuration: &Configuration) -> EventView {
    let source = configuration.sources.iter().find(|source| source.id == summary.source);
    EventView {
        id: summary.id,
        source: summary.source,
        source_name: source.map(|source| source.name.to_string()),
        r#type: summary.event_type.map(String::from),
        received_at: Timestamp(summary.id.timestamp()),
        body_bytes: summary.body_bytes,
    }
}

fn with_payload(event: &Event, configuration: &Configuration) -> EventWithPayload {
    let summary = EventSummary {
        id: event.id,
        source: event.source,
        event_type: event.event_type.clone(),
        body_bytes: event.body.len() as u64,
    };
    let headers = event.headers.iter().map(|(name, value)| {
        let (value, value_base64) = text_or_base64(value);
        HeaderView { name: name.to_owned(), value, value_base64 }
    });
    let (body, body_base64) = text_or_base64(&event.body);
    EventWithPayload { summary: view(summary, configuration), headers: headers.collect(), body, body_base64 }
}

/// Bytes as text where they are UTF-8, else in base64.
pub(super) fn text_or_base64(bytes: &[u8]) -> (Option<String>, Option<String>) {
    match std::str::from_utf8(bytes) {
        Ok(text) => (Some(text.to_owned()), None),
        Err(_) => (None, Some(BASE64.encode(bytes))),
    }
}
