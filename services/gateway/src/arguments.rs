//! The command line.

use std::net::SocketAddr;
use std::path::PathBuf;

use clap::{Args, Parser, Subcommand};
use clap_complete::Shell;
use spillway_model::{Secret, Slot};
use spillway_settings::{Environment, LoadArgs, Overrides, Role};

use crate::client::ClientCommand;
use crate::doctor::{self, DoctorOptions};

/// Receives webhooks, acknowledges each as soon as it is durable, and delivers it until it is received
#[derive(Debug, Parser)]
#[command(name = "spillway", version, propagate_version = true)]
pub(crate) struct Arguments {
    #[command(subcommand)]
    pub(crate) command: Command,
}

#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Runs the gateway
    ///
    /// Without options it listens on 127.0.0.1:8080, keeps its data in ./spillway-data and needs no other service. The first
    /// start prints an admin key, once.
    Serve(ServeOptions),
    /// Brings the database's schema up to date and exits
    Migrate(ServeOptions),
    /// Checks settings and shows what is in force, each value with where it comes from
    CheckConfig(ServeOptions),
    /// Looks at database, Redis, gateway and machine, and says what to do
    ///
    /// It changes nothing, asks each part over one connection for at most two seconds at a time, and takes what fails or hangs for unknown.
    #[command(after_help = doctor::AFTER_HELP)]
    Doctor(DoctorOptions),
    #[command(flatten)]
    Client(ClientCommand),
    /// Prints the API's OpenAPI document as JSON
    Openapi,
    /// Lists the metrics that the gateway exports
    Metrics {
        /// As a Markdown table
        #[arg(long)]
        markdown: bool,
    },
    /// Prints the completions for a shell
    #[command(hide = true)]
    Completions {
        /// The shell
        shell: Shell,
    },
    /// Writes the man pages into a folder
    #[command(hide = true)]
    Man {
        /// The folder, which must exist
        directory: PathBuf,
    },
}

#[derive(Debug, Args)]
pub(crate) struct ServeOptions {
    /// Settings file [default: spillway.toml in the working directory, if it is there]
    #[arg(long, value_name = "FILE")]
    config: Option<PathBuf>,
    /// What this process does: all, api or worker
    #[arg(long)]
    role: Option<Role>,
    /// Slot of this worker, blue or green: it takes its slot's share of the deliveries
    #[arg(long)]
    slot: Option<Slot>,
    /// Address to listen on, such as 0.0.0.0:8080; port 0 takes a free one
    #[arg(long, value_name = "ADDR")]
    listen: Option<SocketAddr>,
    /// Folder of the embedded database
    #[arg(long, value_name = "DIR")]
    data_dir: Option<PathBuf>,
    /// Database: sqlite://PATH or postgres://user@host/db
    #[arg(long, value_name = "URL")]
    database_url: Option<String>,
    /// Redis, for several nodes: redis://host:port
    #[arg(long, value_name = "URL")]
    redis_url: Option<String>,
    /// Log filter, such as info or info,spillway_worker=debug
    #[arg(long, value_name = "FILTER")]
    log_filter: Option<String>,
}

impl ServeOptions {
    pub(crate) fn load_args(&self) -> LoadArgs {
        LoadArgs {
            config: self.config.clone(),
            environment: Environment::of_process(),
            overrides: Overrides {
                role: self.role,
                slot: self.slot,
                listen: self.listen,
                data_dir: self.data_dir.clone(),
                database_url: self.database_url.clone().map(Secret::new),
                redis_url: self.redis_url.clone().map(Secret::new),
                log_filter: self.log_filter.clone(),
            },
        }
    }
}

#[cfg(test)]
mod tests;
