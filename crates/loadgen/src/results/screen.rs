//! Live progress on standard error: one screen that updates in place on a terminal, plain lines in a pipe.

mod frame;

use std::time::Duration;

use indicatif::{MultiProgress, ProgressBar, ProgressDrawTarget, ProgressStyle};

use crate::engine::Tick;
use crate::options::Description;
pub(super) use frame::Frame;

/// Time between two lines in a pipe, at first; in a longer run it grows to [`LONGEST_PAUSE`].
const SHORTEST_PAUSE: Duration = Duration::from_secs(5);
const LONGEST_PAUSE: Duration = Duration::from_secs(60);

/// Shows how a run goes.
pub struct Screen {
    place: Place,
    frame: Frame,
    coloured: bool,
}

enum Place {
    Nowhere,
    Terminal { all: MultiProgress, lines: Vec<ProgressBar> },
    Pipe { next: Duration, failing: usize },
}

impl Screen {
    /// Nothing when `quiet`. Colours where the terminal has them and `NO_COLOR` does not forbid them.
    pub fn new(quiet: bool, description: &Description) -> Self {
        let all = MultiProgress::with_draw_target(ProgressDrawTarget::stderr_with_hz(4));
        let place = match () {
            () if quiet => Place::Nowhere,
            () if all.is_hidden() => Place::Pipe { next: SHORTEST_PAUSE, failing: 0 },
            () => Place::Terminal { all, lines: Vec::new() },
        };
        let coloured = anstream::AutoStream::choice(&std::io::stderr()) != anstream::ColorChoice::Never;
        Self { place, frame: Frame::new(description), coloured }
    }

    /// Shows the second that has ended.
    pub fn show(&mut self, tick: &Tick<'_>) {
        self.frame.take(tick);
        match &mut self.place {
            Place::Nowhere => {}
            Place::Terminal { all, lines } => {
                let texts = self.frame.lines(tick);
                while lines.len() < texts.len() {
                    lines.push(all.add(ProgressBar::no_length().with_style(style())));
                }
                let blanks = std::iter::repeat(String::new());
                for (line, text) in lines.iter().zip(texts.into_iter().chain(blanks)) {
                    line.set_message(if self.coloured {
                        text
                    } else {
                        anstream::adapter::strip_str(&text).to_string()
                    });
                    line.tick();
                }
            }
            Place::Pipe { next, failing } => {
                let now_failing = tick.thresholds.iter().filter(|one| !one.passed && one.value.is_some()).count();
                // A threshold that begins or ceases to fail is told at once.
                if tick.elapsed + Duration::from_millis(100) >= *next || now_failing != *failing {
                    anstream::eprintln!("{}", self.frame.line(tick));
                    *next = tick.elapsed + (tick.elapsed / 60).clamp(SHORTEST_PAUSE, LONGEST_PAUSE);
                    *failing = now_failing;
                }
            }
        }
    }

    /// Takes the screen away: the summary follows.
    pub fn end(&mut self) {
        if let Place::Terminal { all, lines } = &mut self.place {
            lines.drain(..).for_each(|line| line.finish_and_clear());
            // Nothing is left to do about a terminal that is gone.
            let _ = all.clear();
        }
        self.place = Place::Nowhere;
    }
}

/// The message, cut where the terminal ends.
fn style() -> ProgressStyle {
    ProgressStyle::with_template("{wide_msg}").unwrap_or_else(|_| ProgressStyle::default_bar())
}
