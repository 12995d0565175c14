//! The console that shows a rollout whose plan names none.

use std::sync::Arc;

use clap::Args;
use spillway_model::SystemClock;
use spillway_rollout::Plan;
use spillway_rollout::spec::Console;
use spillway_settings::Environment;

use super::verify::base;
use crate::console::{ConsoleParts, Inbox, Pace, Publisher};
use crate::http::HttpClient;
use crate::secrets::ProcessSecrets;

#[derive(Debug, Clone, Args)]
#[command(next_help_heading = "Console")]
pub(super) struct ConsoleArgs {
    /// A gateway whose console shows rollouts that name none in spec.console, and passes on what people say there
    #[arg(long, env = "SPILLWAY_CONSOLE_URL", value_name = "URL", value_parser = base)]
    console_url: Option<String>,
    /// Where its API key is, which may write: env:NAME or file:PATH
    #[arg(long, value_name = "REFERENCE", default_value = "env:SPILLWAY_API_KEY", value_parser = reference)]
    console_key: String,
}

impl ConsoleArgs {
    /// Begins to show the rollouts of a plan under this name, if there is a console for them.
    pub(super) fn publisher(
        &self,
        plan: &Plan,
        name: &str,
        http: &HttpClient,
        inbox: Arc<dyn Inbox>,
    ) -> Option<Publisher> {
        let usual = || Some(Console { url: self.console_url.clone()?, key: self.console_key.clone() });
        let console = plan.console.clone().or_else(usual)?;
        let secrets = Arc::new(ProcessSecrets::new(Environment::of_process()));
        let parts = ConsoleParts { http: http.clone(), secrets, inbox, clock: Arc::new(SystemClock) };
        Some(Publisher::start(&console, name, parts, Pace::default()))
    }
}

fn reference(text: &str) -> Result<String, String> {
    let is_named = ["env:", "file:"].iter().any(|kind| text.strip_prefix(kind).is_some_and(|it| !it.trim().is_empty()));
    if is_named { Ok(text.to_owned()) } else { Err("write env:NAME or file:PATH, never the key itself".to_owned()) }
}
