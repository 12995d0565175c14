//! Who is told about the result of a run.

use clap::Args;

use crate::publish::{Receivers, Secret};

#[derive(Debug, Clone, Default, Args)]
#[command(next_help_heading = "Who is told")]
pub(super) struct PublishArgs {
    /// Push the result to a Prometheus Pushgateway, such as http://127.0.0.1:9091
    #[arg(long, value_name = "URL", env = "PROMETHEUS_PUSHGATEWAY_URL", hide_env_values = true)]
    pushgateway: Option<Secret>,
    /// The label `instance` of what is pushed
    #[arg(long, value_name = "NAME", requires = "pushgateway")]
    pushgateway_instance: Option<String>,
    /// Post the result to an incoming webhook of Slack
    #[arg(long, value_name = "URL", env = "SLACK_WEBHOOK_URL", hide_env_values = true)]
    slack_webhook: Option<Secret>,
}

impl PublishArgs {
    /// Empty addresses are none: CI systems set variables of secrets they do not have to nothing.
    pub(super) fn receivers(&self) -> Receivers {
        let given = |secret: &Option<Secret>| secret.clone().filter(|secret| !secret.is_empty());
        Receivers {
            pushgateway: given(&self.pushgateway),
            instance: self.pushgateway_instance.clone(),
            slack: given(&self.slack_webhook),
        }
    }
}
