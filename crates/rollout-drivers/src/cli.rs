//! The command line of `spillway-rollout`.

mod check;
mod command;
mod console;
mod controller;
mod file;
mod listen;
mod logs;
mod plan_table;
mod report;
mod run;
mod simulate;
mod source;
mod status;
mod stop;
mod verify;

use std::io::Write as _;
use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Duration;

use clap::{CommandFactory, Parser, Subcommand, ValueEnum};
use spillway_slo::SyntaxError;
use spillway_slo::duration::Timespan;

use crate::code::Code;

/// Lets new versions out as fast as the SLO allows, and no faster.
///
/// Exit codes: 0 promoted, or done; 1 rolled back, aborted, or worse; 2 no verdict: interrupted, or no evidence; 64 the plan or an
/// argument is wrong; 3 anything else.
#[derive(Debug, Parser)]
#[command(name = "spillway-rollout", version, propagate_version = true)]
pub struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Carry out a rollout on this host
    Run(Box<run::RunArgs>),
    /// Carry out the rollouts of a Kubernetes cluster
    Controller(Box<controller::ControllerArgs>),
    /// Show how a rollout stands
    Status(status::StatusArgs),
    /// End the present step as if its evidence were good
    Promote(command::PromoteArgs),
    /// Hold everything where it is
    Pause(command::CommandArgs),
    /// End a pause, or a hold
    Resume(command::CommandArgs),
    /// All traffic back to the live version now
    Abort(command::CommandArgs),
    /// Start the revision that failed or was aborted again
    Retry(command::CommandArgs),
    /// Make the version before the last promotion live again
    Undo(command::CommandArgs),
    /// Pass the approval that the step waits for
    Approve(command::CommandArgs),
    /// Let rollouts go on although the error budget is spent, for a time and a reason
    Override(command::OverrideArgs),
    /// Validate a plan and print it with its defaults
    Check(check::CheckArgs),
    /// Compare a candidate's address with the production's
    Verify(Box<verify::VerifyArgs>),
    /// Show what would be decided, when and why
    Simulate(Box<simulate::SimulateArgs>),
    /// Write the reports of a rollout
    Report(report::ReportArgs),
    /// Print the CustomResourceDefinition for `kubectl apply`
    Crd,
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
    Table,
    /// For scripts
    Json,
}

/// Why a command ended without a result: one sentence or more that say what to do.
#[derive(Debug)]
struct Failure {
    code: Code,
    message: String,
}

impl Failure {
    fn new(code: Code, message: impl ToString) -> Self {
        Self { code, message: message.to_string() }
    }

    /// An argument is wrong.
    fn argument(message: impl ToString) -> Self {
        Self::new(Code::ArgumentInvalid, message)
    }

    /// Nothing that anybody expects.
    fn internal(message: impl ToString) -> Self {
        Self::new(Code::Internal, message)
    }

    /// The message with its code behind it; behind a list on a line of its own.
    fn text(&self) -> String {
        let gap = if self.message.contains('\n') { '\n' } else { ' ' };
        format!("{}{gap}({})", self.message, self.code)
    }
}

/// Reads the command line and carries it out.
#[must_use]
pub fn main() -> ExitCode {
    let cli = match Cli::try_parse() {
        Ok(cli) => cli,
        Err(error) => {
            // A closed pipe (`--help | head`) is no error either.
            let _ = error.print();
            return ExitCode::from(if error.use_stderr() { Code::ArgumentInvalid.exit_code() } else { 0 });
        }
    };
    let result = match cli.command {
        Command::Run(arguments) => on_runtime(run::run(*arguments)),
        Command::Controller(arguments) => on_runtime(controller::run(*arguments)),
        Command::Status(arguments) => on_runtime(status::run(arguments)),
        Command::Promote(arguments) => on_runtime(command::promote(arguments)),
        Command::Pause(arguments) => on_runtime(command::pause(arguments)),
        Command::Resume(arguments) => on_runtime(command::resume(arguments)),
        Command::Abort(arguments) => on_runtime(command::abort(arguments)),
        Command::Retry(arguments) => on_runtime(command::retry(arguments)),
        Command::Undo(arguments) => on_runtime(command::undo(arguments)),
        Command::Approve(arguments) => on_runtime(command::approve(arguments)),
        Command::Override(arguments) => on_runtime(command::override_budget(arguments)),
        Command::Check(arguments) => check::run(&arguments),
        Command::Verify(arguments) => on_runtime(verify::run(*arguments)),
        Command::Simulate(arguments) => simulate::run(&arguments),
        Command::Report(arguments) => on_runtime(report::run(arguments)),
        Command::Crd => say(&crate::kubernetes::crd_yaml()),
        Command::Completions { shell } => {
            let mut script = Vec::new();
            clap_complete::generate(shell, &mut Cli::command(), "spillway-rollout", &mut script);
            say(&String::from_utf8_lossy(&script))
        }
        Command::Man { folder } => clap_mangen::generate_to(Cli::command(), &folder).map(|()| 0).map_err(|error| {
            Failure::new(Code::FileUnwritable, format!("cannot write to {}: {error}", folder.display()))
        }),
    };
    match result {
        Ok(code) => ExitCode::from(code),
        Err(failure) => {
            anstream::eprintln!("{}error:{} {}", RED.render(), RED.render_reset(), failure.text());
            ExitCode::from(failure.code.exit_code())
        }
    }
}

const RED: anstyle::Style = anstyle::AnsiColor::Red.on_default().bold();

fn on_runtime(work: impl Future<Output = Result<u8, Failure>>) -> Result<u8, Failure> {
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build();
    let runtime = runtime.map_err(|error| Failure::internal(format!("cannot start the runtime: {error}")))?;
    let result = runtime.block_on(work);
    // What still waits for standard input or a resolver does not keep the program.
    runtime.shutdown_timeout(Duration::from_secs(1));
    result
}

/// Prints a text whole. A closed pipe (`status | head`) is no error.
fn say(text: &str) -> Result<u8, Failure> {
    let mut out = anstream::stdout();
    match out.write_all(text.as_bytes()).and_then(|()| out.flush()) {
        Err(error) if error.kind() != std::io::ErrorKind::BrokenPipe => Err(Failure::new(Code::FileUnwritable, error)),
        _ => Ok(0),
    }
}

/// Prints a value as JSON.
fn say_json(value: &impl serde::Serialize) -> Result<u8, Failure> {
    say(&format!("{}\n", serde_json::to_string_pretty(value).map_err(Failure::internal)?))
}

/// Columns of the terminal that standard output is; 80 for anything else.
fn width() -> usize {
    let size =
        rustix::termios::tcgetwinsize(std::io::stdout()).or_else(|_| rustix::termios::tcgetwinsize(std::io::stderr()));
    size.ok()
        .map(|size| usize::from(size.ws_col))
        .filter(|columns| *columns > 0)
        .unwrap_or(spillway_report::terminal::WIDTH)
}

/// A duration of the command line, such as `1m30s`.
fn duration(text: &str) -> Result<Duration, String> {
    text.parse().map(|Timespan(duration)| duration).map_err(|error: SyntaxError<_>| error.to_string())
}

/// `0.1%` or `0.001`.
fn share(text: &str) -> Result<f64, String> {
    let (number, unit) = text.strip_suffix('%').map_or((text, 1.0), |percent| (percent, 100.0));
    let share = number.trim().parse::<f64>().map_err(|_| "write a share such as 0.1% or 0.001".to_owned())? / unit;
    if (0.0..=1.0).contains(&share) { Ok(share) } else { Err("a share is from 0 to 1, or 0% to 100%".to_owned()) }
}

#[cfg(test)]
mod runbooks;
#[cfg(test)]
mod tests;
