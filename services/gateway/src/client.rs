//! The commands that talk to a running gateway through its API.

mod answer;
mod api;
mod apply;
mod arguments;
mod connections;
mod dead_letters;
mod deliveries;
mod destinations;
mod error;
mod events;
mod health;
mod json;
mod keys;
mod list;
mod listen;
mod load_tests;
mod options;
mod output;
mod performance;
mod reconcile;
mod replays;
mod resource;
mod rollouts;
mod send;
mod sources;
mod table;
mod time;
mod workers;

use std::process::ExitCode;

use clap::{Args, Subcommand};

use crate::commands::fail;
use api::Api;
pub(crate) use api::http_client;
use error::ClientError;
use options::ClientOptions;
use output::Output;

#[derive(Debug, Subcommand)]
pub(crate) enum ClientCommand {
    /// Manages where events come from
    Sources(With<sources::SourcesCommand>),
    /// Manages where deliveries go
    Destinations(With<destinations::DestinationsCommand>),
    /// Manages which source goes to which destination
    Connections(With<connections::ConnectionsCommand>),
    /// Finds and publishes events
    Events(With<events::EventsCommand>),
    /// Finds deliveries, shows their attempts, tries them again
    Deliveries(With<deliveries::DeliveriesCommand>),
    /// Shows deliveries that were given up, by destination and reason
    #[command(after_help = dead_letters::EXAMPLES)]
    DeadLetters(WithArguments<dead_letters::DeadLettersArguments>),
    /// Sends what was received again, as a job with a rate
    Replays(With<replays::ReplaysCommand>),
    /// Has senders send again what never arrived
    Reconcile(With<reconcile::ReconcileCommand>),
    /// Manages the keys of the API
    Keys(With<keys::KeysCommand>),
    /// Shows results of load tests that were published here
    LoadTests(With<load_tests::LoadTestsCommand>),
    /// Shows rollouts, and tells them what to do
    Rollouts(With<rollouts::RolloutsCommand>),
    /// Shows and sets how worker slots share the deliveries
    Workers(With<workers::WorkersCommand>),
    /// Shows how fast the gateway is, what is wrong, and what to change
    Performance(With<performance::PerformanceCommand>),
    /// Sends a signed test webhook to a source
    #[command(after_help = send::EXAMPLES)]
    Send(WithArguments<send::SendArguments>),
    /// Forwards a source's events to a server on this machine
    #[command(after_help = listen::EXAMPLES)]
    Listen(WithArguments<listen::ListenArguments>),
    /// Asks a node whether it can take traffic
    #[command(after_help = health::EXAMPLES)]
    Health(WithArguments<health::HealthArguments>),
    /// Brings a gateway to what a settings file declares
    ///
    /// Reads [[sources]], [[destinations]] and [[connections]] of the file, makes what is missing and changes what differs.
    /// What the file does not name stays as it is. With --output json each change is one line.
    #[command(after_help = apply::EXAMPLES)]
    Apply(WithArguments<apply::ApplyArguments>),
}

// A plain comment, because clap would show a doc comment as the help of each command: a group of commands with the options
// that all of them take.
#[derive(Debug, Args)]
pub(crate) struct With<C: Subcommand> {
    #[command(subcommand)]
    command: C,
    #[command(flatten)]
    options: ClientOptions,
}

// The same for a single command.
#[derive(Debug, Args)]
pub(crate) struct WithArguments<A: Args> {
    #[command(flatten)]
    arguments: A,
    #[command(flatten)]
    options: ClientOptions,
}

/// What a command works with.
pub(crate) struct Client {
    api: Api,
    output: Output,
}

pub(crate) fn run(command: ClientCommand) -> ExitCode {
    let runtime = match tokio::runtime::Builder::new_current_thread().enable_all().build() {
        Ok(runtime) => runtime,
        Err(error) => return fail(1, &error),
    };
    match runtime.block_on(execute(command)) {
        Ok(()) => ExitCode::SUCCESS,
        // Whoever reads the output has seen enough (`spillway events list --all | head`).
        Err(ClientError::Output(error)) if error.kind() == std::io::ErrorKind::BrokenPipe => ExitCode::SUCCESS,
        Err(error) => fail(error.exit_code(), &error),
    }
}

async fn execute(command: ClientCommand) -> Result<(), ClientError> {
    match command {
        ClientCommand::Sources(with) => sources::run(with.command, &mut Client::new(&with.options)?).await,
        ClientCommand::Destinations(with) => destinations::run(with.command, &mut Client::new(&with.options)?).await,
        ClientCommand::Connections(with) => connections::run(with.command, &mut Client::new(&with.options)?).await,
        ClientCommand::Events(with) => events::run(with.command, &mut Client::new(&with.options)?).await,
        ClientCommand::Deliveries(with) => deliveries::run(with.command, &mut Client::new(&with.options)?).await,
        ClientCommand::DeadLetters(with) => dead_letters::run(&mut Client::new(&with.options)?).await,
        ClientCommand::Replays(with) => replays::run(with.command, &mut Client::new(&with.options)?).await,
        ClientCommand::Reconcile(with) => reconcile::run(with.command, &with.options).await,
        ClientCommand::Keys(with) => keys::run(with.command, &mut Client::new(&with.options)?).await,
        ClientCommand::Workers(with) => workers::run(with.command, &mut Client::new(&with.options)?).await,
        ClientCommand::Performance(with) => performance::run(with.command, &mut Client::new(&with.options)?).await,
        ClientCommand::LoadTests(with) => load_tests::run(with.command, &mut Client::new(&with.options)?).await,
        ClientCommand::Rollouts(with) => rollouts::run(with.command, &mut Client::new(&with.options)?).await,
        ClientCommand::Send(with) => send::run(with.arguments, &mut Client::new(&with.options)?).await,
        ClientCommand::Listen(with) => listen::run(with.arguments, &mut Client::new(&with.options)?).await,
        ClientCommand::Health(with) => health::run(with.arguments, &with.options).await,
        ClientCommand::Apply(with) => apply::run(with.arguments, &mut Client::new(&with.options)?).await,
    }
}

impl Client {
    fn new(options: &ClientOptions) -> Result<Self, ClientError> {
        Ok(Self { api: Api::new(options)?, output: Output::of_process(options.output()) })
    }
}
