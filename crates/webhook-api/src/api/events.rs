//! `/api/v1/events`: what was received or published.

mod scan;
mod search;

use std::sync::Arc;

use axum::Json;
use axum::extract::State;
use axum::response::{IntoResponse, Response};
use data_encoding::BASE64;
use serde::{Deserialize, Serialize};
use spillway_model::{Configuration, DeliveryState, Event, EventId, EventSummary, Source, SourceId};
use spillway_store::{Cursor, EventFilter};
use utoipa::{IntoParams, ToSchema};

use super::entry::find;
use super::error::{ApiError, Kind};
use super::page::PageRequest;
use super::path::PathValue;
use super::query::Parameters;
use super::timestamp::{self, Timestamp};
use crate::gateway::Gateway;
use scan::Found;
use search::Search;

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
    /// Why it was put into quarantine instead of being delivered; null when it was not, or was released.
    quarantine: Option<String>,
}

/// An event with its payload.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct EventWithPayload {
    #[serde(flatten)]
    summary: EventView,
    /// Whether retention removed headers and body, so that the event can no longer be delivered again.
    payload_removed: bool,
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
    /// What to find: an id (of an event, a delivery or an attempt), `header:NAME=VALUE`, `/json/pointer=value` in the body, or a part of the
    /// type. Headers and bodies are looked through, the newest event first: 10,000 events or 300 ms, then `next` is where to go on.
    q: Option<String>,
    /// Only those with a delivery in this state (`pending`, `queued`, `delivered`, `dead`, `cancelled`), in the order of the deliveries: the
    /// latest due or ended first. Or `quarantined`.
    status: Option<String>,
    /// Only those of this source, by id or name.
    source: Option<String>,
    /// Only those received at or after this time (RFC 3339, or milliseconds since the Unix epoch).
    from: Option<String>,
    /// Only those received before this time (RFC 3339, or milliseconds since the Unix epoch).
    to: Option<String>,
    /// With `true` only those in quarantine.
    quarantined: Option<bool>,
    /// Most entries to answer with, 1 to 200; 50 when absent.
    #[param(minimum = 1, maximum = 200)]
    limit: Option<u64>,
    /// The field `next` of the page before, unchanged.
    cursor: Option<String>,
    /// Fields of the entries to answer with, separated by commas; all when absent.
    fields: Option<String>,
}

/// A page of events, and how much was looked through for it.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct EventList<T> {
    /// The entries, each with the fields that were asked for.
    data: Vec<T>,
    /// Pass it as `cursor` to go on; null at the end.
    next: Option<String>,
    /// Events or deliveries that were looked at; left out when there was nothing to look through.
    #[serde(skip_serializing_if = "Option::is_none")]
    scanned: Option<u64>,
    /// False when time or number ran out before the page was full: there may be more that match, and `next` finds them.
    #[serde(skip_serializing_if = "Option::is_none")]
    complete: Option<bool>,
}

/// List events, the newest first, or find some.
#[utoipa::path(get, path = "/api/v1/events", tag = "events", operation_id = "list_events", params(EventQuery),
    responses((status = 200, description = "A page of events", body = EventList<EventView>)))]
pub(crate) async fn list(
    State(gateway): State<Arc<Gateway>>,
    Parameters(query): Parameters<EventQuery>,
) -> Result<Response, ApiError> {
    let page = PageRequest::new::<EventView>(query.limit, query.cursor.as_deref(), query.fields.as_deref())?;
    let configuration = gateway.routing.load().configuration.clone();
    let source = query.source.as_deref().map(|wanted| source_id(&configuration, wanted)).transpose()?;
    let before_time = query.to.as_deref().map(|text| first_of("to", text)).transpose()?;
    let before_place = page.cursor.map(|cursor| EventId::from_u128(cursor.id));
    let search = query.q.as_deref().map(Search::parse).transpose()?;
    let status = query.status.as_deref().map(Status::parse).transpose()?;
    let before_place = before_place.filter(|_| !matches!(status, Some(Status::Delivery(_))));
    let filter = EventFilter {
        quarantined: status == Some(Status::Quarantined) || query.quarantined == Some(true),
        source,
        before: [before_time, before_place].into_iter().flatten().min(),
        from: query.from.as_deref().map(|text| first_of("from", text)).transpose()?,
        limit: page.limit,
    };
    let found = find_events(&gateway, filter, search, status, page.cursor).await?;
    let data = found.rows.into_iter().map(|summary| page.selected(&view(summary, &configuration))).collect();
    let next = found.next.map(|cursor| cursor.to_string());
    let looked = (found.scanned > 0).then_some(found.scanned);
    Ok(Json(EventList { data, next, scanned: looked, complete: looked.map(|_| found.is_complete) }).into_response())
}

/// What `status` can be.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Status {
    Delivery(DeliveryState),
    Quarantined,
}

impl Status {
    fn parse(text: &str) -> Result<Self, ApiError> {
        let state = serde_json::from_value(text.into()).ok().map(Self::Delivery);
        let status = state.or_else(|| (text == "quarantined").then_some(Self::Quarantined));
        status.ok_or_else(|| ApiError::Query {
            reason: "status is pending, queued, delivered, dead, cancelled or quarantined".to_owned(),
        })
    }
}

async fn find_events(
    gateway: &Gateway,
    filter: EventFilter,
    search: Option<Search>,
    status: Option<Status>,
    cursor: Option<Cursor>,
) -> Result<Found, ApiError> {
    let store = gateway.store.as_ref();
    let page = |rows, next| Found { rows, next, scanned: 0, is_complete: true };
    match (search, status) {
        (Some(Search::Id(id)), _) => {
            let event = store.event(id).await?.map(|event| summary_of(&event));
            let is_wanted = |event: &EventSummary| filter.source.is_none_or(|source| source == event.source);
            Ok(page(event.into_iter().filter(is_wanted).collect(), None))
        }
        (search, Some(Status::Delivery(state))) => {
            let _turn = gateway.searches.acquire().await;
            Ok(scan::deliveries(store, state, cursor, &filter, search.as_ref()).await?)
        }
        (Some(search), None | Some(Status::Quarantined)) => {
            let _turn = gateway.searches.acquire().await;
            Ok(scan::events(store, filter, search).await?)
        }
        (None, None | Some(Status::Quarantined)) => {
            let rows = store.events(filter).await?;
            Ok(page(rows.rows, rows.next))
        }
    }
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

pub(crate) fn view(summary: EventSummary, configuration: &Configuration) -> EventView {
    let source = configuration.sources.iter().find(|source| source.id == summary.source);
    EventView {
        id: summary.id,
        source: summary.source,
        source_name: source.map(|source| source.name.to_string()),
        r#type: summary.event_type.map(String::from),
        received_at: Timestamp(summary.id.timestamp()),
        body_bytes: summary.body_bytes,
        quarantine: summary.quarantine.map(String::from),
    }
}

fn with_payload(event: &Event, configuration: &Configuration) -> EventWithPayload {
    let payload_removed = event.payload_is_removed();
    let (body, body_base64) = if payload_removed { (None, None) } else { text_or_base64(&event.body) };
    let summary = view(summary_of(event), configuration);
    EventWithPayload { summary, payload_removed, headers: headers_of(event), body, body_base64 }
}

/// The event without its payload.
pub(crate) fn summary_of(event: &Event) -> EventSummary {
    EventSummary {
        id: event.id,
        source: event.source,
        event_type: event.event_type.clone(),
        body_bytes: event.body.len() as u64,
        quarantine: event.quarantine.clone(),
    }
}

/// The event's headers, in their order.
pub(super) fn headers_of(event: &Event) -> Vec<HeaderView> {
    let view = |(name, value): (&str, &[u8])| {
        let (value, value_base64) = text_or_base64(value);
        HeaderView { name: name.to_owned(), value, value_base64 }
    };
    event.headers.iter().map(view).collect()
}

/// Bytes as text where they are UTF-8, else in base64.
pub(super) fn text_or_base64(bytes: &[u8]) -> (Option<String>, Option<String>) {
    match std::str::from_utf8(bytes) {
        Ok(text) => (Some(text.to_owned()), None),
        Err(_) => (None, Some(BASE64.encode(bytes))),
    }
}
