//! How each objective stands, as a Prometheus with the generated rules knows it.

use std::collections::HashMap;
use std::path::Path;
use std::time::Duration;

use clap::ValueEnum;
use comfy_table::{CellAlignment, Table, presets};
use http_body_util::{BodyExt, Empty, Limited};
use hyper::body::Bytes;
use hyper_util::client::legacy::Client;
use hyper_util::rt::TokioExecutor;
use percent_encoding::{NON_ALPHANUMERIC, utf8_percent_encode};
use serde::{Deserialize, Serialize};
use spillway_slo::budget::Budget;

use crate::slo::{self, Problem, Slo};

const DEADLINE: Duration = Duration::from_secs(10);
const LARGEST_ANSWER: usize = 16 << 20;
/// Columns: what the rules call it.
const SERIES: [&str; 4] =
    ["slo:error_budget_used:ratio", "slo:sli_error:ratio_1h", "slo:sli_error:ratio_1d", "slo:sli_error:ratio_3d"];

/// How to print.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Output {
    /// For people.
    Table,
    /// For programs.
    Json,
}

/// One objective as it stands. What is not known is `None`.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Standing {
    slo: String,
    service: String,
    target: f64,
    /// Share of the budget that is spent; above 1 it is overspent.
    budget_used: Option<f64>,
    /// Burn rates: 1 spends the budget in exactly its window.
    burn_1h: Option<f64>,
    burn_1d: Option<f64>,
    burn_3d: Option<f64>,
    /// What the policy says to that, without the memory of what came before.
    state: Budget,
}

#[derive(Deserialize)]
struct Answer {
    data: Data,
}

#[derive(Deserialize)]
struct Data {
    result: Vec<Sample>,
}

#[derive(Deserialize)]
struct Sample {
    metric: HashMap<String, String>,
    value: (f64, String),
}

/// Asks and prints.
///
/// # Errors
/// When objectives cannot be read or Prometheus does not answer.
pub fn show(folder: &Path, prometheus: &str, output: Output) -> Result<String, Vec<Problem>> {
    let slos = slo::read_folder(folder)?;
    let failed = |text: String| vec![Problem::of_file(Path::new(prometheus), text)];
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    let runtime = runtime.map_err(|error| failed(error.to_string()))?;
    let standings = runtime.block_on(ask(&slos, prometheus)).map_err(|text| {
        failed(format!(
            "{text}. Is it running, and does it have infra/prometheus/rules? Name another one with --prometheus"
        ))
    })?;
    match output {
        Output::Json => {
            serde_json::to_string_pretty(&standings).map(|text| text + "\n").map_err(|error| failed(error.to_string()))
        }
        Output::Table => Ok(table(&standings)),
    }
}

async fn ask(slos: &[Slo], prometheus: &str) -> Result<Vec<Standing>, String> {
    let mut values: Vec<HashMap<String, f64>> = Vec::new();
    for series in SERIES {
        values.push(query(prometheus, series).await?);
    }
    let standing = |slo: &Slo| {
        let value = |n: usize| values[n].get(&slo.name).copied();
        let burn = |n: usize| value(n).map(|errors| errors / (1.0 - slo.target));
        Standing {
            slo: slo.name.clone(),
            service: slo.service.clone(),
            target: slo.target,
            budget_used: value(0),
            burn_1h: burn(1),
            burn_1d: burn(2),
            burn_3d: burn(3),
            state: Budget::Unknown.next(value(0)),
        }
    };
    Ok(slos.iter().map(standing).collect())
}

/// Values of a series by objective.
async fn query(prometheus: &str, series: &str) -> Result<HashMap<String, f64>, String> {
    let query = utf8_percent_encode(series, NON_ALPHANUMERIC);
    let url = format!("{}/api/v1/query?query={query}", prometheus.trim_end_matches('/'));
    let uri = url.parse().map_err(|error| format!("{prometheus} is no URL: {error}"))?;
    let client = Client::builder(TokioExecutor::new()).build_http::<Empty<Bytes>>();
    let answer = async {
        let response =
            client.get(uri).await.map_err(|error| format!("{prometheus} does not answer: {}", root_of(&error)))?;
        let status = response.status();
        let body = Limited::new(response.into_body(), LARGEST_ANSWER).collect().await;
        let body = body.map_err(|error| format!("{prometheus} broke off: {error}"))?.to_bytes();
        if !status.is_success() {
            return Err(format!("{prometheus} answered {status} to the query {series}"));
        }
        serde_json::from_slice::<Answer>(&body).map_err(|error| format!("{prometheus} is no Prometheus: {error}"))
    };
    let answer = tokio::time::timeout(DEADLINE, answer).await;
    let answer = answer.map_err(|_| format!("{prometheus} did not answer within {} s", DEADLINE.as_secs()))??;
    let value = |sample: Sample| {
        let value: f64 = sample.value.1.parse().ok()?;
        Some((sample.metric.get("slo")?.clone(), value)).filter(|(_, value)| value.is_finite())
    };
    Ok(answer.data.result.into_iter().filter_map(value).collect())
}

/// The last of the reasons behind an error: the one that names what the system said.
fn root_of(error: &dyn std::error::Error) -> String {
    std::iter::successors(Some(error), |error| error.source()).last().map(ToString::to_string).unwrap_or_default()
}

fn table(standings: &[Standing]) -> String {
    let mut table = Table::new();
    table.load_style(presets::NOTHING);
    table.set_header(["objective", "service", "target", "budget used", "burn 1h", "1d", "3d", "state"]);
    for column in table.column_iter_mut().skip(2).take(5) {
        column.set_cell_alignment(CellAlignment::Right);
    }
    for one in standings {
        let number = |value: Option<f64>| value.map_or_else(|| "–".to_owned(), |value| format!("{value:.2}"));
        table.add_row([
            one.slo.clone(),
            one.service.clone(),
            format!("{} %", (one.target * 1e7).round() / 1e5),
            one.budget_used.map_or_else(|| "–".to_owned(), |used| format!("{:.1} %", used * 100.0)),
            number(one.burn_1h),
            number(one.burn_1d),
            number(one.burn_3d),
            format!("{:?}", one.state).to_lowercase(),
        ]);
    }
    let is_recorded = standings.iter().any(|one| one.budget_used.is_some() || one.burn_1h.is_some());
    let hint = if is_recorded {
        ""
    } else {
        "\nNothing is recorded: Prometheus needs infra/prometheus/rules, and a minute of time.\n"
    };
    format!("{table}\n{hint}")
}
