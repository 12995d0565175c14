//! `/api/v1/replays`: what was received, sent again as a job.

use std::sync::Arc;

use axum::Json;
use axum::extract::State;
use axum::response::{IntoResponse, Response};
use http::{StatusCode, header};
use serde::{Deserialize, Serialize};
use spillway_model::{
    Configuration, ConnectionId, DeliveryState, Destination, DestinationId, EventId, Replay, ReplayId, ReplayState,
    Selection, Source, SourceId,
};
use spillway_store::{Counted, ReplayFilter};
use utoipa::ToSchema;

use super::body::JsonBody;
use super::entry;
use super::error::{ApiError, Kind};
use super::page::{List, PageRequest};
use super::path::PathValue;
use super::query::{ListQuery, Parameters};
use super::timestamp::{self, Timestamp};
use crate::cached::forget_dead_letters;
use crate::gateway::Gateway;

/// Deliveries that one replay may make due in a second.
const MAX_PER_SECOND: u32 = 10_000;
/// Deliveries that are counted for a new replay, at most.
const COUNTED: u64 = 100_000;
/// Replays that may run or wait for a node at once.
const MAX_RUNNING: usize = 100;

/// Which deliveries to send again. All conditions hold together, and there must be one.
#[derive(Debug, Default, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct ReplayInput {
    /// Only those of this event.
    event: Option<String>,
    /// Only those of events of this source, by id or name.
    source: Option<String>,
    /// Only those to this destination, by id or name.
    destination: Option<String>,
    /// Only those of this connection.
    connection: Option<String>,
    /// Only those in this state: `delivered`, `dead` or `cancelled`; all three when absent.
    #[schema(value_type = Option<String>)]
    state: Option<DeliveryState>,
    /// Only those of events received at or after this time (RFC 3339, or milliseconds since the Unix epoch).
    #[schema(example = "2026-01-31T12:00:00Z")]
    from: Option<String>,
    /// Only those of events received before this time, now at the latest: what comes later does not join.
    to: Option<String>,
    /// Deliveries that become due in a second, 1 to 10,000; the server's default when absent.
    #[schema(minimum = 1, maximum = 10_000)]
    per_second: Option<u32>,
    /// Only say how many deliveries it would send again.
    #[serde(default)]
    dry_run: bool,
}

/// How many deliveries match.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct ReplayCount {
    /// As many were found.
    deliveries: u64,
    /// False when there were too many to count: there are more than that.
    complete: bool,
}

/// A replay: a job that makes deliveries due again, at its rate, on whichever node is free.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct ReplayView {
    /// Identifier.
    #[schema(value_type = String, example = "rpl_01k9zv5w3hf6p8r2t4x6y8a0b2")]
    id: ReplayId,
    /// `running`, `done` or `cancelled`.
    #[schema(value_type = String, example = "running")]
    state: ReplayState,
    /// What it sends again.
    selection: SelectionView,
    /// Deliveries that become due in a second, at most.
    per_second: u32,
    /// Deliveries that matched when it was made; null when they were too many to count.
    total: Option<u64>,
    /// Deliveries made due so far.
    retried: u64,
    /// Deliveries passed over, because their event or its payload is gone, or they were on their way already.
    skipped: u64,
    /// What is done of all, 0 to 1; null while that is not known.
    progress: Option<f64>,
    /// How long the rest takes at its rate; null while that is not known and once it has ended.
    remaining_seconds: Option<u64>,
    /// When it was made.
    #[schema(value_type = String, format = DateTime)]
    created_at: Timestamp,
    /// When it last went on, or ended.
    #[schema(value_type = String, format = DateTime)]
    updated_at: Timestamp,
}

/// What a replay sends again.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct SelectionView {
    /// Only deliveries of this event.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<String>)]
    event: Option<EventId>,
    /// Only those of events of this source.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<String>)]
    source: Option<SourceId>,
    /// Only those to this destination.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<String>)]
    destination: Option<DestinationId>,
    /// Only those of this connection.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<String>)]
    connection: Option<ConnectionId>,
    /// Only those in this state.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<String>)]
    state: Option<DeliveryState>,
    /// Only those of events received at or after this time.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<String>, format = DateTime)]
    from: Option<Timestamp>,
    /// Only those of events received before this time.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<String>, format = DateTime)]
    to: Option<Timestamp>,
}

/// List replays, the newest first.
#[utoipa::path(get, path = "/api/v1/replays", tag = "replays", operation_id = "list_replays", params(ListQuery),
    responses((status = 200, description = "A page of replays", body = List<ReplayView>)))]
pub(crate) async fn list(
    State(gateway): State<Arc<Gateway>>,
    Parameters(query): Parameters<ListQuery>,
) -> Result<Response, ApiError> {
    let page = PageRequest::of::<ReplayView>(&query)?;
    let rows = gateway.store.replays(ReplayFilter { cursor: page.cursor, limit: page.limit }).await?;
    Ok(page.answer(rows, |replay| view(&replay)))
}

/// Send deliveries again: those that match become due at the replay's rate, wherever they ended. With `dry_run` they are only counted.
#[utoipa::path(post, path = "/api/v1/replays", tag = "replays", operation_id = "create_replay",
    request_body = ReplayInput,
    responses(
        (status = 201, description = "The replay, which begins within a second", body = ReplayView),
        (status = 200, description = "With dry_run: how many deliveries match", body = ReplayCount),
    ))]
pub(crate) async fn create(
    State(gateway): State<Arc<Gateway>>,
    JsonBody(input): JsonBody<ReplayInput>,
) -> Result<Response, ApiError> {
    let per_second = input.per_second.unwrap_or(gateway.api.replay_per_second);
    if !(1..=MAX_PER_SECOND).contains(&per_second) {
        let reason = format!("it is {per_second}, and must be from 1 to {MAX_PER_SECOND}");
        return Err(ApiError::invalid("per_second", reason));
    }
    let selection = selection(&gateway, &input).await?;
    if input.dry_run {
        let Counted { deliveries, is_complete } = gateway.store.count(selection, COUNTED).await?;
        return Ok(Json(ReplayCount { deliveries, complete: is_complete }).into_response());
    }
    let replay = begin(&gateway, selection, per_second).await?;
    let location = format!("/api/v1/replays/{}", replay.id);
    Ok((StatusCode::CREATED, [(header::LOCATION, location)], Json(view(&replay))).into_response())
}

/// Show how far a replay has come.
#[utoipa::path(get, path = "/api/v1/replays/{replay}", tag = "replays", operation_id = "show_replay",
    params(("replay" = String, Path, description = "Id")),
    responses((status = 200, description = "The replay", body = ReplayView)))]
pub(crate) async fn show(
    State(gateway): State<Arc<Gateway>>,
    PathValue(wanted): PathValue<String>,
) -> Result<Response, ApiError> {
    let replay = gateway.store.replay(id(&wanted)?).await?;
    let replay = replay.ok_or_else(|| ApiError::not_found(Kind::Replay, &wanted))?;
    Ok(Json(view(&replay)).into_response())
}

/// Stop a replay. Nothing more becomes due; what did stays so. Stopping it a second time changes nothing.
#[utoipa::path(post, path = "/api/v1/replays/{replay}/cancel", tag = "replays", operation_id = "cancel_replay",
    params(("replay" = String, Path, description = "Id")),
    responses((status = 200, description = "The replay", body = ReplayView)))]
pub(crate) async fn cancel(
    State(gateway): State<Arc<Gateway>>,
    PathValue(wanted): PathValue<String>,
) -> Result<Response, ApiError> {
    let replay = gateway.store.cancel_replay(id(&wanted)?, gateway.clock.now()).await?;
    let replay = replay.ok_or_else(|| ApiError::not_found(Kind::Replay, &wanted))?;
    if replay.state == ReplayState::Done {
        let reason = "The replay is done: everything that it selected is due or delivered already.".to_owned();
        return Err(ApiError::Conflict { code: "replay_done", reason });
    }
    Ok(Json(view(&replay)).into_response())
}

/// Stores a replay, with the number of deliveries where they can be counted in time.
pub(super) async fn begin(gateway: &Gateway, selection: Selection, per_second: u32) -> Result<Replay, ApiError> {
    let newest = gateway.store.replays(ReplayFilter { cursor: None, limit: MAX_RUNNING }).await?.rows;
    if newest.iter().filter(|replay| replay.state == ReplayState::Running).count() >= MAX_RUNNING {
        let reason = format!("{MAX_RUNNING} replays are running. Wait until one is done, or cancel one.");
        return Err(ApiError::Conflict { code: "too_many_replays", reason });
    }
    let counted = gateway.store.count(selection, COUNTED).await?;
    let now = gateway.clock.now();
    let replay = Replay {
        id: gateway.ids.replay(),
        selection,
        per_second,
        state: ReplayState::Running,
        total: counted.is_complete.then_some(counted.deliveries),
        retried: 0,
        skipped: 0,
        cursor: None,
        created_at: now,
        updated_at: now,
    };
    gateway.store.create_replay(replay.clone()).await?;
    forget_dead_letters(gateway).await;
    Ok(replay)
}

fn id(wanted: &str) -> Result<ReplayId, ApiError> {
    wanted.parse().map_err(|_| ApiError::not_found(Kind::Replay, wanted))
}

async fn selection(gateway: &Gateway, input: &ReplayInput) -> Result<Selection, ApiError> {
    let configuration = gateway.routing.load().configuration.clone();
    let now = gateway.clock.now();
    let from = input.from.as_deref().map(|text| time("from", text)).transpose()?;
    let until = input.to.as_deref().map(|text| time("to", text)).transpose()?;
    if let (Some(from), Some(until)) = (from, until)
        && from >= until
    {
        return Err(ApiError::invalid("to", "it must be after from"));
    }
    if from.is_some_and(|from| from >= now) {
        return Err(ApiError::invalid("from", "it is in the future, and nothing was received there"));
    }
    if matches!(input.state, Some(DeliveryState::Pending | DeliveryState::Queued)) {
        let reason = "such deliveries are on their way already; it must be delivered, dead or cancelled";
        return Err(ApiError::invalid("state", reason));
    }
    let selection = Selection {
        event: input.event.as_deref().map(|text| reference(Kind::Event, text)).transpose()?,
        source: input.source.as_deref().map(|text| source(&configuration, text)).transpose()?,
        destination: input.destination.as_deref().map(|text| destination(&configuration, text)).transpose()?,
        connection: input.connection.as_deref().map(|text| reference(Kind::Connection, text)).transpose()?,
        state: input.state,
        from,
        to: until,
    };
    if selection == Selection::default() {
        let reason = "no condition is given, so everything would be sent again; if that is meant, say from when on";
        return Err(ApiError::invalid("from", reason));
    }
    if let Some(event) = selection.event
        && gateway.store.event(event).await?.is_none()
    {
        return Err(ApiError::reference(Kind::Event, input.event.as_deref().unwrap_or_default()));
    }
    // An event of this very millisecond has not been answered before this request came.
    Ok(Selection { to: Some(until.map_or(now + 1, |until| until.min(now + 1))), ..selection })
}

fn time(field: &'static str, text: &str) -> Result<i64, ApiError> {
    let reason = "it is not a time such as 2026-01-31T12:00:00Z, or milliseconds since the Unix epoch";
    timestamp::parse(text).ok_or_else(|| ApiError::invalid(field, reason))
}

fn reference<T: std::str::FromStr>(kind: Kind, text: &str) -> Result<T, ApiError> {
    text.parse().map_err(|_| ApiError::reference(kind, text))
}

/// A source that exists, or that is named by an id: its events outlive it.
fn source(configuration: &Configuration, wanted: &str) -> Result<SourceId, ApiError> {
    let named = || entry::find::<Source>(configuration, wanted).map(|source| source.id);
    wanted.parse().or_else(|_| named().map_err(|_| ApiError::reference(Kind::Source, wanted)))
}

/// A destination that exists, or that is named by an id: its deliveries outlive it.
fn destination(configuration: &Configuration, wanted: &str) -> Result<DestinationId, ApiError> {
    let named = || entry::find::<Destination>(configuration, wanted).map(|destination| destination.id);
    wanted.parse().or_else(|_| named().map_err(|_| ApiError::reference(Kind::Destination, wanted)))
}

fn view(replay: &Replay) -> ReplayView {
    let done = replay.retried + replay.skipped;
    // Deliveries may have come to match since they were counted.
    let rest = replay.total.map(|total| total.saturating_sub(done));
    let is_running = replay.state == ReplayState::Running;
    let progress = match (replay.state, replay.total) {
        (ReplayState::Done, _) => Some(1.0),
        (_, Some(0)) => Some(0.0),
        (_, total) => total.map(|total| (done as f64 / total as f64).min(1.0)),
    };
    ReplayView {
        id: replay.id,
        state: replay.state,
        selection: selection_view(&replay.selection),
        per_second: replay.per_second,
        total: replay.total,
        retried: replay.retried,
        skipped: replay.skipped,
        progress,
        remaining_seconds: rest.filter(|_| is_running).map(|rest| rest.div_ceil(u64::from(replay.per_second.max(1)))),
        created_at: Timestamp(replay.created_at),
        updated_at: Timestamp(replay.updated_at),
    }
}

fn selection_view(selection: &Selection) -> SelectionView {
    SelectionView {
        event: selection.event,
        source: selection.source,
        destination: selection.destination,
        connection: selection.connection,
        state: selection.state,
        from: selection.from.map(Timestamp),
        to: selection.to.map(Timestamp),
    }
}
