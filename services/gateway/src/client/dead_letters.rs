//! `spillway dead-letters`.

use clap::Args;
use serde::Deserialize;
use serde_json::value::RawValue;

use super::Client;
use super::error::ClientError;
use super::output::ListOutput;
use super::table::Column;

pub(crate) const EXAMPLES: &str = "\
Examples:
  spillway dead-letters
  spillway deliveries list --state dead --destination billing
  spillway replays create --state dead --destination billing";

const COLUMNS: [Column; 6] = [
    Column::text("DESTINATION", "destination_name"),
    Column::state("REASON", "class"),
    Column::number("STATUS", "status"),
    Column::number("DELIVERIES", "deliveries"),
    Column::time("FIRST", "oldest"),
    Column::time("LAST", "newest"),
];

#[derive(Debug, Args)]
pub(crate) struct DeadLettersArguments {}

#[derive(Deserialize)]
struct Groups {
    data: Vec<Box<RawValue>>,
    complete: bool,
}

pub(crate) async fn run(client: &mut Client) -> Result<(), ClientError> {
    let answer = client.api.get(&["dead-letters"]).await?;
    let groups: Groups = serde_json::from_str(answer.get())
        .map_err(|error| ClientError::Usage(format!("the gateway's answer cannot be read: {error}")))?;
    let mut list = ListOutput::default();
    client.output.page(&COLUMNS, &groups.data, |_| {}, &mut list)?;
    client.output.end(&list, "No dead letters.")?;
    if !groups.complete {
        client.output.hint("There are more: only the newest 10000 are counted.");
    }
    Ok(())
}
