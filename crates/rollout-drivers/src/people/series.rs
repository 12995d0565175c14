//! A rollout over time, bounded.

use serde::{Deserialize, Serialize};
use spillway_model::UnixMillis;
use spillway_rollout::spec::CompareMetric;
use spillway_rollout::state::{State, Total};

use super::values::share;
use super::view::View;

/// How one rollout stood over time: at most [`Series::MAX_POINTS`] points, thinned evenly; changes of weight stay.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct Series {
    /// The revision that is rolled out; none before the first point.
    pub revision: Option<String>,
    /// The attempt.
    pub attempt: u32,
    points: Vec<Point>,
}

/// How it stood at one instant.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct Point {
    /// When.
    pub at: UnixMillis,
    /// Weight of the candidate, percent.
    pub weight: u8,
    /// Copies to the candidate, percent.
    pub mirror: u8,
    /// Each comparison.
    pub evidence: Vec<EvidencePoint>,
    /// The candidate's requests and errors so far.
    pub candidate: Total,
    /// The live version's.
    pub live: Total,
}

/// How a comparison stood, as shares of its limits from 0 to 1.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct EvidencePoint {
    /// What is compared.
    pub metric: CompareMetric,
    /// Of the way to *roll back*.
    pub roll_back: f64,
    /// Of the way to *promote*.
    pub pass: f64,
}

impl Series {
    /// More points are thinned.
    pub const MAX_POINTS: usize = 500;

    /// Takes a point. Another revision or attempt begins a new series; nothing without a rollout, or for an instant that is not later.
    pub fn record(&mut self, view: &View) {
        let Some(rollout) = view.rollout() else { return };
        if self.revision.as_ref() != Some(&rollout.revision) || self.attempt != rollout.attempt {
            *self = Self { revision: Some(rollout.revision.clone()), attempt: rollout.attempt, points: Vec::new() };
        }
        if self.points.last().is_some_and(|last| last.at >= view.at) {
            return;
        }
        let evidence = view.evidence.iter().map(|one| EvidencePoint {
            metric: one.metric,
            roll_back: share(one.roll_back, one.roll_back_limit),
            pass: share(one.pass, one.pass_limit),
        });
        self.push(Point {
            at: view.at,
            weight: rollout.weight,
            mirror: rollout.mirror,
            evidence: evidence.collect(),
            candidate: rollout.candidate_total,
            live: rollout.live_total,
        });
    }

    /// What the history of a state tells: weights only.
    #[must_use]
    pub fn of_history(state: &State) -> Self {
        let Some(rollout) = &state.rollout else { return Self::default() };
        let mut series =
            Self { revision: Some(rollout.revision.clone()), attempt: rollout.attempt, points: Vec::new() };
        for happened in state.history.iter().filter(|happened| happened.at >= rollout.started_at) {
            series.push(Point { at: happened.at, weight: happened.weight, ..Point::default() });
        }
        series
    }

    /// The series itself where it is about the rollout of a view and has something to show; else what the view's history tells.
    #[must_use]
    pub fn of_rollout(&self, view: &View) -> Self {
        let fits = view.rollout().is_some_and(|rollout| {
            self.revision.as_ref() == Some(&rollout.revision) && self.attempt == rollout.attempt
        });
        if fits && self.points.len() > 1 { self.clone() } else { Self::of_history(&view.state) }
    }

    /// At most so many points, evenly spaced, the last one among them.
    #[must_use]
    pub fn thinned(mut self, most: usize) -> Self {
        let n_points = self.points.len();
        if n_points > most {
            let step = n_points.div_ceil(most.max(1));
            let last = n_points - 1;
            let mut place = 0;
            self.points.retain(|_| {
                place += 1;
                most > 0 && (last + 1 - place).is_multiple_of(step)
            });
        }
        self
    }

    /// The points, oldest first.
    #[must_use]
    pub fn points(&self) -> &[Point] {
        &self.points
    }

    fn push(&mut self, point: Point) {
        if self.points.len() >= Self::MAX_POINTS {
            self.thin();
        }
        self.points.push(point);
    }

    /// Halves the points. Where the weight changes they stay, as long as that leaves room.
    fn thin(&mut self) {
        let all = std::mem::take(&mut self.points);
        let weights = |point: &Point| (point.weight, point.mirror);
        let changes = |place: usize| {
            let here = weights(&all[place]);
            [place.checked_sub(1), place.checked_add(1)]
                .into_iter()
                .flatten()
                .filter_map(|other| all.get(other))
                .any(|other| weights(other) != here)
        };
        let n_changes = (0..all.len()).filter(|place| changes(*place)).count();
        let keeps_changes = n_changes <= Self::MAX_POINTS / 4;
        let kept = |place: usize| place.is_multiple_of(2) || (keeps_changes && changes(place));
        self.points =
            all.iter().enumerate().filter(|(place, _)| kept(*place)).map(|(_, point)| point.clone()).collect();
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::people::sample;

    #[test]
    fn a_long_rollout_keeps_its_ends_and_every_change_of_weight() {
        let mut view = sample::good();
        let mut series = Series::default();
        let began = view.at;
        for n in 0..20_000_u32 {
            view.at += 15_000;
            if let Some(rollout) = &mut view.state.rollout {
                rollout.weight = [10, 25, 50, 100][n as usize / 5_001];
            }
            series.record(&view);
            assert!(series.points().len() <= Series::MAX_POINTS);
        }
        let points = series.points();
        assert_eq!((points[0].at, points[points.len() - 1].at), (began + 15_000, view.at));
        let steps: Vec<_> = points.windows(2).filter(|two| two[0].weight != two[1].weight).collect();
        assert_eq!(steps.len(), 3);
        assert!(steps.iter().all(|two| two[1].at - two[0].at == 15_000), "changes stay exact");
    }

    #[test]
    fn another_attempt_begins_anew_and_the_same_instant_is_taken_once() {
        let mut view = sample::good();
        let mut series = Series::default();
        series.record(&view);
        series.record(&view);
        assert_eq!(series.points().len(), 1);
        if let Some(rollout) = &mut view.state.rollout {
            rollout.attempt += 1;
        }
        view.at += 1;
        series.record(&view);
        assert_eq!((series.points().len(), series.attempt), (1, 2));
    }
}
