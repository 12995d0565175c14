//! `stack status --local`.

use std::path::Path;
use std::process::ExitCode;

use comfy_table::{Table, presets};
use serde::Serialize;

use super::parts::Part;
use super::state::State;
use super::{Output, probe};
use crate::Failure;

/// How a part is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
enum Health {
    /// It answers.
    Healthy,
    /// Its process runs, and it does not do its work.
    Unhealthy,
    /// Its process ended.
    Dead,
    /// It was not started.
    Absent,
}

#[derive(Debug, Serialize)]
struct Row {
    part: &'static str,
    pid: Option<u32>,
    address: String,
    health: Health,
    uptime_s: Option<u64>,
}

/// Prints every part. The exit code is 1 unless all of them are healthy.
pub(super) async fn show(folder: &Path, output: Output) -> Result<ExitCode, Failure> {
    let Some(state) = State::load(folder)? else {
        return Err(format!("no stack runs in {}: `cargo xtask stack up --local` starts one", folder.display()).into());
    };
    let mut rows = Vec::new();
    for part in Part::ALL {
        rows.push(row(part, &state, folder).await);
    }
    match output {
        Output::Json => say!("{}", serde_json::to_string_pretty(&rows)?),
        Output::Table => print(&rows),
    }
    let all_healthy = rows.iter().all(|row| row.health == Health::Healthy);
    Ok(if all_healthy { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

async fn row(part: Part, state: &State, folder: &Path) -> Row {
    let process = state.process(part);
    let is_alive = process.is_some_and(|process| process.is_alive());
    let health = match process {
        None => Health::Absent,
        Some(_) if !is_alive => Health::Dead,
        Some(_) if probe::is_healthy(part, state, folder).await => Health::Healthy,
        Some(_) => Health::Unhealthy,
    };
    Row {
        part: part.name(),
        pid: process.map(|process| process.pid),
        address: state.address_of(part),
        health,
        uptime_s: process.filter(|_| is_alive).and_then(|process| Some(process.uptime()?.as_secs())),
    }
}

fn print(rows: &[Row]) {
    let mut table = Table::new();
    table.load_style(presets::NOTHING);
    table.set_header(["part", "pid", "address", "health", "uptime"]);
    for row in rows {
        let health = match row.health {
            Health::Healthy => "✓ healthy",
            Health::Unhealthy => "✗ unhealthy",
            Health::Dead => "✗ dead",
            Health::Absent => "✗ not started",
        };
        table.add_row([
            row.part.to_owned(),
            row.pid.map_or_else(|| "–".to_owned(), |pid| pid.to_string()),
            row.address.clone(),
            health.to_owned(),
            row.uptime_s.map_or_else(|| "–".to_owned(), uptime),
        ]);
    }
    say!("{table}");
    if rows.iter().any(|row| row.health != Health::Healthy) {
        say!(
            "\n`cargo xtask stack up --local` starts again what died; `cargo xtask stack logs --local PART` says why."
        );
    }
}

/// `2h 5m`, `5m 3s` or `3s`.
fn uptime(seconds: u64) -> String {
    let (hours, minutes, seconds) = (seconds / 3_600, seconds / 60 % 60, seconds % 60);
    match (hours, minutes) {
        (0, 0) => format!("{seconds}s"),
        (0, _) => format!("{minutes}m {seconds}s"),
        _ => format!("{hours}h {minutes}m"),
    }
}

#[cfg(test)]
mod tests {
    #[test]
    fn uptime_has_its_two_largest_units() {
        let cases = [(3, "3s"), (303, "5m 3s"), (7_503, "2h 5m"), (180_000, "50h 0m")];
        for (seconds, expected) in cases {
            assert_eq!(super::uptime(seconds), expected);
        }
    }
}
