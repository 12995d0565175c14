//! `report`: the reports of a result, written again.

use std::path::PathBuf;

use clap::Args;

use super::Failure;
use super::output::ResultArgs;
use crate::results;

#[derive(Debug, Args)]
pub(super) struct ReportArgs {
    /// The JSON result of a run
    result: PathBuf,
    #[command(flatten)]
    results: ResultArgs,
}

pub(super) fn run(arguments: &ReportArgs) -> Result<u8, Failure> {
    let summary = results::read(&arguments.result).map_err(Failure::configuration)?;
    arguments.results.write_again(&summary, arguments.results.baseline()?.as_ref())?;
    anstream::print!("{}", results::terminal(&summary));
    Ok(0)
}
