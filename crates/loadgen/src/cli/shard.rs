//! `shard`: a part of a test that a coordinator divides.

use std::path::{Path, PathBuf};
use std::time::Duration;

use clap::Args;
use tokio_util::sync::CancellationToken;
use url::Url;

use super::Failure;
use super::goose::AccessArgs;
use super::job::Job;
use super::prepare::Prepared;
use super::run::Stop;
use crate::distributed::{Assignment, Shard, ShardFailure, Stopped};
use crate::engine::Engine;
use crate::goose_scenarios::Access;
use crate::metrics::{Registry, RegistrySettings};

/// A Kubernetes Indexed Job tells each pod its index in `JOB_COMPLETION_INDEX`.
#[derive(Debug, Args)]
pub(super) struct ShardArgs {
    /// Where the coordinator is: http://HOST:PORT
    #[arg(long, env = "SPILLWAY_LOAD_COORDINATOR", value_name = "URL")]
    coordinator: Url,
    /// The shard's place, from 0; without it the first free one
    #[arg(long, env = "JOB_COMPLETION_INDEX", value_name = "NUMBER")]
    index: Option<u32>,
    /// What the coordinator asks for
    #[arg(long, env = "SPILLWAY_LOAD_TOKEN", hide_env_values = true)]
    token: Option<String>,
    /// How long it looks for the coordinator
    #[arg(long, default_value = "60s", value_parser = super::duration)]
    join_timeout: Duration,
    /// Where the files lie that the test names
    #[arg(long, default_value = ".")]
    folder: PathBuf,
    #[command(flatten)]
    access: AccessArgs,
}

pub(super) async fn run(arguments: ShardArgs) -> Result<u8, Failure> {
    let stop = Stop::on_signals();
    let shard = Shard {
        coordinator: arguments.coordinator,
        index: arguments.index,
        token: arguments.token.filter(|token| !token.is_empty()),
        join_timeout: arguments.join_timeout,
        stop: stop.gently,
        kill: stop.now,
    };
    let (folder, access) = (arguments.folder, arguments.access.access());
    let end = shard.run(async |assignment| prepare(assignment, &folder, access).await).await.map_err(failure)?;
    match end.stopped {
        Some(Stopped { reason, failed: true }) => Err(Failure::scenario(format!("the run has failed: {reason}"))),
        Some(Stopped { reason, .. }) => {
            anstream::eprintln!("shard {} was stopped: {reason}", end.index);
            Ok(0)
        }
        // The verdict is the coordinator's.
        None => {
            anstream::eprintln!("shard {} is done", end.index);
            Ok(0)
        }
    }
}

async fn prepare(assignment: Assignment, folder: &Path, access: Access) -> Result<Engine, String> {
    let Assignment { index, shards, execution_segment, .. } = &assignment;
    anstream::eprintln!("shard {index} of {shards}, segment {execution_segment}");
    let job: Job = serde_json::from_value(assignment.job.clone()).map_err(|error| {
        format!("the test cannot be read: {error}; run the same version of the load generator everywhere")
    })?;
    let (options, plan) = job.plan(&assignment)?;
    let message = |failure: Failure| failure.message;
    let prepared = Prepared::new(&options, &plan, folder, access).map_err(message)?;
    prepared.probe(&plan).await.map_err(message)?;
    let thresholds = plan.thresholds.clone();
    let registry = Registry::new(RegistrySettings { thresholds, shard: Some(*index), ..RegistrySettings::default() });
    let workloads = prepared.workloads(&plan, &registry, assignment.setup).map_err(message)?;
    let (stop, kill) = (CancellationToken::new(), CancellationToken::new());
    Ok(Engine { plan, workloads, registry, stop, kill, wanted: None })
}

fn failure(error: ShardFailure) -> Failure {
    match error {
        ShardFailure::Interrupted => Failure::interrupted(error),
        error => Failure::scenario(error),
    }
}
