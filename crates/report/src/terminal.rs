//! Lines of a terminal: colours as ANSI sequences, bars, wrapping.

use anstyle::{AnsiColor, Style};

/// Columns that every screen holds to.
pub const WIDTH: usize = 80;
/// What is good.
pub const GOOD: Style = AnsiColor::Green.on_default().bold();
/// What is bad.
pub const BAD: Style = AnsiColor::Red.on_default().bold();
/// What waits for somebody.
pub const WARNING: Style = AnsiColor::Yellow.on_default().bold();
/// What is beside the point.
pub const DIM: Style = Style::new().dimmed();
/// Headings.
pub const HEADING: Style = Style::new().bold();

/// The text in a style. Print it through `anstream`, which leaves colours out where they do not belong.
#[must_use]
pub fn paint(style: Style, text: &str) -> String {
    format!("{style}{text}{style:#}")
}

/// Adds a line without blanks at its end.
pub fn line(out: &mut String, text: std::fmt::Arguments<'_>) {
    // Writing to a text cannot fail.
    let _ = std::fmt::Write::write_fmt(out, text);
    let kept = out.trim_end_matches(' ').len();
    out.truncate(kept);
    out.push('\n');
}

/// Adds an empty line and a heading.
pub fn heading(out: &mut String, text: &str) {
    line(out, format_args!("\n{}", paint(HEADING, text.trim_end())));
}

/// A bar of `width` columns that is filled to `share`, from 0 to 1.
#[must_use]
pub fn bar(share: f64, width: usize) -> String {
    let share = if share.is_finite() { share.clamp(0.0, 1.0) } else { 0.0 };
    let filled = (share * width as f64).round() as usize;
    // What is not nothing never reads as nothing, and what is not all never as all.
    let filled = match filled {
        0 if share > 0.0 => 1.min(width),
        n if n == width && share < 1.0 => width.saturating_sub(1),
        n => n,
    };
    format!("{}{}", "█".repeat(filled), "░".repeat(width - filled))
}

/// Lines of at most `width` characters, broken between words; the first one has `first`. A longer word is broken.
#[must_use]
pub fn wrap(text: &str, first: usize, width: usize) -> Vec<String> {
    let mut lines = vec![String::new()];
    for word in text.split(' ').filter(|word| !word.is_empty()) {
        let mut rest: Vec<char> = word.chars().collect();
        while !rest.is_empty() {
            let width = if lines.len() == 1 { first } else { width }.max(1);
            let Some(line) = lines.last_mut() else { break };
            let used = line.chars().count();
            let gap = usize::from(used > 0);
            if used + gap + rest.len() <= width {
                line.extend([' '].into_iter().take(gap));
                line.extend(rest.drain(..));
            } else if used > 0 {
                lines.push(String::new());
            } else {
                line.extend(rest.drain(..width));
                lines.push(String::new());
            }
        }
    }
    lines
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_bar_shows_that_there_is_something_and_that_there_is_more_to_come() {
        assert_eq!(bar(0.0, 4), "░░░░");
        assert_eq!(bar(0.01, 4), "█░░░");
        assert_eq!(bar(0.5, 4), "██░░");
        assert_eq!(bar(0.99, 4), "███░");
        assert_eq!(bar(7.0, 4), "████");
        assert_eq!(bar(f64::NAN, 4), "░░░░");
        assert_eq!(bar(0.5, 0), "");
    }

    #[test]
    fn lines_break_between_words_and_long_words_break() {
        assert_eq!(wrap("one two three", 3, 9), ["one", "two three"]);
        assert_eq!(wrap("abcdefgh", 3, 4), ["abc", "defg", "h"]);
    }
}
