//! `compare`: two results, and what can be said of their difference.

use std::path::PathBuf;

use clap::Args;

use super::{Failure, Output};
use crate::results;

#[derive(Debug, Args)]
pub(super) struct CompareArgs {
    /// The JSON result to compare with
    baseline: PathBuf,
    /// The JSON result that is compared
    result: PathBuf,
    /// Exit with 99 when something is slower
    #[arg(long)]
    fail_if_slower: bool,
    /// How the comparison is printed
    #[arg(long, short = 'o', value_enum, default_value_t)]
    output: Output,
}

pub(super) fn run(arguments: &CompareArgs) -> Result<u8, Failure> {
    let [baseline, result] =
        [&arguments.baseline, &arguments.result].map(|path| results::read(path).map_err(Failure::configuration));
    let comparison = results::compare(&baseline?, &result?);
    match arguments.output {
        Output::Text => anstream::print!("{}", results::terminal_comparison(&comparison)),
        Output::Json => anstream::println!("{}", serde_json::to_string_pretty(&comparison).map_err(Failure::other)?),
    }
    Ok(if arguments.fail_if_slower && comparison.is_slower() { 99 } else { 0 })
}
