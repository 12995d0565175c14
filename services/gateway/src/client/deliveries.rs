//! `spillway deliveries`.

use clap::{Args, Subcommand};
use http::Method;

use super::Client;
use super::error::ClientError;
use super::list::ListOptions;
use super::resource::Resource;
use super::table::Column;

const DELIVERIES: Resource = Resource {
    path: "deliveries",
    word: "delivery",
    columns: &[
        Column::id("ID", "id"),
        Column::text("DESTINATION", "destination_name"),
        Column::state("STATE", "state"),
        Column::number("TRIES", "attempts"),
        Column::time("DUE", "due_at"),
        Column::time("ENDED", "ended_at"),
    ],
    details: &[
        Column::id("Id", "id"),
        Column::id("Event", "event"),
        Column::text("Destination", "destination_name"),
        Column::id("Destination id", "destination"),
        Column::id("Connection", "connection"),
        Column::state("State", "state"),
        Column::number("Attempts", "attempts"),
        Column::time("Due", "due_at"),
        Column::time("Ended", "ended_at"),
        Column::time("Created", "created_at"),
    ],
    empty: "No deliveries.",
};

const ATTEMPTS: Resource = Resource {
    path: "attempts",
    word: "attempt",
    columns: &[
        Column::number("#", "number"),
        Column::state("RESULT", "class"),
        Column::number("STATUS", "status"),
        Column::milliseconds("DURATION", "duration_ms"),
        Column::time("STARTED", "started_at"),
        Column::text("ERROR", "error"),
    ],
    details: &[],
    empty: "No attempt has been made yet.",
};

#[derive(Debug, Subcommand)]
pub(crate) enum DeliveriesCommand {
    /// Lists deliveries: by destination or state the latest first, else the newest first
    #[command(
        after_help = "Examples:\n  spillway deliveries list --state dead --destination billing\n  spillway deliveries list --event evt_01k9zv5w3hf6p8r2t4x6y8a0b2"
    )]
    List(ListDeliveries),
    /// Shows a delivery
    Get {
        /// Id
        delivery: String,
    },
    /// Lists what was tried for a delivery, the first attempt first
    Attempts {
        /// Id of the delivery
        delivery: String,
        #[command(flatten)]
        options: ListOptions,
    },
    /// Tries a delivery again now, whatever its state but queued
    Retry {
        /// Id
        delivery: String,
    },
}

#[derive(Debug, Args)]
pub(crate) struct ListDeliveries {
    /// Only those to this destination, by id or name
    #[arg(long)]
    destination: Option<String>,
    /// Only those in this state
    #[arg(long, value_parser = ["pending", "delivered", "dead", "cancelled", "queued"])]
    state: Option<String>,
    /// Only those of this event
    #[arg(long, value_name = "ID")]
    event: Option<String>,
    #[command(flatten)]
    options: ListOptions,
}

pub(crate) async fn run(command: DeliveriesCommand, client: &mut Client) -> Result<(), ClientError> {
    match command {
        DeliveriesCommand::List(list) => {
            let mut query = Vec::new();
            query.extend(list.destination.map(|destination| ("destination", destination)));
            query.extend(list.state.map(|state| ("state", state)));
            query.extend(list.event.map(|event| ("event", event)));
            client.list_at(&DELIVERIES, &[DELIVERIES.path], query, &list.options, |_| {}).await
        }
        DeliveriesCommand::Get { delivery } => client.get(&DELIVERIES, &delivery).await,
        DeliveriesCommand::Attempts { delivery, options } => {
            let path = [DELIVERIES.path, &delivery, ATTEMPTS.path];
            client.list_at(&ATTEMPTS, &path, Vec::new(), &options, |_| {}).await
        }
        DeliveriesCommand::Retry { delivery } => {
            client.change(&DELIVERIES, Method::POST, &[&delivery, "retry"], None).await
        }
    }
}
