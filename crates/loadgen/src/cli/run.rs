//! `run`: the load test that a file describes.

use std::path::{Path, PathBuf};

use clap::Args;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use super::goose::AccessArgs;
use super::load::{LoadArgs, is_script};
use super::observe::ObserveArgs;
use super::output::ResultArgs;
use super::prepare::Prepared;
use super::publish::PublishArgs;
use super::{Failure, Output, control};
use crate::engine::Engine;
use crate::metrics::{Registry, RegistrySettings};
use crate::observe::Observer;
use crate::publish::{Gateway, Publisher};
use crate::results::{self, Meta, RunSummary};

#[derive(Debug, Args)]
pub(super) struct RunArgs {
    /// The test: TOML, YAML or JSON
    file: PathBuf,
    #[command(flatten)]
    load: LoadArgs,
    #[command(flatten)]
    access: AccessArgs,
    #[command(flatten)]
    results: ResultArgs,
    #[command(flatten)]
    observe: ObserveArgs,
    #[command(flatten)]
    publish: PublishArgs,
    /// Address for status, scale, pause, resume and stop [default: 127.0.0.1:6565 for an externally controlled scenario, else none]
    #[arg(long, value_name = "HOST:PORT")]
    address: Option<String>,
    /// No progress
    #[arg(long, short = 'q')]
    quiet: bool,
    /// How the summary is printed
    #[arg(long, short = 'o', value_enum, default_value_t)]
    output: Output,
}

/// The options of a k6 script on somebody else's flows.
pub(super) async fn k6(arguments: RunArgs) -> Result<u8, Failure> {
    let file = arguments.file.display();
    if !is_script(&arguments.file) {
        return Err(Failure::configuration(format!("{file} is no k6 script: use `spillway-loadgen run {file}`")));
    }
    if arguments.load.flows.is_none() {
        return Err(Failure::configuration(format!(
            "{file}: the code of a k6 script is not run, its options are: say what an iteration does in [flows.default] of a file, \
             and give it as --flows FILE"
        )));
    }
    run(arguments).await
}

pub(super) async fn run(arguments: RunArgs) -> Result<u8, Failure> {
    let (options, plan) = arguments.load.read(&arguments.file, arguments.results.environment())?;
    let folder = arguments.file.parent().unwrap_or(Path::new("."));
    let prepared = Prepared::new(&options, &plan, folder, arguments.access.access())?;
    let baseline = arguments.results.baseline()?;
    let publisher = Publisher::new(&arguments.publish.receivers()).map_err(Failure::configuration)?;
    let gateways = arguments.results.gateways()?;
    for warning in &plan.warnings {
        anstream::eprintln!("warning: {warning}");
    }
    let observer = Observer::new(arguments.observe.sources()).await.map_err(Failure::configuration)?;
    for warning in observer.warnings() {
        anstream::eprintln!("warning: {warning}");
    }
    prepared.probe(&plan).await?;
    let stop = Stop::on_signals();
    let registry =
        Registry::new(RegistrySettings { thresholds: plan.thresholds.clone(), ..RegistrySettings::default() });
    let (begun, measured) = (Instant::now(), registry.clone());
    let measured = move || (measured.snapshot(), begun.elapsed());
    let wanted = control::listen(arguments.address.as_deref(), &plan, &stop.gently, measured).await?;
    let captured = prepared.set_up(&plan).await.map_err(|error| Failure::scenario(format!("setup failed: {error}")))?;
    let workloads = prepared.workloads(&plan, &registry, captured.clone())?;
    let meta = Meta::new(&arguments.file, &plan, plan.describe());
    let mut screen = results::Screen::new(arguments.quiet || arguments.output == Output::Json, &plan.describe());
    let engine = Engine {
        plan: plan.clone(),
        workloads,
        registry: registry.clone(),
        stop: stop.gently.clone(),
        kill: stop.now.clone(),
        wanted,
    };
    let mut observer = observer;
    observer.begin(Instant::now());
    let outcome = engine.run(|tick| screen.show(tick)).await;
    screen.end();
    let observed = observer.end().await;
    // It runs however the run went.
    let torn_down = prepared.tear_down(&plan, captured).await;
    let outcome = outcome.map_err(Failure::scenario)?;
    let mut summary = RunSummary::new(&outcome, registry.timeline(), meta);
    summary.observed = observed;
    let code = finish(&summary, &arguments.results, baseline.as_ref(), (publisher, gateways), arguments.output).await?;
    torn_down.map_err(|error| Failure::scenario(format!("teardown failed: {error}")))?;
    Ok(code)
}

/// Writes, tells and prints a result. Returns its exit code.
pub(super) async fn finish(
    summary: &RunSummary,
    arguments: &ResultArgs,
    baseline: Option<&RunSummary>,
    (publisher, gateways): (Publisher, Vec<Gateway>),
    output: Output,
) -> Result<u8, Failure> {
    arguments.write(summary, baseline)?;
    for problem in publisher.publish(&summary.facts(arguments.environment(), arguments.report())).await {
        anstream::eprintln!("warning: {problem}");
    }
    if !gateways.is_empty() {
        let comparison = baseline.map(|baseline| results::compare(baseline, summary));
        let published = summary.published(arguments.environment(), comparison.as_ref());
        for gateway in gateways {
            if let Some(problem) = gateway.publish(&published).await {
                anstream::eprintln!("warning: {problem}");
            }
        }
    }
    match output {
        Output::Text => {
            anstream::print!("{}", results::terminal(summary));
            if let Some(report) = arguments.report() {
                anstream::println!("report: {report}");
            }
        }
        Output::Json => anstream::println!("{}", summary.to_json()),
    }
    Ok(summary.exit_code())
}

/// How a signal ends a run.
#[derive(Debug, Clone)]
pub(super) struct Stop {
    /// The first one: iterations under way may end.
    pub(super) gently: CancellationToken,
    /// The second one.
    pub(super) now: CancellationToken,
}

impl Stop {
    /// Cancelled by Ctrl-C and SIGTERM.
    pub(super) fn on_signals() -> Self {
        let stop = Self { gently: CancellationToken::new(), now: CancellationToken::new() };
        let own = stop.clone();
        tokio::spawn(async move {
            let Ok(mut terminate) = tokio::signal::unix::signal(tokio::signal::unix::SignalKind::terminate()) else {
                return;
            };
            for token in [own.gently, own.now] {
                tokio::select! {
                    _ = tokio::signal::ctrl_c() => {}
                    _ = terminate.recv() => {}
                }
                token.cancel();
            }
        });
        stop
    }
}
