//! `spillway rollouts`.

use clap::{Args, Subcommand, ValueEnum};
use http::Method;
use serde_json::json;

use super::Client;
use super::error::ClientError;
use super::resource::Resource;
use super::table::Column;

const ROLLOUTS: Resource = Resource {
    path: "rollouts",
    word: "rollout",
    columns: &[
        Column::text("NAME", "name"),
        Column::time("PUBLISHED", "at"),
        Column::text("BY", "by"),
        Column::number("COMMANDS", "commands"),
    ],
    details: &[
        Column::text("Name", "name"),
        Column::time("Published", "at"),
        Column::text("By", "by"),
        Column::count("Commands", "commands"),
        Column::text("Status", "status"),
    ],
    empty: "No rollouts. A controller publishes them here when it is told the gateway's URL.",
};

const COMMAND: Resource = Resource {
    path: "rollouts",
    word: "command",
    columns: &[],
    details: &[
        Column::id("Id", "id"),
        Column::text("Verb", "verb"),
        Column::text("Reason", "reason"),
        Column::text("By", "by"),
        Column::time("Given", "at"),
    ],
    empty: "",
};

#[derive(Debug, Subcommand)]
pub(crate) enum RolloutsCommand {
    /// Lists rollouts that controllers publish here
    List,
    /// Shows how a rollout stands
    Get {
        /// Name
        rollout: String,
    },
    /// Tells a rollout what to do; its controller takes it within seconds
    Tell(TellRollout),
    /// Forgets a rollout, and what it was told
    Delete {
        /// Name
        rollout: String,
    },
}

#[derive(Debug, Args)]
pub(crate) struct TellRollout {
    /// Name
    rollout: String,
    /// What to do
    #[arg(value_enum)]
    verb: Verb,
    /// With promote: all steps that are left
    #[arg(long)]
    full: bool,
    /// Why, for those who ask later
    #[arg(long, value_name = "TEXT")]
    reason: Option<String>,
}

/// What a rollout can be told.
#[derive(Debug, Clone, Copy, ValueEnum)]
enum Verb {
    Promote,
    Pause,
    Resume,
    Abort,
    Retry,
    Approve,
}

impl Verb {
    const fn word(self) -> &'static str {
        match self {
            Self::Promote => "promote",
            Self::Pause => "pause",
            Self::Resume => "resume",
            Self::Abort => "abort",
            Self::Retry => "retry",
            Self::Approve => "approve",
        }
    }
}

pub(crate) async fn run(command: RolloutsCommand, client: &mut Client) -> Result<(), ClientError> {
    match command {
        RolloutsCommand::List => client.list_whole(&ROLLOUTS, Vec::new()).await,
        RolloutsCommand::Get { rollout } => client.get(&ROLLOUTS, &rollout).await,
        RolloutsCommand::Tell(tell) => {
            let body = json!({ "verb": tell.verb.word(), "full": tell.full, "reason": tell.reason });
            client.change(&COMMAND, Method::POST, &[&tell.rollout, "commands"], Some(&body)).await
        }
        RolloutsCommand::Delete { rollout } => client.delete(&ROLLOUTS, &rollout).await,
    }
}
