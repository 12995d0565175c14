//! `spillway replays`.

use std::io::{IsTerminal as _, Write as _};
use std::time::Duration;

use clap::{Args, Subcommand};
use http::Method;
use serde_json::Value;

use super::Client;
use super::arguments::Body;
use super::error::ClientError;
use super::events::moment;
use super::list::ListOptions;
use super::output::parse;
use super::resource::Resource;
use super::table::Column;

/// How often a replay is looked at while it is watched.
const WATCH: Duration = Duration::from_millis(500);
/// Places of the progress bar.
const BAR: usize = 30;

const REPLAYS: Resource = Resource {
    path: "replays",
    word: "replay",
    columns: &[
        Column::id("ID", "id"),
        Column::state("STATE", "state"),
        Column::number("DUE AGAIN", "retried"),
        Column::number("TOTAL", "total"),
        Column::time("CREATED", "created_at"),
    ],
    details: &[
        Column::id("Id", "id"),
        Column::state("State", "state"),
        Column::text("Selection", "selection"),
        Column::number("Total", "total"),
        Column::number("Due again", "retried"),
        Column::number("Skipped", "skipped"),
        Column::number("Per second", "per_second"),
        Column::number("Seconds left", "remaining_seconds"),
        Column::time("Created", "created_at"),
        Column::time("Updated", "updated_at"),
    ],
    empty: "No replays. Make one: spillway replays create --state dead --destination NAME",
};

const COUNT: [Column; 2] = [Column::number("Deliveries", "deliveries"), Column::text("All counted", "complete")];

const CREATE_EXAMPLES: &str = "\
Examples:
  spillway replays create --state dead --destination billing --dry-run
  spillway replays create --state dead --destination billing --watch
  spillway replays create --source github --from 6h --to 2h --per-second 500";

#[derive(Debug, Subcommand)]
pub(crate) enum ReplaysCommand {
    /// Sends deliveries again: all that have ended and match every condition
    #[command(after_help = CREATE_EXAMPLES)]
    Create(CreateReplay),
    /// Lists replays, the newest first
    List(ListOptions),
    /// Shows how far a replay has come
    Show {
        /// Id
        replay: String,
    },
    /// Stops a replay; what became due stays so
    Cancel {
        /// Id
        replay: String,
    },
    /// Shows a replay's progress until it has ended
    Watch {
        /// Id
        replay: String,
    },
}

#[derive(Debug, Args)]
pub(crate) struct CreateReplay {
    /// Only deliveries of this event
    #[arg(long, value_name = "ID")]
    event: Option<String>,
    /// Only those of events of this source, by id or name
    #[arg(long)]
    source: Option<String>,
    /// Only those to this destination, by id or name
    #[arg(long)]
    destination: Option<String>,
    /// Only those of this connection
    #[arg(long, value_name = "ID")]
    connection: Option<String>,
    /// Only those in this state
    #[arg(long, value_parser = ["delivered", "dead", "cancelled"])]
    state: Option<String>,
    /// Only those of events received at or after this time: RFC 3339, or how long ago, such as 2h
    #[arg(long, value_name = "TIME")]
    from: Option<String>,
    /// Only those of events received before this time: RFC 3339, or how long ago, such as 5m
    #[arg(long, value_name = "TIME")]
    to: Option<String>,
    /// Deliveries that become due in a second
    #[arg(long, value_name = "N")]
    per_second: Option<u32>,
    /// Only say how many deliveries match
    #[arg(long)]
    dry_run: bool,
    /// Show the progress until it has ended
    #[arg(long, conflicts_with = "dry_run")]
    watch: bool,
}

pub(crate) async fn run(command: ReplaysCommand, client: &mut Client) -> Result<(), ClientError> {
    match command {
        ReplaysCommand::Create(new) => create(new, client).await,
        ReplaysCommand::List(options) => client.list(&REPLAYS, &options).await,
        ReplaysCommand::Show { replay } => client.get(&REPLAYS, &replay).await,
        ReplaysCommand::Cancel { replay } => client.change(&REPLAYS, Method::POST, &[&replay, "cancel"], None).await,
        ReplaysCommand::Watch { replay } => watch(&replay, client).await,
    }
}

async fn create(new: CreateReplay, client: &mut Client) -> Result<(), ClientError> {
    let now = client.output.now();
    let mut body = Body::default();
    body.set("event", new.event).set("source", new.source).set("destination", new.destination);
    body.set("connection", new.connection).set("state", new.state).set("per_second", new.per_second);
    body.set("from", new.from.map(|time| moment(time, now))).set("to", new.to.map(|time| moment(time, now)));
    body.set("dry_run", new.dry_run.then_some(true));
    let body = body.into_value().to_string().into_bytes();
    let answer = client.api.change(Method::POST, &[REPLAYS.path], Some(body)).await?;
    if new.dry_run {
        client.output.line(&count(&parse(&answer)))?;
        return if client.output.is_json() { client.output.entry(&COUNT, &answer) } else { Ok(()) };
    }
    match parse(&answer)["id"].as_str() {
        Some(id) if new.watch => watch(id, client).await,
        _ => client.output.entry(REPLAYS.details, &answer),
    }
}

fn count(answer: &Value) -> String {
    let (n, is_complete) = (answer["deliveries"].as_u64().unwrap_or_default(), answer["complete"] == true);
    let more = if is_complete { "" } else { "More than " };
    format!("{more}{n} {} would be sent again.", if n == 1 && is_complete { "delivery" } else { "deliveries" })
}

/// With JSON each look is one line; on a terminal a bar moves on standard error; elsewhere only the end is shown.
async fn watch(id: &str, client: &mut Client) -> Result<(), ClientError> {
    let is_bar = !client.output.is_json() && std::io::stderr().is_terminal();
    loop {
        let answer = client.api.get(&[REPLAYS.path, id]).await?;
        let replay = parse(&answer);
        let is_running = replay["state"] == "running";
        if is_bar {
            let mut stderr = std::io::stderr().lock();
            // A terminal that is gone needs no bar.
            let _ = write!(stderr, "\r\x1b[K{}{}", bar(&replay), if is_running { "" } else { "\n" });
            let _ = stderr.flush();
        }
        if client.output.is_json() {
            client.output.json_line(&replay)?;
        } else if !is_running {
            client.output.entry(REPLAYS.details, &answer)?;
        }
        if !is_running {
            return Ok(());
        }
        tokio::time::sleep(WATCH).await;
    }
}

/// One line: how much is done, and how long the rest takes.
fn bar(replay: &Value) -> String {
    let number = |field: &str| replay[field].as_u64();
    let done = number("retried").unwrap_or_default() + number("skipped").unwrap_or_default();
    let state = replay["state"].as_str().unwrap_or_default();
    let Some(progress) = replay["progress"].as_f64() else {
        return format!("{state}  {done} deliveries, of more than can be counted");
    };
    let full = ((progress * BAR as f64) as usize).min(BAR);
    let left = number("remaining_seconds").map(|seconds| format!("  {seconds} s left")).unwrap_or_default();
    let total = number("total").map(|total| format!(" of {total}")).unwrap_or_default();
    format!(
        "{state}  [{}{}] {:>3.0} %  {done}{total}{left}",
        "#".repeat(full),
        ".".repeat(BAR - full),
        progress * 100.0
    )
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn a_bar_shows_what_is_known() {
        let replay = json!({"state": "running", "retried": 45, "skipped": 5, "total": 100, "progress": 0.5, "remaining_seconds": 7});
        assert_eq!(bar(&replay), "running  [###############...............]  50 %  50 of 100  7 s left");
        let unknown = json!({"state": "running", "retried": 45, "skipped": 5, "total": null, "progress": null});
        assert_eq!(bar(&unknown), "running  50 deliveries, of more than can be counted");
        let done = json!({"state": "done", "retried": 3, "skipped": 0, "total": 2, "progress": 1.0, "remaining_seconds": null});
        assert_eq!(bar(&done), "done  [##############################] 100 %  3 of 2");
    }

    #[test]
    fn a_count_says_when_there_are_more() {
        assert_eq!(count(&json!({"deliveries": 1, "complete": true})), "1 delivery would be sent again.");
        let more = json!({"deliveries": 100_000, "complete": false});
        assert_eq!(count(&more), "More than 100000 deliveries would be sent again.");
    }
}
