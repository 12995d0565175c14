//! `coordinate`: one test on several shards.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::time::Duration;

use clap::Args;
use futures_util::FutureExt;
use futures_util::future::BoxFuture;
use tokio::net::TcpListener;
use tokio::time::Instant;

use super::goose::AccessArgs;
use super::job::Job;
use super::load::LoadArgs;
use super::observe::ObserveArgs;
use super::output::ResultArgs;
use super::prepare::Prepared;
use super::publish::PublishArgs;
use super::run::Stop;
use super::{Failure, Output, control, run};
use crate::distributed::{CoordinationError, Coordinator, CoordinatorSettings, SoFar, Surroundings};
use crate::observe::Observer;
use crate::options::Plan;
use crate::publish::Publisher;
use crate::results::{Meta, RunSummary, Screen};

#[derive(Debug, Args)]
pub(super) struct CoordinateArgs {
    /// The test: TOML, YAML or JSON
    file: PathBuf,
    /// Number of shards that the test is divided among
    #[arg(long, short = 'n')]
    shards: u32,
    /// Where shards come; port 0 takes a free one
    #[arg(long, default_value = "127.0.0.1:0", value_name = "HOST:PORT")]
    listen: SocketAddr,
    /// What each shard has to show
    #[arg(long, env = "SPILLWAY_LOAD_TOKEN", hide_env_values = true)]
    token: Option<String>,
    /// Longest time until all shards have joined, and from then until all are ready
    #[arg(long, default_value = "60s", value_parser = super::duration)]
    join_timeout: Duration,
    /// Time after which a shard that was not heard is lost, and with it the run
    #[arg(long, default_value = "10s", value_parser = super::duration)]
    silence: Duration,
    /// Address for status, scale, pause, resume and stop [default: 127.0.0.1:6565 for an externally controlled scenario, else none]
    #[arg(long, value_name = "HOST:PORT")]
    address: Option<String>,
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
    /// No progress
    #[arg(long, short = 'q')]
    quiet: bool,
    /// How the summary is printed
    #[arg(long, short = 'o', value_enum, default_value_t)]
    output: Output,
}

pub(super) async fn run(arguments: CoordinateArgs) -> Result<u8, Failure> {
    let environment = arguments.results.environment();
    let (options, plan) = arguments.load.read(&arguments.file, environment)?;
    if !plan.segment.is_whole() {
        return Err(Failure::configuration(
            "coordinate divides the whole test among its shards: leave out --execution-segment and executionSegment",
        ));
    }
    let folder = arguments.file.parent().unwrap_or(Path::new("."));
    let prepared = Prepared::new(&options, &plan, folder, arguments.access.access())?;
    let job = Job::new(&arguments.file, &arguments.load.overrides(environment)?)?;
    let baseline = arguments.results.baseline()?;
    let publisher = Publisher::new(&arguments.publish.receivers()).map_err(Failure::configuration)?;
    let gateways = arguments.results.gateways()?;
    let mut observer = Observer::new(arguments.observe.sources()).await.map_err(Failure::configuration)?;
    for warning in plan.warnings.iter().map(String::as_str).chain(observer.warnings().iter().map(|text| text.as_ref()))
    {
        anstream::eprintln!("warning: {warning}");
    }
    let listener = listen(&arguments).await?;
    let (stop, so_far) = (Stop::on_signals(), SoFar::default());
    let measured = so_far.clone();
    let wanted = control::listen(arguments.address.as_deref(), &plan, &stop.gently, move || measured.read()).await?;

    let meta = Meta::new(&arguments.file, &plan, plan.describe());
    let mut screen = Screen::new(arguments.quiet || arguments.output == Output::Json, &plan.describe());
    let coordinator = Coordinator {
        listener,
        settings: CoordinatorSettings {
            token: arguments.token.filter(|token| !token.is_empty()),
            join_timeout: arguments.join_timeout,
            silence: arguments.silence,
            ..CoordinatorSettings::new(arguments.shards)
        },
        job: serde_json::to_value(job).map_err(Failure::other)?,
        thresholds: plan.thresholds.clone(),
        stop: stop.gently,
        kill: stop.now,
        wanted,
        so_far,
    };
    observer.begin(Instant::now());
    let merged = coordinator.run(&Flows { prepared, plan }, |tick| screen.show(tick)).await;
    screen.end();
    let observed = observer.end().await;
    let merged = merged.map_err(failure)?;
    let mut summary = RunSummary::new(&merged.outcome, merged.timeline, meta);
    summary.observed = observed;
    let code =
        run::finish(&summary, &arguments.results, baseline.as_ref(), (publisher, gateways), arguments.output).await?;
    merged.teardown.map_err(|error| Failure::scenario(format!("teardown failed: {error}")))?;
    Ok(code)
}

async fn listen(arguments: &CoordinateArgs) -> Result<TcpListener, Failure> {
    let listener = TcpListener::bind(arguments.listen).await;
    let listener =
        listener.map_err(|error| Failure::configuration(format!("cannot listen at {}: {error}", arguments.listen)))?;
    let address = listener.local_addr().map_err(Failure::other)?;
    if arguments.token.is_none() && !address.ip().is_loopback() {
        anstream::eprintln!(
            "warning: whoever reaches {address} can take a shard's place: set --token (SPILLWAY_LOAD_TOKEN)"
        );
    }
    anstream::eprintln!("coordinator http://{address} waits for {} shard(s)", arguments.shards);
    Ok(listener)
}

fn failure(error: CoordinationError) -> Failure {
    match error {
        CoordinationError::Setting(message) => Failure::configuration(message),
        CoordinationError::Interrupted => Failure::interrupted(error),
        error => Failure::scenario(error),
    }
}

/// The flows `setup` and `teardown` of a file.
struct Flows {
    prepared: Prepared,
    plan: Plan,
}

impl Surroundings for Flows {
    fn setup(&self) -> BoxFuture<'_, Result<BTreeMap<String, String>, String>> {
        self.prepared.set_up(&self.plan).boxed()
    }

    fn teardown(&self, captured: BTreeMap<String, String>) -> BoxFuture<'_, Result<(), String>> {
        self.prepared.tear_down(&self.plan, captured).boxed()
    }
}
