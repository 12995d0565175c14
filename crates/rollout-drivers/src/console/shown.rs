//! What a console shows.

use serde::{Deserialize, Serialize};
use spillway_rollout::judge::Judge;

use crate::people::{Series, View};

/// The largest status that is sent: what a gateway takes for a management request.
pub const MAX_SHOWN_BYTES: usize = 60 << 10;
/// Points of the series that are sent.
const MOST_POINTS: usize = 120;
/// Happenings that are sent, the newest.
const MOST_HAPPENINGS: usize = 60;

/// How a rollout stands, and how it stood over time: what `status --output json` prints.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Shown {
    /// How it stands, with the evidence of each comparison.
    #[serde(flatten)]
    pub view: View,
    /// Weight, evidence and counts over time. One without points means that nobody recorded them.
    #[serde(default)]
    pub series: Series,
}

impl Shown {
    /// With the series, or with what the history tells of the weights.
    #[must_use]
    pub fn new(view: View, series: &Series) -> Self {
        let series = series.of_rollout(&view);
        Self { view, series }
    }

    /// As JSON of at most [`MAX_SHOWN_BYTES`], without what only the controller needs; older happenings and every second point are left out as
    /// far as that is necessary.
    pub(super) fn body(&self) -> serde_json::Result<Vec<u8>> {
        let mut short = self.clone();
        let state = &mut short.view.state;
        state.learnt = Judge::default();
        if let Some(rollout) = &mut state.rollout {
            rollout.judge = Judge::default();
        }
        let (mut points, mut happenings) = (MOST_POINTS, MOST_HAPPENINGS);
        loop {
            let state = &mut short.view.state;
            let surplus = state.history.len().saturating_sub(happenings);
            state.history.drain(..surplus);
            short.series = std::mem::take(&mut short.series).thinned(points);
            let body = serde_json::to_vec(&short)?;
            if body.len() <= MAX_SHOWN_BYTES || (points == 0 && happenings == 0) {
                return Ok(body);
            }
            (points, happenings) = (points / 2, happenings / 2);
        }
    }
}

#[cfg(test)]
mod tests {
    use spillway_rollout::decision::NoteKind;
    use spillway_rollout::state::Happened;

    use super::*;
    use crate::people::sample;

    #[test]
    fn a_long_rollout_is_shown_in_what_a_gateway_takes() {
        let mut view = sample::good();
        let mut series = Series::default();
        for _ in 0..5_000 {
            view.at += 15_000;
            series.record(&view);
        }
        let happened = |at| Happened { at, kind: NoteKind::Held, text: "x".repeat(900), weight: 25 };
        view.state.history = (0..200).map(happened).collect();
        let body = Shown::new(view.clone(), &series).body().expect("JSON");
        assert!(body.len() <= MAX_SHOWN_BYTES, "{} bytes", body.len());
        let read: Shown = serde_json::from_slice(&body).expect("the same form");
        assert_eq!(read.view.evidence, view.evidence);
        assert_eq!(read.view.state.history.last(), view.state.history.last());
        assert_eq!(read.series.points().last().map(|point| point.at), Some(view.at), "the present is always there");
        assert!(read.series.points().len() > 20);
    }

    #[test]
    fn without_a_series_the_history_tells_the_weights() {
        let mut view = sample::good();
        let begun = view.rollout().map_or(0, |rollout| rollout.started_at);
        let happened = |at, weight| Happened { at, kind: NoteKind::Weight, text: String::new(), weight };
        view.state.history = vec![happened(begun + 1, 10), happened(begun + 2, 25)];
        let shown = Shown::new(view, &Series::default());
        assert_eq!(shown.series.points().iter().map(|point| point.weight).collect::<Vec<_>>(), [10, 25]);
    }
}
