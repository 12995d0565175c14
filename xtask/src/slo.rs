//! `cargo xtask slo`: objectives, rules and alerts as files. The work is done by `spillway-monitoring`.

use std::ffi::OsString;

use xshell::{Shell, cmd};

use crate::failure::Result;
use crate::setup::{self, ALERTMANAGER, PROMETHEUS};

/// Service level objectives of infra/slo: `generate`, `check`, `status`
///
/// `generate` writes the recording rules, burn-rate alerts and their tests that follow from infra/slo. `check` holds all rules to it, every alert and error code to its runbook, the
/// runbooks to each other (index, links, queries), and runs the rules' unit tests with promtool and the routing's check with amtool: about a minute. `status` asks a Prometheus how each objective stands.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// Command and its arguments; `-- --help` lists them
    #[arg(trailing_var_arg = true, allow_hyphen_values = true, value_name = "COMMAND ARGS")]
    args: Vec<OsString>,
}

pub(crate) fn run(sh: &Shell, Args { args }: Args) -> Result<()> {
    setup::ensure(sh, &[&PROMETHEUS, &ALERTMANAGER])?;
    Ok(cmd!(sh, "cargo run --quiet --package spillway-monitoring -- {args...}").quiet().run()?)
}

/// For `cargo xtask check`.
pub(crate) fn check(sh: &Shell) -> Result<()> {
    run(sh, Args { args: vec!["check".into()] })
}
