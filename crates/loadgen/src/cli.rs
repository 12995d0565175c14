//! The command line of `spillway-loadgen`.

mod check;
mod compare;
mod control;
mod coordinate;
mod flood;
mod goose;
mod job;
mod load;
mod merge;
mod observe;
mod output;
mod prepare;
mod publish;
mod report;
mod run;
mod shard;

use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Duration;

use clap::{CommandFactory, Parser, Subcommand, ValueEnum};
use spillway_slo::SyntaxError;
use spillway_slo::duration::Timespan;

/// Load tests with k6's grammar, gated by service level objectives.
///
/// Exit codes: 0 passed, 99 thresholds failed, 3 invalid because the generator was the bottleneck, 104 invalid configuration,
/// 105 interrupted, 107 a scenario could not run, 1 anything else.
#[derive(Debug, Parser)]
#[command(name = "spillway-loadgen", version, propagate_version = true)]
pub struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Run the load test that a file describes
    Run(Box<run::RunArgs>),
    /// Validate a file and print what it would run
    Check(check::CheckArgs),
    /// Send prepared requests as fast as they are answered, or at a rate
    Flood(flood::FloodArgs),
    /// Compare two results: faster, slower, or no evidence
    Compare(compare::CompareArgs),
    /// Run the `options` of a k6 script on flows of a file; the script's code is not run
    K6(Box<run::RunArgs>),
    /// Add up the results of generators that ran side by side
    Merge(merge::MergeArgs),
    /// Write the reports of a result again
    Report(report::ReportArgs),
    /// Run a scenario written in Rust by Goose itself, with its reports and its controller
    Goose(goose::GooseArgs),
    /// Name the scenarios written in Rust
    List(goose::ListArgs),
    /// Divide a load test among shards and put their results together
    Coordinate(Box<coordinate::CoordinateArgs>),
    /// Run a part of a load test for a coordinator
    Shard(shard::ShardArgs),
    /// Show how a run stands
    Status(control::ControlArgs),
    /// Change the number of users of externally controlled scenarios
    Scale(control::ScaleArgs),
    /// Let no iteration of externally controlled scenarios start
    Pause(control::ControlArgs),
    /// Let iterations start again
    Resume(control::ControlArgs),
    /// End a run
    Stop(control::ControlArgs),
    /// Print completions for a shell
    Completions {
        /// The shell
        shell: clap_complete::Shell,
    },
    /// Write man pages into a folder
    #[command(hide = true)]
    Man {
        /// The folder
        folder: PathBuf,
    },
}

/// How a result is printed.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, ValueEnum)]
enum Output {
    /// For people
    #[default]
    Text,
    /// For scripts
    Json,
}

/// Why a command ended without a result.
#[derive(Debug)]
struct Failure {
    code: u8,
    message: String,
}

impl Failure {
    /// The options are wrong.
    fn configuration(message: impl ToString) -> Self {
        Self { code: 104, message: message.to_string() }
    }

    /// A scenario could not run.
    fn scenario(message: impl ToString) -> Self {
        Self { code: 107, message: message.to_string() }
    }

    /// Somebody stopped it.
    fn interrupted(message: impl ToString) -> Self {
        Self { code: 105, message: message.to_string() }
    }

    /// Anything else.
    fn other(message: impl ToString) -> Self {
        Self { code: 1, message: message.to_string() }
    }
}

/// Reads the command line, does what it says and returns the exit code.
pub fn main() -> ExitCode {
    let cli = match Cli::try_parse() {
        Ok(cli) => cli,
        Err(error) => {
            let code = if error.use_stderr() { 104 } else { 0 };
            // Nothing is left to do when even that cannot be printed.
            let _ = error.print();
            return ExitCode::from(code);
        }
    };
    let result = match cli.command {
        Command::Run(arguments) => on_runtime(run::run(*arguments)),
        Command::K6(arguments) => on_runtime(run::k6(*arguments)),
        Command::Check(arguments) => check::run(&arguments),
        Command::Flood(arguments) => on_runtime(flood::run(arguments)),
        Command::Compare(arguments) => compare::run(&arguments),
        Command::Merge(arguments) => merge::run(&arguments),
        Command::Report(arguments) => report::run(&arguments),
        Command::Goose(arguments) => on_runtime(goose::run(arguments)),
        Command::List(arguments) => goose::list(&arguments),
        Command::Coordinate(arguments) => on_runtime(coordinate::run(*arguments)),
        Command::Shard(arguments) => on_runtime(shard::run(arguments)),
        Command::Status(arguments) => on_runtime(control::status(arguments)),
        Command::Scale(arguments) => on_runtime(control::scale(arguments)),
        Command::Pause(arguments) => on_runtime(control::pause(arguments)),
        Command::Resume(arguments) => on_runtime(control::resume(arguments)),
        Command::Stop(arguments) => on_runtime(control::stop(arguments)),
        Command::Completions { shell } => {
            clap_complete::generate(shell, &mut Cli::command(), "spillway-loadgen", &mut std::io::stdout());
            Ok(0)
        }
        Command::Man { folder } => {
            let written = clap_mangen::generate_to(Cli::command(), &folder);
            written
                .map(|()| 0)
                .map_err(|error| Failure::other(format!("cannot write to {}: {error}", folder.display())))
        }
    };
    match result {
        Ok(code) => ExitCode::from(code),
        Err(Failure { code, message }) => {
            anstream::eprintln!("{}error:{} {message}", RED.render(), RED.render_reset());
            ExitCode::from(code)
        }
    }
}

const RED: anstyle::Style = anstyle::AnsiColor::Red.on_default().bold();

/// One thread for each core that this process may use; a single one does everything itself, without handing tasks over.
fn on_runtime(work: impl Future<Output = Result<u8, Failure>>) -> Result<u8, Failure> {
    let mut builder = if crate::generator::cores() == 1 {
        tokio::runtime::Builder::new_current_thread()
    } else {
        tokio::runtime::Builder::new_multi_thread()
    };
    let runtime = builder.enable_all().build();
    runtime.map_err(|error| Failure::other(format!("cannot start the runtime: {error}")))?.block_on(work)
}

/// A duration of the command line, such as `1m30s`.
fn duration(text: &str) -> Result<Duration, String> {
    text.parse().map(|Timespan(duration)| duration).map_err(|error: SyntaxError<_>| error.to_string())
}

#[cfg(test)]
mod runbooks;
