//! A rollout as it was observed: JSON lines, the first with the Rollout and the state, then one for each look.

use serde::{Deserialize, Serialize};
use spillway_model::UnixMillis;

use crate::decide::decide;
use crate::decision::Decision;
use crate::observed::Observed;
use crate::plan::Plan;
use crate::spec::Rollout;
use crate::state::State;

/// What was observed at one time.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Look {
    /// When.
    pub now: UnixMillis,
    /// What.
    pub observed: Observed,
}

/// A recorded rollout: all that is needed to repeat every decision.
#[derive(Debug, Clone, PartialEq)]
pub struct Recording {
    /// The Rollout.
    pub rollout: Rollout,
    /// The state before the first look.
    pub start: State,
    /// The looks, oldest first.
    pub looks: Vec<Look>,
}

/// Why a text is no recording.
#[derive(Debug, thiserror::Error)]
pub enum RecordingError {
    /// There is not even a first line.
    #[error("the recording is empty: its first line is a Rollout and a state, every other one a look")]
    Empty,
    /// A line is none of a recording.
    #[error("line {line} of the recording is not what it should be: {reason}")]
    Line {
        /// The line, counted from 1.
        line: usize,
        /// What does not fit.
        reason: serde_json::Error,
    },
}

#[derive(Serialize, Deserialize)]
struct First<R, S> {
    rollout: R,
    state: S,
}

impl Recording {
    /// The first line, without its end.
    ///
    /// # Errors
    /// Never for what was read or decided; it is what writing JSON may answer.
    pub fn first_line(rollout: &Rollout, state: &State) -> Result<String, serde_json::Error> {
        serde_json::to_string(&First { rollout, state })
    }

    /// The line of a look, without its end.
    ///
    /// # Errors
    /// Never for what was observed; it is what writing JSON may answer.
    pub fn line(look: &Look) -> Result<String, serde_json::Error> {
        serde_json::to_string(look)
    }

    /// Reads a recording. A last line without an end, which a crash left behind, is left out.
    ///
    /// # Errors
    /// When a line is none of a recording.
    pub fn parse(text: &str) -> Result<Self, RecordingError> {
        let whole = text.rfind('\n').map_or("", |end| &text[..end]);
        let mut lines = whole.lines().enumerate().filter(|(_, line)| !line.trim().is_empty());
        let refuse = |line: usize| move |reason| RecordingError::Line { line: line + 1, reason };
        let (number, first) = lines.next().ok_or(RecordingError::Empty)?;
        let First { rollout, state }: First<Rollout, State> = serde_json::from_str(first).map_err(refuse(number))?;
        let looks = lines.map(|(number, line)| serde_json::from_str(line).map_err(refuse(number)));
        Ok(Self { rollout, start: state, looks: looks.collect::<Result<_, _>>()? })
    }

    /// The whole text.
    ///
    /// # Errors
    /// As [`Self::first_line`].
    pub fn to_text(&self) -> Result<String, serde_json::Error> {
        let mut text = Self::first_line(&self.rollout, &self.start)? + "\n";
        for look in &self.looks {
            text += &Self::line(look)?;
            text.push('\n');
        }
        Ok(text)
    }
}

/// Decides at every look again, each from the state that the decision before left. Lazy: each decision holds a whole state.
pub fn replay<'a>(
    plan: &'a Plan,
    start: State,
    looks: impl IntoIterator<Item = &'a Look>,
) -> impl Iterator<Item = (UnixMillis, Decision)> {
    looks.into_iter().scan(start, |state, look| {
        let decision = decide(plan, state, &look.observed, look.now);
        *state = decision.state.clone();
        Some((look.now, decision))
    })
}
