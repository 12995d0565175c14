//! `spillway health`: asks one node whether it can take traffic. Health checks of containers run it, because images have no shell.

use clap::Args;
use http::StatusCode;
use serde::Deserialize;
use serde_json::value::RawValue;

use super::api::Api;
use super::error::ClientError;
use super::options::ClientOptions;
use super::output::Output;

pub(crate) const EXAMPLES: &str = "\
Examples:
  spillway health
  spillway health --alive --url http://10.0.0.7:8080
  spillway health --output json

The exit code is 0 when the node can take traffic, else 1. No API key is needed.";

#[derive(Debug, Args)]
pub(crate) struct HealthArguments {
    /// Ask only whether the process answers, not whether its database does
    #[arg(long)]
    alive: bool,
}

/// What `/readyz` and `/health` answer.
#[derive(Debug, Deserialize)]
struct Report {
    status: String,
    #[serde(default)]
    checks: Vec<Check>,
}

#[derive(Debug, Deserialize)]
struct Check {
    name: String,
    status: String,
    detail: String,
}

pub(crate) async fn run(arguments: HealthArguments, options: &ClientOptions) -> Result<(), ClientError> {
    let api = Api::without_key(options)?;
    let answer = api.probe(if arguments.alive { "/health" } else { "/readyz" }).await?;
    let report: Report = answer.json(options.url())?;
    let output = Output::of_process(options.output());
    output.json_line(&answer.json::<Box<RawValue>>(options.url())?)?;
    output.line(&report.describe())?;
    match answer.status() {
        status if status.is_success() => Ok(()),
        StatusCode::SERVICE_UNAVAILABLE => {
            Err(ClientError::NotReady { url: options.url().clone(), failing: report.failing() })
        }
        status => Err(ClientError::NotSpillway { url: options.url().clone(), status }),
    }
}

impl Report {
    /// The state, then one line for each check.
    fn describe(&self) -> String {
        let width = self.checks.iter().map(|check| check.name.len()).max().unwrap_or_default();
        let line = |check: &Check| format!("{:width$}  {}  {}", check.name, check.status, check.detail);
        let lines = [self.status.clone()].into_iter().chain(self.checks.iter().map(line));
        lines.collect::<Vec<_>>().join("\n")
    }

    /// What is not well, by name.
    fn failing(&self) -> String {
        let failing = self.checks.iter().filter(|check| check.status != "ok").map(|check| check.name.as_str());
        failing.collect::<Vec<_>>().join(", ")
    }
}
