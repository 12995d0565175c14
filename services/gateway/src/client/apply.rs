//! `spillway apply`: what a settings file declares, brought to a gateway through its API.

mod plan;

use std::path::PathBuf;

use clap::Args;
use http::Method;
use serde::Serialize;
use serde_json::value::RawValue;
use spillway_model::Secret;
use spillway_settings::{Environment, LoadArgs, Overrides, Settings};

use super::Client;
use super::error::ClientError;
use super::output::parse;
use plan::{Action, Plan, Server, Step};

pub(crate) const EXAMPLES: &str = "\
Examples:
  spillway apply -f spillway.toml --dry-run
  spillway apply -f spillway.toml --url https://hooks.example --api-key file:key

Secrets as env:NAME and file:PATH stay references, which the gateway reads; they need a key with scope admin. Secrets as text \
are written each time, because the API never shows them and so they cannot be compared.";

#[derive(Debug, Args)]
pub(crate) struct ApplyArguments {
    /// The settings file
    #[arg(long, short, value_name = "FILE")]
    file: PathBuf,
    /// Say what would change, and change nothing
    #[arg(long)]
    dry_run: bool,
}

/// One change as a line of JSON.
#[derive(Serialize)]
struct Change<'a> {
    action: Action,
    kind: &'a str,
    name: &'a str,
    fields: &'a [&'a str],
    dry_run: bool,
    /// The secret that was made for a new destination. It is shown here only.
    #[serde(skip_serializing_if = "Option::is_none")]
    signing_secret: Option<&'a str>,
}

pub(crate) async fn run(arguments: ApplyArguments, client: &mut Client) -> Result<(), ClientError> {
    let settings = load(arguments.file, client)?;
    let server = Server {
        sources: client.api.all(&["sources"]).await?,
        destinations: client.api.all(&["destinations"]).await?,
        connections: client.api.all(&["connections"]).await?,
    };
    let plan = Plan::new(&settings, &server)?;
    client.output.line(&verdict(&plan, arguments.dry_run))?;
    for step in &plan.steps {
        let answer = if arguments.dry_run { None } else { Some(take(step, client).await?) };
        print(step, answer.as_deref(), arguments.dry_run, client)?;
    }
    Ok(())
}

/// What the file declares, whatever it says about this machine: only the gateway needs its database and Redis.
fn load(file: PathBuf, client: &Client) -> Result<Settings, ClientError> {
    let overrides = Overrides {
        database_url: Some(Secret::new("sqlite://spillway.db")),
        redis_url: Some(Secret::new("redis://127.0.0.1")),
        ..Overrides::default()
    };
    let loaded = Settings::load(&LoadArgs { config: Some(file), environment: Environment::default(), overrides })?;
    for warning in &loaded.warnings {
        client.output.hint(&format!("warning: {}: {warning}", warning.code()));
    }
    Ok(loaded.settings)
}

fn verdict(plan: &Plan, is_dry_run: bool) -> String {
    let count = |action| plan.steps.iter().filter(|step| step.action == action).count();
    let parts = [
        (count(Action::Create), "to create"),
        (count(Action::Change), "to change"),
        (count(Action::Rewrite), "with secrets to write again"),
        (plan.n_unchanged, "as declared"),
    ];
    let parts: Vec<String> =
        parts.iter().filter(|(count, _)| *count > 0).map(|(count, what)| format!("{count} {what}")).collect();
    let prefix = if is_dry_run { "Dry run: " } else { "" };
    if parts.is_empty() { "The file declares nothing.".to_owned() } else { format!("{prefix}{}", parts.join(", ")) }
}

async fn take(step: &Step, client: &Client) -> Result<Box<RawValue>, ClientError> {
    let body = Some(step.body.to_string().into_bytes());
    match &step.id {
        Some(id) => client.api.change(Method::PUT, &[step.path, id], body).await,
        None => client.api.change(Method::POST, &[step.path], body).await,
    }
}

fn print(step: &Step, answer: Option<&RawValue>, is_dry_run: bool, client: &Client) -> Result<(), ClientError> {
    let answer = answer.map(parse).unwrap_or_default();
    let signing_secret = answer["signing_secret"].as_str();
    let Step { action, kind, name, fields, .. } = step;
    let (action, kind) = (*action, *kind);
    client.output.json_line(&Change { action, kind, name, fields, dry_run: is_dry_run, signing_secret })?;
    let verb = match (action, is_dry_run) {
        (Action::Create, false) => "created",
        (Action::Change, false) => "changed",
        (Action::Rewrite, false) => "wrote again",
        (Action::Create, true) => "would create",
        (Action::Change, true) => "would change",
        (Action::Rewrite, true) => "would write again",
    };
    let details = match (fields.is_empty(), signing_secret) {
        (_, Some(secret)) => format!(" (signing secret, shown once: {secret})"),
        (false, None) => format!(" ({})", fields.join(", ")),
        (true, None) => String::new(),
    };
    client.output.line(&format!("{verb} {kind} {name}{details}"))
}
