//! `POST /api/v1/connections/test`: programs tried on an event.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Instant;

use axum::Json;
use axum::extract::State;
use bytes::Bytes;
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;
use spillway_model::{Event, EventId, HeaderBlock, Source, SourceId};
use spillway_transform::{Input, Program, ProgramError};
use utoipa::ToSchema;

use crate::api::body::JsonBody;
use crate::api::error::{ApiError, Kind};
use crate::gateway::Gateway;

/// Programs, and an event to try them on: a stored one, or one that is made up. Nothing is stored.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct Trial {
    /// A jq program, as a connection has it.
    filter: Option<String>,
    /// A jq program, as a connection has it.
    transform: Option<String>,
    /// A jq program, as a connection has it.
    order_by: Option<String>,
    /// The id of a stored event. In place of it: `body` or `body_text`.
    event: Option<String>,
    /// A body of JSON.
    #[schema(value_type = Option<Object>)]
    body: Option<Box<RawValue>>,
    /// A body as text.
    body_text: Option<String>,
    /// Headers of a made-up event.
    #[serde(default)]
    headers: BTreeMap<String, String>,
    /// The sender's name for the kind of a made-up event.
    r#type: Option<String>,
    /// The name of the source of a made-up event; `test` when absent.
    source: Option<String>,
}

/// What the programs made of the event.
#[derive(Debug, Default, Serialize, ToSchema)]
pub(crate) struct Tried {
    /// Whether the filter lets the event through; true without a filter, null when it failed.
    matches: Option<bool>,
    /// The body that would be delivered, as JSON text; null when the filter does not let it through or the transform failed. Without a
    /// transform it is the body as it is, where that is UTF-8.
    body: Option<String>,
    /// What the delivery stays in order with, as compact JSON; null for no order.
    order: Option<String>,
    /// What failed. Empty when nothing did.
    errors: Vec<ProgramFault>,
    /// Microseconds that the programs took together, without compiling them.
    micros: u64,
}

/// A program that cannot be used, or that failed for the event.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct ProgramFault {
    /// Which one: `filter`, `transform` or `order_by`.
    program: &'static str,
    /// Why, as a sentence.
    message: String,
    /// Where in its text, when it cannot be compiled.
    #[serde(skip_serializing_if = "Option::is_none")]
    line: Option<usize>,
    /// The character in the line.
    #[serde(skip_serializing_if = "Option::is_none")]
    column: Option<usize>,
}

/// Try a filter, a transform and an order on an event, stored or made up. Nothing is stored or delivered.
#[utoipa::path(post, path = "/api/v1/connections/test", tag = "configuration", operation_id = "test_connection",
    request_body = Trial, responses((status = 200, description = "What they made of it", body = Tried)))]
pub(crate) async fn test(
    State(gateway): State<Arc<Gateway>>,
    JsonBody(trial): JsonBody<Trial>,
) -> Result<Json<Tried>, ApiError> {
    let (event, source) = event(&gateway, &trial).await?;
    let tried = tokio::task::spawn_blocking(move || trial.run(&event, &source)).await;
    tried.map(Json).map_err(|_| ApiError::invalid("filter, transform or order_by", "running it failed"))
}

/// The event that the trial names or makes up, and the name of its source.
async fn event(gateway: &Gateway, trial: &Trial) -> Result<(Event, String), ApiError> {
    let made_up = || trial.source.clone().unwrap_or_else(|| "test".to_owned());
    match (&trial.event, &trial.body, &trial.body_text) {
        (Some(wanted), None, None) => {
            let unknown = || ApiError::reference(Kind::Event, wanted);
            let id: EventId = wanted.parse().map_err(|_| unknown())?;
            let event = gateway.store.event(id).await?.ok_or_else(unknown)?;
            let configuration = gateway.routing.load().configuration.clone();
            let is_source = |source: &&Source| source.id == event.source;
            let name = configuration.sources.iter().find(is_source).map(|source| source.name.to_string());
            Ok((event, name.unwrap_or_else(made_up)))
        }
        (None, Some(body), None) => Ok((made_up_event(gateway, trial, body.get()), made_up())),
        (None, None, Some(text)) => Ok((made_up_event(gateway, trial, text), made_up())),
        _ => {
            let reason =
                "exactly one of them says what to try the programs on; give the id of a stored event, or a body";
            Err(ApiError::invalid("event, body and body_text", reason))
        }
    }
}

fn made_up_event(gateway: &Gateway, trial: &Trial, body: &str) -> Event {
    let headers = trial.headers.iter().map(|(name, value)| (name.as_str(), value.as_bytes()));
    Event {
        id: EventId::first_of(gateway.clock.now()),
        source: SourceId::from_u128(0),
        event_type: trial.r#type.as_deref().map(Box::from),
        headers: HeaderBlock::encode(headers),
        body: Bytes::copy_from_slice(body.as_bytes()),
        trace: None,
        quarantine: None,
    }
}

impl Trial {
    fn run(&self, event: &Event, source: &str) -> Tried {
        let mut tried = Tried::default();
        let filter = tried.compiled("filter", self.filter.as_deref());
        let transform = tried.compiled("transform", self.transform.as_deref());
        let order_by = tried.compiled("order_by", self.order_by.as_deref());
        let input = Input::new(event, source);
        let begun = Instant::now();
        tried.matches = match (&self.filter, filter) {
            (None, _) => Some(true),
            (Some(_), filter) => filter.and_then(|filter| tried.outcome("filter", filter.matches(&input))),
        };
        if tried.matches == Some(true) {
            let output = transform.and_then(|transform| tried.outcome("transform", transform.transform(&input)));
            let body = if self.transform.is_none() { Some(event.body.clone()) } else { output };
            tried.order = order_by.and_then(|order_by| tried.outcome("order_by", order_by.key(&input))).flatten();
            tried.body = body.and_then(|body| String::from_utf8(body.into()).ok());
        }
        tried.micros = u64::try_from(begun.elapsed().as_micros()).unwrap_or(u64::MAX);
        tried
    }
}

impl Tried {
    fn compiled(&mut self, program: &'static str, text: Option<&str>) -> Option<Program> {
        self.outcome(program, Program::compile(text?))
    }

    fn outcome<T>(&mut self, program: &'static str, outcome: Result<T, ProgramError>) -> Option<T> {
        match outcome {
            Ok(value) => Some(value),
            Err(error) => {
                let place = error.place();
                let (line, column) = (place.map(|place| place.line), place.map(|place| place.column));
                self.errors.push(ProgramFault { program, message: error.to_string(), line, column });
                None
            }
        }
    }
}
