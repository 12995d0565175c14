//! Where a number becomes a warning and where it becomes critical.

use crate::Verdict;

/// Two thresholds, each of which counts as reached.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Level {
    pub(super) warning: f64,
    pub(super) critical: f64,
}

impl Level {
    pub(super) const fn new(warning: f64, critical: f64) -> Self {
        Self { warning, critical }
    }

    /// Bad from the thresholds on. What is not a number is not known.
    pub(super) fn above(self, value: f64) -> Verdict {
        match value {
            value if value.is_nan() => Verdict::Unknown,
            value if value >= self.critical => Verdict::Critical,
            value if value >= self.warning => Verdict::Warning,
            _ => Verdict::Ok,
        }
    }

    /// Bad from the thresholds down.
    pub(super) fn below(self, value: f64) -> Verdict {
        Self::new(-self.warning, -self.critical).above(-value)
    }
}
