//! Alerts: thresholds that must hold for a while, and that are left for good before an alert ends.

mod rules;
mod state;

pub use rules::{AlertId, Direction, Limits, Rule, Severity, Threshold, Unit, rules};

use state::LevelState;

/// What the rules look at. `None` is no data: it raises no alert, and ends one when it lasts.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Readings([Option<f64>; AlertId::ALL.len()]);

impl Default for Readings {
    fn default() -> Self {
        Self([None; AlertId::ALL.len()])
    }
}

impl Readings {
    /// Sets what one rule looks at. What is not finite is no data.
    pub fn set(&mut self, id: AlertId, value: Option<f64>) {
        self.0[id as usize] = value.filter(|value| value.is_finite());
    }

    /// What one rule looks at.
    #[must_use]
    pub fn get(&self, id: AlertId) -> Option<f64> {
        self.0[id as usize]
    }
}

/// Where a rule stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum RuleState {
    /// No threshold is reached.
    Ok,
    /// One is reached, and not yet for long enough.
    Pending,
    /// An alert is on.
    Active,
    /// Nothing is known.
    NoData,
}

impl RuleState {
    /// `ok`, `pending`, `active` or `no_data`.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Ok => "ok",
            Self::Pending => "pending",
            Self::Active => "active",
            Self::NoData => "no_data",
        }
    }
}

/// An alert that is on.
#[derive(Debug, Clone, PartialEq)]
pub struct Alert {
    /// Which.
    pub id: AlertId,
    /// The worst of its thresholds that hold.
    pub severity: Severity,
    /// What is wrong, in a sentence.
    pub text: String,
    /// What the rule saw last; `None` when that is not known any more.
    pub value: Option<f64>,
    /// The threshold that was reached.
    pub threshold: f64,
    /// In what both are measured.
    pub unit: Unit,
    /// Since when it has been reached, in seconds.
    pub since_s: i64,
}

/// All rules with where they stand.
#[derive(Debug, Clone)]
pub struct Board {
    rules: Vec<Rule>,
    states: Vec<Vec<LevelState>>,
    readings: Readings,
}

impl Board {
    /// A board on which nothing happened yet.
    #[must_use]
    pub fn new(limits: &Limits) -> Self {
        let rules = rules(limits);
        let states = rules.iter().map(|rule| vec![LevelState::default(); rule.levels.len()]).collect();
        Self { rules, states, readings: Readings::default() }
    }

    /// Looks at new readings. To be called every few seconds: a threshold counts as held from the first look at which it was reached.
    pub fn evaluate(&mut self, at_s: i64, readings: &Readings) {
        self.readings = *readings;
        for (rule, states) in self.rules.iter().zip(&mut self.states) {
            let value = readings.get(rule.id);
            for (level, state) in rule.levels.iter().zip(states) {
                let reached = value.is_some_and(|value| rule.reaches(level, value));
                let clear = value.is_none_or(|value| rule.leaves(level, value));
                state.look(at_s, reached, clear, level.for_s, rule.clear_s);
            }
        }
    }

    /// The alerts that are on, the worst first, and among equals the oldest.
    #[must_use]
    pub fn active(&self) -> Vec<Alert> {
        let mut alerts: Vec<Alert> =
            self.rules.iter().zip(&self.states).filter_map(|(rule, states)| self.alert(rule, states)).collect();
        alerts.sort_by(|a, b| b.severity.cmp(&a.severity).then(a.since_s.cmp(&b.since_s)));
        alerts
    }

    /// Every rule with its state and what it saw last.
    pub fn rules(&self) -> impl Iterator<Item = (&Rule, RuleState, Option<f64>)> {
        self.rules.iter().zip(&self.states).map(|(rule, states)| {
            let value = self.readings.get(rule.id);
            let state = if states.iter().any(|state| state.active_since().is_some()) {
                RuleState::Active
            } else if states.iter().any(|state| state.is_pending()) {
                RuleState::Pending
            } else if value.is_none() {
                RuleState::NoData
            } else {
                RuleState::Ok
            };
            (rule, state, value)
        })
    }

    /// The severity of an alert while it is on.
    #[must_use]
    pub fn severity(&self, id: AlertId) -> Option<Severity> {
        let (rule, states) = self.rules.iter().zip(&self.states).find(|(rule, _)| rule.id == id)?;
        self.alert(rule, states).map(|alert| alert.severity)
    }

    fn alert(&self, rule: &Rule, states: &[LevelState]) -> Option<Alert> {
        let on = rule.levels.iter().zip(states).filter_map(|(level, state)| Some((level, state.active_since()?)));
        let (level, since_s) = on.max_by_key(|(level, _)| level.severity)?;
        let value = self.readings.get(rule.id);
        Some(Alert {
            id: rule.id,
            severity: level.severity,
            text: rule.sentence(level, value),
            value,
            threshold: level.value,
            unit: rule.unit,
            since_s,
        })
    }
}

#[cfg(test)]
mod tests;
