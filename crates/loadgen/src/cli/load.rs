//! The options of a test, from its file and the command line: what `run` and `check` share.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::time::Duration;

use clap::Args;
use spillway_slo::gate::Gate;
use spillway_slo::threshold::{Expression, Selector, Threshold};
use url::Url;

use super::Failure;
use crate::options::{Options, Overrides, Plan, Stage};
use crate::segment::Segment;

#[derive(Debug, Clone, Args)]
#[command(next_help_heading = "The test")]
pub(super) struct LoadArgs {
    /// Take the flows from this file; those of a k6 script have to be given so, because its code is not run
    #[arg(long, value_name = "FILE")]
    pub(super) flows: Option<PathBuf>,
    /// Base URL of what is tested
    #[arg(long, env = "SPILLWAY_LOAD_TARGET")]
    pub(super) target: Option<Url>,
    /// Users of the default scenario
    #[arg(long, short = 'u')]
    vus: Option<u32>,
    /// How long the default scenario runs, as in 30s or 1m30s
    #[arg(long, short = 'd', value_parser = super::duration)]
    duration: Option<Duration>,
    /// Iterations of the default scenario, shared by its users
    #[arg(long, short = 'i')]
    iterations: Option<u64>,
    /// A stage of the default scenario as DURATION:USERS; may be repeated
    #[arg(long = "stage", short = 's', value_name = "DURATION:USERS")]
    stages: Vec<Stage>,
    /// Most requests per second of all users together
    #[arg(long)]
    rps: Option<u32>,
    /// A tag of every sample, as NAME=VALUE; may be repeated
    #[arg(long = "tag", value_name = "NAME=VALUE", value_parser = pair)]
    tags: Vec<(String, String)>,
    /// A further threshold, as 'http_req_duration{name:x}: p(95)<500'; may be repeated
    #[arg(long = "threshold", value_name = "METRIC: EXPRESSION", value_parser = threshold)]
    thresholds: Vec<Threshold>,
    /// Multiplies users, shared iterations and rates: 0.1 fits a small machine
    #[arg(long, default_value_t = 1.0)]
    scale: f64,
    /// Multiplies durations
    #[arg(long, default_value_t = 1.0)]
    time_scale: f64,
    /// The part of the test this generator runs, such as 1/3:2/3
    #[arg(long, value_name = "FROM:TO")]
    execution_segment: Option<String>,
    /// How the whole is divided, such as 0,1/3,2/3,1
    #[arg(long, value_name = "ENDS", requires = "execution_segment")]
    execution_segment_sequence: Option<String>,
    /// Service level objectives that become thresholds
    #[arg(long, value_name = "FILE")]
    slo: Option<PathBuf>,
}

impl LoadArgs {
    /// Reads the file and applies the command line; `environment` is whose overrides in the SLO file count.
    pub(super) fn read(&self, file: &Path, environment: Option<&str>) -> Result<(Options, Plan), Failure> {
        let mut options = match is_script(file) {
            true => Options::from_k6_script(file),
            false => Options::from_file(file),
        }
        .map_err(Failure::configuration)?;
        if let Some(flows) = &self.flows {
            options = options.with_flows(Options::from_file(flows).map_err(Failure::configuration)?);
        }
        let plan = self.plan(&options, environment)?;
        Ok((options, plan))
    }

    fn plan(&self, options: &Options, environment: Option<&str>) -> Result<Plan, Failure> {
        let built_in = super::prepare::built_in();
        let built_in: Vec<&str> = built_in.iter().map(String::as_str).collect();
        options.plan(&self.overrides(environment)?, &built_in).map_err(Failure::configuration)
    }

    /// What the command line says beside the file.
    pub(super) fn overrides(&self, environment: Option<&str>) -> Result<Overrides, Failure> {
        let mut thresholds = self.objectives(environment)?;
        thresholds.extend(self.thresholds.iter().cloned());
        let segment = match &self.execution_segment {
            None => None,
            Some(segment) => {
                let sequence = self.execution_segment_sequence.as_deref();
                Some(Segment::parse(Some(segment), sequence).map_err(Failure::configuration)?)
            }
        };
        Ok(Overrides {
            vus: self.vus,
            duration: self.duration,
            iterations: self.iterations,
            stages: self.stages.clone(),
            rps: self.rps,
            tags: self.tags.iter().cloned().collect::<BTreeMap<_, _>>(),
            thresholds,
            target: self.target.clone(),
            scale: self.scale,
            time_scale: self.time_scale,
            segment,
        })
    }

    fn objectives(&self, environment: Option<&str>) -> Result<Vec<Threshold>, Failure> {
        let Some(path) = &self.slo else { return Ok(Vec::new()) };
        let problem = |error: &dyn std::fmt::Display| Failure::configuration(format!("{}: {error}", path.display()));
        let text = std::fs::read_to_string(path).map_err(|error| problem(&error))?;
        let gate: Gate = toml::from_str(&text).map_err(|error| problem(&error))?;
        gate.thresholds(environment).map_err(|error| problem(&error))
    }
}

/// Whether the file is a k6 script.
pub(super) fn is_script(file: &Path) -> bool {
    file.extension().is_some_and(|ending| ending == "js" || ending == "ts")
}

fn pair(text: &str) -> Result<(String, String), String> {
    let (name, value) = text.split_once('=').ok_or("write NAME=VALUE")?;
    Ok((name.to_owned(), value.to_owned()))
}

/// The selector may hold colons too, but only within its braces.
fn threshold(text: &str) -> Result<Threshold, String> {
    let from = text.find('}').unwrap_or(0);
    let colon = text[from..].find(':').ok_or("write METRIC: EXPRESSION, such as http_req_failed: rate<0.01")? + from;
    let selector: Selector = text[..colon].trim().parse().map_err(|error| format!("{error}"))?;
    let expression: Expression = text[colon + 1..].trim().parse().map_err(|error| format!("{error}"))?;
    Ok(Threshold::new(selector, expression))
}
