//! `spillway sources`.

use clap::{Args, Subcommand};
use http::Method;
use serde_json::{Value, json};
use spillway_model::{Rate, Secret};
use spillway_signature::Provider;

use super::Client;
use super::arguments::{Body, OrNone, bytes, json_object, one_secret, secret, secrets};
use super::error::ClientError;
use super::list::ListOptions;
use super::resource::Resource;
use super::table::Column;

const SOURCES: Resource = Resource {
    path: "sources",
    word: "source",
    columns: &[
        Column::id("ID", "id"),
        Column::text("NAME", "name"),
        Column::text("PROVIDER", "provider"),
        Column::enabled("STATE", "enabled"),
        Column::count("SECRETS", "secrets"),
        Column::time("CREATED", "created_at"),
    ],
    details: &[
        Column::id("Id", "id"),
        Column::text("Name", "name"),
        Column::text("Provider", "provider"),
        Column::enabled("State", "enabled"),
        Column::text("Secrets", "secrets"),
        Column::text("Scheme", "scheme"),
        Column::text("Rate limit", "rate_limit"),
        Column::text("Largest body", "max_body_bytes"),
        Column::count("Event types", "event_types"),
        Column::text("Validation", "validation"),
        Column::text("Retention", "retention"),
        Column::time("Created", "created_at"),
    ],
    empty: "No sources yet. Make one: spillway sources create github --provider github --secret env:GITHUB_WEBHOOK_SECRET",
};

const CREATE_EXAMPLES: &str = "\
Examples:
  spillway sources create github --provider github --secret env:GITHUB_SECRET
  spillway sources create own --provider hmac --scheme @scheme.json --secret -

A secret is stored as it is given. env:NAME and file:PATH are read by the gateway, not here, and need a key with scope admin; \
with - the secret is read from standard input, so that it does not show in the list of processes.";

#[derive(Debug, Subcommand)]
pub(crate) enum SourcesCommand {
    /// Lists sources, the oldest first
    List(ListOptions),
    /// Shows a source; the texts of its secrets are never shown
    Get {
        /// Id or name
        source: String,
    },
    /// Makes a source; its webhooks go to /in/NAME
    #[command(after_help = CREATE_EXAMPLES)]
    Create(CreateSource),
    /// Changes a source; what is not given stays
    #[command(after_help = "Example:\n  spillway sources update github --rate-limit 100/s --max-body-bytes none")]
    Update(UpdateSource),
    /// Deletes a source and its connections; its events stay
    Delete {
        /// Id or name
        source: String,
    },
    /// Adds and removes secrets: add the new one, change the sender, remove the old one
    #[command(subcommand)]
    Secrets(SecretsCommand),
}

#[derive(Debug, Subcommand)]
pub(crate) enum SecretsCommand {
    /// Adds a secret; it becomes the first
    Add {
        /// Id or name of the source
        source: String,
        /// The secret: its text, env:NAME or file:PATH as the gateway reads them, or - for standard input
        #[arg(long, value_parser = secret)]
        secret: Secret,
    },
    /// Removes a secret
    Remove {
        /// Id or name of the source
        source: String,
        /// Its position among the secrets of the source, counted from one
        position: u32,
    },
}

#[derive(Debug, Args)]
pub(crate) struct CreateSource {
    /// The last part of the intake path, unique
    name: String,
    /// The signature scheme, such as github, stripe, standard-webhooks, hmac or none
    #[arg(long)]
    provider: Provider,
    #[command(flatten)]
    settings: SourceOptions,
}

#[derive(Debug, Args)]
pub(crate) struct UpdateSource {
    /// Id or name
    source: String,
    /// Another name
    #[arg(long)]
    name: Option<String>,
    /// Another signature scheme
    #[arg(long)]
    provider: Option<Provider>,
    #[command(flatten)]
    settings: SourceOptions,
}

#[derive(Debug, Args)]
pub(crate) struct SourceOptions {
    /// Secret of the sender: its text, env:NAME or file:PATH as the gateway reads them, or - for standard input; give it again
    /// for several
    #[arg(long = "secret", value_name = "SECRET", value_parser = secret)]
    secrets: Vec<Secret>,
    /// Options of the scheme as a JSON object, @FILE or - for standard input; a change merges them
    #[arg(long, value_name = "JSON")]
    scheme: Option<String>,
    /// Requests that are admitted, such as 100/s, or none
    #[arg(long, value_name = "RATE")]
    rate_limit: Option<OrNone<Rate>>,
    /// Largest body in bytes, or none for the server's limit
    #[arg(long, value_name = "BYTES")]
    max_body_bytes: Option<OrNone<u64>>,
    /// Kinds of events that come from here, as a JSON array of {"name": …, "schema": …} in a file, - for standard input, or none
    #[arg(long, value_name = "FILE")]
    event_types: Option<String>,
    /// What becomes of events that are none of these kinds, or do not satisfy the schema of theirs
    #[arg(long, value_parser = ["off", "reject", "quarantine"])]
    validation: Option<String>,
    /// How long events are kept with all they have, such as 90d, or none for the server's setting
    #[arg(long, value_name = "TIME")]
    keep_events: Option<OrNone<String>>,
    /// How long headers and bodies are kept, such as 30d, or none
    #[arg(long, value_name = "TIME")]
    keep_payloads: Option<OrNone<String>>,
    /// How long attempts are kept, such as 30d, or none
    #[arg(long, value_name = "TIME")]
    keep_attempts: Option<OrNone<String>>,
    /// Whether it takes webhooks
    #[arg(long, value_name = "true|false")]
    enabled: Option<bool>,
}

impl SourceOptions {
    fn body(self) -> Result<Body, ClientError> {
        let mut body = Body::default();
        body.set_list("secrets", &secrets(&self.secrets)?)
            .set("scheme", self.scheme.map(|scheme| json_object("--scheme", &scheme)).transpose()?)
            .set("rate_limit", self.rate_limit)
            .set("max_body_bytes", self.max_body_bytes)
            .set("event_types", self.event_types.as_deref().map(event_types).transpose()?)
            .set("validation", self.validation)
            .set("enabled", self.enabled);
        let mut retention = Body::default();
        retention
            .set("events", self.keep_events)
            .set("payloads", self.keep_payloads)
            .set("attempts", self.keep_attempts);
        body.set_object("retention", retention);
        Ok(body)
    }
}

/// The JSON array in a file; an empty one for `none`.
fn event_types(file: &str) -> Result<Value, ClientError> {
    if file == "none" {
        return Ok(json!([]));
    }
    let argument = if file == "-" { file.to_owned() } else { format!("@{}", file.trim_start_matches('@')) };
    match serde_json::from_slice(&bytes(&argument)?) {
        Ok(types @ Value::Array(_)) => Ok(types),
        Ok(_) => Err(ClientError::Usage(
            "--event-types must be a JSON array, such as [{\"name\": \"invoice.paid\"}]".to_owned(),
        )),
        Err(error) => Err(ClientError::Usage(format!("{file} is not JSON: {error}"))),
    }
}

pub(crate) async fn run(command: SourcesCommand, client: &mut Client) -> Result<(), ClientError> {
    match command {
        SourcesCommand::List(options) => client.list(&SOURCES, &options).await,
        SourcesCommand::Get { source } => client.get(&SOURCES, &source).await,
        SourcesCommand::Create(new) => {
            let mut body = new.settings.body()?;
            body.set("name", Some(new.name)).set("provider", Some(new.provider));
            client.create(&SOURCES, &body.into_value()).await
        }
        SourcesCommand::Update(change) => {
            let mut body = change.settings.body()?;
            body.set("name", change.name).set("provider", change.provider);
            client.update(&SOURCES, &change.source, &body.into_patch()?).await
        }
        SourcesCommand::Delete { source } => client.delete(&SOURCES, &source).await,
        SourcesCommand::Secrets(SecretsCommand::Add { source, secret }) => {
            let body = json!({ "secret": one_secret(&secret)? });
            client.change(&SOURCES, Method::POST, &[&source, "secrets"], Some(&body)).await
        }
        SourcesCommand::Secrets(SecretsCommand::Remove { source, position }) => {
            client.change(&SOURCES, Method::DELETE, &[&source, "secrets", &position.to_string()], None).await
        }
    }
}
