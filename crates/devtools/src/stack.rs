//! `cargo xtask stack`: the whole of Spillway with everything around it, in containers or, with `--local`, from this machine's own programs.

/// Prints a line. Whoever reads may have gone (`| head`): the work goes on without.
macro_rules! say {
    ($($text:tt)*) => {{
        use std::io::Write as _;
        let _ = writeln!(std::io::stdout(), $($text)*);
    }};
}

mod compose;
mod down;
mod files;
mod hurry;
mod launch;
mod logs;
mod parts;
mod probe;
mod process;
mod programs;
mod receiver;
mod state;
mod status;
mod up;

use std::path::PathBuf;
use std::process::ExitCode;

use clap::{Subcommand, ValueEnum};

use crate::Failure;

#[derive(Debug, clap::Args)]
pub(crate) struct StackArgs {
    #[command(subcommand)]
    command: StackCommand,
}

#[derive(Debug, Subcommand)]
enum StackCommand {
    /// Starts it, or what of it does not run, and says where everything is
    Up(UpArgs),
    /// Ends it; data stays
    Down(Place),
    /// Shows its parts; the exit code is 1 when one is not healthy
    Status(StatusArgs),
    /// Shows what its parts wrote
    Logs(LogsArgs),
    /// Where webhooks and alerts of a local stack arrive
    #[command(hide = true)]
    Receiver(receiver::ReceiverArgs),
}

/// Which stack.
#[derive(Debug, clap::Args)]
struct Place {
    /// From this machine's own programs, instead of containers
    #[arg(long)]
    local: bool,
    /// Folder of a local stack with its settings, data and logs; kept for the next time
    #[arg(long, default_value = "target/stack", value_name = "FOLDER")]
    folder: PathBuf,
}

#[derive(Debug, clap::Args)]
struct UpArgs {
    #[command(flatten)]
    place: Place,
    /// The gateway's program
    #[arg(long, value_name = "FILE", hide = true)]
    gateway: Option<PathBuf>,
    /// Free ports instead of the usual ones
    #[arg(long, requires = "local")]
    free_ports: bool,
    /// Lets the time of rules and notifications run so many times faster: an alert that waits five minutes fires after ten seconds with 30
    #[arg(long, requires = "local", value_name = "TIMES", value_parser = clap::value_parser!(u32).range(1..=60))]
    hurry: Option<u32>,
}

#[derive(Debug, clap::Args)]
struct StatusArgs {
    #[command(flatten)]
    place: Place,
    /// A table for people, or JSON
    #[arg(long, value_enum, default_value_t = Output::Table, value_name = "FORMAT")]
    output: Output,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Output {
    Table,
    Json,
}

#[derive(Debug, clap::Args)]
struct LogsArgs {
    #[command(flatten)]
    place: Place,
    /// The part, such as api-1; all of them when none is given
    part: Option<String>,
    /// Goes on showing what is written, until Ctrl-C
    #[arg(short, long)]
    follow: bool,
    /// Lines to begin with
    #[arg(short = 'n', long, default_value_t = 40)]
    lines: u32,
}

/// Carries the command out.
pub(crate) fn run(arguments: &StackArgs) -> Result<ExitCode, Failure> {
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build()?;
    match &arguments.command {
        StackCommand::Up(arguments) if arguments.place.local => {
            runtime.block_on(up::up(arguments)).map(|()| ExitCode::SUCCESS)
        }
        StackCommand::Down(place) if place.local => {
            runtime.block_on(down::down(&place.folder)).map(|()| ExitCode::SUCCESS)
        }
        StackCommand::Status(arguments) if arguments.place.local => {
            runtime.block_on(status::show(&arguments.place.folder, arguments.output))
        }
        StackCommand::Logs(arguments) if arguments.place.local => logs::show(arguments),
        StackCommand::Receiver(arguments) => runtime.block_on(receiver::run(arguments)).map(|()| ExitCode::SUCCESS),
        StackCommand::Up(_) => compose::up(),
        StackCommand::Down(place) => compose::down(&place.folder),
        StackCommand::Status(arguments) => compose::status(&arguments.place.folder, arguments.output),
        StackCommand::Logs(arguments) => compose::logs(arguments),
    }
}
