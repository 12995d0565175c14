//! `merge`: results of generators that ran side by side, as one.

use std::path::PathBuf;

use clap::Args;

use super::output::ResultArgs;
use super::{Failure, Output};
use crate::results;

#[derive(Debug, Args)]
pub(super) struct MergeArgs {
    /// The JSON results, each of a run at the same time
    #[arg(required = true, num_args = 2..)]
    files: Vec<PathBuf>,
    #[command(flatten)]
    results: ResultArgs,
    /// How the merged result is printed
    #[arg(long, short = 'o', value_enum, default_value_t)]
    output: Output,
}

pub(super) fn run(arguments: &MergeArgs) -> Result<u8, Failure> {
    let read = |path: &PathBuf| results::read(path).map_err(Failure::configuration);
    let parts = arguments.files.iter().map(read).collect::<Result<Vec<_>, _>>()?;
    let merged = results::merge(&parts).map_err(Failure::configuration)?;
    arguments.results.write_again(&merged, arguments.results.baseline()?.as_ref())?;
    match arguments.output {
        Output::Text => anstream::print!("{}", results::terminal(&merged)),
        Output::Json => anstream::println!("{}", merged.to_json()),
    }
    Ok(merged.exit_code())
}
