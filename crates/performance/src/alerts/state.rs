//! One threshold over time.

/// When a threshold was reached, when it became an alert, and since when it is left.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(super) struct LevelState {
    reached_since: Option<i64>,
    is_active: bool,
    left_since: Option<i64>,
}

impl LevelState {
    /// Since when the alert's cause holds, while it is on.
    pub(super) fn active_since(self) -> Option<i64> {
        self.reached_since.filter(|_| self.is_active)
    }

    pub(super) fn is_pending(self) -> bool {
        self.reached_since.is_some() && !self.is_active
    }

    /// One look. Between reached and left it stays what it is, which is what keeps a value at the threshold from raising alerts again and
    /// again.
    pub(super) fn look(&mut self, at_s: i64, reached: bool, left: bool, for_s: u32, clear_s: u32) {
        // A clock that was set back must not make anything last longer.
        for since in [&mut self.reached_since, &mut self.left_since] {
            *since = since.map(|since| since.min(at_s));
        }
        if self.is_active {
            if left {
                let since = *self.left_since.get_or_insert(at_s);
                if at_s - since >= i64::from(clear_s) {
                    *self = Self::default();
                }
            } else {
                self.left_since = None;
            }
        } else if reached {
            let since = *self.reached_since.get_or_insert(at_s);
            self.is_active = at_s - since >= i64::from(for_s);
        } else {
            self.reached_since = None;
        }
    }
}
