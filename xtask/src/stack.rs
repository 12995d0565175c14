//! `cargo xtask stack`: the whole stack. The work is done by `spillway-devtools`.

use std::ffi::OsString;

use xshell::Shell;

use crate::devtools::{Program, hand_over};
use crate::failure::Result;
use crate::metadata::Metadata;
use crate::setup::{self, ALERTMANAGER, NGINX, POSTGRES, PROMETHEUS, PUSHGATEWAY, REDIS};

/// Starts, ends and shows Spillway with everything around it: `up`, `down`, `status`, `logs`
///
/// Two api nodes and a worker on PostgreSQL and Redis, nginx in front, Prometheus with all rules and Alertmanager beside them. In containers
/// (infra/compose) with Grafana and Jaeger; with `--local` from this machine's own programs, which are installed when they are missing, with the
/// same configuration files. `up` returns when all is healthy and leaves it running; again it starts what died. `down` ends it and keeps its data.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// Command and its arguments, such as `up --local`; `-- --help` lists them
    #[arg(trailing_var_arg = true, allow_hyphen_values = true, value_name = "COMMAND ARGS")]
    args: Vec<OsString>,
}

pub(crate) fn run(sh: &Shell, Args { mut args }: Args) -> Result<()> {
    let has = |word: &str| args.iter().any(|argument| argument == word);
    if has("up") && has("--local") && !has("--help") {
        setup::ensure(sh, &[&POSTGRES, &REDIS, &NGINX, &PROMETHEUS, &ALERTMANAGER, &PUSHGATEWAY])?;
        xshell::cmd!(sh, "cargo build --release --package spillway-gateway --bin spillway").run()?;
        args.push("--gateway".into());
        args.push(Metadata::target_directory(sh)?.join("release").join("spillway").into());
    }
    hand_over(sh, Program::Devtools, "stack", &args)
}
