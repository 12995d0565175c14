//! `status`, `scale`, `pause`, `resume` and `stop`: control of a run from another terminal; and the run's side of it.

use std::sync::Arc;
use std::time::Duration;

use clap::Args;
use tokio::net::TcpListener;
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;

use super::{Failure, Output};
use crate::control::{self, Change, Control, ControlClient, ControlError, Status, USUAL_ADDRESS};
use crate::executor::Wanted;
use crate::metrics::Snapshot;
use crate::options::Plan;

/// Which run.
#[derive(Debug, Args)]
pub(super) struct ControlArgs {
    /// Where the run listens
    #[arg(long, short = 'a', default_value = USUAL_ADDRESS, value_name = "HOST:PORT")]
    address: String,
    /// How its state is printed
    #[arg(long, short = 'o', value_enum, default_value_t)]
    output: Output,
}

#[derive(Debug, Args)]
pub(super) struct ScaleArgs {
    #[command(flatten)]
    run: ControlArgs,
    /// Users of the externally controlled scenarios
    #[arg(long, short = 'u')]
    vus: u32,
}

/// Shows how a run stands.
pub(super) async fn status(arguments: ControlArgs) -> Result<u8, Failure> {
    let status = client(&arguments)?.status().await.map_err(failure)?;
    show(&arguments, &status)
}

/// Changes the number of users.
pub(super) async fn scale(arguments: ScaleArgs) -> Result<u8, Failure> {
    change(arguments.run, Change { vus: Some(arguments.vus), ..Change::default() }).await
}

/// Lets no iteration start until the run is resumed.
pub(super) async fn pause(arguments: ControlArgs) -> Result<u8, Failure> {
    change(arguments, Change { paused: Some(true), ..Change::default() }).await
}

/// Lets iterations start again.
pub(super) async fn resume(arguments: ControlArgs) -> Result<u8, Failure> {
    change(arguments, Change { paused: Some(false), ..Change::default() }).await
}

/// Ends a run, with the grace of its scenarios.
pub(super) async fn stop(arguments: ControlArgs) -> Result<u8, Failure> {
    change(arguments, Change { stopped: Some(true), ..Change::default() }).await
}

async fn change(arguments: ControlArgs, change: Change) -> Result<u8, Failure> {
    let status = client(&arguments)?.change(change).await.map_err(failure)?;
    show(&arguments, &status)
}

fn client(arguments: &ControlArgs) -> Result<ControlClient, Failure> {
    ControlClient::new(&arguments.address).map_err(failure)
}

fn failure(error: ControlError) -> Failure {
    match error {
        ControlError::Address(_) | ControlError::Refused(_) => Failure::configuration(error),
        ControlError::Unreachable { .. } => Failure::other(error),
    }
}

fn show(arguments: &ControlArgs, status: &Status) -> Result<u8, Failure> {
    if arguments.output == Output::Json {
        anstream::println!("{}", serde_json::to_string_pretty(status).map_err(Failure::other)?);
        return Ok(0);
    }
    let state = match status {
        Status { stopped: true, .. } => "stopping",
        Status { paused: true, .. } => "paused",
        Status { running: true, .. } => "running",
        _ => "not started",
    };
    let verdict = if status.tainted { ", a threshold fails" } else { "" };
    anstream::println!("{state}: {} of at most {} users{verdict}", status.vus, status.vus_max);
    Ok(0)
}

/// A run's side: listens at `address`, at the usual one when the plan has an externally controlled scenario, else nowhere, until the process
/// ends. The receiver is for the engine or the coordinator.
pub(super) async fn listen(
    address: Option<&str>,
    plan: &Plan,
    stop: &CancellationToken,
    measured: impl Fn() -> (Snapshot, Duration) + Send + Sync + 'static,
) -> Result<Option<watch::Receiver<Wanted>>, Failure> {
    let max_vus = control::max_vus(plan);
    let Some(address) = address.or(max_vus.map(|_| USUAL_ADDRESS)) else { return Ok(None) };
    let listener = TcpListener::bind(address).await.map_err(|error| {
        Failure::configuration(format!("the control cannot listen at {address}: {error}; give another --address"))
    })?;
    if let Ok(bound) = listener.local_addr() {
        anstream::eprintln!("control http://{bound}");
    }
    let (sender, wanted) = watch::channel(control::planned(plan));
    let control = Control {
        wanted: sender,
        max_vus,
        stop: stop.clone(),
        measured: Arc::new(measured),
        thresholds: plan.thresholds.clone(),
    };
    tokio::spawn(control::serve(listener, control, CancellationToken::new()));
    Ok(Some(wanted))
}
