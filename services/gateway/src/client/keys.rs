//! `spillway keys`.

use clap::{Args, Subcommand};
use spillway_model::Rate;

use super::Client;
use super::arguments::Body;
use super::error::ClientError;
use super::list::ListOptions;
use super::resource::Resource;
use super::table::Column;

const KEYS: Resource = Resource {
    path: "keys",
    word: "key",
    columns: &[
        Column::id("ID", "id"),
        Column::text("NAME", "name"),
        Column::text("SCOPE", "scope"),
        Column::text("RATE", "rate_limit"),
        Column::time("CREATED", "created_at"),
    ],
    details: &[
        Column::id("Id", "id"),
        Column::text("Name", "name"),
        Column::text("Scope", "scope"),
        Column::text("Rate limit", "rate_limit"),
        Column::time("Created", "created_at"),
        Column::id("Key (shown once)", "key"),
    ],
    empty: "No keys.",
};

#[derive(Debug, Subcommand)]
pub(crate) enum KeysCommand {
    /// Lists keys, the oldest first
    List(ListOptions),
    /// Shows a key, without its text
    Get {
        /// Id or name
        key: String,
    },
    /// Shows the key that this command uses: what it is called, and what it may do
    Own,
    /// Makes a key and prints its text, which is not shown again
    #[command(
        after_help = "Examples:\n  spillway keys create ci --scope write\n  spillway keys create dashboard --scope read --rate-limit 5/s"
    )]
    Create(CreateKey),
    /// Deletes a key: requests with it are refused from now on
    Delete {
        /// Id or name
        key: String,
    },
}

#[derive(Debug, Args)]
pub(crate) struct CreateKey {
    /// What to call it, unique
    name: String,
    /// What it may do; each scope includes those before it
    #[arg(long, value_parser = ["read", "write", "admin"])]
    scope: String,
    /// Requests allowed with it, such as 100/s [default: the server's]
    #[arg(long, value_name = "RATE")]
    rate_limit: Option<Rate>,
}

pub(crate) async fn run(command: KeysCommand, client: &mut Client) -> Result<(), ClientError> {
    match command {
        KeysCommand::List(options) => client.list(&KEYS, &options).await,
        KeysCommand::Get { key } => client.get(&KEYS, &key).await,
        KeysCommand::Own => {
            let key = client.api.get(&["key"]).await?;
            client.output.entry(KEYS.details, &key)
        }
        KeysCommand::Create(new) => {
            let mut body = Body::default();
            body.set("name", Some(new.name)).set("scope", Some(new.scope)).set("rate_limit", new.rate_limit);
            client.create(&KEYS, &body.into_value()).await
        }
        KeysCommand::Delete { key } => client.delete(&KEYS, &key).await,
    }
}
