//! `check`: what a file would run.

use std::path::{Path, PathBuf};
use std::time::Duration;

use clap::Args;
use comfy_table::{Table, presets};
use spillway_slo::duration::Timespan;

use super::goose::AccessArgs;
use super::load::LoadArgs;
use super::prepare::Prepared;
use super::{Failure, Output};
use crate::options::Description;

#[derive(Debug, Args)]
pub(super) struct CheckArgs {
    /// The test: TOML, YAML or JSON
    file: PathBuf,
    #[command(flatten)]
    load: LoadArgs,
    #[command(flatten)]
    access: AccessArgs,
    /// The environment whose overrides in the SLO file count
    #[arg(long, env = "ENVIRONMENT", value_name = "NAME")]
    environment: Option<String>,
    /// How the plan is printed
    #[arg(long, short = 'o', value_enum, default_value_t)]
    output: Output,
}

pub(super) fn run(arguments: &CheckArgs) -> Result<u8, Failure> {
    let environment = arguments.environment.as_deref().filter(|name| !name.is_empty());
    let (options, plan) = arguments.load.read(&arguments.file, environment)?;
    let folder = arguments.file.parent().unwrap_or(Path::new("."));
    Prepared::new(&options, &plan, folder, arguments.access.access())?;
    let description = plan.describe();
    if arguments.output == Output::Json {
        let json = serde_json::to_string_pretty(&description).map_err(Failure::other)?;
        anstream::println!("{json}");
        return Ok(0);
    }
    for warning in &plan.warnings {
        anstream::eprintln!("warning: {warning}");
    }
    anstream::println!("{}", table(&description));
    for threshold in &plan.thresholds {
        anstream::println!("threshold  {}: {}", threshold.selector, threshold.expression);
    }
    let total = description.duration.map_or_else(|| "until it is stopped".to_owned(), text);
    anstream::println!("{} is valid: {total}, at most {} users", arguments.file.display(), description.max_vus);
    Ok(0)
}

fn table(description: &Description) -> Table {
    let mut table = Table::new();
    table.load_style(presets::NOTHING);
    table.set_header(["scenario", "executor", "exec", "users", "iterations", "start", "end", "schedule"]);
    for scenario in &description.scenarios {
        table.add_row([
            scenario.name.clone(),
            scenario.executor.clone(),
            scenario.exec.clone(),
            if scenario.vus == scenario.max_vus {
                scenario.vus.to_string()
            } else {
                format!("{}–{}", scenario.vus, scenario.max_vus)
            },
            scenario.iterations.map_or_else(|| "–".to_owned(), |n| n.to_string()),
            text(scenario.start),
            scenario.end.map_or_else(|| "–".to_owned(), text),
            scenario.schedule.clone(),
        ]);
    }
    table
}

fn text(duration: Duration) -> String {
    Timespan(duration).to_string()
}
