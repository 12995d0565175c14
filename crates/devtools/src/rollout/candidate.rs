//! A gateway behind a proxy that makes it a good or a bad version: what a rollout's plan starts in a slot.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

use clap::ValueEnum;
use spillway_testkit::{Fault, FaultProxy};
use tokio::signal::unix::{SignalKind, signal};

use crate::gateway::Gateway;
use crate::{Common, Failure};

/// A version that crashes does so after this many requests.
const REQUESTS_UNTIL_CRASH: u64 = 400;

#[derive(Debug, clap::Args)]
pub(crate) struct CandidateArgs {
    #[command(flatten)]
    common: Common,
    /// Settings of the gateway
    #[arg(long)]
    config: PathBuf,
    /// Where the version listens
    #[arg(long)]
    listen: SocketAddr,
    /// Where the gateway's log is appended
    #[arg(long)]
    log: PathBuf,
    /// What is wrong with it
    #[arg(long, value_enum, default_value_t = Version::Good)]
    version: Version,
}

/// A version of the gateway.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum Version {
    /// Nothing is wrong.
    Good,
    /// A fifth of the requests fail.
    Errors,
    /// Every request takes 150 ms longer.
    Slow,
    /// It dies, and dies again when it is started again.
    Crash,
    /// Every request leaves 256 KiB behind.
    Leak,
}

impl Version {
    fn fault(self) -> Fault {
        match self {
            Self::Good | Self::Crash => Fault::default(),
            Self::Errors => Fault { error_ratio: 0.2, ..Fault::default() },
            Self::Slow => Fault { delay: Duration::from_millis(150), ..Fault::default() },
            Self::Leak => Fault { leak_bytes: 256 << 10, ..Fault::default() },
        }
    }
}

/// Runs until it is told to stop, or crashes.
pub(crate) fn run(arguments: &CandidateArgs) -> Result<bool, Failure> {
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build()?;
    runtime.block_on(serve(arguments))
}

async fn serve(arguments: &CandidateArgs) -> Result<bool, Failure> {
    let mut terminate = signal(SignalKind::terminate())?;
    let mut interrupt = signal(SignalKind::interrupt())?;
    let more = ["--listen", "127.0.0.1:0"];
    let gateway = Gateway::start(&arguments.common.gateway, &arguments.config, &more, &arguments.log)?;
    let proxy = FaultProxy::start(arguments.listen, gateway.address().parse()?, arguments.version.fault()).await?;
    tokio::select! {
        _ = terminate.recv() => {}
        _ = interrupt.recv() => {}
        () = crash(arguments.version, &proxy) => {
            gateway.kill();
            std::process::abort();
        }
    }
    drop(proxy);
    gateway.stop()?;
    Ok(true)
}

/// Ends when it is time to crash: never, for most versions.
async fn crash(version: Version, proxy: &FaultProxy) {
    let mut look = tokio::time::interval(Duration::from_millis(50));
    while version != Version::Crash || proxy.requests() < REQUESTS_UNTIL_CRASH {
        look.tick().await;
    }
}
