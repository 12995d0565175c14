//! `check`: a plan with its defaults.

use std::path::PathBuf;

use clap::Args;

use super::file::PlanFile;
use super::{Failure, Output, plan_table, say, say_json};

#[derive(Debug, Args)]
pub(super) struct CheckArgs {
    /// The plan: YAML or JSON, - for standard input
    #[arg(long, short = 'f', value_name = "FILE")]
    file: PathBuf,
    /// How the plan is printed
    #[arg(long, short = 'o', value_enum, default_value_t)]
    output: Output,
}

pub(super) fn run(arguments: &CheckArgs) -> Result<u8, Failure> {
    let PlanFile { plan, rollout, .. } = PlanFile::read(&arguments.file)?;
    match arguments.output {
        Output::Json => say_json(&plan_table::json(&plan)),
        Output::Table => {
            let table = plan_table::text(&plan, &rollout);
            say(&format!("{table}\n{} is valid\n", arguments.file.display()))
        }
    }
}
