//! What a forecast is made from.

use crate::recorder::Recorder;
use crate::trend::TrendWindow;

/// Gaps of up to so many steps are bridged; a longer one begins the history anew.
const BRIDGED: usize = 3;

/// A series in equal steps, without gaps, long enough to forecast.
#[derive(Debug, Clone, PartialEq)]
pub struct History {
    end_s: i64,
    step_s: i64,
    values: Vec<f64>,
}

/// Resolutions, from the coarsest: window, points in it, steps that are needed, steps that are used.
const RESOLUTIONS: [(TrendWindow, u32, usize, usize); 3] =
    [(TrendWindow::Month, 30, 14, 30), (TrendWindow::Month, 720, 48, 336), (TrendWindow::Day, 144, 24, 144)];

impl History {
    /// What is needed, in words.
    pub(super) const NEEDED: &'static str = "4 hours without a longer gap are needed";

    /// A history that ends at `end_s`; `None` with fewer than 14 steps, which is too little for any resolution, after its last gap of more
    /// than 3 steps.
    #[must_use]
    pub fn new(end_s: i64, step_s: i64, values: &[Option<f64>]) -> Option<Self> {
        Self::of_at_least(14, usize::MAX, end_s, step_s, values)
    }

    fn of_at_least(needed: usize, used: usize, end_s: i64, step_s: i64, values: &[Option<f64>]) -> Option<Self> {
        let values = bridged(values);
        let values = values[values.len().saturating_sub(used)..].to_vec();
        (values.len() >= needed && step_s > 0).then_some(Self { end_s, step_s, values })
    }

    /// What a recorder holds of a series, by the coarsest steps of which there are enough: 14 days, 48 hours, or 24 times ten minutes.
    #[must_use]
    pub fn of(recorder: &Recorder, metric: &str, now_s: i64) -> Option<Self> {
        RESOLUTIONS.iter().find_map(|(window, points, needed, used)| {
            let series = recorder.trend(metric, *window, *points, now_s)?;
            let mut values: Vec<_> = series.points.iter().map(|point| point.value).collect();
            // The last step is not over.
            values.pop();
            Self::of_at_least(*needed, *used, series.span.to_s - series.span.step_s, series.span.step_s, &values)
        })
    }

    /// The last value.
    #[must_use]
    pub fn last(&self) -> f64 {
        self.values.last().copied().unwrap_or_default()
    }

    /// When it ends.
    #[must_use]
    pub fn end_s(&self) -> i64 {
        self.end_s
    }

    /// Length of a step.
    #[must_use]
    pub fn step_s(&self) -> i64 {
        self.step_s
    }

    /// How long it is.
    #[must_use]
    pub fn observed_s(&self) -> i64 {
        self.values.len() as i64 * self.step_s
    }

    pub(super) fn values(&self) -> &[f64] {
        &self.values
    }
}

/// The values after the last gap that is too long, with shorter ones filled along a line.
fn bridged(values: &[Option<f64>]) -> Vec<f64> {
    let mut filled: Vec<f64> = Vec::new();
    let mut missing = 0;
    for value in values {
        let Some(value) = value.filter(|value| value.is_finite()) else {
            missing += 1;
            continue;
        };
        if missing > BRIDGED {
            filled.clear();
        }
        if let Some(before) = filled.last().copied() {
            let step = (value - before) / (missing + 1) as f64;
            filled.extend((1..=missing).map(|n| before + step * n as f64));
        }
        filled.push(value);
        missing = 0;
    }
    if missing > BRIDGED {
        filled.clear();
    }
    filled
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn short_gaps_are_bridged_and_long_ones_begin_anew() {
        assert_eq!(bridged(&[Some(1.0), None, None, Some(4.0)]), [1.0, 2.0, 3.0, 4.0]);
        assert_eq!(bridged(&[Some(9.0), None, None, None, None, Some(4.0), Some(5.0)]), [4.0, 5.0]);
        assert_eq!(bridged(&[None, Some(f64::NAN), Some(4.0), None]), [4.0]);
        assert_eq!(bridged(&[Some(1.0), None, None, None, None]), [0.0; 0]);
    }

    #[test]
    fn too_few_steps_are_no_history() {
        assert_eq!(History::new(0, 60, &[Some(1.0); 13]), None);
        assert_eq!(History::new(0, 60, &[Some(1.0); 14]).map(|history| history.observed_s()), Some(840));
        assert_eq!(History::new(0, 0, &[Some(1.0); 14]), None);
    }
}
