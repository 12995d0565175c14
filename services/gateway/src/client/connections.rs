//! `spillway connections`.

mod test;

use std::collections::HashMap;

use clap::{Args, Subcommand};
use serde_json::Value;

use super::Client;
use super::arguments::{Body, bytes};
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
        Column::text("FILTER", "filter"),
        Column::time("CREATED", "created_at"),
    ],
    details: &[
        Column::id("Id", "id"),
        Column::id("Source", "source"),
        Column::id("Destination", "destination"),
        Column::enabled("State", "enabled"),
        Column::text("Filter", "filter"),
        Column::text("Transform", "transform"),
        Column::text("Order by", "order_by"),
        Column::time("Created", "created_at"),
    ],
    empty: "No connections yet. Make one: spillway connections create github billing",
};

const CREATE_EXAMPLES: &str = "\
Examples:
  spillway connections create github billing
  spillway connections create shop billing --filter '.type == \"invoice.paid\"' --order-by .customer.id
  spillway connections create shop crm --transform @transform.jq

Programs are jq. Beside the body (.) they have $headers, $source, $type, $id and $received_at. Try one first: spillway connections test";

/// The jq programs of a connection.
#[derive(Debug, Args)]
pub(crate) struct Programs {
    /// jq program that says which events go: its text, @FILE, - for standard input, or none for all
    #[arg(long, value_name = "PROGRAM")]
    filter: Option<String>,
    /// The same, from a file
    #[arg(long, value_name = "FILE", conflicts_with = "filter")]
    filter_file: Option<String>,
    /// jq program that makes the body that is delivered: its text, @FILE, - for standard input, or none
    #[arg(long, value_name = "PROGRAM")]
    transform: Option<String>,
    /// The same, from a file
    #[arg(long, value_name = "FILE", conflicts_with = "transform")]
    transform_file: Option<String>,
    /// jq program that names what must stay in order, such as .customer.id: its text, @FILE, - for standard input, or none
    #[arg(long, value_name = "PROGRAM")]
    order_by: Option<String>,
    /// The same, from a file
    #[arg(long, value_name = "FILE", conflicts_with = "order_by")]
    order_by_file: Option<String>,
}

impl Programs {
    fn body(self) -> Result<Body, ClientError> {
        let mut body = Body::default();
        body.set("filter", program("--filter", self.filter, self.filter_file)?)
            .set("transform", program("--transform", self.transform, self.transform_file)?)
            .set("order_by", program("--order-by", self.order_by, self.order_by_file)?);
        Ok(body)
    }
}

/// What to send for a program: its text, or null to remove it.
fn program(option: &str, text: Option<String>, file: Option<String>) -> Result<Option<Value>, ClientError> {
    let Some(given) = text.or_else(|| file.map(|file| format!("@{file}"))) else { return Ok(None) };
    if given == "none" {
        return Ok(Some(Value::Null));
    }
    let text = String::from_utf8(bytes(&given)?);
    let text = text.map_err(|_| ClientError::Usage(format!("the program of {option} is not UTF-8")))?;
    Ok(Some(Value::from(text.trim_end())))
}

#[derive(Debug, Subcommand)]
pub(crate) enum ConnectionsCommand {
    /// Lists connections, the oldest first
    List(ListOptions),
    /// Shows a connection
    Get {
        /// Id
        connection: String,
    },
    /// Connects a source to a destination: the source's events go there, or those that a filter lets through
    #[command(after_help = CREATE_EXAMPLES)]
    Create {
        /// Id or name of the source
        source: String,
        /// Id or name of the destination
        destination: String,
        /// Make it without deliveries for now
        #[arg(long)]
        disabled: bool,
        #[command(flatten)]
        programs: Programs,
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
        #[command(flatten)]
        programs: Programs,
    },
    /// Tries a filter, a transform and an order on an event; nothing is stored or delivered
    #[command(after_help = test::EXAMPLES)]
    Test(test::TestConnection),
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
        ConnectionsCommand::Create { source, destination, disabled, programs } => {
            let mut body = programs.body()?;
            body.set("source", Some(source)).set("destination", Some(destination)).set("enabled", Some(!disabled));
            client.create(&CONNECTIONS, &body.into_value()).await
        }
        ConnectionsCommand::Test(test) => test::run(test, client).await,
        ConnectionsCommand::Update { connection, source, destination, enabled, programs } => {
            let mut body = programs.body()?;
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
