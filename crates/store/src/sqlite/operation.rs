//! What can be asked of the writer, and how it is answered.

use std::any::Any;
use std::collections::{HashMap, HashSet};

use spillway_model::{
    Appended, ConfigurationChange, DeliveryId, EventId, Lease, NewEvent, Replay, ReplayId, Settlement, UnixMillis,
};
use tokio::sync::oneshot;

use super::claimable::Candidate;
use super::rows::Claim;
use super::task::Task;
use super::writer::{ClaimKey, Ended, key_of};
use crate::{HeldReplay, NewRoute, ReplayStep, RetryOutcome, StoreError};

type Answer<T> = oneshot::Sender<Result<T, StoreError>>;

/// What can be asked of the writer.
#[derive(Debug)]
pub(super) enum Operation {
    Append {
        events: Vec<NewEvent>,
        answer: Answer<Vec<Appended>>,
    },
    Settle {
        settlements: Vec<Settlement>,
        answer: Answer<Vec<DeliveryId>>,
    },
    Claim {
        candidates: Vec<Candidate>,
        now: UnixMillis,
        lease_until: UnixMillis,
        answer: Answer<Vec<Claim>>,
    },
    Renew {
        leases: Vec<Lease>,
        until: UnixMillis,
        answer: Answer<Vec<DeliveryId>>,
    },
    Retry {
        delivery: DeliveryId,
        now: UnixMillis,
        answer: Answer<RetryOutcome>,
    },
    Configure {
        changes: Vec<ConfigurationChange>,
        answer: Answer<u64>,
    },
    Deliver {
        event: EventId,
        to: Vec<NewRoute>,
        now: UnixMillis,
        answer: Answer<Option<Vec<DeliveryId>>>,
    },
    /// Order keys whose head ended without a word to them.
    Release {
        ended: Vec<Ended>,
        answer: Answer<()>,
    },
    CreateReplay {
        replay: Box<Replay>,
        answer: Answer<()>,
    },
    CancelReplay {
        id: ReplayId,
        now: UnixMillis,
        answer: Answer<Option<Replay>>,
    },
    HoldReplay {
        now: UnixMillis,
        lease_until: UnixMillis,
        answer: Answer<Option<HeldReplay>>,
    },
    AdvanceReplay {
        step: ReplayStep,
        answer: Answer<Option<Replay>>,
    },
    Prune {
        before: i64,
        answer: Answer<u64>,
    },
    Task(Box<dyn Task>),
    Close {
        answer: oneshot::Sender<()>,
    },
}

/// What an operation came to, to be told once the transaction is flushed.
pub(super) enum Outcome {
    Appended(Vec<Appended>),
    Stale(Vec<DeliveryId>),
    Claimed(Vec<Claim>),
    Retried(RetryOutcome),
    Delivered(Option<Vec<DeliveryId>>),
    Replay(Option<Replay>),
    Held(Option<HeldReplay>),
    Written,
    Version(u64),
    Pruned(u64),
    Done(Box<dyn Any + Send>),
}

impl Operation {
    pub(super) fn appended(&self) -> Option<&Vec<NewEvent>> {
        if let Self::Append { events, .. } = self { Some(events) } else { None }
    }

    pub(super) fn settled(&self) -> Option<&Vec<Settlement>> {
        if let Self::Settle { settlements, .. } = self { Some(settlements) } else { None }
    }
}

pub(super) fn answer(operations: Vec<Operation>, outcomes: Vec<Outcome>) {
    for (operation, outcome) in operations.into_iter().zip(outcomes) {
        // Whoever gave up waiting needs no answer.
        match (operation, outcome) {
            (Operation::Append { answer, .. }, Outcome::Appended(appended)) => drop(answer.send(Ok(appended))),
            (Operation::Settle { answer, .. } | Operation::Renew { answer, .. }, Outcome::Stale(stale)) => {
                drop(answer.send(Ok(stale)));
            }
            (Operation::Claim { answer, .. }, Outcome::Claimed(claims)) => drop(answer.send(Ok(claims))),
            (Operation::Retry { answer, .. }, Outcome::Retried(outcome)) => drop(answer.send(Ok(outcome))),
            (Operation::Deliver { answer, .. }, Outcome::Delivered(made)) => drop(answer.send(Ok(made))),
            (Operation::CreateReplay { answer, .. } | Operation::Release { answer, .. }, Outcome::Written) => {
                drop(answer.send(Ok(())));
            }
            (
                Operation::CancelReplay { answer, .. } | Operation::AdvanceReplay { answer, .. },
                Outcome::Replay(replay),
            ) => drop(answer.send(Ok(replay))),
            (Operation::HoldReplay { answer, .. }, Outcome::Held(held)) => drop(answer.send(Ok(held))),
            (Operation::Configure { answer, .. }, Outcome::Version(version)) => drop(answer.send(Ok(version))),
            (Operation::Prune { answer, .. }, Outcome::Pruned(pruned)) => drop(answer.send(Ok(pruned))),
            (Operation::Task(task), Outcome::Done(output)) => task.answer(Ok(output)),
            _ => tracing::error!("an operation of the embedded store got another one's outcome"),
        }
    }
}

pub(super) fn refuse(operations: Vec<Operation>, error: &StoreError) {
    for operation in operations {
        let error = error.share();
        match operation {
            Operation::Append { answer, .. } => drop(answer.send(Err(error))),
            Operation::Settle { answer, .. } | Operation::Renew { answer, .. } => drop(answer.send(Err(error))),
            Operation::Claim { answer, .. } => drop(answer.send(Err(error))),
            Operation::Retry { answer, .. } => drop(answer.send(Err(error))),
            Operation::Deliver { answer, .. } => drop(answer.send(Err(error))),
            Operation::CreateReplay { answer, .. } | Operation::Release { answer, .. } => drop(answer.send(Err(error))),
            Operation::CancelReplay { answer, .. } | Operation::AdvanceReplay { answer, .. } => {
                drop(answer.send(Err(error)));
            }
            Operation::HoldReplay { answer, .. } => drop(answer.send(Err(error))),
            Operation::Configure { answer, .. } => drop(answer.send(Err(error))),
            Operation::Prune { answer, .. } => drop(answer.send(Err(error))),
            Operation::Task(task) => task.answer(Err(error)),
            Operation::Close { answer } => drop(answer.send(())),
        }
    }
}

pub(super) fn appended(events: &[NewEvent], duplicates: &HashMap<i64, EventId>) -> Vec<Appended> {
    let one = |new: &NewEvent| match duplicates.get(&new.event.id.sequence()) {
        Some(first) => Appended::Duplicate { id: *first },
        None => Appended::Accepted { id: new.event.id },
    };
    events.iter().map(one).collect()
}

pub(super) fn stale_among(settlements: &[Settlement], stale: &HashSet<ClaimKey>) -> Vec<DeliveryId> {
    if stale.is_empty() {
        return Vec::new();
    }
    settlements.iter().filter(|s| stale.contains(&key_of(s.lease))).map(|s| s.lease.delivery).collect()
}
