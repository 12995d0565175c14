//! Weight over time as a picture of characters.

use spillway_report::text;

/// Eighths of a cell, from below.
const EIGHTHS: [char; 9] = [' ', '▁', '▂', '▃', '▄', '▅', '▆', '▇', '█'];

/// Rows of the picture.
const ROWS: usize = 5;

/// Weights over time: each `(ms since the start, percent)` holds until the next one, the last until `end` ms. At most `width` columns; a column
/// shows the largest weight of its time.
#[must_use]
pub fn weights(points: &[(u64, u8)], end: u64, width: usize) -> String {
    let columns = width.saturating_sub(9).max(8);
    let heights: Vec<u8> = (0..columns).map(|column| largest(points, end, column, columns)).collect();
    let mut out = String::new();
    for row in (0..ROWS).rev() {
        let (bottom, top) = (row as f64 / ROWS as f64, (row + 1) as f64 / ROWS as f64);
        let cell = |weight: &u8| {
            let share = (f64::from(*weight) / 100.0 - bottom) / (top - bottom);
            EIGHTHS[(share.clamp(0.0, 1.0) * 8.0).ceil() as usize]
        };
        let line: String = heights.iter().map(cell).collect();
        out.push_str(format!("  {:>3.0} % ┤{line}", top * 100.0).trim_end());
        out.push('\n');
    }
    let end = text::span(end as f64);
    let room = columns.saturating_sub(1);
    out.push_str(&format!("        └{}\n         0{end:>room$}\n", "─".repeat(columns)));
    out
}

/// The largest weight of a column's time.
fn largest(points: &[(u64, u8)], end: u64, column: usize, columns: usize) -> u8 {
    let instant = |column: usize| (u128::from(end) * column as u128 / columns as u128) as u64;
    let (from, to) = (instant(column), instant(column + 1));
    let before = points.iter().take_while(|(at, _)| *at <= from).last();
    let within = points.iter().filter(|(at, _)| *at > from && *at < to);
    before.into_iter().chain(within).map(|(_, weight)| *weight).max().unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn steps_are_steps_and_a_short_peak_is_seen() {
        let steps = [(0, 0), (60_000, 10), (600_000, 50), (1_200_000, 100)];
        insta::assert_snapshot!(weights(&steps, 1_800_000, 60));
        let peak = weights(&[(0, 0), (500_000, 100), (500_010, 0)], 1_000_000, 40);
        assert_eq!(peak.matches('█').count(), 5, "{peak}");
        assert_eq!(weights(&[], 0, 20).lines().count(), 7);
    }
}
