//! `spillway`: receives webhooks, acknowledges each as soon as it is durable, delivers it until it is received.

mod arguments;
mod client;
mod commands;
mod declared;
mod doctor;
mod memory;
mod observers;
mod serve;

use std::process::ExitCode;

use clap::Parser;

use arguments::{Arguments, Command};

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> ExitCode {
    let arguments = match Arguments::try_parse() {
        Ok(arguments) => arguments,
        Err(error) => return commands::usage(&error),
    };
    match arguments.command {
        Command::Serve(options) => serve::run(&options),
        Command::Migrate(options) => commands::migrate(&options),
        Command::CheckConfig(options) => commands::check_config(&options),
        Command::Doctor(options) => doctor::run(&options),
        Command::Client(command) => client::run(command),
        Command::Openapi => commands::openapi(),
        Command::Metrics { markdown } => commands::metrics(markdown),
        Command::Completions { shell } => commands::completions(shell),
        Command::Man { directory } => commands::man(&directory),
    }
}
