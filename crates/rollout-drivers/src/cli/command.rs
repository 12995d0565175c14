//! `promote`, `pause`, `resume`, `abort`, `retry`, `undo`, `approve`, `override`: what people tell a rollout.

use std::time::Duration;

use clap::Args;
use spillway_model::{Clock as _, SystemClock};
use spillway_report::text::plain;
use spillway_rollout::decision::NoteKind;
use spillway_rollout::observed::{Command, CommandAction};
use tokio::time::{Instant, sleep};

use super::source::{Source, SourceArgs};
use super::{Failure, duration, say};
use crate::code::Code;
use crate::people::{Headline, View};

/// Time between two looks whether it was carried out.
const PAUSE: Duration = Duration::from_millis(500);

/// A freeze is not switched off for longer.
const LONGEST_OVERRIDE: Duration = Duration::from_secs(7 * 86_400);

#[derive(Debug, Args)]
pub(super) struct CommandArgs {
    /// Name of the rollout [default: the only one]
    name: Option<String>,
    #[command(flatten)]
    source: SourceArgs,
    /// Why; it is kept with the decision
    #[arg(long, value_name = "TEXT")]
    reason: Option<String>,
    /// Who says so
    #[arg(long, env = "USER", value_name = "NAME", default_value = "somebody", hide_env_values = true)]
    by: String,
    /// Return at once
    #[arg(long)]
    no_wait: bool,
    /// Longest wait until it is carried out
    #[arg(long, value_name = "DURATION", default_value = "60s", value_parser = duration)]
    wait: Duration,
}

#[derive(Debug, Args)]
pub(super) struct PromoteArgs {
    #[command(flatten)]
    command: CommandArgs,
    /// All steps that are left, not the present one only
    #[arg(long)]
    full: bool,
}

#[derive(Debug, Args)]
pub(super) struct OverrideArgs {
    #[command(flatten)]
    command: CommandArgs,
    /// For how long, such as 2h; 7d at most
    #[arg(long = "for", value_name = "DURATION", value_parser = duration)]
    length: Duration,
}

pub(super) async fn promote(arguments: PromoteArgs) -> Result<u8, Failure> {
    tell(arguments.command, CommandAction::Promote { full: arguments.full }).await
}

pub(super) async fn pause(arguments: CommandArgs) -> Result<u8, Failure> {
    tell(arguments, CommandAction::Pause).await
}

pub(super) async fn resume(arguments: CommandArgs) -> Result<u8, Failure> {
    tell(arguments, CommandAction::Resume).await
}

pub(super) async fn abort(arguments: CommandArgs) -> Result<u8, Failure> {
    tell(arguments, CommandAction::Abort).await
}

pub(super) async fn retry(arguments: CommandArgs) -> Result<u8, Failure> {
    tell(arguments, CommandAction::Retry).await
}

pub(super) async fn undo(arguments: CommandArgs) -> Result<u8, Failure> {
    tell(arguments, CommandAction::Undo).await
}

pub(super) async fn approve(arguments: CommandArgs) -> Result<u8, Failure> {
    tell(arguments, CommandAction::Approve).await
}

pub(super) async fn override_budget(arguments: OverrideArgs) -> Result<u8, Failure> {
    let length = arguments.length;
    if length.is_zero() || length > LONGEST_OVERRIDE {
        return Err(Failure::argument("--for is more than nothing and at most 7d: an exception ends by itself"));
    }
    if arguments.command.reason.as_ref().is_none_or(|reason| reason.trim().is_empty()) {
        return Err(Failure::argument(
            "an exception from a frozen budget needs a --reason: it is kept for those who ask later",
        ));
    }
    let length = i64::try_from(length.as_millis()).unwrap_or(i64::MAX);
    let until = SystemClock.now().saturating_add(length);
    tell(arguments.command, CommandAction::Override { until }).await
}

/// Gives the command, waits until it is carried out and says what came of it.
async fn tell(arguments: CommandArgs, action: CommandAction) -> Result<u8, Failure> {
    let source = arguments.source.find(arguments.name.as_deref())?;
    let command = command(action, &arguments.by, arguments.reason.as_deref());
    source.give(&command).await?;
    let absent = source.absent();
    if arguments.no_wait {
        return say(&absent.map_or_else(|| "given\n".to_owned(), |absent| format!("given: {absent}\n")));
    }
    if let Some(absent) = absent {
        return Err(Failure::new(Code::CommandWaits, format!("given, and not carried out: {absent}")));
    }
    let Some(view) = applied(&source, &command.id, arguments.wait).await? else {
        let wait = spillway_report::text::span(arguments.wait.as_secs_f64() * 1e3);
        let message = format!(
            "given, and not carried out within {wait}: `spillway-rollout status` shows what becomes of it, --wait DURATION waits longer"
        );
        return Err(Failure::new(Code::CommandWaits, message));
    };
    say(&outcome(&view, &command))
}

/// A command with an id of its own.
pub(super) fn command(action: CommandAction, by: &str, reason: Option<&str>) -> Command {
    let at = SystemClock.now();
    let id = format!("{at:x}-{:x}-{:08x}", std::process::id(), rand::random::<u32>());
    let reason = reason.map(|reason| plain(reason.trim(), 500)).filter(|reason| !reason.is_empty());
    Command { id, at, by: plain(by, 100), action, reason }
}

/// How the rollout stands after the command; `None` when it was not carried out within `wait`.
pub(super) async fn applied(source: &Source, id: &str, wait: Duration) -> Result<Option<View>, Failure> {
    let begun = Instant::now();
    loop {
        let view = source.view().await?;
        if view.state.commands.iter().any(|known| known == id) {
            return Ok(Some(view));
        }
        if begun.elapsed() >= wait {
            return Ok(None);
        }
        sleep(PAUSE).await;
    }
}

/// What was said of the command, and how the rollout stands.
fn outcome(view: &View, command: &Command) -> String {
    let told = view.state.history.iter().rev().take(20).rev();
    let told = told.filter(|one| one.at >= command.at && one.kind == NoteKind::Command);
    let lines: String = told.map(|one| format!("{}\n", plain(&one.text, 600))).collect();
    format!("{lines}{}\n", Headline::of(view).line())
}
