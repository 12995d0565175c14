//! The console of a gateway: shows the rollout there, and takes over what people say there.
//!
//! A convenience and never a condition: a gateway that cannot be reached is a warning in the log, and the rollout goes on.

mod ask;
mod shown;

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use spillway_model::Clock;
use spillway_rollout::observed::Command;
use spillway_rollout::ports::PortError;
use spillway_rollout::spec::Console;
use tokio::sync::watch;
use tokio::task::JoinHandle;
use tokio::time::{Instant, sleep_until, timeout};
use tokio_util::sync::{CancellationToken, DropGuard};
use tracing::{info, warn};

pub use shown::{MAX_SHOWN_BYTES, Shown};

use crate::http::HttpClient;
use crate::secrets::Secrets;
use ask::Gateway;

/// How often the gateway is asked, and told.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Pace {
    /// Time between two looks for commands. News are sent with the next look. Default 2 s.
    pub look: Duration,
    /// What is shown is sent again after this, though nothing is new: a gateway that was restored from a backup has it again. Default 30 s.
    pub again: Duration,
    /// Longest pause after a failure; the first one is `look`, and each is twice the one before. Default 60 s.
    pub longest_pause: Duration,
    /// Longest wait for one answer. Default 5 s.
    pub timeout: Duration,
}

impl Default for Pace {
    fn default() -> Self {
        let seconds = Duration::from_secs;
        Self { look: seconds(2), again: seconds(30), longest_pause: seconds(60), timeout: seconds(5) }
    }
}

/// Where commands go.
#[async_trait]
pub trait Inbox: Send + Sync {
    /// Keeps a command until it is carried out. Each id counts once.
    ///
    /// # Errors
    /// Temporary when it may be given again later, permanent when it never can be.
    async fn give(&self, command: &Command) -> Result<(), PortError>;
}

/// What a publisher works with.
pub struct ConsoleParts {
    /// Asks the gateway.
    pub http: HttpClient,
    /// Reads the API key, again at each use.
    pub secrets: Arc<dyn Secrets>,
    /// Where commands go.
    pub inbox: Arc<dyn Inbox>,
    /// The time.
    pub clock: Arc<dyn Clock>,
}

/// Shows one rollout at one gateway. Ends when it is dropped.
#[derive(Debug)]
pub struct Publisher {
    shown: watch::Sender<Option<Shown>>,
    stop: CancellationToken,
    _stop: DropGuard,
    task: JoinHandle<()>,
}

impl Publisher {
    /// Begins to show the rollout `name`, and to look for commands.
    #[must_use]
    pub fn start(console: &Console, name: &str, parts: ConsoleParts, pace: Pace) -> Self {
        let (shown, news) = watch::channel(None);
        let stop = CancellationToken::new();
        let gateway = Gateway::new(console, name, parts.http, parts.secrets, parts.clock, pace.timeout);
        let work = Work { gateway, inbox: parts.inbox, news, pace, is_known: false, trouble: None };
        let task = tokio::spawn(work.run(stop.clone()));
        Self { shown, _stop: stop.clone().drop_guard(), stop, task }
    }

    /// Shows this from now on. Returns at once; what was not sent yet is left out.
    pub fn show(&self, shown: Shown) {
        self.shown.send_replace(Some(shown));
    }

    /// Sends what was shown last and ends, after `within` at the latest.
    pub async fn finish(self, within: Duration) {
        self.stop.cancel();
        let mut task = self.task;
        if timeout(within, &mut task).await.is_err() {
            task.abort();
            warn!("the console was not told how the rollout ended within {} s", within.as_secs());
        }
    }
}

struct Work {
    gateway: Gateway,
    inbox: Arc<dyn Inbox>,
    news: watch::Receiver<Option<Shown>>,
    pace: Pace,
    /// The gateway was told of the rollout; before, it has no commands for it.
    is_known: bool,
    /// Why the last look failed.
    trouble: Option<String>,
}

impl Work {
    async fn run(mut self, stop: CancellationToken) {
        let mut pause = self.pace.look;
        let mut sent_at: Option<Instant> = None;
        loop {
            let begun = Instant::now();
            let is_due = sent_at.is_none_or(|at| begun.duration_since(at) >= self.pace.again);
            match self.look(is_due).await {
                Ok(sent) => {
                    sent_at = if sent { Some(begun) } else { sent_at };
                    pause = self.pace.look;
                    self.reached();
                }
                Err(error) => {
                    // What it has is not known.
                    sent_at = None;
                    pause = if self.trouble.is_some() { pause.saturating_mul(2) } else { self.pace.look };
                    pause = pause.min(self.pace.longest_pause);
                    self.missed(error.to_string());
                }
            }
            tokio::select! {
                () = stop.cancelled() => break,
                () = sleep_until(begun + pause) => {}
            }
        }
        if let Err(error) = self.tell(sent_at.is_none()).await {
            self.missed(error.to_string());
        }
    }

    /// Sends what is new and takes commands over. Returns whether something was sent.
    async fn look(&mut self, is_due: bool) -> Result<bool, PortError> {
        let sent = self.tell(is_due).await?;
        if !self.is_known {
            return Ok(sent);
        }
        for asked in self.gateway.commands().await? {
            match asked.command {
                Ok(command) => match self.inbox.give(&command).await {
                    Ok(()) => {
                        info!(id = command.id, by = command.by, action = ?command.action, "a command from the console")
                    }
                    Err(PortError::Permanent(why)) => {
                        warn!(id = command.id, "a command from the console is refused: {why}")
                    }
                    Err(temporary @ PortError::Temporary(_)) => return Err(temporary),
                },
                Err(why) => warn!(id = asked.id, "what came from the console is no command: {why}"),
            }
            self.gateway.acknowledge(&asked.id).await?;
        }
        Ok(sent)
    }

    async fn tell(&mut self, is_due: bool) -> Result<bool, PortError> {
        let is_new = self.news.has_changed().unwrap_or(false);
        let shown = self.news.borrow_and_update().clone();
        let Some(shown) = shown.filter(|_| is_new || is_due) else { return Ok(false) };
        let sent = self.gateway.put(&shown).await;
        if sent.is_err() {
            self.news.mark_changed();
        }
        self.is_known |= sent.is_ok();
        sent.map(|()| true)
    }

    fn reached(&mut self) {
        if self.trouble.take().is_some() {
            info!(url = self.gateway.url(), "the console is told again");
        }
    }

    /// Logs what was not so at the look before.
    fn missed(&mut self, why: String) {
        if self.trouble.as_ref() != Some(&why) {
            warn!("the console is not told how the rollout stands, which holds nothing: {why}");
        }
        self.trouble = Some(why);
    }
}

#[cfg(test)]
mod tests;
