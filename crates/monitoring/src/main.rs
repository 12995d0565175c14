//! `spillway-monitoring`, which `cargo xtask slo` runs.

use std::process::ExitCode;

fn main() -> ExitCode {
    spillway_monitoring::cli::main()
}
