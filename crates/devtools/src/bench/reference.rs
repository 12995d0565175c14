//! What the gateway is compared with, as a process of its own: as the gateway is one, and so that its processor time can be told apart
//! from the sender's and the sink's.

use std::io::{BufRead as _, BufReader, Read as _};
use std::net::SocketAddr;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use clap::Subcommand;

use super::{process, servers};
use crate::Failure;

#[derive(Debug, clap::Args)]
pub(crate) struct ReferenceArgs {
    #[command(subcommand)]
    kind: Kind,
}

/// Which one.
#[derive(Debug, Clone, Copy, Subcommand)]
pub(super) enum Kind {
    /// Reads bodies and answers 202
    Server,
    /// The same, and sends each body on
    Relay {
        /// Where to
        to: SocketAddr,
    },
}

/// The child: prints its address and serves until its input ends, as it does when the parent is gone.
pub(crate) fn run(arguments: &ReferenceArgs) -> Result<bool, Failure> {
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
    let kind = arguments.kind;
    let address = runtime.block_on(async move {
        let started = tokio::spawn(async move {
            match kind {
                Kind::Server => servers::bare_server().await,
                Kind::Relay { to } => servers::bare_relay(to).await,
            }
        });
        started.await?
    })?;
    println!("{address}");
    std::io::stdin().read_to_end(&mut Vec::new())?;
    runtime.shutdown_background();
    Ok(true)
}

/// A running reference. Killed on drop.
#[derive(Debug)]
pub(super) struct Reference {
    child: Child,
    pub(super) address: SocketAddr,
}

impl Reference {
    pub(super) fn start(kind: Kind) -> Result<Self, Failure> {
        let mut command = Command::new(std::env::current_exe()?);
        command.arg("reference").stdin(Stdio::piped()).stdout(Stdio::piped());
        match kind {
            Kind::Server => command.arg("server"),
            Kind::Relay { to } => command.arg("relay").arg(to.to_string()),
        };
        let mut child = command.spawn()?;
        let stdout = child.stdout.take().ok_or("the reference has no standard output")?;
        let mut line = String::new();
        let read = BufReader::new(stdout).read_line(&mut line);
        let mut reference = Self { child, address: SocketAddr::from(([0; 4], 0)) };
        read?;
        reference.address = line.trim().parse().map_err(|_| "the reference did not start")?;
        Ok(reference)
    }

    /// Processor time so far.
    pub(super) fn cpu(&self) -> Duration {
        process::cpu(self.child.id(), false)
    }
}

impl Drop for Reference {
    fn drop(&mut self) {
        // It may have ended already.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
