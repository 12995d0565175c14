//! `goose`: the scenarios written in Rust, run by Goose itself, and `list`, which names them.

use clap::Args;
use goose::GooseAttack;
use goose::config::GooseConfiguration;

use super::{Failure, Output};
use crate::goose_scenarios::{Access, BuiltIn, PREFIX, SCENARIOS};

#[derive(Debug, Args)]
pub(super) struct GooseArgs {
    /// The scenario, as `spillway-loadgen list` names it
    scenario: String,
    #[command(flatten)]
    access: AccessArgs,
    /// Goose's own options, such as --host http://127.0.0.1:8080 --users 10 --run-time 30s --report-file goose.html
    #[arg(trailing_var_arg = true, allow_hyphen_values = true, value_name = "GOOSE OPTIONS")]
    options: Vec<String>,
}

/// What the scenarios written in Rust need to be let in.
#[derive(Debug, Clone, Args)]
pub(super) struct AccessArgs {
    /// Secret of the source that webhooks go to
    #[arg(long, env = "SPILLWAY_LOAD_SECRET", hide_env_values = true, value_name = "SECRET")]
    webhook_secret: Option<String>,
    /// Key of the gateway's management API
    #[arg(long, env = "SPILLWAY_API_KEY", hide_env_values = true, value_name = "KEY")]
    api_key: Option<String>,
}

impl AccessArgs {
    pub(super) fn access(&self) -> Access {
        Access { webhook_secret: self.webhook_secret.clone(), api_key: self.api_key.clone() }
    }
}

#[derive(Debug, Args)]
pub(super) struct ListArgs {
    /// How the list is printed
    #[arg(long, short = 'o', value_enum, default_value_t)]
    output: Output,
}

/// One attack of a process: Goose's kill switch, its handler of Ctrl-C and its logger are global.
pub(super) async fn run(arguments: GooseArgs) -> Result<u8, Failure> {
    let scenario = BuiltIn::named(&arguments.scenario).ok_or_else(|| {
        let names: Vec<&str> = SCENARIOS.iter().map(|scenario| scenario.name).collect();
        Failure::configuration(format!(
            "there is no Goose scenario `{}`: there are {}",
            arguments.scenario,
            names.join(", ")
        ))
    })?;
    let scenario = scenario.scenario(&arguments.access.access()).map_err(Failure::configuration)?;
    let configuration = GooseConfiguration::parse_args_default(&arguments.options).map_err(Failure::configuration)?;
    let attack = GooseAttack::initialize_with_config(configuration).map_err(Failure::configuration)?;
    let metrics = Box::pin(attack.register_scenario(scenario).execute()).await.map_err(Failure::scenario)?;
    let requests = metrics.requests.values();
    let (answered, failed) = requests
        .fold((0, 0), |(answered, failed), request| (answered + request.success_count, failed + request.fail_count));
    if answered == 0 {
        return Err(Failure::scenario(format!("no request was answered as expected, {failed} failed")));
    }
    Ok(0)
}

/// Names the scenarios written in Rust.
pub(super) fn list(arguments: &ListArgs) -> Result<u8, Failure> {
    if arguments.output == Output::Json {
        let all: Vec<_> = SCENARIOS
            .iter()
            .map(|one| serde_json::json!({ "name": one.name, "exec": format!("{PREFIX}{}", one.name), "about": one.about }))
            .collect();
        anstream::println!("{}", serde_json::to_string_pretty(&all).map_err(Failure::other)?);
        return Ok(0);
    }
    for one in SCENARIOS {
        anstream::println!("{:<10} exec = {:<18} {}", one.name, format!("\"{PREFIX}{}\"", one.name), one.about);
    }
    Ok(0)
}
