//! What the store is asked about replays and dead letters.

use serde::{Deserialize, Serialize};
use spillway_model::{AttemptClass, DeliveryId, DestinationId, Replay, ReplayId, ReplayState, UnixMillis};
#[cfg(any(feature = "postgres", feature = "sqlite"))]
use spillway_model::{DeliveryState, Selection};

use crate::Cursor;

/// Deliveries that one [`crate::Store::select`] looks at, at most, whatever they match.
pub const SELECT_LOOKED_AT: usize = 10_000;

/// Milliseconds for which a replay is kept after its end.
#[cfg(any(feature = "sqlite", feature = "postgres"))]
pub(crate) const ENDED_KEPT_MS: i64 = 90 * 86_400_000;

/// How many deliveries are looked at to find `limit`: some more, so that few that match among many are found in few parts.
#[cfg(any(feature = "postgres", feature = "sqlite"))]
pub(crate) fn looked_at(limit: usize) -> usize {
    limit.saturating_mul(8).clamp(1_000, SELECT_LOOKED_AT)
}

/// Which replays to list, newest first.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ReplayFilter {
    /// Only those after this place.
    pub cursor: Option<Cursor>,
    /// At most this many.
    pub limit: usize,
}

/// A part of the deliveries that a selection matches.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Selected {
    /// Those that match, in the order of their ids.
    pub deliveries: Vec<DeliveryId>,
    /// Everything up to here was looked at: the next part begins behind it. `None` when nothing is left.
    pub next: Option<DeliveryId>,
}

/// How many deliveries a selection matches.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Counted {
    /// As many were found.
    pub deliveries: u64,
    /// Whether all of the store was looked at. Otherwise there may be more.
    pub is_complete: bool,
}

/// A replay in the hands of one node until its lease ends.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HeldReplay {
    /// The replay.
    pub replay: Replay,
    /// Raised whenever it changes hands; steps must name it.
    pub generation: u32,
}

/// One step of a replay, written in one transaction: what becomes due, and how far it has come. Taking it twice is impossible, so a
/// node that dies in between leaves neither a gap nor a repetition.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ReplayStep {
    /// The replay.
    pub id: ReplayId,
    /// [`HeldReplay::generation`].
    pub generation: u32,
    /// Until when the node keeps it; at or before now gives it back.
    pub lease_until: UnixMillis,
    /// Now: when it was updated.
    pub now: UnixMillis,
    /// Deliveries to make due, each at its time. Those that are pending or queued, or whose event is gone, count as skipped.
    pub due: Vec<(DeliveryId, UnixMillis)>,
    /// The last delivery that was looked at, if there was one. A step that looks no further than an earlier one writes nothing.
    pub cursor: Option<DeliveryId>,
    /// [`ReplayState::Done`] with the last step.
    pub state: ReplayState,
}

/// Dead deliveries that died for the same reason.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct DeadLetterGroup {
    /// Where they should have gone.
    pub destination: DestinationId,
    /// How the last attempt of each ended; `None` when no attempt is stored.
    pub class: Option<AttemptClass>,
    /// The status of the last answer, if there was one.
    pub status: Option<u16>,
    /// How many there are.
    pub deliveries: u64,
    /// When the first of them died.
    pub oldest: UnixMillis,
    /// When the last of them died.
    pub newest: UnixMillis,
}

/// Dead deliveries, in groups.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct DeadLetters {
    /// The largest group first.
    pub groups: Vec<DeadLetterGroup>,
    /// Whether every dead delivery was looked at. Otherwise older ones are not counted.
    pub is_complete: bool,
}

/// Where a selection is looked for, in the order of ids.
#[cfg(any(feature = "postgres", feature = "sqlite"))]
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Along {
    /// All deliveries of a range of ids.
    Ids,
    /// Dead deliveries only.
    Dead,
    /// The events of a source.
    Source,
}

#[cfg(any(feature = "postgres", feature = "sqlite"))]
impl Along {
    /// The way with the fewest deliveries that do not match.
    pub(crate) fn of(selection: &Selection) -> Self {
        match selection {
            Selection { event: Some(_), .. } => Self::Ids,
            Selection { state: Some(DeliveryState::Dead), .. } => Self::Dead,
            Selection { source: Some(_), .. } => Self::Source,
            _ => Self::Ids,
        }
    }
}

/// The codes of the states that a selection means.
#[cfg(any(feature = "postgres", feature = "sqlite"))]
pub(crate) fn states_of(selection: &Selection) -> Vec<i16> {
    let is_open = |state: &DeliveryState| matches!(state, DeliveryState::Pending | DeliveryState::Queued);
    match selection.state {
        Some(state) => vec![state.code()],
        None => DeliveryState::ALL.into_iter().filter(|state| !is_open(state)).map(DeliveryState::code).collect(),
    }
}
