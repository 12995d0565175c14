//! `spillway load-tests`.

use clap::Subcommand;

use super::Client;
use super::error::ClientError;
use super::resource::Resource;
use super::table::Column;

const LOAD_TESTS: Resource = Resource {
    path: "load-tests",
    word: "load test",
    columns: &[
        Column::id("ID", "id"),
        Column::state("VERDICT", "verdict"),
        Column::number("RATE/S", "rate"),
        Column::number("P50 MS", "p50_ms"),
        Column::number("P99 MS", "p99_ms"),
        Column::text("CHANGE", "change"),
        Column::time("STARTED", "started_at"),
    ],
    details: &[
        Column::id("Id", "id"),
        Column::text("Name", "name"),
        Column::text("Environment", "environment"),
        Column::state("Verdict", "verdict"),
        Column::text("Reason", "reason"),
        Column::time("Started", "started_at"),
        Column::number("Seconds", "duration_s"),
        Column::number("Requests", "requests"),
        Column::number("Requests/s", "rate"),
        Column::number("Error rate", "error_rate"),
        Column::number("p50 ms", "p50_ms"),
        Column::number("p95 ms", "p95_ms"),
        Column::number("p99 ms", "p99_ms"),
        Column::number("Dropped", "dropped"),
        Column::text("Failed", "failed_thresholds"),
        Column::text("Published by", "by"),
    ],
    empty: "No results. Publish one: spillway-loadgen run FILE --out gateway=URL",
};

#[derive(Debug, Subcommand)]
pub(crate) enum LoadTestsCommand {
    /// Lists results of load tests, the latest run first
    List {
        /// Only runs of this test
        #[arg(long)]
        name: Option<String>,
    },
    /// Shows a result
    Get {
        /// Id
        load_test: String,
    },
    /// Forgets a result
    Delete {
        /// Id
        load_test: String,
    },
}

pub(crate) async fn run(command: LoadTestsCommand, client: &mut Client) -> Result<(), ClientError> {
    match command {
        LoadTestsCommand::List { name } => {
            let query = name.map(|name| ("name", name)).into_iter().collect();
            client.list_whole(&LOAD_TESTS, query).await
        }
        LoadTestsCommand::Get { load_test } => client.get(&LOAD_TESTS, &load_test).await,
        LoadTestsCommand::Delete { load_test } => client.delete(&LOAD_TESTS, &load_test).await,
    }
}
