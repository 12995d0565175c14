//! A history as small bars.

use std::collections::VecDeque;

const BARS: [char; 8] = ['▁', '▂', '▃', '▄', '▅', '▆', '▇', '█'];

/// The newest values of a number, at most as many as were asked for.
#[derive(Debug, Clone)]
pub(super) struct History {
    values: VecDeque<Option<f64>>,
    most: usize,
}

impl History {
    pub(super) fn new(most: usize) -> Self {
        Self { values: VecDeque::with_capacity(most), most }
    }

    pub(super) fn push(&mut self, value: Option<f64>) {
        if self.values.len() == self.most {
            self.values.pop_front();
        }
        self.values.push_back(value.filter(|value| value.is_finite()));
    }

    /// A bar for each value, from zero to the largest; a blank where there is none.
    pub(super) fn bars(&self) -> String {
        bars(self.values.iter().copied())
    }
}

/// A bar for each value, from zero to the largest; a blank where there is none.
pub(super) fn bars(values: impl Iterator<Item = Option<f64>> + Clone) -> String {
    let largest = values.clone().flatten().fold(0.0, f64::max);
    let bar = |value: Option<f64>| match value {
        None => ' ',
        Some(value) if largest > 0.0 => BARS[((value / largest * 7.0).round().max(0.0) as usize).min(7)],
        Some(_) => BARS[0],
    };
    values.map(bar).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bars_start_at_zero_and_keep_the_newest() {
        let mut history = History::new(4);
        for value in [Some(99.0), Some(0.0), Some(50.0), None, Some(100.0)] {
            history.push(value);
        }
        assert_eq!(history.bars(), "▁▅ █");
        assert_eq!(bars([Some(0.0), Some(0.0)].into_iter()), "▁▁");
    }
}
