//! `spillway events`.

use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use clap::{Args, Subcommand};
use http::Method;
use serde::Serialize;
use serde_json::Value;
use serde_json::value::RawValue;

use super::Client;
use super::arguments::{Milliseconds, bytes};
use super::error::ClientError;
use super::json::indented;
use super::list::ListOptions;
use super::output::parse;
use super::resource::Resource;
use super::table::{Column, printable};

const EVENTS: Resource = Resource {
    path: "events",
    word: "event",
    columns: &[
        Column::id("ID", "id"),
        Column::text("SOURCE", "source_name"),
        Column::text("TYPE", "type"),
        Column::number("BYTES", "body_bytes"),
        Column::time("RECEIVED", "received_at"),
    ],
    details: &[
        Column::id("Id", "id"),
        Column::text("Source", "source_name"),
        Column::text("Type", "type"),
        Column::time("Received", "received_at"),
        Column::number("Bytes", "body_bytes"),
        Column::text("Quarantine", "quarantine"),
    ],
    empty: "No events. Send one: spillway send SOURCE --secret-env NAME",
};

const RESENT: [Column; 4] = [
    Column::number("Due again", "retried"),
    Column::number("On their way", "skipped"),
    Column::text("New", "added"),
    Column::id("Replay", "replay"),
];

const ACKNOWLEDGEMENT: [Column; 2] = [Column::id("Id", "id"), Column::text("Duplicate", "duplicate")];

#[derive(Debug, Subcommand)]
pub(crate) enum EventsCommand {
    /// Lists events, the newest first
    #[command(
        after_help = "Examples:\n  spillway events list --source github --from 1h\n  spillway events list --from 2026-01-31T00:00:00Z --to 12h --all\n  spillway events list --find /order/id=42\n  spillway events list --find header:x-github-event=push --status dead"
    )]
    List(ListEvents),
    /// Shows an event with its headers and body
    Get {
        /// Id
        event: String,
        /// Print the body only, byte by byte
        #[arg(long)]
        body: bool,
    },
    /// Sends an event again, to all its destinations
    Replay {
        /// Id
        event: String,
    },
    /// Releases an event from quarantine
    Release {
        /// Id
        event: String,
    },
    /// Publishes an event of your own; it goes out as a Standard Webhook
    #[command(
        after_help = "Examples:\n  spillway events publish shop --type invoice.paid --data '{\"id\":42}'\n  spillway events publish shop --type invoice.paid --data @invoice.json"
    )]
    Publish(PublishEvent),
}

#[derive(Debug, Args)]
pub(crate) struct ListEvents {
    /// Find: an id, header:NAME=VALUE, /json/pointer=value in the body, or a part of the type
    #[arg(long, value_name = "TEXT")]
    find: Option<String>,
    /// Only those with a delivery in this state, the latest due or ended first; or those in quarantine
    #[arg(long, value_parser = ["pending", "queued", "delivered", "dead", "cancelled", "quarantined"])]
    status: Option<String>,
    /// Only those of this source, by id or name
    #[arg(long)]
    source: Option<String>,
    /// Only those received at or after this time: RFC 3339, or how long ago, such as 2h
    #[arg(long, value_name = "TIME")]
    from: Option<String>,
    /// Only those received before this time: RFC 3339, or how long ago, such as 5m
    #[arg(long, value_name = "TIME")]
    to: Option<String>,
    /// Only those in quarantine, which are delivered to nobody
    #[arg(long)]
    quarantined: bool,
    #[command(flatten)]
    options: ListOptions,
}

#[derive(Debug, Args)]
pub(crate) struct PublishEvent {
    /// Id or name of the source whose connections the event takes
    source: String,
    /// What kind of event it is, such as invoice.paid
    #[arg(long)]
    r#type: String,
    /// The payload as JSON, @FILE, or - for standard input
    #[arg(long, value_name = "JSON")]
    data: String,
    /// Events of one source with the same key are one event
    #[arg(long, value_name = "KEY")]
    idempotency_key: Option<String>,
}

#[derive(Serialize)]
struct Publication<'a> {
    source: &'a str,
    r#type: &'a str,
    data: &'a RawValue,
    #[serde(skip_serializing_if = "Option::is_none")]
    idempotency_key: Option<&'a str>,
}

pub(crate) async fn run(command: EventsCommand, client: &mut Client) -> Result<(), ClientError> {
    match command {
        EventsCommand::List(list) => {
            let now = client.output.now();
            let mut query = Vec::new();
            query.extend(list.find.map(|text| ("q", text)));
            query.extend(list.status.map(|status| ("status", status)));
            query.extend(list.source.map(|source| ("source", source)));
            query.extend(list.from.map(|time| ("from", moment(time, now))));
            query.extend(list.to.map(|time| ("to", moment(time, now))));
            query.extend(list.quarantined.then(|| ("quarantined", "true".to_owned())));
            client.list_at(&EVENTS, &[EVENTS.path], query, &list.options, |_| {}).await
        }
        EventsCommand::Get { event, body } => {
            let event = client.api.get(&[EVENTS.path, &event]).await?;
            if body { print_body(&event, client) } else { print(&event, client) }
        }
        EventsCommand::Replay { event } => resend(client, &event, "replay").await,
        EventsCommand::Release { event } => resend(client, &event, "release").await,
        EventsCommand::Publish(new) => publish(&new, client).await,
    }
}

async fn resend(client: &mut Client, event: &str, how: &str) -> Result<(), ClientError> {
    let answer = client.api.change(Method::POST, &[EVENTS.path, event, how], None).await?;
    client.output.entry(&RESENT, &answer)
}

/// The time as the API reads it: what is a duration is so long before `now`.
pub(super) fn moment(text: String, now: spillway_model::UnixMillis) -> String {
    match text.parse::<Milliseconds>() {
        Ok(ago) => now.saturating_sub(i64::try_from(ago.duration().as_millis()).unwrap_or(i64::MAX)).to_string(),
        Err(_) => text,
    }
}

async fn publish(new: &PublishEvent, client: &mut Client) -> Result<(), ClientError> {
    let not_json = |reason: String| ClientError::Usage(format!("--data is not JSON: {reason}"));
    let data = String::from_utf8(bytes(&new.data)?).map_err(|error| not_json(error.to_string()))?;
    let data: &RawValue = serde_json::from_str(&data).map_err(|error| not_json(error.to_string()))?;
    let publication =
        Publication { source: &new.source, r#type: &new.r#type, data, idempotency_key: new.idempotency_key.as_deref() };
    let body = serde_json::to_vec(&publication).map_err(|error| not_json(error.to_string()))?;
    let acknowledgement = client.api.change(Method::POST, &[EVENTS.path], Some(body)).await?;
    client.output.entry(&ACKNOWLEDGEMENT, &acknowledgement)
}

fn print(event: &RawValue, client: &Client) -> Result<(), ClientError> {
    client.output.entry(EVENTS.details, event)?;
    if client.output.is_json() {
        return Ok(());
    }
    let value = parse(event);
    let headers = value["headers"].as_array().into_iter().flatten();
    let headers = headers.map(|header| {
        let value = header["value"].as_str().or_else(|| header["value_base64"].as_str()).unwrap_or_default();
        format!("{}: {}", printable(header["name"].as_str().unwrap_or_default()), printable(value))
    });
    let body = match value["body"].as_str() {
        None if value["payload_removed"] == true => "(headers and body were removed by retention)".to_owned(),
        None => format!("({} bytes that are not text: print them with --body)", value["body_bytes"]),
        Some(text) if serde_json::from_str::<&RawValue>(text).is_ok() => indented(text, 0),
        Some(text) => text.to_owned(),
    };
    let body: Vec<String> = body.lines().map(printable).collect();
    client.output.line(&format!("\n{}\n\n{}", headers.collect::<Vec<_>>().join("\n"), body.join("\n")))
}

fn print_body(event: &RawValue, client: &Client) -> Result<(), ClientError> {
    match parse(event) {
        Value::Object(event) => {
            let text = event.get("body").and_then(Value::as_str).map(|text| text.as_bytes().to_vec());
            let encoded = event.get("body_base64").and_then(Value::as_str);
            let body = text.or_else(|| BASE64_STANDARD.decode(encoded?).ok()).unwrap_or_default();
            client.output.bytes(&body)
        }
        _ => Ok(()),
    }
}
