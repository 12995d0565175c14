//! `cargo xtask check`: everything about the code that is not a test.

mod floors;
mod images;
mod linter;
mod metric_catalogue;
mod pipelines;
mod secrets;

use std::time::{Duration, Instant};

use xshell::{Shell, cmd};

use crate::failure::{Failure, Result};
use crate::metadata::Metadata;
use crate::setup::{self, CLIPPY, DENY, RUSTFMT};
use crate::{manifests, slo};

/// Checks format, lints, licences and bans, the floors, the metric catalogue, images, pipelines, and that no secret is in a file
///
/// Runs all steps even when one fails, and ends with a summary: rustfmt; clippy with warnings as errors; cargo-deny (licences, banned and
/// duplicate crates, sources; deny.toml); the dependency rules of ARCHITECTURE.md; runbooks/metrics.md against `spillway metrics`; Dockerfiles, the compose file and scripts
/// (hadolint, shellcheck, Compose, own rules); workflows (actionlint, zizmor, pinned actions); secrets in files (detect-secrets); objectives, alerts and
/// their runbooks, as `cargo xtask slo check` does; manifests, as `cargo xtask manifests validate` does. About two minutes after the first build.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// Repair what can be repaired: format the code and rewrite runbooks/metrics.md and .secrets.baseline
    #[arg(long)]
    fix: bool,

    /// Also look dependencies up in the RustSec advisory database, which needs the network
    #[arg(long)]
    advisories: bool,
}

pub(crate) fn run(sh: &Shell, Args { fix, advisories }: Args) -> Result<()> {
    let mut report = Report::default();
    report.step("format", || format(sh, fix));
    report.step("clippy", || clippy(sh));
    report.step("deny", || deny(sh, advisories));
    report.step("floors", || check_floors(sh));
    report.step("metric catalogue", || metric_catalogue::check(sh, fix));
    report.step("images", || images::check(sh));
    report.step("pipelines", || pipelines::check(sh));
    report.step("secrets", || secrets::check(sh, fix));
    report.step("objectives and alerts", || slo::check(sh));
    report.step("manifests", || manifests::check(sh));
    report.finish()
}

fn format(sh: &Shell, fix: bool) -> Result<()> {
    setup::ensure(sh, &[&RUSTFMT])?;
    let check = (!fix).then_some("--check");
    Ok(cmd!(sh, "cargo fmt --all {check...}").run()?)
}

fn clippy(sh: &Shell) -> Result<()> {
    setup::ensure(sh, &[&CLIPPY])?;
    Ok(cmd!(sh, "cargo clippy --quiet --keep-going --workspace --all-targets -- -D warnings").run()?)
}

fn deny(sh: &Shell, advisories: bool) -> Result<()> {
    setup::ensure(sh, &[&DENY])?;
    let advisories = advisories.then_some("advisories");
    // Duplicates of light crates are warnings, and many.
    Ok(cmd!(sh, "cargo deny --log-level error check bans licenses sources {advisories...}").run()?)
}

fn check_floors(sh: &Shell) -> Result<()> {
    let violations = floors::violations(&Metadata::with_dependencies(sh)?);
    for violation in &violations {
        eprintln!("{violation}");
    }
    match violations.len() {
        0 => Ok(()),
        n => Err(Failure::new(format!("{n} dependencies break the rules of xtask/src/check/floors.rs"))),
    }
}

/// Outcome of each step, in order.
#[derive(Default)]
struct Report {
    steps: Vec<(&'static str, Duration, Result<()>)>,
}

impl Report {
    fn step(&mut self, name: &'static str, check: impl FnOnce() -> Result<()>) {
        eprintln!("── {name}");
        let started = Instant::now();
        let outcome = check();
        self.steps.push((name, started.elapsed(), outcome));
    }

    fn finish(self) -> Result<()> {
        eprintln!();
        for (name, took, outcome) in &self.steps {
            let seconds = took.as_secs_f64();
            match outcome {
                Ok(()) => eprintln!("✓ {name:<22} {seconds:>6.1} s"),
                Err(failure) => eprintln!("✗ {name:<22} {seconds:>6.1} s  {failure}"),
            }
        }
        match self.steps.iter().filter(|(_, _, outcome)| outcome.is_err()).count() {
            0 => Ok(()),
            n => Err(Failure::new(format!("{n} of {} checks failed", self.steps.len()))),
        }
    }
}
