//! `spillway performance`.

mod chart;
mod text;

use clap::{Args, Subcommand, ValueEnum};
use http::Method;
use serde_json::{Value, json};

use super::Client;
use super::arguments::Body;
use super::error::ClientError;
use super::output::parse;

const PATH: &str = "performance";
/// Columns that a chart takes.
const CHART_WIDTH: usize = 60;

const TREND_EXAMPLES: &str = "\
Examples:
  spillway performance trends
  spillway performance trends intake_received
  spillway performance trends acknowledgement --window 24h
  spillway performance trends memory_bytes --window 30d --output json";

const RECORD_EXAMPLES: &str = "\
Examples:
  spillway performance record orders 3
  spillway performance record stock 140 --kind gauge --unit pieces

What is recorded appears among the trends, and as spillway_business_metric. At most 1,000 names are kept.";

#[derive(Debug, Subcommand)]
pub(crate) enum PerformanceCommand {
    /// Shows rates and percentiles of the last minute, five minutes and hour
    Show,
    /// Asks every dependency, with the time that its answer took
    Health,
    /// Shows what is wrong
    Alerts,
    /// Shows what to change, with the numbers that say so
    Recommendations,
    /// Shows when disk, memory, pool, queue and rate reach their limits
    Forecast,
    /// Shows what is promised, what is left of the error budgets, and how fast they burn
    Slos,
    /// Draws a series, or lists what has one
    #[command(after_help = TREND_EXAMPLES)]
    Trends(TrendOptions),
    /// Records a number of your own business
    #[command(after_help = RECORD_EXAMPLES)]
    Record(RecordOptions),
}

#[derive(Debug, Args)]
pub(crate) struct TrendOptions {
    /// Name of the series; without it the names are listed
    metric: Option<String>,
    /// How far back: 1h, 24h or 30d
    #[arg(long, default_value = "1h", value_parser = ["1h", "24h", "30d"], hide_possible_values = true)]
    window: String,
    /// Most points, 2 to 720
    #[arg(long, default_value_t = CHART_WIDTH as u32, value_parser = clap::value_parser!(u32).range(2..=720))]
    points: u32,
}

#[derive(Debug, Args)]
pub(crate) struct RecordOptions {
    /// A small letter, and up to 63 small letters, digits and underscores
    name: String,
    /// What to add, or what it stands at
    #[arg(allow_negative_numbers = true)]
    value: f64,
    /// Whether values add up (counter) or the last one counts (gauge)
    #[arg(long, value_enum, default_value_t, hide_possible_values = true)]
    kind: Kind,
    /// What it counts or is measured in
    #[arg(long)]
    unit: Option<String>,
}

#[derive(Debug, Clone, Copy, Default, ValueEnum)]
enum Kind {
    #[default]
    Counter,
    Gauge,
}

pub(crate) async fn run(command: PerformanceCommand, client: &mut Client) -> Result<(), ClientError> {
    match command {
        PerformanceCommand::Show => client.shown("metrics", text::metrics).await,
        PerformanceCommand::Health => client.shown("health", text::health).await,
        PerformanceCommand::Alerts => client.shown("alerts", text::alerts).await,
        PerformanceCommand::Recommendations => client.shown("recommendations", text::recommendations).await,
        PerformanceCommand::Forecast => client.shown("forecast", text::forecast).await,
        PerformanceCommand::Slos => client.shown("slos", text::slos).await,
        PerformanceCommand::Trends(TrendOptions { metric: None, .. }) => client.shown("trends", text::names).await,
        PerformanceCommand::Trends(TrendOptions { metric: Some(metric), window, points }) => {
            let query = [("window", window), ("points", points.to_string())];
            let answer = client.api.get_with(&[PATH, "trends", &metric], &query).await?;
            client.output.line(&chart::trend(&parse(&answer), CHART_WIDTH))?;
            client.output.json_line(&answer)
        }
        PerformanceCommand::Record(options) => record(options, client).await,
    }
}

impl Client {
    /// One of the answers about performance, as lines for people or as it is.
    async fn shown(&mut self, what: &str, describe: impl Fn(&Value, i64) -> String) -> Result<(), ClientError> {
        let answer = self.api.get(&[PATH, what]).await?;
        self.output.line(&describe(&parse(&answer), self.output.now()))?;
        self.output.json_line(&answer)
    }
}

async fn record(options: RecordOptions, client: &mut Client) -> Result<(), ClientError> {
    if !options.value.is_finite() {
        return Err(ClientError::Usage("the value must be a number".to_owned()));
    }
    let kind = match options.kind {
        Kind::Counter => "counter",
        Kind::Gauge => "gauge",
    };
    let mut body = Body::default();
    body.set("name", Some(&options.name)).set("value", Some(options.value)).set("kind", Some(kind));
    body.set("unit", options.unit);
    let body = body.into_value().to_string().into_bytes();
    let answer = client.api.change(Method::POST, &[PATH, "record-business-metric"], Some(body)).await?;
    let recorded = parse(&answer);
    let now = recorded["total"].as_f64().map_or_else(String::new, |total| format!(", {total} since the start"));
    client.output.line(&format!(
        "recorded {} = {}{now}",
        options.name,
        recorded.get("value").unwrap_or(&json!(null))
    ))?;
    client.output.json_line(&answer)
}
