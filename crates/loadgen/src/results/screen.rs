//! Live progress on standard error: one screen that updates in place on a terminal, plain lines in a pipe.

mod frame;

use std::time::Duration;

use spillway_report::screen::Screen as InPlace;

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
}

enum Place {
    Nowhere,
    Terminal(InPlace),
    Pipe { next: Duration, failing: usize },
}

impl Screen {
    /// Nothing when `quiet`. Colours where the terminal has them and `NO_COLOR` does not forbid them.
    pub fn new(quiet: bool, description: &Description) -> Self {
        let place = match InPlace::new() {
            _ if quiet => Place::Nowhere,
            None => Place::Pipe { next: SHORTEST_PAUSE, failing: 0 },
            Some(screen) => Place::Terminal(screen),
        };
        Self { place, frame: Frame::new(description) }
    }

    /// Shows the second that has ended.
    pub fn show(&mut self, tick: &Tick<'_>) {
        self.frame.take(tick);
        match &mut self.place {
            Place::Nowhere => {}
            Place::Terminal(screen) => screen.show(self.frame.lines(tick).iter().map(String::as_str)),
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
        if let Place::Terminal(screen) = &mut self.place {
            screen.end();
        }
        self.place = Place::Nowhere;
    }
}
