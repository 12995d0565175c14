//! Logs of what runs for long.

use clap::{Args, ValueEnum};
use spillway_telemetry::{LogFormat, LogSettings, TelemetrySettings};

use super::Failure;

#[derive(Debug, Clone, Args)]
#[command(next_help_heading = "Logs")]
pub(super) struct LogArgs {
    /// What is logged to standard error: a level or levels by module [default: warn, and nothing beside a live screen]
    #[arg(long, value_name = "FILTER")]
    log: Option<String>,
    /// The form of a log line
    #[arg(long, value_enum, default_value_t)]
    log_format: Format,
}

#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, ValueEnum)]
enum Format {
    /// For people
    #[default]
    Pretty,
    /// For machines
    Json,
}

impl LogArgs {
    /// Begins to log. Beside a live screen only what was asked for: lines would tear it.
    pub(super) fn init(&self, is_a_screen: bool) -> Result<(), Failure> {
        self.begin(if is_a_screen { "off" } else { "warn" })
    }

    /// Begins to log for a service.
    pub(super) fn init_service(&self) -> Result<(), Failure> {
        self.begin("info")
    }

    fn begin(&self, usual: &str) -> Result<(), Failure> {
        let format = match self.log_format {
            Format::Pretty => LogFormat::Pretty,
            Format::Json => LogFormat::Json,
        };
        let filter = self.log.clone().unwrap_or_else(|| usual.to_owned());
        let settings = TelemetrySettings { logs: LogSettings { format, filter }, ..TelemetrySettings::default() };
        // Without traces the guard has nothing to keep.
        spillway_telemetry::init(&settings).map(|_| ()).map_err(Failure::argument)
    }
}
