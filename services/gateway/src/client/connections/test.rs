//! `spillway connections test`.

use clap::Args;
use http::Method;
use serde::Serialize;
use serde_json::value::RawValue;
use serde_json::{Value, json};

use super::{CONNECTIONS, Programs};
use crate::client::Client;
use crate::client::arguments::bytes;
use crate::client::error::ClientError;
use crate::client::output::parse;
use crate::client::table::{Column, printable};

pub(super) const EXAMPLES: &str = "\
Examples:
  spillway connections test --filter '.type == \"invoice.paid\"' --event evt_01k9zv5w3hf6p8r2t4x6y8a0b2
  spillway connections test --transform @transform.jq --body @invoice.json --type invoice.paid --header x-shop=eu-1";

const TRIED: [Column; 4] = [
    Column::text("Matches", "matches"),
    Column::text("Order", "order"),
    Column::text("Took", "took"),
    Column::text("Failed", "failed"),
];

#[derive(Debug, Args)]
pub(crate) struct TestConnection {
    #[command(flatten)]
    programs: Programs,
    /// Id of a stored event
    #[arg(long, value_name = "ID", required_unless_present = "body")]
    event: Option<String>,
    /// A body to try it on in place of a stored event: its text, @FILE, or - for standard input
    #[arg(long, value_name = "BODY", conflicts_with = "event")]
    body: Option<String>,
    /// A header of that event; give it again for several
    #[arg(long = "header", value_name = "NAME=VALUE", conflicts_with = "event")]
    headers: Vec<String>,
    /// The sender's name for the kind of that event
    #[arg(long, value_name = "TYPE", conflicts_with = "event")]
    r#type: Option<String>,
    /// The name of the source of that event
    #[arg(long, value_name = "NAME", conflicts_with = "event")]
    source: Option<String>,
}

#[derive(Serialize)]
struct Trial<'a> {
    #[serde(flatten)]
    programs: Value,
    #[serde(skip_serializing_if = "Option::is_none")]
    event: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    body_text: Option<String>,
    headers: Value,
    #[serde(skip_serializing_if = "Option::is_none")]
    r#type: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    source: Option<&'a str>,
}

pub(super) async fn run(test: TestConnection, client: &mut Client) -> Result<(), ClientError> {
    let trial = Trial {
        programs: test.programs.body()?.into_value(),
        event: test.event.as_deref(),
        body_text: test.body.as_deref().map(body_text).transpose()?,
        headers: headers(&test.headers)?,
        r#type: test.r#type.as_deref(),
        source: test.source.as_deref(),
    };
    let body = serde_json::to_vec(&trial).map_err(|error| ClientError::Usage(error.to_string()))?;
    let tried = client.api.change(Method::POST, &[CONNECTIONS.path, "test"], Some(body)).await?;
    print(&tried, client)
}

fn body_text(argument: &str) -> Result<String, ClientError> {
    String::from_utf8(bytes(argument)?).map_err(|_| ClientError::Usage("the body is not UTF-8".to_owned()))
}

fn headers(given: &[String]) -> Result<Value, ClientError> {
    let mut headers = serde_json::Map::new();
    for header in given {
        let Some((name, value)) = header.split_once('=') else {
            return Err(ClientError::Usage(format!("--header {header} is not NAME=VALUE")));
        };
        headers.insert(name.to_owned(), json!(value));
    }
    Ok(Value::Object(headers))
}

/// The verdict as a table, and below it the body that would be delivered.
fn print(tried: &RawValue, client: &Client) -> Result<(), ClientError> {
    if client.output.is_json() {
        return client.output.entry(&[], tried);
    }
    let tried = parse(tried);
    let fault = |fault: &Value| {
        format!("{}: {}", fault["program"].as_str().unwrap_or_default(), fault["message"].as_str().unwrap_or_default())
    };
    let failed: Vec<String> = tried["errors"].as_array().into_iter().flatten().map(fault).collect();
    let matches = match &tried["matches"] {
        Value::Bool(true) => "yes",
        Value::Bool(false) => "no: it would not be delivered",
        _ => "unknown: the filter failed",
    };
    let shown = json!({
        "matches": matches,
        "order": tried["order"],
        "took": format!("{} µs", tried["micros"]),
        "failed": failed,
    });
    let shown = serde_json::value::to_raw_value(&shown).map_err(|error| ClientError::Usage(error.to_string()))?;
    client.output.entry(&TRIED, &shown)?;
    match tried["body"].as_str() {
        Some(body) => client.output.line(&format!("\n{}", printable(body))),
        None => Ok(()),
    }
}
