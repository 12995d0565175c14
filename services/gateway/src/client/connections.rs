//! `spillway connections`.

use std::collections::HashMap;

use clap::Subcommand;
use serde_json::{Value, json};

use super::Client;
use super::arguments::Body;
use super::error::ClientError;
use super::list::ListOptions;
use super::resource::Resource;
use super::table::Column;

const CONNECTIONS: Resource = Resource {
    path: "connections",
    word: "connection",
    columns: &[
        Column::id("ID", "id"),
        Column::text("SOURCE", "source"),
        Column::text("DESTINATION", "destination"),
        Column::enabled("STATE", "enabled"),
        Column::time("CREATED", "created_at"),
    ],
    details: &[
        Column::id("Id", "id"),
        Column::id("Source", "source"),
        Column::id("Destination", "destination"),
        Column::enabled("State", "enabled"),
        Column::time("Created", "created_at"),
    ],
    empty: "No connections yet. Make one: spillway connections create github billing",
};

#[derive(Debug, Subcommand)]
pub(crate) enum ConnectionsCommand {
    /// Lists connections, the oldest first
    List(ListOptions),
    /// Shows a connection
    Get {
        /// Id
        connection: String,
    },
    /// Connects a source to a destination: every event of the source goes there
    #[command(after_help = "Example:\n  spillway connections create github billing")]
    Create {
        /// Id or name of the source
        source: String,
        /// Id or name of the destination
        destination: String,
        /// Make it without deliveries for now
        #[arg(long)]
        disabled: bool,
    },
    /// Changes a connection; what is not given stays
    Update {
        /// Id
        connection: String,
        /// Id or name of another source
        #[arg(long)]
        source: Option<String>,
        /// Id or name of another destination
        #[arg(long)]
        destination: Option<String>,
        /// Whether it makes deliveries
        #[arg(long, value_name = "true|false")]
        enabled: Option<bool>,
    },
    /// Deletes a connection; its deliveries stay
    Delete {
        /// Id
        connection: String,
    },
}

pub(crate) async fn run(command: ConnectionsCommand, client: &mut Client) -> Result<(), ClientError> {
    match command {
        ConnectionsCommand::List(options) => list(&options, client).await,
        ConnectionsCommand::Get { connection } => client.get(&CONNECTIONS, &connection).await,
        ConnectionsCommand::Create { source, destination, disabled } => {
            let body = json!({ "source": source, "destination": destination, "enabled": !disabled });
            client.create(&CONNECTIONS, &body).await
        }
        ConnectionsCommand::Update { connection, source, destination, enabled } => {
            let mut body = Body::default();
            body.set("source", source).set("destination", destination).set("enabled", enabled);
            client.update(&CONNECTIONS, &connection, &body.into_patch()?).await
        }
        ConnectionsCommand::Delete { connection } => client.delete(&CONNECTIONS, &connection).await,
    }
}

/// A table shows the names of both ends, which the API knows by id.
async fn list(options: &ListOptions, client: &mut Client) -> Result<(), ClientError> {
    let mut names = HashMap::new();
    if !client.output.is_json() {
        for path in ["sources", "destinations"] {
            names.extend(client.api.all(&[path]).await?.iter().filter_map(id_and_name));
        }
    }
    let with_names = |connection: &mut Value| {
        for end in ["source", "destination"] {
            if let Some(name) = connection[end].as_str().and_then(|id| names.get(id)) {
                connection[end] = Value::from(name.as_str());
            }
        }
    };
    client.list_at(&CONNECTIONS, &[CONNECTIONS.path], Vec::new(), options, with_names).await
}

/// The id and the name of a source or destination.
pub(crate) fn id_and_name(entry: &Value) -> Option<(String, String)> {
    Some((entry["id"].as_str()?.to_owned(), entry["name"].as_str()?.to_owned()))
}
