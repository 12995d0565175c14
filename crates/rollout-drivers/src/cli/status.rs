//! `status`: how a rollout stands, once or until it ends.

use std::time::Duration;

use clap::Args;
use spillway_report::screen::Screen;
use spillway_rollout::state::Phase;
use tokio::time::{Instant, sleep};

use super::source::{Source, SourceArgs};
use super::{Failure, Output, say, say_json, stop, width};
use crate::console::Shown;
use crate::people::View;
use crate::people::status::{happened, line_of, render};

/// Time between two looks.
const PAUSE: Duration = Duration::from_secs(1);

/// Time between two lines in a pipe when nothing happens.
const SILENCE: Duration = Duration::from_secs(60);

#[derive(Debug, Args)]
pub(super) struct StatusArgs {
    /// Name of the rollout [default: the only one]
    name: Option<String>,
    #[command(flatten)]
    source: SourceArgs,
    /// Show it until the rollout ends: in place on a terminal, a line for each decision in a pipe. The exit code tells how it ended: 0 live,
    /// 1 taken back, 2 not ended yet
    #[arg(long, short = 'w')]
    watch: bool,
    /// How it is printed
    #[arg(long, short = 'o', value_enum, default_value_t)]
    output: Output,
}

pub(super) async fn run(arguments: StatusArgs) -> Result<u8, Failure> {
    let source = arguments.source.find(arguments.name.as_deref())?;
    let (view, _, series) = source.read().await?;
    match (arguments.output, arguments.watch) {
        (Output::Table, false) => say(&render(&view, width(), true)),
        (Output::Json, false) => say_json(&Shown::new(view, &series)),
        (output, true) => watch(&source, view, output).await,
    }
}

async fn watch(source: &Source, mut view: View, output: Output) -> Result<u8, Failure> {
    let stop = stop::on_signals();
    let mut progress = Progress::new(output == Output::Json);
    loop {
        progress.show(&view)?;
        if !view.is_under_way() && view.state.rollout.is_some() {
            break;
        }
        tokio::select! {
            () = stop.gently.cancelled() => break,
            () = sleep(PAUSE) => {}
        }
        view = match source.view().await {
            Ok(view) => view,
            Err(failure) => {
                progress.end();
                return Err(failure);
            }
        };
    }
    progress.end();
    if output == Output::Table {
        say(&render(&view, width(), true))?;
    }
    Ok(code_of(&view))
}

/// The exit code that tells how it ended, as that of `run` does.
fn code_of(view: &View) -> u8 {
    match view.state.phase {
        Phase::Idle | Phase::Succeeded => 0,
        Phase::RollingBack | Phase::RolledBack | Phase::Aborted => 1,
        Phase::Preparing | Phase::Progressing | Phase::Observing => 2,
    }
}

/// Shows a rollout as it goes: a screen in place on a terminal, lines in a pipe.
pub(super) struct Progress {
    screen: Option<Screen>,
    json: bool,
    /// The last thing that was told of.
    told: Option<i64>,
    last_line: Option<Instant>,
}

impl Progress {
    pub(super) fn new(json: bool) -> Self {
        Self { screen: if json { None } else { Screen::new() }, json, told: None, last_line: None }
    }

    /// Whether something is drawn in place, which log lines would tear.
    pub(super) fn is_a_screen(&self) -> bool {
        self.screen.is_some()
    }

    pub(super) fn show(&mut self, view: &View) -> Result<(), Failure> {
        if let Some(screen) = &mut self.screen {
            screen.show(render(view, width(), true).lines());
            return Ok(());
        }
        let news = happened(view, self.told);
        let is_due = self.last_line.is_none_or(|last| last.elapsed() >= SILENCE);
        self.told = view.state.history.last().map(|one| one.at).or(self.told);
        if news.is_empty() && !is_due {
            return Ok(());
        }
        self.last_line = Some(Instant::now());
        let text = match self.json {
            true => format!("{}\n", serde_json::to_string(view).map_err(Failure::internal)?),
            false if news.is_empty() => format!("{}\n", line_of(view)),
            false => news.iter().map(|line| format!("{line}\n")).collect(),
        };
        say(&text).map(|_| ())
    }

    pub(super) fn end(&mut self) {
        if let Some(screen) = &mut self.screen {
            screen.end();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::people::sample;

    #[test]
    fn the_exit_code_tells_how_it_ended() {
        let code_in = |phase| {
            let mut view = sample::good();
            view.state.phase = phase;
            code_of(&view)
        };
        let ended = [Phase::Succeeded, Phase::RolledBack, Phase::Aborted, Phase::Progressing].map(code_in);
        assert_eq!(ended, [0, 1, 1, 2]);
    }
}
