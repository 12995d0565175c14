//! `spillway workers`.

use std::str::FromStr;

use clap::{Args, Subcommand};
use http::Method;
use serde_json::{Value, json};
use spillway_model::{Slot, WorkerShares};

use super::Client;
use super::error::ClientError;
use super::output::parse;

const SHARES: [&str; 2] = ["workers", "shares"];

const EXAMPLES: &str = "\
Examples:
  spillway workers shares
  spillway workers shares --set blue=90,green=10
  spillway workers shares --unset

Workers get their slot with \"spillway serve --role worker --slot blue\". A slot with share 0 takes nothing; what a slot leaves lying \
for longer than worker.share_grace is taken by the other. Setting needs a key with scope admin.";

#[derive(Debug, Subcommand)]
pub(crate) enum WorkersCommand {
    /// Shows or sets the share of the deliveries that each slot takes
    #[command(after_help = EXAMPLES)]
    Shares(SharesOptions),
}

#[derive(Debug, Args)]
pub(crate) struct SharesOptions {
    /// Shares in percent, 100 together, such as blue=90,green=10
    #[arg(long, value_name = "SHARES")]
    set: Option<GivenShares>,
    /// Any worker takes any delivery again
    #[arg(long, conflicts_with = "set")]
    unset: bool,
}

/// Shares as they stand on the command line.
#[derive(Debug, Clone, Copy)]
struct GivenShares(WorkerShares);

impl FromStr for GivenShares {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let form = || "write both shares in percent, such as blue=90,green=10".to_owned();
        let mut shares = [None; 2];
        for part in text.split(',') {
            let (slot, share) = part.split_once('=').ok_or_else(form)?;
            let slot: Slot = slot.trim().parse().map_err(|_| form())?;
            let share: u8 = share.trim().parse().map_err(|_| form())?;
            if shares[slot as usize].replace(share).is_some() {
                return Err(form());
            }
        }
        let [Some(blue), Some(green)] = shares else { return Err(form()) };
        WorkerShares::new(blue, green).map(Self).map_err(|error| error.to_string())
    }
}

pub(crate) async fn run(command: WorkersCommand, client: &mut Client) -> Result<(), ClientError> {
    let WorkersCommand::Shares(options) = command;
    let wanted = match (options.set, options.unset) {
        (Some(GivenShares(shares)), _) => Some(json!({ "shares": shares })),
        (None, true) => Some(json!({ "shares": null })),
        (None, false) => None,
    };
    let answer = match wanted {
        None => client.api.get(&SHARES).await?,
        Some(body) => client.api.change(Method::PUT, &SHARES, Some(body.to_string().into_bytes())).await?,
    };
    client.output.line(&describe(&parse(&answer)))?;
    client.output.json_line(&answer)
}

/// The shares as lines of a table.
fn describe(document: &Value) -> String {
    let share = |slot: Slot| Some((slot, document["shares"][slot.name()].as_u64()?));
    let lines: Vec<String> = Slot::BOTH
        .into_iter()
        .filter_map(share)
        .map(|(slot, share)| format!("{:<6} {share:>3} %", slot.name()))
        .collect();
    if lines.is_empty() { "Not shared: any worker takes any delivery.".to_owned() } else { lines.join("\n") }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn shares_are_written_in_any_order_and_are_whole() {
        for text in ["blue=90,green=10", "green=10, blue=90"] {
            let shares = text.parse::<GivenShares>().expect("shares").0;
            assert_eq!((shares.of(Slot::Blue), shares.of(Slot::Green)), (90, 10));
        }
        for text in
            ["", "blue=100", "blue=90,green=11", "blue=90,blue=10", "red=90,green=10", "blue:90,green:10", "90,10"]
        {
            assert!(text.parse::<GivenShares>().is_err(), "{text}");
        }
    }

    #[test]
    fn shares_read_as_percentages() {
        assert_eq!(describe(&json!({"shares": {"blue": 90, "green": 10}})), "blue    90 %\ngreen   10 %");
        assert_eq!(describe(&json!({"shares": null})), "Not shared: any worker takes any delivery.");
    }
}
