//! A picture that updates in place.

use indicatif::{MultiProgress, ProgressBar, ProgressDrawTarget, ProgressStyle};

/// Lines on standard error that are drawn over those before.
#[derive(Debug)]
pub struct Screen {
    all: MultiProgress,
    lines: Vec<ProgressBar>,
    coloured: bool,
}

impl Screen {
    /// On a terminal. `None` in a pipe, where lines are said one after the other. Colours where the terminal has them and `NO_COLOR`
    /// does not forbid them.
    #[must_use]
    pub fn new() -> Option<Self> {
        let all = MultiProgress::with_draw_target(ProgressDrawTarget::stderr_with_hz(4));
        let coloured = anstream::AutoStream::choice(&std::io::stderr()) != anstream::ColorChoice::Never;
        (!all.is_hidden()).then_some(Self { all, lines: Vec::new(), coloured })
    }

    /// Draws these lines in place of those before. They are cut where the terminal ends.
    pub fn show<'a>(&mut self, texts: impl IntoIterator<Item = &'a str>) {
        let mut texts = texts.into_iter();
        let mut place = 0;
        loop {
            let text = texts.next();
            if text.is_none() && place >= self.lines.len() {
                return;
            }
            if place == self.lines.len() {
                self.lines.push(self.all.add(ProgressBar::no_length().with_style(style())));
            }
            let text = text.unwrap_or_default();
            let line = &self.lines[place];
            line.set_message(if self.coloured {
                text.to_owned()
            } else {
                anstream::adapter::strip_str(text).to_string()
            });
            line.tick();
            place += 1;
        }
    }

    /// Takes the picture away: something else follows.
    pub fn end(&mut self) {
        self.lines.drain(..).for_each(|line| line.finish_and_clear());
        // Nothing is left to do about a terminal that is gone.
        let _ = self.all.clear();
    }
}

/// The message, cut where the terminal ends.
fn style() -> ProgressStyle {
    ProgressStyle::with_template("{wide_msg}").unwrap_or_else(|_| ProgressStyle::default_bar())
}
